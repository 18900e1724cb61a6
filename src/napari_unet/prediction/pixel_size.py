"""An image with other pixels than the training images had, brought to what the network knows."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from napari_unet.network import InstanceOptions
from napari_unet.prediction.errors import PredictionError

if TYPE_CHECKING:
    from napari_unet.network import TrainedModel

__all__ = ["at_pixel_size", "pixel_ratio", "rescaling"]

_ALIKE = 0.05  # pixel sizes this close are equal: scaling while training has taught as much
_MOST = 8.0  # more than this is a wrong number in a file more often than another microscope


def pixel_ratio(pixel_size: float | None, reference: float | None) -> float:
    """Return how many times larger the pixels of an image are than those of a reference.

    Parameters
    ----------
    pixel_size, reference : float or None
        Micrometres per pixel; None where nobody knows.

    Returns
    -------
    float
        1 where one of them is unknown, and where they differ by at most 5 %.

    Raises
    ------
    PredictionError
        If one is more than 8 times the other.
    """
    if pixel_size is None or reference is None:
        return 1.0
    if not (0 < pixel_size < math.inf and 0 < reference < math.inf):
        raise PredictionError(
            f"pixels of {pixel_size:.3g} µm cannot be brought to the {reference:.3g} µm of the "
            "training images; correct the pixel size, or ignore pixel sizes"
        )
    ratio = pixel_size / reference
    if not 1 / _MOST <= ratio <= _MOST:
        larger, which = (ratio, "larger") if ratio > 1 else (1 / ratio, "smaller")
        raise PredictionError(
            f"the image has pixels of {pixel_size:.3g} µm, {larger:.3g} times {which} than the "
            f"{reference:.3g} µm of the training images; correct its pixel size, or ignore pixel "
            "sizes if such files do not tell them right"
        )
    return 1.0 if 1 / (1 + _ALIKE) <= ratio <= 1 + _ALIKE else ratio


def at_pixel_size(model: TrainedModel, pixel_size: float | None) -> TrainedModel:
    """Return the model for images with pixels of this size.

    The network sees the cells of such an image at the size that it was trained on: the working
    scale changes by the ratio of the pixel sizes, and what is given in pixels of the image (how
    deep a waist is cut, the smallest cell) changes the other way.

    Parameters
    ----------
    model : TrainedModel
        As it was trained.
    pixel_size : float or None
        Micrometres per pixel of the image; None leaves the model as it is.

    Raises
    ------
    PredictionError
        If the pixels are more than 8 times larger or smaller than those trained on.
    """
    ratio = pixel_ratio(pixel_size, model.pixel_size)
    if ratio == 1:
        return model
    options = model.instances
    if options:
        options = asdict(InstanceOptions(**options).scaled(1 / ratio))
    return replace(model, scale=model.scale * ratio, pixel_size=pixel_size, instances=options)


def rescaling(model: TrainedModel, pixel_size: float | None) -> str:
    """Say in a sentence how `at_pixel_size` changes an image; empty where it does not.

    Raises
    ------
    PredictionError
        As `at_pixel_size`.
    """
    ratio = pixel_ratio(pixel_size, model.pixel_size)
    if ratio == 1:
        return ""
    change = f"enlarged {ratio:.2g} times" if ratio > 1 else f"shrunk to {ratio:.0%}"
    return (
        f"Pixels of {pixel_size:.3g} µm, not {model.pixel_size:.3g} µm as in the training: "
        f"the network sees the image {change}"
    )
