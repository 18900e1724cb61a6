"""Elastic deformation: drawing a displacement is one function, applying it another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["draw_controls", "draw_displacement", "interpolate_controls", "warp"]

Shape = tuple[int, int]


def draw_displacement(
    shape: Shape, *, grid: int = 3, sigma: float = 10.0, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a smooth random displacement, as the 2015 paper deforms its training images.

    Parameters
    ----------
    shape
        Height and width.
    grid
        Control points per side, at least 2; the outer ones stand on the corner pixels.
    sigma
        Standard deviation of the control points' displacements in pixels, at least 0.
    rng
        Source of chance: the same state gives the same displacement.

    Returns
    -------
    numpy.ndarray
        (2, Y, X) float32: how far each pixel looks down and to the right for its value.
    """
    return interpolate_controls(draw_controls(grid, sigma, rng), shape)


def draw_controls(grid: int, sigma: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the displacements of the control points: (2, grid, grid), in pixels."""
    if grid < 2:
        raise ValueError(f"a displacement needs at least 2 control points per side, got {grid}")
    if not 0 <= sigma < np.inf:
        raise ValueError(f"sigma must be at least 0 pixels, got {sigma}")
    return rng.normal(0.0, sigma, (2, grid, grid))


def interpolate_controls(controls: NDArray[np.float64], shape: Shape) -> NDArray[np.float32]:
    """Lay a cubic spline through control points.

    Parameters
    ----------
    controls
        (2, grid, grid) displacements in pixels.
    shape
        Height and width of what is to be warped, at least 1.

    Returns
    -------
    numpy.ndarray
        (2, Y, X) float32.
    """
    if min(shape) < 1:
        raise ValueError(f"a displacement has at least one pixel, got shape {tuple(shape)}")
    down = _spline_basis(shape[0], controls.shape[1])
    right = _spline_basis(shape[1], controls.shape[2])
    return (down @ controls @ right.T).astype(np.float32)


def _spline_basis(size: int, points: int) -> NDArray[np.float64]:
    """Interpolate each unit vector of control points: (size, points)."""
    at = np.linspace(0, points - 1, size)
    one_by_one = [
        ndimage.map_coordinates(unit, [at], order=3, mode="mirror") for unit in np.eye(points)
    ]
    return np.stack(one_by_one, axis=1)


def positions(displacement: NDArray[Any]) -> NDArray[np.float32]:
    """Turn displacements (2, Y, X) into the places where values are read."""
    read = np.array(displacement, dtype=np.float32)
    read[0] += np.arange(read.shape[1], dtype=np.float32)[:, np.newaxis]
    read[1] += np.arange(read.shape[2], dtype=np.float32)
    return read


def warp(
    array: NDArray[Any], displacement: NDArray[Any], *, order: Literal[0, 1, 3]
) -> NDArray[Any]:
    """Move the pixels of an image, of labels or of anything over the same pixels.

    ``output(p) = input(p + displacement(p))``, mirrored outside without repeating the border
    pixel: what `scipy.ndimage.map_coordinates` computes with ``mode="mirror"``, faster.

    Parameters
    ----------
    array
        (..., Y, X).
    displacement
        (2, Y, X), in y and x, in pixels. Zero changes nothing.
    order
        0 takes the nearest pixel (labels), 1 is linear (weights), 3 a cubic spline (images).

    Returns
    -------
    numpy.ndarray
        As `array`. Integers stay integers with order 0 and become float32 otherwise.

    Raises
    ------
    ValueError
        If the shapes do not fit or the order is another.
    """
    if array.ndim < 2 or displacement.shape != (2, *array.shape[-2:]):
        raise ValueError(
            f"displacement {displacement.shape} does not fit the array {array.shape}; "
            "it must be (2, Y, X) of the array's last two axes"
        )
    if order not in (0, 1, 3):
        raise ValueError(f"order must be 0 (nearest), 1 (linear) or 3 (cubic), got {order}")
    if order == 0:
        return _nearest(array, positions(displacement))
    exact = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
    if not displacement.any():
        return exact.copy()
    planes = exact.reshape(-1, *exact.shape[-2:])
    read = positions(displacement)
    warped = _spline(planes, read) if order == 3 else _linear(planes, read)
    return warped.reshape(exact.shape)


def _nearest(array: NDArray[Any], read: NDArray[np.float32]) -> NDArray[Any]:
    height, width = array.shape[-2:]
    y, x = (
        _mirrored(np.floor(axis + np.float32(0.5)).astype(np.int32), size)
        for axis, size in zip(read, (height, width), strict=True)
    )
    flat = array.reshape(*array.shape[:-2], height * width)
    taken: NDArray[Any] = flat.take(y.astype(np.intp) * width + x, axis=-1)
    return taken


def _mirrored(index: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Reflect indices at the first and the last pixel."""
    if size == 1:
        return np.zeros_like(index)
    if index.min() >= 0 and index.max() < size:
        return index
    period = 2 * (size - 1)
    index = np.abs(index) % period
    return np.minimum(index, period - index)


def _linear(planes: NDArray[Any], read: NDArray[np.float32]) -> NDArray[Any]:
    values = torch.from_numpy(np.ascontiguousarray(planes))
    return np.asarray(resample(values, sampling_grid(read, planes.shape[1:]), "bilinear").numpy())


def _spline(planes: NDArray[Any], read: NDArray[np.float32]) -> NDArray[Any]:
    """Interpolate by cubic B-splines, each from four linear readings of its coefficients.

    Two neighbouring taps of a B-spline are one linear reading between them, at the ratio of their
    weights (Sigg and Hadwiger 2005, GPU Gems 2, chapter 20).
    """
    filtered = [_coefficients(plane) for plane in planes]
    coefficients = torch.from_numpy(np.stack(filtered).astype(planes.dtype, copy=False))
    (low_y, high_y, part_y), (low_x, high_x, part_x) = (_taps(axis) for axis in read)
    result = torch.zeros((len(planes), *read.shape[1:]), dtype=coefficients.dtype)
    for y, of_y in ((low_y, part_y), (high_y, 1 - part_y)):
        for x, of_x in ((low_x, part_x), (high_x, 1 - part_x)):
            grid = sampling_grid((y, x), planes.shape[1:])
            result += torch.from_numpy(of_y * of_x) * resample(coefficients, grid, "bilinear")
    return np.asarray(result.numpy())


def _coefficients(plane: NDArray[Any]) -> NDArray[np.float64]:
    filtered = plane.astype(np.float64)
    for axis in (0, 1):
        if plane.shape[axis] > 1:
            filtered = ndimage.spline_filter1d(filtered, order=3, axis=axis, mode="mirror")
    return filtered


def _taps(at: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Find the two linear readings that make a B-spline at `at`, and the first one's weight."""
    whole = np.floor(at)
    part = at - whole
    square, rest = part * part, 1 - part
    first, fourth = rest * rest * rest / 6, square * part / 6
    second = 2 / 3 - square + square * part / 2
    low = first + second
    return whole - 1 + second / low, whole + 1 + fourth / (1 - low), low


def sampling_grid(
    read: NDArray[np.float32] | tuple[NDArray[Any], NDArray[Any]], size: Sequence[int]
) -> torch.Tensor:
    """Write places in pixels as `torch.nn.functional.grid_sample` wants them.

    Parameters
    ----------
    read
        (2, y, x): the places, in y and x.
    size
        Height and width of what is read.

    Returns
    -------
    torch.Tensor
        (y, x, 2) float32, x first, -1 and 1 on the centres of the first and the last pixel.
    """
    grid = np.empty((*read[0].shape, 2), dtype=np.float32)
    for axis, into in ((0, 1), (1, 0)):
        np.multiply(read[axis], np.float32(2 / max(size[axis] - 1, 1)), out=grid[..., into])
    grid -= 1
    return torch.from_numpy(grid)


def resample(
    planes: torch.Tensor, grid: torch.Tensor, mode: Literal["nearest", "bilinear", "bicubic"]
) -> torch.Tensor:
    """Read planes at any places, mirrored outside.

    Parameters
    ----------
    planes
        (N, Y, X), float32 or float64.
    grid
        (y, x, 2), from `sampling_grid`.
    mode
        "bicubic" is a convolution, smooth and not quite the spline.

    Returns
    -------
    torch.Tensor
        (N, y, x).
    """
    return functional.grid_sample(
        planes[None],
        grid[None].to(planes.dtype),
        mode=mode,
        padding_mode="reflection",
        align_corners=True,
    )[0]
