"""Elastic deformation: drawing a displacement is one function, applying it another."""

from __future__ import annotations

from functools import lru_cache
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
    planes = [down.T @ right for down, right in (spline_rank(axis, shape) for axis in controls)]
    return np.stack(planes).astype(np.float32)


def spline_rank(
    controls: NDArray[np.float64], shape: Shape
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Write a cubic spline through control points (grid, grid) as a sum of columns times rows.

    Returns
    -------
    tuple of numpy.ndarray
        (grid, Y) and (grid, X): the first, transposed, times the second is the spline.
    """
    down = _spline_basis(shape[0], controls.shape[0])
    right = _spline_basis(shape[1], controls.shape[1])
    return (down @ controls).T, right.T


@lru_cache(maxsize=64)
def _spline_basis(size: int, points: int) -> NDArray[np.float64]:
    """Interpolate each unit vector of control points: (size, points), the same for every patch."""
    at = np.linspace(0, points - 1, size)
    one_by_one = [
        ndimage.map_coordinates(unit, [at], order=3, mode="mirror") for unit in np.eye(points)
    ]
    basis = np.stack(one_by_one, axis=1)
    basis.setflags(write=False)
    return basis


def _places(displacement: NDArray[Any]) -> torch.Tensor:
    """Turn displacements (2, Y, X) into the places where values are read: (Y, X, 2), x first."""
    moved = torch.from_numpy(np.ascontiguousarray(displacement, dtype=np.float32))
    places = torch.empty((*moved.shape[1:], 2))
    torch.add(moved[0], torch.arange(moved.shape[1])[:, None], out=places[..., 1])
    torch.add(moved[1], torch.arange(moved.shape[2]), out=places[..., 0])
    return places


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
        return _nearest(array, _places(displacement))
    exact = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
    if not displacement.any():
        return exact.copy()
    planes = torch.from_numpy(np.ascontiguousarray(exact.reshape(-1, *exact.shape[-2:])))
    places = _places(displacement).to(planes.dtype)
    warped = _spline(planes, places) if order == 3 else _linear(planes, places)
    return np.asarray(warped.reshape(exact.shape).numpy())


def _nearest(array: NDArray[Any], places: torch.Tensor) -> NDArray[Any]:
    """Take whole pixels by their number, so that labels of any size and type stay what they are."""
    height, width = array.shape[-2:]
    exact = torch.float32 if height * width <= _COUNTED_IN_FLOAT32 else torch.float64
    numbers = torch.arange(height * width, dtype=exact).reshape(1, height, width)
    read = resample(numbers, _as_grid(places, (height, width)), "nearest")[0]
    flat = array.reshape(*array.shape[:-2], height * width)
    taken: NDArray[Any] = flat.take(read.numpy().astype(np.intp), axis=-1)
    return taken


_COUNTED_IN_FLOAT32 = 2**24


def _mirrored(index: torch.Tensor, size: int) -> torch.Tensor:
    """Reflect indices at the first and the last pixel."""
    if size == 1:
        return torch.zeros_like(index)
    lowest, highest = torch.aminmax(index)
    if lowest >= 0 and highest < size:
        return index
    period = 2 * (size - 1)
    index = index.abs()
    if max(-lowest, highest) > period:
        index %= period
    return torch.minimum(index, period - index)


def _linear(planes: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return resample(planes, _as_grid(places, planes.shape[1:]), "bilinear")


def _as_grid(places: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Write places (Y, X, 2) in pixels as `resample` wants them, over themselves."""
    scale = places.new_tensor([2 / max(pixels - 1, 1) for pixels in reversed(size)])
    # Rows of x, y, x, y, ...: several times faster than an inner axis of two.
    places.flatten(1).mul_(scale.repeat(places.shape[1])).sub_(1)
    return places


def _spline(planes: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Interpolate by cubic B-splines, each from four linear readings of its coefficients.

    Two neighbouring taps of a B-spline are one linear reading between them, at the ratio of their
    weights (Sigg and Hadwiger 2005, GPU Gems 2, chapter 20).
    """
    coefficients = _coefficients(planes)
    near, far, share = _taps(places)
    first, last = (_as_grid(tap, planes.shape[1:]) for tap in (near, far))
    of_x, of_y = share.unbind(-1)
    above, below = (
        torch.lerp(
            resample(coefficients, _with_x(last, y), "bilinear"),
            resample(coefficients, _with_x(first, y), "bilinear"),
            of_x,
        )
        for y in (first, last)
    )
    return torch.lerp(below, above, of_y)


def _with_x(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the sampling grid (Y, X, 2) with the x of one and the y of another."""
    if x is y:
        return x
    mixed = y.clone()
    mixed[..., 0] = x[..., 0]
    return mixed


_POLE = 3**0.5 - 2
"""Of the filter that turns values into the coefficients of a cubic B-spline (Unser 1999)."""

_STEPS = (1, 2, 4, 8)
"""1 + z + z^2 + ... + z^15 = (1 + z)(1 + z^2)(1 + z^4)(1 + z^8), and z^16 is less than 1e-9."""


def _coefficients(planes: torch.Tensor) -> torch.Tensor:
    """Return the coefficients (N, Y, X) of the spline through planes that go on mirrored."""
    margin = sum(_STEPS)
    for axis in (1, 2):
        around = torch.arange(-margin, planes.shape[axis] + margin, dtype=torch.int32)
        planes = planes.index_select(axis, _mirrored(around, planes.shape[axis]))
        for step in _STEPS:
            planes = _echoed(planes, axis, step, forward=True)
        for step in _STEPS:
            planes = _echoed(planes, axis, step, forward=False)
    return planes.mul_((1 - _POLE) ** 4)


def _echoed(planes: torch.Tensor, axis: int, step: int, *, forward: bool) -> torch.Tensor:
    """Add each pixel, times that power of the pole, to the one `step` further; lose `step`."""
    length = planes.shape[axis] - step
    low, high = planes.narrow(axis, 0, length), planes.narrow(axis, step, length)
    here, before = (high, low) if forward else (low, high)
    return torch.add(here, before, alpha=_POLE**step)


def _taps(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Find the two linear readings that make a B-spline at `at`, and the first one's weight.

    Memory that is asked for anew costs more than the arithmetic, so `at` is written over.
    """
    whole = at.floor()
    part = at.sub_(whole)
    rest = 1 - part
    share = (part / 3).sub_(0.5).mul_(part).sub_(0.5).mul_(part).add_(5 / 6)
    near = torch.addcdiv(whole, rest.pow_(3), share, value=-1 / 6, out=rest)
    far = torch.addcdiv(whole, part.pow_(3), 1 - share, value=1 / 6, out=part).add_(1)
    return near, far, share


def sampling_grid(
    offsets: NDArray[np.float32], size: Sequence[int], centre: Sequence[float]
) -> torch.Tensor:
    """Write places in pixels as `torch.nn.functional.grid_sample` wants them.

    Parameters
    ----------
    offsets
        (2, y, x) float32: the places relative to `centre`, in y and x.
    size
        Height and width of what is read.
    centre
        In pixels from the first one, in y and x.

    Returns
    -------
    torch.Tensor
        (y, x, 2) float32, x first, -1 and 1 on the centres of the first and the last pixel.
    """
    scale = [2 / max(pixels - 1, 1) for pixels in size]
    grid = np.empty((*offsets.shape[1:], 2), dtype=np.float32)
    for axis, into in ((0, 1), (1, 0)):
        np.multiply(offsets[axis], np.float32(scale[axis]), out=grid[..., into])
        grid[..., into] += np.float32(centre[axis] * scale[axis] - 1)
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
    # It works on several images at once, but on one image only in one thread: the rows are cut
    # into parts that read the same image.
    rows, most = grid.shape[0], 2 * torch.get_num_threads()
    parts = max(number for number in range(1, most + 1) if rows % number == 0)
    read = functional.grid_sample(
        planes.expand(parts, *planes.shape),
        grid.to(planes.dtype).unflatten(0, (parts, -1)),
        mode=mode,
        padding_mode="reflection",
        align_corners=True,
    )
    return read.transpose(0, 1).flatten(1, 2)
