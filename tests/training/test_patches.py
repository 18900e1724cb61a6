"""Where patches are cut from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_unet.training.checks import find_classes
from napari_unet.training.patches import PatchSource
from napari_unet.training.preparation import prepare
from tests.training.pictures import bright_discs, small


def test_patches_are_cut_around_annotated_pixels():
    image = bright_discs(shape=(200, 200))
    annotated = np.zeros_like(image.annotated)
    annotated[:, :20, :20] = True
    corner = replace(image, annotated=annotated, labels=annotated * 1)
    config = small()
    classes = find_classes([corner], config.task, None)
    rng = np.random.default_rng(0)
    source = PatchSource(prepare([corner], config, 1.0, classes, rng), 4)
    for _ in range(20):
        patch = source.draw((16, 16), rng)
        assert patch.image.shape == (1, 16, 16)
        assert patch.weight.any()
