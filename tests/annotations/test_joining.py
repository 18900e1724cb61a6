"""Tests of taking a prediction over as annotation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.annotations import join_prediction


@pytest.fixture
def cells() -> np.ndarray:
    return np.kron(np.array([[0, 1, 0, 2], [3, 0, 4, 0]]), np.ones((4, 4), dtype=int))


def test_what_is_painted_stays(cells):
    painted = np.where(cells == 2, 9, 0)
    joined, _ = join_prediction(painted, np.roll(cells, 1, axis=1), task="instances", first=10)
    np.testing.assert_array_equal(joined[painted > 0], 9)


def test_predicted_cells_are_added_whole_or_not_at_all(cells):
    painted = np.zeros_like(cells)
    painted[0, 4] = 5  # one pixel of predicted cell 1
    joined, count = join_prediction(painted, cells, task="instances", first=6)
    assert count == 3
    assert joined[1, 5] == 0
    for cell in (2, 3, 4):
        assert len(np.unique(joined[cells == cell])) == 1
    assert sorted(np.unique(joined)) == [0, 5, 6, 7, 8]


def test_joining_twice_adds_nothing(cells):
    joined, _ = join_prediction(np.zeros_like(cells), cells, task="instances", first=1)
    again, count = join_prediction(joined, cells, task="instances", first=50)
    assert count == 0
    np.testing.assert_array_equal(again, joined)


def test_classes_fill_only_what_is_not_painted():
    painted = np.array([[0, 1], [2, 0]])
    predicted = np.array([[2, 2], [1, 1]])
    joined, count = join_prediction(painted, predicted, task="classes", first=1)
    np.testing.assert_array_equal(joined, [[2, 1], [2, 1]])
    assert count == 2


def test_a_prediction_of_another_size_is_refused(cells):
    with pytest.raises(ValueError, match="shape"):
        join_prediction(cells[:4], cells, task="instances", first=1)


def joined_slowly(painted: np.ndarray, predicted: np.ndarray, first: int) -> np.ndarray:
    joined = painted.astype(np.int64)
    for cell in np.unique(predicted[predicted > 0]):
        here = predicted == cell
        if not (painted[here] > 0).any():
            joined[here], first = first, first + 1
    return joined


@pytest.mark.parametrize("high", [30, 2_000_000_000])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_cells_are_joined_as_defined(high: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    painted = (rng.integers(1, 9, (20, 30)) * (rng.random((20, 30)) < 0.1)).astype(dtype)
    predicted = rng.integers(-3, 120, (20, 30)).astype(np.int32)
    predicted[predicted == 100] = high
    joined, count = join_prediction(painted, predicted, task="instances", first=250)
    np.testing.assert_array_equal(joined, joined_slowly(painted, predicted, 250))
    assert joined.dtype.kind == painted.dtype.kind
    assert count == len(np.unique(joined[joined >= 250])) > 10


def test_nothing_is_joined_where_all_is_painted(cells: np.ndarray) -> None:
    joined, count = join_prediction(np.ones_like(cells), cells, task="instances", first=2)
    np.testing.assert_array_equal(joined, 1)
    assert count == 0
