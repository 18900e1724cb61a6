"""How well predicted labels agree with the truth."""

from napari_unet.evaluation.baseline import otsu_watershed
from napari_unet.evaluation.matching import Overlaps, count_matches, overlaps
from napari_unet.evaluation.measures import (
    THRESHOLDS,
    adapted_rand_error,
    average_precision,
    f1,
    pixel_error,
    seg,
)
from napari_unet.evaluation.scores import Scores, evaluate

__all__ = [
    "THRESHOLDS",
    "Overlaps",
    "Scores",
    "adapted_rand_error",
    "average_precision",
    "count_matches",
    "evaluate",
    "f1",
    "otsu_watershed",
    "overlaps",
    "pixel_error",
    "seg",
]
