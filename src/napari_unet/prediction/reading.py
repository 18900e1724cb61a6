"""What a network sees of a slice: its intensities at the working scale, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_unet.prediction.tiles import Tile, mirrored

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_unet.prediction.normalisation import IntensityRange

__all__ = ["at_working_scale", "resize", "tile_reader"]

_STRIP = 4_000_000  # pixels of an image that are converted at a time


def tile_reader(
    image: NDArray[np.generic], ranged: IntensityRange, working: tuple[int, int]
) -> Callable[[Tile], NDArray[np.float32]]:
    """Return what reads a tile of a (C, Y, X) slice as the network sees it.

    At full resolution only the tile is converted, so that memory does not grow with the slice.
    """
    if image.shape[-2:] == working:
        return lambda part: ranged.apply(mirrored(image, part.read, part.size))
    scaled = at_working_scale(image, ranged, working)
    return lambda part: mirrored(scaled, part.read, part.size)


def at_working_scale(
    image: NDArray[np.generic], ranged: IntensityRange, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring a (C, Y, X) slice to its intensities and to `shape`: strips of rows, then columns."""
    channels, height, width = image.shape
    narrowed = np.empty((channels, height, shape[1]), np.float32)
    rows = max(1, _STRIP // width)
    for first in range(0, height, rows):
        strip = ranged.apply(image[:, first : first + rows])
        narrowed[:, first : first + rows] = resize(strip, (strip.shape[1], shape[1]))
    return resize(narrowed, shape)


def resize(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (C, Y, X) smoothly to `shape` (Y, X); averaged when it shrinks."""
    if image.shape[-2:] == shape:
        return image
    resized = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(image))[None],
        size=shape,
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    result: NDArray[np.float32] = resized[0].numpy()
    return result
