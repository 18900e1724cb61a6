"""What a network sees of a slice."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.prediction import IntensityRange, resize
from napari_unet.prediction.reading import at_working_scale


@pytest.mark.parametrize("shape", [(53, 41), (200, 30), (106, 300)])
def test_a_slice_scaled_in_strips_is_scaled_as_a_whole(monkeypatch, shape):
    image = np.random.default_rng(0).normal(100, 20, (1, 106, 83)).astype(np.float32)
    ranged = IntensityRange(np.array([50.0]), np.array([150.0]))
    monkeypatch.setattr("napari_unet.prediction.reading._STRIP", 700)
    scaled = at_working_scale(image, ranged, shape)
    np.testing.assert_allclose(scaled, resize(ranged.apply(image), shape), atol=1e-6)
