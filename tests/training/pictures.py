"""Small annotated pictures that a small network learns in seconds."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.draw import disk

from napari_unet.annotations import AnnotatedImage, annotate, annotate_values
from napari_unet.training import TrainingConfig


def bright_discs(seed=0, *, shape=(96, 96), cells=9, radius=7, name=None) -> AnnotatedImage:
    """Draw bright discs on a noisy ground, with their true labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for number in range(1, cells + 1):
        centre = rng.integers(0, shape)
        labels[disk(centre, radius, shape=shape)] = number
    image = rng.normal(100, 10, shape) + 60 * (labels > 0)
    return annotate(image.astype(np.float32), labels, name=name or f"discs {seed}")


def domes(seed=0, *, shape=(96, 96), discs=9, radius=9, name=None) -> AnnotatedImage:
    """Draw bright discs; the values to predict are the depth inside them, and how light it is."""
    picture = bright_discs(seed, shape=shape, cells=discs, radius=radius, name=name)
    inside = picture.labels[0] > 0
    depth = ndimage.distance_transform_edt(inside)
    light = 500 + 60 * inside
    return annotate_values(picture.image, np.stack([depth, light]), name=picture.name)


def small(**changes) -> TrainingConfig:
    """Return a configuration that trains in a second or two."""
    values = {
        "steps": 6,
        "width": 4,
        "depth": 2,
        "patch": 48,
        "batch": 2,
        "averaging": 0.0,
        "device": "cpu",
        **changes,
    }
    return TrainingConfig.from_preset("quick", **values)
