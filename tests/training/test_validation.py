"""When a training is validated, on how much, and which network is kept."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.annotations import annotate
from napari_unet.prediction import never
from napari_unet.training import TrainingConfig
from napari_unet.training.reports import Clock, Lap
from napari_unet.training.validation import Validation, longest_pause, next_validation
from tests.prediction.models import lively_model

module = importlib.import_module("napari_unet.training.validation")


@pytest.mark.parametrize(("cost", "expected"), [(0.0, 0.467), (0.01, 0.467), (0.2, 2.3)])
def test_validation_takes_a_tenth_of_the_time_at_most(cost, expected):
    assert next_validation(0.3, cost) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("seconds", "cost", "expected"), [(0.0, 0.0, 30.0), (1000.0, 1.0, 1200.0), (10.0, 20.0, 210.0)]
)
def test_without_an_end_validations_become_rarer_with_time(seconds, cost, expected):
    assert next_validation(seconds, cost, endless=True) == pytest.approx(expected)


def test_however_long_a_training_is_it_is_validated_every_few_minutes():
    assert longest_pause(1.0) == 300
    assert longest_pause(60.0) == 600, "but it takes a tenth of the time at most"


def _pictures(count):
    rng = np.random.default_rng(0)
    labels = np.zeros((48, 48), np.int32)
    labels[10:20, 10:20] = 1
    return [annotate(rng.random((48, 48)).astype(np.float32), labels) for _ in range(count)]


def _validation(images, otherwise=(), **length):
    config = TrainingConfig.from_preset("quick", device="cpu", **length)
    lap = Lap(Clock(config), begin=0.0, end=1.0, first_step=0)
    return Validation(images, config, lap, torch.device("cpu"), otherwise)


def _counted(monkeypatch, seconds=0.0):
    """Let each part take so many seconds, and count them."""
    taken, now = [], [0.0]
    real = module.predict_parts

    def slow(model, parts, *arguments, **more):
        for part in real(model, parts, *arguments, **more):
            taken.append(part)
            now[0] += seconds
            yield part

    monkeypatch.setattr(module, "predict_parts", slow)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return taken


def test_a_slow_validation_looks_at_as_much_as_fits_into_a_tenth_of_the_time(monkeypatch):
    validation = _validation(_pictures(8), minutes=1.0)
    taken = _counted(monkeypatch, seconds=2.5)
    model = lively_model()
    assert validation.score(model, never) is not None
    assert len(taken) == 3, "6 seconds are over"
    validation.score(model, never)
    assert len(taken) == 6, "the same parts again, or scores could not be compared"
    assert len(validation.last(model, never, hurried=False)) == 3


def test_a_busier_computer_does_not_change_what_is_compared(monkeypatch):
    validation = _validation(_pictures(8), minutes=1.0)
    taken = _counted(monkeypatch, seconds=1.0)
    validation.score(lively_model(), never)
    assert len(taken) == 7
    taken.clear()
    _counted(monkeypatch, seconds=9.0)
    validation.score(lively_model(), never)
    assert len(taken) == 7
    assert len(validation.last(lively_model(), never, hurried=False)) == 1, "compared to none"


def test_where_steps_are_counted_the_clock_decides_nothing(monkeypatch):
    validation = _validation(_pictures(8), steps=5)
    taken = _counted(monkeypatch, seconds=1e6)
    validation.score(lively_model(), never)
    assert len(taken) == 8


def test_after_a_stop_networks_are_compared_on_two_parts(monkeypatch):
    validation = _validation(_pictures(8), steps=5)
    taken = _counted(monkeypatch)
    good, bad = lively_model(), lively_model()
    scores = iter([0.9, 0.3, 0.5])  # of two parts and of all, then of two parts
    monkeypatch.setattr(module, "score_of", lambda _: next(scores))
    assert validation.score(good, never) == 0.3
    del taken[:]
    assert validation.score(bad, never, hurried=True) == 0.5
    assert len(taken) == 2
    assert validation.best is good.network, "0.5 beats its 0.3 on all parts, not its 0.9 on these"


def test_what_nobody_kept_back_is_predicted_at_the_end_only():
    validation = _validation([], otherwise=_pictures(1), steps=5)
    model = lively_model()
    assert validation.score(model, never) is None
    assert validation.best is None
    [part] = validation.last(model, never, hurried=True)
    assert part.annotated.any()


@pytest.mark.parametrize(("networks", "parts"), [(1, 8), (2, 8), (4, 4), (10, 2)])
def test_many_networks_do_not_remember_the_predictions_of_many(networks, parts):
    validation = _validation(_pictures(8), steps=5, networks=networks)
    assert len(validation.last(lively_model(), never, hurried=False)) == parts


def test_a_validation_that_is_given_up_keeps_no_network():
    validation = _validation(_pictures(2), steps=5)
    assert validation.score(lively_model(), lambda: True) is None
    assert validation.best is None


def test_a_training_of_minutes_is_told_by_the_clock_and_one_of_steps_by_steps():
    validation = _validation(_pictures(1), steps=6)
    assert not validation.due
    validation._lap.clock.step = 1
    assert validation.due
    endless = replace(validation._config, steps=None, until_stopped=True)
    clock = Clock(endless)
    waiting = Validation([], endless, clock.lap(), torch.device("cpu"))
    assert not waiting.due
    clock.started -= 31
    assert waiting.due
