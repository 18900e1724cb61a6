"""Intensities: the percentiles of the whole image become 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["IntensityRange", "SliceStack", "measure_range"]

_ENOUGH = 4_000_000  # pixels per channel after which percentiles no longer move


class SliceStack(Protocol):
    """A stack (Z, C, Y, X) that is read slice by slice: an array, or what reads when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (Z, C, Y, X)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of the slices' pixels."""

    def __getitem__(self, index: int, /) -> Any:
        """Read one slice as a (C, Y, X) array."""


_LINEAR = 4.0  # times the range: up to here values stay in proportion


@dataclass(frozen=True, eq=False)
class IntensityRange:
    """Per channel, the intensities that become 0 and 1.

    Parameters
    ----------
    low, high : (C,) float64 arrays
        In the image's own units.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def apply(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Map (..., C, Y, X) of any dtype to float32; what lies far outside comes closer.

        Below -1 nothing is left. Above 4 values grow with the logarithm: a hot pixel does no harm,
        and where cells are so few that the range holds none of them they still differ.
        """
        low = self.low[:, None, None]
        span = (self.high - self.low)[:, None, None]
        scaled = image.astype(np.float64)
        scaled -= low
        scaled /= np.where(span > 0, span, 1.0)
        np.maximum(scaled, -1.0, out=scaled)
        bright = scaled > _LINEAR
        if bright.any():
            scaled[bright] = _LINEAR + np.log1p(scaled[bright] - _LINEAR)
        return scaled.astype(np.float32)


def measure_range(
    image: SliceStack,
    percentiles: Mapping[str, float],
    should_stop: Callable[[], bool] = lambda: False,
) -> IntensityRange:
    """Measure the range once for a whole image, so that no tile is treated unlike another.

    Robust to outliers (percentiles) and to offsets (a camera offset of 32768 is normal). What is
    NaN or infinite does not count.

    Parameters
    ----------
    image : (Z, C, Y, X) array, or SliceStack
        The whole stack, read slice by slice; large stacks are measured on an even sample of
        pixels.
    percentiles : mapping
        ``low`` and ``high``, in percent.
    should_stop : callable
        Asked after each slice; once True, those read so far decide.
    """
    wanted = [percentiles["low"], percentiles["high"]]
    low, high = np.transpose([_extent(channel, wanted) for channel in _sample(image, should_stop)])
    return IntensityRange(low, high)


def _extent(sample: NDArray[np.float64], percentiles: Sequence[float]) -> NDArray[np.float64]:
    """Return two percentiles; the extremes where nearly everything has one value."""
    if not np.isfinite(sample).all():
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        return np.zeros(2)
    low, high = np.percentile(sample, percentiles)
    return np.array([low, high] if high > low else [sample.min(), sample.max()])


def _step(pixels: int, width: int) -> int:
    """Return how many pixels to go on, such that every column of the image is visited."""
    step = max(1, pixels // _ENOUGH)
    while math.gcd(step, width) > 1:
        step += 1
    return step


def _sample(stack: SliceStack, should_stop: Callable[[], bool]) -> NDArray[np.float64]:
    """Take every so many-th pixel of each channel, as if its slices lay one behind the other."""
    depth, channels, height, width = stack.shape
    step = _step(depth * height * width, width)
    taken = []
    for index in range(depth):
        first = -index * height * width % step  # in this slice
        pixels = stack[index]
        taken.append(np.stack([_every(step, first, pixels[c]) for c in range(channels)]))
        if should_stop():
            break
    return np.concatenate(taken, axis=1)


def _every(step: int, first: int, plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """Take every so many-th pixel without a copy of the others."""
    pixels = plane.reshape(-1) if plane.flags.c_contiguous else plane.flat
    return pixels[first::step].astype(np.float64)
