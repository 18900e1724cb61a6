"""Whether anything can be learnt from what is annotated, and which classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unet.annotations import cell_values, looks_like_picture
from napari_unet.network import ClassLabel
from napari_unet.training.errors import TrainingError
from napari_unet.training.regression import check_values, name_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.training.configuration import TrainingConfig

__all__ = ["check_annotations", "find_classes", "painted_values", "refuse_pictures"]

_MOST_GREYS = 256  # so many scattered values are slow to separate; fewer may be what is meant


def check_annotations(images: Sequence[AnnotatedImage], config: TrainingConfig) -> None:
    """Refuse annotations that nothing can be learnt from.

    Raises
    ------
    TrainingError
        With what is missing and what to do.
    """
    if not images:
        raise TrainingError("there is no annotated image; add an image and paint some cells")
    channels = {image.image.shape[1] for image in images}
    if len(channels) > 1:
        counts = " and ".join(str(count) for count in sorted(channels))
        raise TrainingError(
            f"some images have {counts} channels; train on images with equal channels"
        )
    if config.task == "regression":
        check_values(images)
    elif any(image.holds_values for image in images):
        raise TrainingError(
            f"some labels are values to predict, which the task {config.task} does not learn; "
            "choose the task regression, or give whole numbers"
        )
    if config.task == "instances" and any(image.labels.dtype == np.bool_ for image in images):
        raise TrainingError(
            "some labels are a mask of True and False, in which all cells would be one; number its "
            "pieces with napari_unet.annotations.binary_to_instances()"
        )
    if not any(image.annotated.any() for image in images):
        raise TrainingError("nothing is annotated; paint some cells or mark a region first")
    if config.task == "instances" and not any(
        (image.labels[image.annotated] > 0).any() for image in images
    ):
        raise TrainingError(
            "no cell is painted where it counts; paint at least one cell, inside a region where "
            "there are regions"
        )


def refuse_pictures(images: Sequence[AnnotatedImage]) -> None:
    """Refuse grey values in the place of labels of cells: separating them takes far too long.

    Raises
    ------
    TrainingError
        If an image has them.
    """
    for image in images:
        plane = next((plane for plane in image.labels if plane.any()), image.labels[0])
        values = len(cell_values(plane))
        if values > _MOST_GREYS and looks_like_picture(plane):
            raise TrainingError(
                f"the labels of {image.name} look like the grey values of a picture: {values} "
                "different ones, scattered over it; choose the labels of its cells instead"
            )


def find_classes(
    images: Sequence[AnnotatedImage],
    task: str,
    names: Mapping[int, str] | None,
    known: Sequence[ClassLabel] = (),
) -> tuple[ClassLabel, ...]:
    """Return the classes in channel order, the background first; for regression the outputs.

    `known` are those of the model that is gone on from, where its task is the same.

    Raises
    ------
    TrainingError
        If fewer than two classes are annotated, or more than 255.
    """
    names = names or {}
    if task == "instances":
        return (ClassLabel(0, "background"), ClassLabel(1, names.get(1, "cell")))
    if task == "regression":
        return name_outputs(images[0].labels.shape[1], names)
    values = sorted(painted_values(images))
    called = {label.value: label.name for label in known}
    if len(values) == 1 and values[0] in called:
        raise TrainingError(
            f"only “{called[values[0]]}” is painted, so that the network would find nothing else "
            "any more; paint some of the other classes too, or let the old images join in"
        )
    if not 2 <= len(values) <= 255:
        count = "only one class is" if len(values) == 1 else f"{len(values)} classes are"
        raise TrainingError(
            f"{count} annotated; paint at least two (the background is one) and at most 255, or "
            "learn single cells (task instances)"
        )
    if values[-1] > np.iinfo(np.int32).max:
        raise TrainingError(f"a class has the value {values[-1]}; use values below 2147483648")
    first = {values[0]: "background"}
    return tuple(ClassLabel(v, names.get(v, first.get(v, f"class {v}"))) for v in values)


def painted_values(images: Sequence[AnnotatedImage]) -> set[int]:
    """Return the values that are painted where it counts."""
    return {int(v) for image in images for v in np.unique(image.labels[image.annotated])}
