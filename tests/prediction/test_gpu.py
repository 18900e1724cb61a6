"""A prediction on a GPU: that of the CPU, whatever its memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unet.prediction import predict
from tests.prediction.models import lively_model

pytestmark = pytest.mark.gpu

ROUNDING = 0.03  # bfloat16 has 8 bits


def _image(side):
    return np.random.default_rng(0).normal(100, 20, (side, side)).astype(np.float32)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_it_equals_the_prediction_on_the_cpu(padding, normalisation):
    model = lively_model(padding=padding, normalisation=normalisation, width=8)
    image = _image(300)
    on_cpu, on_gpu = (predict(model, image, device=name) for name in ("cpu", "cuda"))
    assert on_cpu.std() > 0.05, "a constant prediction would prove nothing"
    assert np.abs(on_cpu - on_gpu).max() < ROUNDING


def test_the_tiles_do_not_matter():
    model = lively_model(width=8)
    image = _image(300)
    whole = predict(model, image, device="cuda")
    assert np.abs(predict(model, image, device="cuda", tile=96) - whole).max() < ROUNDING


def test_tiles_that_do_not_fit_are_halved():
    model = lively_model(width=16)
    image = _image(2500)
    expected = predict(model, image, device="cuda", tile=256)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    before = torch.cuda.memory_reserved(0)
    torch.cuda.set_per_process_memory_fraction((before + 400 * 2**20) / total, 0)
    try:
        found = predict(model, image, device="cuda", tile=2500)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)
        torch.cuda.empty_cache()
    assert np.abs(found - expected).max() < ROUNDING
