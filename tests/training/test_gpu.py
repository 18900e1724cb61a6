"""A training on a GPU: half the precision, the same learning, and no end when memory is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_unet.network import fast_dtype
from napari_unet.training import train
from tests.training.pictures import bright_discs, small

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.gpu

GIGABYTE = 2**30


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Leave one gigabyte of the GPU to the test."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(GIGABYTE / total, 0)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
    torch.cuda.empty_cache()


def _reports(**changes):
    config = small(device="cuda", validation=0.0, **changes)
    return list(train([bright_discs()], config))


def test_the_energy_falls_in_the_fast_precision():
    reports = _reports(steps=40, width=8, learning_rate=1e-2)
    losses = [report.loss for report in reports if report.loss is not None]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    facts = reports[-1].model.provenance
    assert facts["device"].startswith("cuda")
    expected = fast_dtype(torch.device("cuda:0")) or torch.float32
    assert facts["precision"] == str(expected).removeprefix("torch.")


def test_bfloat16_is_used_where_the_gpu_has_it():
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bfloat16 instructions")
    assert _reports(steps=2)[-1].model.provenance["precision"] == "bfloat16"


def test_the_model_comes_back_to_the_cpu_in_float32():
    network = _reports(steps=2)[-1].model.network
    assert {str(p.device) for p in network.parameters()} == {"cpu"}
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_a_training_leaves_the_random_numbers_of_the_gpu_alone():
    torch.cuda.manual_seed(5)
    expected = torch.rand(1, device="cuda")
    torch.cuda.manual_seed(5)
    _reports(steps=2, dropout=0.5)
    assert torch.equal(torch.rand(1, device="cuda"), expected)


@pytest.mark.usefixtures("little_memory")
def test_a_batch_that_does_not_fit_is_halved():
    reports = _reports(steps=3, width=64, depth=3, patch=256, batch=64)
    assert reports[-1].step == 3
    assert reports[-1].model is not None
