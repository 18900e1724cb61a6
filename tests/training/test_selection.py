"""What is trained on: neither what is kept back nor more old images than new ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.training.selection import share_of_old, without_validation
from tests.training.pictures import bright_discs


@pytest.mark.parametrize(("new", "old", "share"), [(1, 20, 0.5), (20, 1, 1 / 21), (5, 5, 0.5)])
def test_at_least_half_of_the_patches_are_new(new, old, share):
    assert share_of_old(new, old) == share


def test_what_is_kept_back_never_joins_the_training():
    image = bright_discs(shape=(100, 100))
    kept = np.zeros_like(image.annotated)
    kept[:, :, 80:] = True
    kept_back = replace(image, annotated=kept)
    joined = without_validation(image, kept_back, gap=10)
    assert not joined.annotated[:, :, 70:].any()
    assert joined.annotated[:, :, :70].all()
    assert without_validation(image, None, 10) is image
