"""Overlap tiles: where each tile is read, which part of it is kept, and where that part goes.

Source: Ronneberger, Fischer, Brox 2015, figure 2. Tile origins are multiples of 2^depth, because
pooling has a phase: a shift by anything else changes the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.network import TileArithmetic

__all__ = ["Tile", "mirrored", "plan_tiles"]


_Pixel = TypeVar("_Pixel", bound=np.generic)
_BORDER = 1
"""Mirrored strides around an image that a same-padded network reads: 16 px at depth 4.

More costs time and changed no error measured on EM slices and nuclei; without any, the error on EM
slices rose by a fifth in the outer 4 px.
"""


@dataclass(frozen=True)
class Tile:
    """Where one tile is read, which part of its output is kept, and where that part goes.

    Parameters
    ----------
    read : tuple of (int, int)
        First row and column of the input; may be negative: mirrored there.
    size : tuple of (int, int)
        Rows and columns of the input.
    keep : tuple of slice
        The part of the network's output that is kept.
    write : tuple of slice
        Where it goes in the whole output.
    """

    read: tuple[int, int]
    size: tuple[int, int]
    keep: tuple[slice, slice]
    write: tuple[slice, slice]


@dataclass(frozen=True)
class _Span:
    """One tile along one axis."""

    read: int
    size: int
    keep: slice
    write: slice


def _spans(length: int, tile: int, geometry: TileArithmetic) -> list[_Span]:
    """Cut an axis of `length` pixels into spans of at most `tile` kept pixels."""
    stride = geometry.stride
    rounded = -(-length // stride) * stride
    step = min(max(stride, tile // stride * stride), rounded)
    bounds = _valid_bounds if geometry.padding == "valid" else _same_bounds
    spans = []
    for start in range(0, length, step):
        first, last = bounds(start, step, rounded, geometry)
        keep = start - first - geometry.offset(last - first)
        stop = min(start + step, length)
        spans.append(
            _Span(first, last - first, slice(keep, keep + stop - start), slice(start, stop))
        )
    return spans


def _valid_bounds(start: int, step: int, rounded: int, geometry: TileArithmetic) -> tuple[int, int]:
    """Read exactly the border that valid convolutions lose."""
    size = geometry.input_size_for(step)
    first = start - geometry.offset(size)
    return first, first + size


def _same_bounds(start: int, step: int, rounded: int, geometry: TileArithmetic) -> tuple[int, int]:
    """Read the whole receptive field, but only `_BORDER` strides beyond the image.

    A same-padded network meets zeros where its input ends. For every tile they begin at the same
    place: behind a mirrored border around the whole image, or where they cannot be felt.
    """
    border = _BORDER * geometry.stride
    first = max(start - geometry.context, -border)
    return first, min(start + step + geometry.context, rounded + border)


def plan_tiles(shape: tuple[int, int], tile: int, geometry: TileArithmetic) -> list[Tile]:
    """Cut an image into tiles whose results fit together without a seam.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    tile : int
        Largest side of a tile's kept output, in pixels; rounded down to a multiple of
        2^depth (but never below it).
    geometry : TileArithmetic
        Arithmetic of the network.

    Returns
    -------
    list of Tile
        Row by row.
    """
    return [
        Tile(
            (y.read, x.read),
            (y.size, x.size),
            (y.keep, x.keep),
            (y.write, x.write),
        )
        for y, x in product(
            _spans(shape[0], tile, geometry),
            _spans(shape[1], tile, geometry),
        )
    ]


def _mirrored_indices(start: int, size: int, length: int) -> NDArray[np.intp]:
    """Return indices into an axis of `length`, reflected at both ends, edge not repeated."""
    period = max(2 * (length - 1), 1)
    positions = np.arange(start, start + size) % period
    return np.minimum(positions, period - positions) if length > 1 else positions * 0


def mirrored(
    image: NDArray[_Pixel], start: tuple[int, int], size: tuple[int, int]
) -> NDArray[_Pixel]:
    """Read a window of (..., Y, X), mirrored where it reaches beyond the image.

    The edge pixel is not repeated; an image smaller than the window is reflected again and again.
    """
    stop = (start[0] + size[0], start[1] + size[1])
    if min(start) >= 0 and stop[0] <= image.shape[-2] and stop[1] <= image.shape[-1]:
        return image[..., start[0] : stop[0], start[1] : stop[1]].copy()
    rows = _mirrored_indices(start[0], size[0], image.shape[-2])
    columns = _mirrored_indices(start[1], size[1], image.shape[-1])
    return image[..., rows[:, None], columns]
