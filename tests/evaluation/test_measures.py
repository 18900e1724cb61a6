"""Measures of one pair of label images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error as skimage_adapted_rand_error

from napari_unet.evaluation import (
    THRESHOLDS,
    adapted_rand_error,
    average_precision,
    f1,
    pixel_error,
    seg,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cells(seed: int, shape: tuple[int, int] = (40, 50)) -> NDArray[Any]:
    """Draw a partition into cells with gaps between some."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform((0, 0), shape, (9, 2))
    grid = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1)[:, :, None]
    distances = np.linalg.norm(grid - centres, axis=-1)
    labels: NDArray[Any] = distances.argmin(axis=-1) + 1
    labels[distances.min(axis=-1) > 7] = 0
    return labels


def slow_seg(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Follow the definition of the Cell Tracking Challenge, cell by cell."""
    indices = []
    for t in np.unique(truth[truth > 0]):
        reference, index = truth == t, 0.0
        for p in np.unique(predicted[predicted > 0]):
            found = predicted == p
            if (reference & found).sum() > 0.5 * reference.sum():
                index = (reference & found).sum() / (reference | found).sum()
        indices.append(index)
    return float(np.mean(indices))


@pytest.mark.parametrize("seed", range(5))
def test_truth_against_itself_is_perfect(seed: int) -> None:
    truth = cells(seed)
    assert average_precision(truth, truth).tolist() == [1.0] * len(THRESHOLDS)
    assert f1(truth, truth) == seg(truth, truth) == 1.0
    assert adapted_rand_error(truth, truth) == pixel_error(truth, truth) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_nothing_predicted_is_the_worst(seed: int) -> None:
    truth = cells(seed)
    nothing = np.zeros_like(truth)
    assert average_precision(truth, nothing).max() == f1(truth, nothing) == seg(truth, nothing) == 0
    assert pixel_error(truth > 0, nothing > 0) == (truth > 0).mean()


@pytest.mark.parametrize("seed", range(8))
def test_seg_is_its_definition(seed: int) -> None:
    truth, predicted = cells(seed), np.roll(cells(seed), (1, 2), (0, 1))
    predicted[predicted == 3] = 4
    assert seg(truth, predicted) == pytest.approx(slow_seg(truth, predicted))


@pytest.mark.parametrize("seed", range(8))
def test_rand_error_is_that_of_skimage(seed: int) -> None:
    truth, predicted = cells(seed), cells(seed + 1)
    expected, _, _ = skimage_adapted_rand_error(truth, predicted)
    assert adapted_rand_error(truth, predicted) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_rand_error_of_counted_pixels_is_that_of_the_cut_out(seed: int) -> None:
    truth, predicted = cells(seed), cells(seed + 1)
    annotated = np.zeros(truth.shape, dtype=bool)
    annotated[5:30, 10:40] = True
    expected = adapted_rand_error(truth[5:30, 10:40], predicted[5:30, 10:40])
    assert adapted_rand_error(truth, predicted, annotated) == pytest.approx(expected)


def test_two_of_three_found_and_one_invented() -> None:
    truth = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 0, 0]])
    predicted = np.array([[4, 4, 0, 5, 5, 0, 0, 0, 0, 6]])
    assert average_precision(truth, predicted, [0.5]).tolist() == [2 / 4]
    assert f1(truth, predicted) == 4 / 6
    assert seg(truth, predicted) == pytest.approx(2 / 3)


def test_merged_cells_cost_both_when_neither_has_the_greater_part() -> None:
    truth = np.array([[1, 1, 2, 2]])
    merged = np.array([[1, 1, 1, 1]])
    assert average_precision(truth, merged, [0.5]).tolist() == [0.0]
    assert seg(truth, merged) == 0.5
    assert adapted_rand_error(truth, merged) == pytest.approx(1 - 2 * 4 / (4 + 12))


def test_a_cell_covered_by_exactly_half_is_not_found() -> None:
    truth, half = np.array([[1, 1, 1, 1]]), np.array([[1, 1, 0, 0]])
    assert seg(truth, half) == 0.0
    assert average_precision(truth, half, [0.5]).tolist() == [0.0]


def test_pixel_error_counts_only_what_is_annotated() -> None:
    truth, predicted = np.array([[0, 0, 1, 1]]), np.array([[1, 0, 1, 0]])
    assert pixel_error(truth, predicted) == 0.5
    assert pixel_error(truth, predicted, np.array([[False, True, True, True]])) == 1 / 3


def test_without_any_object_there_is_no_score() -> None:
    nothing = np.zeros((4, 4), dtype=int)
    assert np.isnan(average_precision(nothing, nothing)).all()
    assert np.isnan([f1(nothing, nothing), seg(nothing, nothing)]).all()
    assert np.isnan(adapted_rand_error(nothing, nothing))
