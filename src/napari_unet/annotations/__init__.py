"""What a person painted, and what a network learns from it."""

from napari_unet.annotations.annotated_image import (
    AnnotatedImage,
    Task,
    annotate,
    annotate_values,
    to_stack,
)
from napari_unet.annotations.cells import (
    are_masks,
    binary_to_instances,
    cell_values,
    count_cells,
    looks_like_picture,
    split_connected,
)
from napari_unet.annotations.coverage import coverage
from napari_unet.annotations.joining import join_prediction
from napari_unet.annotations.runs import Runs
from napari_unet.annotations.splitting import FEWEST_CELLS, split
from napari_unet.annotations.targets import class_target, instance_target, listed, separate
from napari_unet.annotations.weights import class_balance, weight_map
from napari_unet.annotations.working_scale import (
    cell_diameter,
    is_crowded,
    typical_diameter,
    working_scale,
)

__all__ = [
    "FEWEST_CELLS",
    "AnnotatedImage",
    "Runs",
    "Task",
    "annotate",
    "annotate_values",
    "are_masks",
    "binary_to_instances",
    "cell_diameter",
    "cell_values",
    "class_balance",
    "class_target",
    "count_cells",
    "coverage",
    "instance_target",
    "is_crowded",
    "join_prediction",
    "listed",
    "looks_like_picture",
    "separate",
    "split",
    "split_connected",
    "to_stack",
    "typical_diameter",
    "weight_map",
    "working_scale",
]
