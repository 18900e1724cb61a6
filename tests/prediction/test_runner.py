"""A network made ready for many tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.network import ClassLabel
from napari_unet.prediction import predict
from napari_unet.prediction.runner import make_ready
from tests.prediction.models import lively_model


@pytest.mark.parametrize("normalisation", ["none", "batch", "group"])
def test_a_network_made_ready_says_what_it_said(normalisation):
    network = lively_model(normalisation=normalisation, width=8).network
    before = {name: values.clone() for name, values in network.state_dict().items()}
    ready = make_ready(network, torch.device("cpu"), None, exact=False)
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ready(image), network(image), atol=1e-4, rtol=1e-4)
    kinds = {type(layer) for layer in ready.modules()}
    assert nn.BatchNorm2d not in kinds
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)


def test_values_do_not_come_in_steps(monkeypatch):
    monkeypatch.setattr("napari_unet.prediction.runner.fast_dtype", lambda _: torch.bfloat16)
    outputs = tuple(ClassLabel(k, f"value {k + 1}") for k in range(3))
    image = np.random.default_rng(0).normal(100, 20, (64, 64)).astype(np.float32)
    model = lively_model(task="regression", classes=outputs)
    values = torch.from_numpy(predict(model, image))
    assert (values == values.bfloat16()).float().mean() < 0.5, "as after rounding"
