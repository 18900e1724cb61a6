"""The energy and its gradient; the schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_unet.network import UNet
from napari_unet.training import PRESETS, TrainingConfig, energy
from napari_unet.training.optimisation import Learner, rate_at
from tests.training.pictures import small


def test_the_energy_equals_its_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5))
    target = rng.integers(0, 3, (2, 4, 5))
    weight = rng.random((2, 4, 5))
    expected = 0.0
    for n, y, x in np.ndindex(2, 4, 5):
        scores = np.exp(logits[n, :, y, x])
        expected -= weight[n, y, x] * math.log(scores[target[n, y, x]] / scores.sum())
    tensors = (torch.from_numpy(logits), torch.from_numpy(target), torch.from_numpy(weight))
    assert energy(*tensors, reduction="sum").item() == pytest.approx(expected, rel=1e-5)
    assert energy(*tensors).item() == pytest.approx(expected / 40, rel=1e-5)


def test_the_gradient_is_zero_where_nothing_is_annotated():
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 8, 8, requires_grad=True)
    weight = torch.ones(1, 8, 8)
    weight[:, :, 4:] = 0
    energy(logits, torch.randint(0, 2, (1, 8, 8)), weight).backward()
    assert (logits.grad[..., 4:] == 0).all()
    assert (logits.grad[..., :4] != 0).all()


def test_an_unannotated_batch_has_no_energy_and_no_nan():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = energy(logits, torch.zeros(1, 4, 4), torch.zeros(1, 4, 4))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_the_rate_rises_and_falls_and_the_paper_keeps_it():
    config = TrainingConfig()
    rates = [rate_at(p, config) for p in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert 0 < peak < 20
    assert rates[peak] == pytest.approx(config.learning_rate)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert rates[-1] < 0.02 * config.learning_rate
    paper = PRESETS["paper"]
    assert {rate_at(p, paper) for p in (0, 0.5, 1)} == {paper.learning_rate}


def test_the_average_follows_fast_at_first_and_slowly_later():
    config = small(averaging=0.9)
    learner = Learner(UNet(width=2, depth=1, padding="same"), config, torch.device("cpu"))
    weight = learner.network.classify.bias
    values = []
    for step in range(60):
        with torch.no_grad():
            weight.fill_(1.0 if step else 0.0)
        learner._average.update_parameters(learner.network)
        values.append(learner._average.module.classify.bias[0].item())
    assert values[0] == 0
    assert values[5] > 0.98, "the first weights are forgotten within a few steps"
    assert np.all(np.diff(values) >= 0)
