"""Classes of pixels: IoU, Dice and what is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.metrics import contingency_table

from napari_unet.evaluation import Scores, evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES = np.array([0, 3, 7, 200])


def drawn(seed: int, shape: tuple[int, ...] = (2, 20, 30)) -> NDArray[Any]:
    return VALUES[np.random.default_rng(seed).integers(0, 4, shape)]


def classes_of(*pair: NDArray[Any]) -> Scores:
    return evaluate([pair], task="classes")


@pytest.mark.parametrize("seed", range(4))
def test_the_confusion_is_that_of_skimage(seed: int) -> None:
    truth, predicted = drawn(seed), drawn(seed + 9)
    expected = contingency_table(truth, predicted).toarray()[np.ix_(VALUES, VALUES)]
    np.testing.assert_array_equal(classes_of(truth, predicted).confusion, expected)


@pytest.mark.parametrize("seed", range(4))
def test_iou_and_dice_are_their_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = drawn(seed), drawn(seed + 9)
    annotated = rng.random(truth.shape) < 0.5
    scores = classes_of(truth, predicted, annotated)
    assert scores.classes is not None
    for value, each in zip(VALUES, scores.classes, strict=True):
        true, found = (truth == value)[annotated], (predicted == value)[annotated]
        assert each.value == value
        assert each.iou == (true & found).sum() / (true | found).sum()
        assert each.dice == 2 * (true & found).sum() / (true.sum() + found.sum())
        assert (each.true_pixels, each.predicted_pixels) == (true.sum(), found.sum())
    assert scores.mean_iou == pytest.approx(np.mean([each.iou for each in scores.classes]))
    assert scores.mean_dice == pytest.approx(np.mean([each.dice for each in scores.classes]))


def test_the_error_is_what_lies_beside_the_diagonal() -> None:
    truth, predicted = drawn(0), drawn(1)
    scores = classes_of(truth, predicted)
    table = np.array(scores.confusion)
    assert table.sum() == truth.size
    assert scores.pixel_error == 1 - np.trace(table) / truth.size


def test_swapping_truth_and_prediction_turns_the_table() -> None:
    there, back = classes_of(drawn(0), drawn(1)), classes_of(drawn(1), drawn(0))
    np.testing.assert_array_equal(np.array(there.confusion).T, back.confusion)
    assert there.mean_iou == back.mean_iou


def test_a_hand_computed_case() -> None:
    scores = classes_of(np.array([[0, 0, 255, 255]]), np.array([[0, 1, 1, 1]]))
    assert scores.confusion == ((1, 1), (0, 2))
    assert scores.classes is not None
    assert [(each.iou, each.dice) for each in scores.classes] == [(1 / 2, 2 / 3), (2 / 3, 4 / 5)]
    assert scores.mean_iou == pytest.approx(7 / 12)


def test_images_are_summed_before_they_are_divided() -> None:
    pairs = [(drawn(n), drawn(n + 9)) for n in range(3)]
    together = classes_of(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
    assert evaluate(pairs, task="classes").classes == together.classes


def test_a_class_that_nobody_uses_has_no_score_and_weighs_nothing() -> None:
    truth = np.array([[0, 1, 2, 2]])
    predicted = np.array([[0, 1, 5, 5]])
    scores = classes_of(truth, predicted, np.array([[True, True, False, False]]))
    assert scores.classes is not None
    assert [(each.value, each.iou) for each in scores.classes] == [(0, 1.0), (1, 1.0), (5, None)]
    assert scores.mean_iou == scores.mean_dice == 1.0


def test_a_class_that_only_the_prediction_has_is_named_by_it() -> None:
    scores = classes_of(np.array([[0, 1, 1]]), np.array([[0, 4, 9]]))
    assert scores.classes is not None
    assert [(each.value, each.iou) for each in scores.classes] == [(0, 1.0), (1, 0.5), (9, 0.0)]


def test_nothing_annotated_gives_nothing() -> None:
    truth = drawn(0)
    scores = classes_of(truth, truth, np.zeros(truth.shape, dtype=bool))
    assert (scores.mean_iou, scores.mean_dice, scores.pixel_error) == (None, None, None)


def test_many_classes_are_counted_without_a_table_of_all_combinations() -> None:
    import tracemalloc

    truth = np.arange(40_000).reshape(200, 200)
    tracemalloc.start()
    scores = classes_of(truth, truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.mean_iou == 1.0
    assert scores.confusion is None
    assert peak < 200 * 2**20  # the table would take 12.8 GB


def test_the_sparse_count_equals_the_full_one() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 100, (2, 60, 60))
    expected = contingency_table(truth, predicted).toarray()
    np.testing.assert_array_equal(classes_of(truth, predicted).confusion, expected)


def test_huge_values_are_classes_up_to_what_can_be_compared() -> None:
    large = np.array([[0, 2**60, 2**60 + 1]], dtype=np.uint64)
    assert classes_of(large, large).mean_iou == 1.0
    with pytest.raises(ValueError, match="18446744073709551615 is too large"):
        classes_of(large, np.array([[0, 1, 2**64 - 1]], dtype=np.uint64))
