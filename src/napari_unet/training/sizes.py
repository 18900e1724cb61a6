"""How large the network sees the images: one pixel size for all, and one working scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.annotations import typical_diameter, working_scale
from napari_unet.prediction import PredictionError, pixel_ratio
from napari_unet.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel
    from napari_unet.training.configuration import TrainingConfig

__all__ = [
    "FEWEST_SIZES",
    "choose_scale",
    "common_pixel_size",
    "gap_in_pixels",
    "lengths_of_pixels",
]

FEWEST_SIZES = 3  # cells from which on their size says more than the scale of a known model


def common_pixel_size(
    images: Sequence[AnnotatedImage], others: Sequence[AnnotatedImage] = ()
) -> float | None:
    """Return the pixel size that the images are brought to: the median of those that are known.

    Parameters
    ----------
    images
        What decides.
    others
        What decides only if none of `images` tells its pixel size, and is brought to it, too.

    Returns
    -------
    float or None
        Micrometres per pixel, the lower of two in the middle; None where no image tells any.

    Raises
    ------
    TrainingError
        If an image has pixels more than 8 times larger or smaller.
    """
    known = _pixel_sizes(images) or _pixel_sizes(others)
    reference = known[(len(known) - 1) // 2] if known else None
    for image in [*images, *others]:
        try:
            pixel_ratio(image.pixel_size, reference)
        except PredictionError as error:
            raise TrainingError(f"{image.name}: {error}" if image.name else str(error)) from error
    return reference


def _pixel_sizes(images: Sequence[AnnotatedImage]) -> list[float]:
    return sorted(image.pixel_size for image in images if image.pixel_size is not None)


def choose_scale(
    images: Sequence[AnnotatedImage],
    config: TrainingConfig,
    reference: float | None = None,
    start: TrainedModel | None = None,
) -> float:
    """Return the working scale: the configured one, or the one that suits the cells' size.

    Parameters
    ----------
    images, config
        What is annotated, and how it is learnt.
    reference : float or None
        The pixel size, in micrometres, for which the scale holds.
    start : TrainedModel or None
        The model that the training goes on from. Its scale, for pixels of its size, is taken
        where fewer than three cells, or none of a size, say better.
    """
    if config.working_scale is not None:
        return config.working_scale
    ratios = lengths_of_pixels(images, reference)
    if start is not None and (
        config.task != "instances"
        or typical_diameter(images, fewest=FEWEST_SIZES, ratios=ratios) is None
    ):
        return start.scale * pixel_ratio(reference, start.pixel_size)
    return working_scale(
        images, task=config.task, target_diameter=config.cell_diameter, ratios=ratios
    )


def lengths_of_pixels(
    images: Sequence[AnnotatedImage], reference: float | None
) -> tuple[float, ...]:
    """Return how long a pixel of each image is, in pixels of the reference."""
    return tuple(pixel_ratio(image.pixel_size, reference) for image in images)


def gap_in_pixels(
    context: int, scale: float, pixel_size: float | None, reference: float | None
) -> int:
    """Return one receptive field of a network in pixels of an image.

    Parameters
    ----------
    context : int
        The receptive field in pixels as the network sees them.
    scale : float
        The working scale, for pixels of the size `reference`.
    pixel_size, reference : float or None
        Micrometres per pixel, of the image and where `scale` holds.
    """
    return round(context / (scale * pixel_ratio(pixel_size, reference)))
