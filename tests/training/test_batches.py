"""Batches: the same patches, whoever makes them."""

from __future__ import annotations

import importlib
import threading
import time
from functools import partial

import numpy as np
import pytest
import torch

from napari_unet.training import train
from napari_unet.training.batches import Batches
from tests.training.pictures import bright_discs, small

run_module = importlib.import_module("napari_unet.training.run")


def _drawing(seed=0):
    rng = np.random.default_rng(seed)

    def make(number):
        time.sleep(0.002 * (number % 3))  # later ones may be ready first
        return number

    return lambda: partial(make, int(rng.integers(1000)))


@pytest.mark.parametrize("sizes", [(4, 4, 4), (4, 2, 1, 1), (1, 5)])
def test_patches_come_as_they_were_drawn_whatever_the_threads(sizes):
    with Batches(_drawing(), threads=3) as ahead, Batches(_drawing(), threads=0) as plain:
        for size in sizes:
            assert ahead.take(size) == plain.take(size)


def test_the_next_batch_is_made_while_nobody_asks():
    made = threading.Event()
    drawn = []

    def draw():
        drawn.append(1)
        return made.set if len(drawn) > 2 else (lambda: None)

    with Batches(draw, threads=1) as batches:
        batches.take(2)
        assert made.wait(10)


def test_what_goes_wrong_in_a_thread_is_raised_where_the_patch_is_taken():
    def fails():
        raise MemoryError("no room for a patch")

    with Batches(lambda: fails, threads=1) as batches, pytest.raises(MemoryError, match="no room"):
        batches.take(1)


def test_threads_end_with_the_training():
    before = threading.active_count()
    with Batches(_drawing(), threads=2) as batches:
        batches.take(2)
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_a_training_learns_the_same_with_patches_made_ahead(monkeypatch):
    models = []
    for threads in (0, 2):
        monkeypatch.setattr(run_module, "_threads_for_patches", lambda _, n=threads: n)
        *_, last = train([bright_discs()], small(validation=0.0))
        models.append(last.model)
    plain, ahead = (model.network.state_dict() for model in models)
    assert all(torch.equal(plain[name], ahead[name]) for name in plain)
