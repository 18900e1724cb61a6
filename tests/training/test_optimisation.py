"""The energy and its gradient; the schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_unet.augmentation import Patch
from napari_unet.network import UNet, build_network
from napari_unet.training import PRESETS, TrainingConfig, energy
from napari_unet.training.optimisation import Learner, rate_at
from napari_unet.training.overlap import dice_loss, focus
from tests.training.pictures import small


def test_the_energy_equals_its_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5))
    target = rng.integers(0, 3, (2, 4, 5))
    weight = rng.random((2, 4, 5)) * (rng.random((2, 4, 5)) > 0.3)
    expected = 0.0
    for n, y, x in np.ndindex(2, 4, 5):
        scores = np.exp(logits[n, :, y, x])
        expected -= weight[n, y, x] * math.log(scores[target[n, y, x]] / scores.sum())
    tensors = (torch.from_numpy(logits), torch.from_numpy(target), torch.from_numpy(weight))
    assert energy(*tensors, reduction="sum").item() == pytest.approx(expected, rel=1e-5)
    mean = energy(*tensors).item()
    assert mean == pytest.approx(expected / np.count_nonzero(weight), rel=1e-5)


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


def test_without_an_end_the_rate_rises_stays_and_falls_with_the_root_of_the_steps():
    config = TrainingConfig(until_stopped=True)
    rates = np.array([rate_at(None, config, step) for step in range(20_000)])
    assert np.all(np.diff(rates[:49]) > 0)
    assert set(rates[50:200]) == {config.learning_rate}
    assert np.all(np.diff(rates[200:]) < 0)
    assert rates[799] == pytest.approx(config.learning_rate / 2)
    assert rates[-1] > 0


def test_a_learner_without_an_end_counts_its_steps():
    config = small(until_stopped=True, learning_rate=1e-6)
    network = build_network(config.architecture(in_channels=1, out_channels=2))
    learner = Learner(network, config, torch.device("cpu"))
    planes = np.ones((1, config.input_size, config.input_size), np.float32)
    taken = []
    for _ in range(3):
        learner.learn([Patch(planes, planes[0].astype(np.uint8), planes[0])], None)
        taken.append(learner.optimiser.param_groups[0]["lr"])
    assert taken == pytest.approx([1e-6 / 50, 2e-6 / 50, 3e-6 / 50])


def test_a_learner_takes_its_share_of_the_rate():
    config = small(learning_rate=1e-9)
    network = build_network(config.architecture(in_channels=1, out_channels=2))
    learner = Learner(network, config, torch.device("cpu"), 0.25)
    planes = np.ones((1, config.input_size, config.input_size), np.float32)
    learner.learn([Patch(planes, planes[0].astype(np.uint8), planes[0])], 0.1)
    assert [group["lr"] for group in learner.optimiser.param_groups] == [pytest.approx(0.25e-9)]


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


def _random_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 5, 6, generator=generator, requires_grad=True)
    target = torch.randint(0, 3, (2, 5, 6), generator=generator)
    weight = (torch.rand(2, 5, 6, generator=generator) > 0.4).float()
    return logits, target, weight


def test_the_dice_loss_equals_its_definition():
    logits, target, weight = _random_batch()
    probability = logits.detach().softmax(dim=1).numpy()
    scores = []
    for label in (1, 2):
        shared = both = 0.0
        for n, y, x in np.argwhere(weight.numpy() > 0):
            true = float(target[n, y, x] == label)
            shared += probability[n, label, y, x] * true
            both += probability[n, label, y, x] + true
        scores.append((2 * shared + 1) / (both + 1))
    assert dice_loss(logits, target, weight).item() == pytest.approx(1 - np.mean(scores), abs=1e-5)


def test_what_is_not_annotated_has_no_gradient_in_the_dice_loss():
    logits, target, weight = _random_batch()
    dice_loss(logits, target, weight).backward()
    outside = (weight == 0)[:, None].expand_as(logits.grad)
    assert not logits.grad[outside].any()
    assert logits.grad[~outside].any()


def test_the_dice_loss_of_the_truth_is_nothing():
    _, target, weight = _random_batch()
    logits = 50.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert dice_loss(logits, target, weight).item() == pytest.approx(0, abs=1e-5)


def test_a_focus_counts_less_what_is_right_already():
    entropy = -torch.log(torch.tensor([0.9, 0.5, 0.1]))
    assert torch.equal(focus(entropy, 0.0), entropy)
    share = focus(entropy, 2.0) / entropy
    assert share.numpy() == pytest.approx([0.01, 0.25, 0.81], abs=1e-5)


def _first_loss(**terms):
    config = small(**terms)
    side = config.input_size
    noise = np.random.default_rng(0).normal(size=(1, side, side)).astype(np.float32)
    patch = Patch(noise, (noise[0] > 0).astype(np.uint8), np.ones((side, side), np.float32))
    torch.manual_seed(0)
    network = build_network(config.architecture(in_channels=1, out_channels=2))
    return Learner(network, config, torch.device("cpu")).learn([patch], 0.5)


def test_the_dice_loss_is_added_as_often_as_asked():
    none, one, three = (_first_loss(dice=share) for share in (0.0, 1.0, 3.0))
    assert 0 < one - none <= 1
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)


def test_a_focus_lowers_the_energy_of_a_training():
    assert 0 < _first_loss(focal=2.0) < _first_loss()


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_focus_has_a_gradient_even_where_all_is_right(gamma):
    entropy = torch.zeros(3, requires_grad=True)
    focus(entropy, gamma).sum().backward()
    assert torch.isfinite(entropy.grad).all()
