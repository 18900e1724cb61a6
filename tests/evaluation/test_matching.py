"""Overlaps and matches of objects."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.metrics import contingency_table

from napari_unet.evaluation import count_matches, overlaps
from napari_unet.evaluation.matching import contingency, unique_inverse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def squares(*corners: tuple[int, int], size: int = 4, shape: tuple[int, int] = (20, 20)) -> Any:
    labels = np.zeros(shape, dtype=np.uint16)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + size, x : x + size] = number
    return labels


def slow_iou(truth: NDArray[Any], predicted: NDArray[Any]) -> list[list[float]]:
    return [
        [
            float(((truth == t) & (predicted == p)).sum() / ((truth == t) | (predicted == p)).sum())
            for p in np.unique(predicted[predicted != 0])
        ]
        for t in np.unique(truth[truth != 0])
    ]


def slow_matches(iou: list[list[float]], threshold: float) -> int:
    """Try every assignment."""
    columns = len(iou[0])
    padded = [*range(columns), *[None] * len(iou)]
    return max(
        sum(c is not None and iou[row][c] > threshold for row, c in enumerate(chosen))
        for chosen in permutations(padded, len(iou))
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.2, 0.3, 0.5, 0.6])
def test_matches_are_the_best_assignment(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 4, (4, 4)), np.ones((3, 3), dtype=int))
    predicted = np.roll(np.kron(rng.integers(0, 5, (4, 4)), np.ones((3, 3), dtype=int)), 1, 0)
    expected = slow_matches(slow_iou(truth, predicted), threshold)
    assert count_matches(overlaps(truth, predicted), threshold) == expected


def test_iou_is_its_definition() -> None:
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 5, (2, 12, 12))
    overlap = overlaps(truth, predicted)
    expected = slow_iou(truth, predicted)
    found = [expected[t][p] for t, p in zip(overlap.true, overlap.predicted, strict=True)]
    np.testing.assert_allclose(overlap.iou, found)
    assert np.count_nonzero(expected) == overlap.iou.size


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.int32])
def test_numbering_does_not_matter(dtype: type) -> None:
    truth, predicted = squares((1, 1), (8, 8)), squares((1, 2), (8, 8))
    plain = overlaps(truth, predicted)
    names = np.array([0, 200, 7]).astype(dtype)
    renamed = overlaps(names[truth], predicted)
    assert sorted(plain.iou) == sorted(renamed.iou)


def test_huge_and_negative_values_are_objects_too() -> None:
    truth = np.where(squares((1, 1)) > 0, 10**12, 0)
    predicted = np.where(squares((1, 1)) > 0, -5, 0)
    overlap = overlaps(truth, predicted)
    assert overlap.iou.tolist() == [1.0]
    assert (overlap.true_values.tolist(), overlap.predicted_values.tolist()) == ([10**12], [-5])


def test_objects_keep_their_values() -> None:
    truth, predicted = 3 * squares((1, 1), (8, 8)), 10**9 * squares((8, 8), (1, 1)).astype(int)
    overlap = overlaps(truth, predicted)
    assert overlap.true_values.tolist() == [3, 6]
    assert overlap.predicted_values.tolist() == [10**9, 2 * 10**9]
    assert overlap.predicted_values[overlap.predicted].tolist() == [2 * 10**9, 10**9]


def test_an_image_of_one_object_has_no_background() -> None:
    ones = np.ones((5, 5), dtype=int)
    assert overlaps(ones, ones).iou.tolist() == [1.0]


def test_a_match_needs_more_than_the_threshold() -> None:
    truth, predicted = np.zeros((2, 1, 20), dtype=int)
    truth[0, :20], predicted[0, :11] = 1, 1
    assert count_matches(overlaps(truth, predicted), 11 / 20) == 0
    assert count_matches(overlaps(truth, predicted), 10 / 20) == 1


def annotated_left(columns: int) -> NDArray[np.bool_]:
    annotated = np.zeros((20, 20), dtype=bool)
    annotated[:, :columns] = True
    return annotated


def test_a_prediction_outside_is_neither_right_nor_wrong() -> None:
    overlap = overlaps(squares((2, 2)), squares((2, 2), (2, 14)), annotated_left(10))
    assert (overlap.true_areas.size, overlap.predicted_areas.size) == (1, 1)


def test_a_prediction_mostly_outside_is_left_out() -> None:
    overlap = overlaps(squares(), squares((2, 9)), annotated_left(10))
    assert overlap.predicted_areas.size == 0


def test_a_prediction_mostly_inside_is_wrong_without_a_true_object() -> None:
    overlap = overlaps(squares(), squares((2, 8)), annotated_left(10))
    assert overlap.predicted_areas.tolist() == [8]


def test_a_prediction_mostly_outside_still_finds_a_cell_painted_up_to_the_border() -> None:
    truth = squares((2, 9)) * annotated_left(10)
    overlap = overlaps(truth, squares((2, 9)), annotated_left(10))
    assert overlap.iou.tolist() == [1.0]


def test_a_true_cell_mostly_outside_is_left_out() -> None:
    overlap = overlaps(squares((2, 9)), squares((2, 9)), annotated_left(10))
    assert overlap.objects == 0


def test_only_counted_pixels_make_an_area() -> None:
    overlap = overlaps(squares((2, 8)), squares((2, 8)), annotated_left(11))
    assert overlap.true_areas.tolist() == [12]
    assert overlap.iou.tolist() == [1.0]


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 2, 2], [5, 0, 6]]),
        np.array([[3, 3]], dtype=np.uint8),
        np.array([[0, 7]]),  # higher than there are pixels
        np.array([[-4, 0, 2**62]]),
        np.array([[0, 2**64 - 1]], dtype=np.uint64),
        np.array([[True, False]]),
        np.zeros((0, 3), dtype=int),
    ],
    ids=["small", "without zero", "high", "negative", "unsigned", "bool", "empty"],
)
def test_values_and_their_numbers_are_those_of_numpy(labels: NDArray[Any]) -> None:
    expected = np.unique(labels, return_inverse=True)
    for found, wanted in zip(unique_inverse(labels), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("highest", [6, 10**9])
def test_combinations_are_counted_as_skimage_counts_them(highest: int) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 7, (2, 30, 20))
    first, second = np.linspace(0, highest, 7).astype(int)[numbers]
    both, one, other = contingency(first, second)
    table = contingency_table(*numbers).toarray()
    np.testing.assert_array_equal(both, table[table > 0])
    np.testing.assert_array_equal(one, table.sum(axis=1))
    np.testing.assert_array_equal(other, table.sum(axis=0))
