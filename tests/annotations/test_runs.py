"""Tests of label images kept as runs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.annotations import Runs

CELLS = np.kron(np.arange(12).reshape(3, 4), np.ones((50, 40), int))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize(
    "labels",
    [
        CELLS,
        CELLS.T,
        -CELLS,
        np.zeros((7, 5), int),
        np.zeros((0, 5), int),
        np.ones((1, 1), int),
        np.random.default_rng(0).integers(0, 3, (40, 30)),
        CELLS.reshape(2, 75, 160),
    ],
)
def test_runs_are_the_image_again(labels: np.ndarray, dtype: type) -> None:
    labels = labels.astype(dtype)
    again = np.asarray(Runs.of(labels))
    assert again.dtype == labels.dtype
    np.testing.assert_array_equal(again, labels)


def test_an_array_takes_runs_as_its_values() -> None:
    stack = np.zeros((2, *CELLS.shape), np.uint8)
    stack[1, :, :] = Runs.of(CELLS)
    np.testing.assert_array_equal(stack[1], CELLS)


def test_runs_of_cells_are_small() -> None:
    cells = CELLS.astype(np.int32)
    assert Runs.of(cells).nbytes * 10 < cells.nbytes
