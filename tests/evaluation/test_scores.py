"""Scores of sets of images."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.measure import label
from skimage.metrics import adapted_rand_error as skimage_adapted_rand_error

from napari_unet.evaluation import THRESHOLDS, average_precision, evaluate, f1

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUTH = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 0, 0]])
PREDICTED = np.array([[4, 4, 0, 5, 5, 0, 0, 0, 0, 6]])
KEYS = [
    "ap50",
    "ap",
    "f1_50",
    "seg",
    "pixel_error",
    "rand_error",
    "n_true",
    "n_predicted",
    "images",
    "matched_iou",
    "n_matched",
    "n_split",
    "n_merged",
    "n_missed",
    "n_extra",
    "curve",
    "mean_iou",
    "mean_dice",
    "classes",
    "confusion",
    "v_rand",
    "v_rand_split",
    "v_rand_merge",
    "v_info",
    "v_info_split",
    "v_info_merge",
    "warping_error",
]


def test_the_scores_of_one_image() -> None:
    scores = evaluate([(TRUTH, PREDICTED)], task="instances")
    assert scores.to_dict() == {
        "ap50": 0.5,
        "ap": 0.5,
        "f1_50": pytest.approx(2 / 3),
        "seg": pytest.approx(2 / 3),
        "pixel_error": 0.3,
        "rand_error": 0.0,
        "n_true": 3,
        "n_predicted": 3,
        "images": 1,
        "matched_iou": 1.0,
        "n_matched": 2,
        "n_split": 0,
        "n_merged": 0,
        "n_missed": 1,
        "n_extra": 1,
        "curve": tuple({"iou": t, "ap": 0.5, "f1": pytest.approx(2 / 3)} for t in THRESHOLDS),
        **dict.fromkeys(KEYS[KEYS.index("curve") + 1 :]),
    }


def test_the_curve_is_the_measures_at_each_threshold() -> None:
    truth = np.kron(np.arange(20).reshape(4, 5), np.ones((6, 6), dtype=int))
    predicted = np.roll(truth, 1, 1)
    predicted[:12:3] = 0
    scores = evaluate([(truth, predicted)])
    assert scores.curve is not None
    assert [point.iou for point in scores.curve] == list(THRESHOLDS)
    np.testing.assert_array_equal(
        [point.ap for point in scores.curve], average_precision(truth, predicted)
    )
    for point in scores.curve:
        assert point.f1 == f1(truth, predicted, point.iou)
    assert (scores.curve[0].ap, scores.curve[0].f1) == (scores.ap50, scores.f1_50)
    assert scores.ap == np.mean([point.ap for point in scores.curve])
    values = [point.ap for point in scores.curve]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_counts_are_summed_over_images_before_they_are_divided() -> None:
    scores = evaluate([(TRUTH, PREDICTED), (TRUTH, TRUTH)], task="instances")
    assert scores.ap50 == 5 / 7
    assert scores.ap50 != np.mean([2 / 4, 1])
    assert scores.seg == pytest.approx(5 / 6)
    assert scores.pixel_error == 0.15


def test_a_stack_equals_its_slices() -> None:
    stack = evaluate([(np.stack([TRUTH, TRUTH]), np.stack([PREDICTED, TRUTH]))], task="instances")
    slices = evaluate([(TRUTH, PREDICTED), (TRUTH, TRUTH)], task="instances")
    assert {**stack.to_dict(), "images": 2} == slices.to_dict()


def test_what_is_not_annotated_changes_no_score() -> None:
    annotated = np.ones((1, 20), dtype=bool)
    annotated[:, 10:] = False
    nonsense = np.arange(10)[None] + 7
    truth, predicted = np.hstack([TRUTH, nonsense]), np.hstack([PREDICTED, nonsense[:, ::-1]])
    scores = evaluate([(truth, predicted, annotated)], task="instances")
    assert scores == evaluate([(TRUTH, PREDICTED)], task="instances")


def noise_aside(labels: NDArray[Any], annotated: NDArray[Any], values: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return np.where(annotated, labels, rng.choice(values, labels.shape))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", ["instances", "classes"])
def test_noise_where_nothing_is_annotated_changes_no_score(task: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    annotated = np.kron(rng.random((4, 5)) < 0.6, np.ones((6, 6))).astype(bool)
    if task == "instances":
        truth = np.kron(np.arange(80).reshape(8, 10), np.ones((3, 3), dtype=int))
        predicted, noise = np.roll(truth, 1, 1), np.arange(100, 200)
    else:
        truth, predicted = np.kron(rng.integers(0, 3, (2, 8, 10)), np.ones((3, 3), dtype=int))
        noise = np.arange(3)
    aside = [np.where(annotated, labels, 0) for labels in (truth, predicted)]
    expected = evaluate([(*aside, annotated)], task=task, em=True)
    noisy = [noise_aside(labels, annotated, noise, seed) for labels in (truth, predicted)]
    assert evaluate([(*noisy, annotated)], task=task, em=True) == expected
    assert evaluate([noisy], task=task, em=True) != expected


def test_json_has_the_keys_and_no_nan() -> None:
    nothing = np.zeros((4, 4), dtype=int)
    for task in ("instances", "classes"):
        written = json.dumps(evaluate([(nothing, nothing)], task=task).to_dict(), allow_nan=False)
        assert list(json.loads(written)) == KEYS


def test_a_score_that_does_not_apply_is_none() -> None:
    nothing = np.zeros((4, 4), dtype=int)
    scores = evaluate([(nothing, nothing, np.zeros((4, 4), dtype=bool))], task="instances")
    assert (scores.ap50, scores.ap, scores.f1_50, scores.seg) == (None,) * 4
    assert (scores.pixel_error, scores.rand_error) == (None, None)
    assert (scores.n_true, scores.n_predicted, scores.images) == (0, 0, 1)
    assert scores.matched_iou is None
    assert scores.curve is not None
    assert {(point.ap, point.f1) for point in scores.curve} == {(None, None)}


def test_a_stack_without_slices_has_no_scores() -> None:
    nothing = np.zeros((0, 4, 4), dtype=int)
    assert evaluate([(nothing, nothing)]).ap50 is None


def test_an_empty_slice_does_not_hide_the_others_rand_error() -> None:
    empty = np.zeros_like(TRUTH)
    scores = evaluate([(np.stack([TRUTH, empty]), np.stack([TRUTH, empty]))], task="instances")
    assert scores.rand_error == 0.0


def membranes(seed: int) -> NDArray[Any]:
    grid = np.random.default_rng(seed).random((30, 30))
    return (grid > 0.3).astype(np.uint8)


def test_classes_compare_by_rank() -> None:
    truth, predicted = membranes(0), membranes(1)
    plain = evaluate([(truth, predicted)], task="classes")
    assert plain.pixel_error == (truth != predicted).mean()
    for true_value, value in ((255, 1), (255, 255), (1, 255)):
        renamed = evaluate([(truth * true_value, predicted * value)], task="classes")
        assert renamed.classes is not None
        assert [each.value for each in renamed.classes] == [0, true_value]
        assert replace(renamed, classes=plain.classes) == plain


def test_a_prediction_of_one_class_only_keeps_its_rank() -> None:
    truth = membranes(0) * 255
    share = (truth == 0).mean()
    for value in (1, 255):
        everything = np.full_like(truth, value)
        assert evaluate([(truth, everything)], task="classes").pixel_error == share


def test_ranks_are_decided_over_the_whole_set() -> None:
    first, second = np.array([[0, 5]]), np.array([[5, 9]])
    scores = evaluate([(first, np.array([[0, 1]])), (second, np.array([[1, 2]]))], task="classes")
    assert scores.pixel_error == 0.0


@pytest.mark.parametrize(("truth", "wrong"), [([1, 3], [1, 2]), ([2, 2], [1, 1]), ([3, 3], [2, 2])])
def test_a_class_that_the_truth_lacks_moves_no_other(truth: list[int], wrong: list[int]) -> None:
    counted = np.array([[True, True, False]])
    for predicted, error in ((truth, 0.0), (wrong, np.mean(np.not_equal(truth, wrong)))):
        pair = (np.array([[*truth, 0]]), np.array([[*predicted, 2]]), counted)
        scores = evaluate([pair], task="classes", classes=(1, 2, 3))
        assert scores.pixel_error == error
        assert scores.classes is not None
        assert [each.value for each in scores.classes] == [1, 2, 3]


def test_a_prediction_that_holds_all_true_values_and_more_keeps_them() -> None:
    truth, predicted = np.array([[1, 3, 3]]), np.array([[1, 2, 3]])
    assert evaluate([(truth, predicted)], task="classes").pixel_error == pytest.approx(1 / 3)


def test_values_of_which_both_sides_have_some_are_taken_as_they_are() -> None:
    truth, predicted = np.array([[3, 7, 7, 3]]), np.array([[3, 5, 5, 5]])
    scores = evaluate([(truth, predicted)], task="classes")
    assert scores.pixel_error == 0.75
    assert scores.classes is not None
    assert [each.value for each in scores.classes] == [3, 5, 7]


def test_a_value_that_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="the value 7 is none of the classes"):
        evaluate([(np.array([[1, 7]]), np.array([[1, 1]]))], task="classes", classes=(1, 2))


def test_a_value_that_is_not_annotated_is_no_class() -> None:
    truth = np.array([[0, 1, 2, 2]])
    predicted = np.array([[0, 0, 1, 1]])
    scores = evaluate([(truth, predicted, truth > 0)], task="classes")
    assert scores.pixel_error == 0.0


def test_regions_of_classes_are_their_four_connected_pieces() -> None:
    truth, predicted = membranes(0), membranes(1)
    expected, _, _ = skimage_adapted_rand_error(
        label(truth, connectivity=1), label(predicted, connectivity=1)
    )
    scores = evaluate([(truth * 255, predicted)], task="classes")
    assert scores.rand_error == pytest.approx(expected)
    assert scores.n_true is None
    assert scores.ap50 is None


def test_what_is_not_annotated_neither_joins_nor_divides_regions() -> None:
    truth = np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    joined = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    annotated = np.array([[True, True, False, True, True]] * 2)
    assert evaluate([(truth, joined)], task="classes").rand_error != 0
    assert evaluate([(truth, joined, annotated)], task="classes").rand_error == 0
    assert evaluate([(joined, truth, annotated)], task="classes").rand_error == 0


def test_shapes_that_differ_are_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"pair 2.*\(1, 10\).*\(1, 9\)"):
        evaluate([(TRUTH, TRUTH), (TRUTH, PREDICTED[:, :9])], task="instances")


def test_a_plane_is_a_stack_of_one() -> None:
    assert evaluate([(TRUTH[None], PREDICTED)]) == evaluate([(TRUTH, PREDICTED)])


def test_probabilities_are_not_labels() -> None:
    with pytest.raises(ValueError, match="float32"):
        evaluate([(TRUTH, PREDICTED.astype(np.float32))])


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(ValueError, match="no pair"):
        evaluate([])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="'guess' has no scores"):
        evaluate([(TRUTH, TRUTH)], task="guess")  # type: ignore[arg-type]
