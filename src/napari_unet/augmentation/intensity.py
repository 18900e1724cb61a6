"""Random changes of grey values: what another exposure, gain or focus would have done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.augmentation.configuration import AugmentationConfig

__all__ = ["Intensity", "change_intensity", "draw_intensity"]


@dataclass(frozen=True)
class Intensity:
    """What was drawn for the grey values of one patch; the defaults change nothing.

    Parameters
    ----------
    gain
        Factor on the differences from the channel's mean.
    offset
        What is added, in standard deviations of the channel.
    gamma
        Exponent on the values between the channel's extremes.
    noise
        Standard deviation of the added noise, in those of the channel.
    blur
        Standard deviation of the Gaussian blur in pixels.
    seed
        Where the noise comes from.
    """

    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0
    noise: float = 0.0
    blur: float = 0.0
    seed: int = 0


def draw_intensity(config: AugmentationConfig, rng: np.random.Generator) -> Intensity:
    """Draw what happens to the grey values of one patch.

    Parameters
    ----------
    config
        How strongly each may change.
    rng
        Source of chance.

    Returns
    -------
    Intensity
    """
    gain, gamma = (
        float(np.exp(rng.uniform(-1, 1) * np.log1p(most))) for most in (config.gain, config.gamma)
    )
    offset = float(rng.uniform(-config.offset, config.offset))
    # Noise and blur only ever take detail away, so half of all patches keep theirs.
    noise, blur = (
        float(max(rng.uniform(-most, most), 0.0)) for most in (config.noise, config.blur)
    )
    return Intensity(gain, offset, gamma, noise, blur, int(rng.integers(2**32)))


def change_intensity(image: NDArray[np.float32], intensity: Intensity) -> NDArray[np.float32]:
    """Change the grey values of an image, relative to each channel's own spread.

    Parameters
    ----------
    image
        (C, Y, X) float32, of any range.
    intensity
        What was drawn.

    Returns
    -------
    numpy.ndarray
        (C, Y, X) float32; the very same array if nothing is to change.
    """
    spread = image.std(axis=(1, 2), keepdims=True)
    if intensity.blur > 0:
        image = ndimage.gaussian_filter(image, (0, intensity.blur, intensity.blur), mode="mirror")
    if intensity.gamma != 1:
        image = _curved(image, intensity.gamma)
    if intensity.gain != 1 or intensity.offset != 0:
        mean = image.mean(axis=(1, 2), keepdims=True)
        shift = mean * (1 - intensity.gain) + intensity.offset * spread
        image = image * np.float32(intensity.gain) + shift
    if intensity.noise > 0:
        noise = np.random.default_rng(intensity.seed).standard_normal(image.shape, np.float32)
        image = image + noise * (np.float32(intensity.noise) * spread)
    return image


def _curved(image: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    low = image.min(axis=(1, 2), keepdims=True)
    extent = image.max(axis=(1, 2), keepdims=True) - low
    extent = np.where(extent > 0, extent, np.float32(1))
    # torch raises to a power several times faster than numpy.
    curved = torch.from_numpy((image - low) / extent).pow(gamma).numpy()
    curved *= extent
    curved += low
    return np.asarray(curved)
