"""Warp, flips, rotation, scaling and grey values: drawing and applying are two functions."""

from napari_unet.augmentation.augment import Augmentation, Patch, apply, draw, source_shape
from napari_unet.augmentation.configuration import AugmentationConfig
from napari_unet.augmentation.intensity import Intensity
from napari_unet.augmentation.warping import draw_displacement, warp

__all__ = [
    "Augmentation",
    "AugmentationConfig",
    "Intensity",
    "Patch",
    "apply",
    "draw",
    "draw_displacement",
    "source_shape",
    "warp",
]
