"""Intensities: the percentiles of the whole image become 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["IntensityRange", "measure_range"]

_ENOUGH = 4_000_000  # pixels per channel after which percentiles no longer move


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
        """Map (..., C, Y, X) of any dtype to float32, clipped to [-1, 4] against outliers."""
        low = self.low[:, None, None]
        span = (self.high - self.low)[:, None, None]
        scaled = image.astype(np.float64)
        scaled -= low
        scaled /= np.where(span > 0, span, 1.0)
        return np.clip(scaled, -1.0, 4.0, out=scaled).astype(np.float32)


def measure_range(image: NDArray[np.generic], percentiles: Mapping[str, float]) -> IntensityRange:
    """Measure the range once for a whole image, so that no tile is treated unlike another.

    Robust to outliers (percentiles) and to offsets (a camera offset of 32768 is normal).

    Parameters
    ----------
    image : (Z, C, Y, X) array
        The whole stack; large stacks are measured on an even sample of pixels.
    percentiles : mapping
        ``low`` and ``high``, in percent.
    """
    step = _step(image.size // image.shape[1], image.shape[-1])
    sample = np.stack([_every(step, image[:, index]) for index in range(image.shape[1])])
    low, high = np.percentile(sample, [percentiles["low"], percentiles["high"]], axis=1)
    flat = high <= low  # nearly everything has one value: use the full range instead
    low[flat], high[flat] = sample.min(axis=1)[flat], sample.max(axis=1)[flat]
    return IntensityRange(low, high)


def _step(pixels: int, width: int) -> int:
    """Return how many pixels to go on, such that every column of the image is visited."""
    step = max(1, pixels // _ENOUGH)
    while math.gcd(step, width) > 1:
        step += 1
    return step


def _every(step: int, channel: NDArray[np.generic]) -> NDArray[np.float64]:
    """Take every so many-th pixel without a copy of the others."""
    pixels = channel.reshape(-1) if channel.flags.c_contiguous else channel.flat
    return pixels[::step].astype(np.float64)
