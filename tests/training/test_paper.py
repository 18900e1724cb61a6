"""The recipe of 2015, step for step, on a tile and a width that a test has time for."""

from __future__ import annotations

import numpy as np

from napari_unet.training import PRESETS, TrainingConfig, train
from tests.training.pictures import bright_discs


def test_two_hundred_steps_of_the_paper_lower_the_energy():
    paper = PRESETS["paper"]
    tile = 236
    large, small = (paper.geometry.output_size(size) for size in (paper.input_size, tile))
    # The energy is a sum: on a smaller tile the same rate per pixel is a larger number.
    rate = paper.learning_rate * (large / small) ** 2
    config = TrainingConfig.from_preset(
        "paper", steps=200, width=16, patch=tile, learning_rate=rate, device="cpu", validation=0.0
    )
    image = bright_discs(shape=(128, 128), cells=20)
    losses = [report.loss for report in train([image], config) if report.loss is not None]
    assert len(losses) == 200
    assert np.mean(losses[-50:]) < 0.8 * np.mean(losses[:50])
