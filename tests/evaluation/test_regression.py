"""Measures of predicted values, against scikit-image and by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from napari_unet.evaluation import evaluate, mae, psnr, r2, rmse, value_scores

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(5, 2, (3, 20, 30))
PREDICTED = TRUTH + RNG.normal(0.3, 1, TRUTH.shape)


def test_the_measures_equal_those_of_scikit_image_and_their_definitions() -> None:
    assert mae(TRUTH, PREDICTED) == pytest.approx(np.mean(np.abs(TRUTH - PREDICTED)))
    assert rmse(TRUTH, PREDICTED) == pytest.approx(mean_squared_error(TRUTH, PREDICTED) ** 0.5)
    reach = float(TRUTH.max() - TRUTH.min())
    expected = peak_signal_noise_ratio(TRUTH, PREDICTED, data_range=reach)
    assert psnr(TRUTH, PREDICTED) == pytest.approx(expected)
    expected = peak_signal_noise_ratio(TRUTH, PREDICTED, data_range=255)
    assert psnr(TRUTH, PREDICTED, data_range=255) == pytest.approx(expected)
    assert r2(TRUTH, PREDICTED) == pytest.approx(
        1 - mean_squared_error(TRUTH, PREDICTED) / TRUTH.var()
    )


def test_the_measures_by_hand() -> None:
    truth, predicted = np.array([0, 1, 2, 5]), np.array([0, 1, 3, 8])
    assert mae(truth, predicted) == 1
    assert rmse(truth, predicted) == pytest.approx(math.sqrt(10 / 4))
    assert psnr(truth, predicted) == pytest.approx(20 * math.log10(5 / math.sqrt(2.5)))
    assert r2(truth, predicted) == pytest.approx(1 - 10 / 14)


@pytest.mark.parametrize("measure", [mae, rmse, psnr, r2])
def test_what_is_not_annotated_is_left_out(measure: Any) -> None:
    counts = RNG.random(TRUTH.shape) > 0.4
    wrong = np.where(counts, PREDICTED, 1e9)
    assert measure(TRUTH, wrong, counts) == pytest.approx(measure(TRUTH[counts], wrong[counts]))
    assert measure(np.where(counts, TRUTH, np.nan), wrong, counts) == measure(TRUTH, wrong, counts)
    assert math.isnan(measure(TRUTH, PREDICTED, np.zeros(TRUTH.shape, bool)))


def test_perfect_and_useless_predictions() -> None:
    assert (mae(TRUTH, TRUTH), rmse(TRUTH, TRUTH), r2(TRUTH, TRUTH)) == (0, 0, 1)
    assert psnr(TRUTH, TRUTH) == math.inf
    assert r2(TRUTH, np.full_like(TRUTH, TRUTH.mean())) == pytest.approx(0)
    assert math.isnan(r2(np.ones(4), np.zeros(4)))
    assert math.isnan(psnr(np.ones(4), np.zeros(4)))


def test_small_whole_numbers_do_not_wrap_around() -> None:
    assert mae(np.array([250], np.uint8), np.array([2], np.uint8)) == 248


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        mae(TRUTH, PREDICTED, np.ones((20, 30), bool))


def test_images_count_by_their_pixels_and_outputs_alike() -> None:
    small, large = TRUTH[:2, :5, :5], TRUTH[:2]
    found = [PREDICTED[:2, :5, :5], PREDICTED[:2]]
    scores = value_scores([(small, found[0]), (large, found[1])])
    for name, measure in {"mae": mae, "rmse": rmse, "psnr": psnr, "r2": r2}.items():
        each = [
            measure(
                np.concatenate([small[k].ravel(), large[k].ravel()]),
                np.concatenate([found[0][k].ravel(), found[1][k].ravel()]),
            )
            for k in range(2)
        ]
        assert getattr(scores, name) == pytest.approx(np.mean(each))
        assert [getattr(output, name) for output in scores.each] == pytest.approx(each)
    assert (scores.outputs, scores.images) == (2, 2)
    written = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert written == {**scores.to_dict(), "each": list(scores.to_dict()["each"])}


def test_the_range_behind_the_psnr_is_told() -> None:
    scores = value_scores([(TRUTH, PREDICTED)])
    assert [output.data_range for output in scores.each] == pytest.approx(np.ptp(TRUTH, (1, 2)))
    assert scores.data_range is None
    one = value_scores([(TRUTH[:1], PREDICTED[:1])])
    assert one.data_range == pytest.approx(np.ptp(TRUTH[0]))
    known = psnr(TRUTH[0], PREDICTED[0], data_range=one.data_range)
    assert one.psnr == pytest.approx(known)


@pytest.mark.parametrize("stack", [False, True])
def test_what_is_unknown_or_not_annotated_never_counts(stack: bool) -> None:
    truth, counts = TRUTH.copy(), RNG.random((20, 30)) > 0.4
    predicted = np.where(counts, PREDICTED, -99)
    if stack:
        truth, predicted, counts = truth[None], predicted[None], counts[None]
    masked = value_scores([(truth, predicted, counts)])
    unknown = np.where(counts[..., None, :, :], truth, np.nan)
    assert value_scores([(unknown, predicted)]) == masked
    assert masked.mae == pytest.approx(np.abs(TRUTH - PREDICTED)[:, np.squeeze(counts)].mean())


def test_one_unknown_output_hides_the_pixel() -> None:
    truth = TRUTH.copy()
    truth[1, 3, 4] = np.nan
    predicted = PREDICTED.copy()
    predicted[:, 3, 4] = 1e9
    assert value_scores([(truth, predicted)]).mae < 2


def test_a_score_that_an_output_does_not_have_is_left_out_of_the_mean() -> None:
    truth = np.stack([TRUTH[0], np.ones((20, 30))])
    predicted = np.stack([PREDICTED[0], np.ones((20, 30))])
    assert value_scores([(truth, predicted)]).r2 == pytest.approx(r2(TRUTH[0], PREDICTED[0]))
    flat = value_scores([(truth[1:], predicted[1:])])
    assert (flat.mae, flat.r2, flat.psnr) == (0, None, None)
    nothing = value_scores([(truth, predicted, np.zeros((20, 30), bool))])
    assert nothing.mae is None


def test_evaluate_knows_the_task() -> None:
    assert evaluate([(TRUTH, PREDICTED)], task="regression") == value_scores([(TRUTH, PREDICTED)])


@pytest.mark.parametrize(
    ("pairs", "about"),
    [
        ([], "at least one pair"),
        ([(TRUTH, PREDICTED[:2])], "the same picture"),
        ([(TRUTH[0], PREDICTED[0])], "the same picture"),
        ([(TRUTH, None)], "lacks its truth or its prediction"),
        ([(TRUTH, PREDICTED), (TRUTH[:2], PREDICTED[:2])], r"with \[2, 3\] outputs"),
        ([(TRUTH, PREDICTED, np.ones((3, 3), bool))], "does not fit"),
        ([(TRUTH, np.full_like(TRUTH, np.nan))], "NaN or infinite"),
    ],
)
def test_what_cannot_be_compared_is_refused(pairs: Any, about: str) -> None:
    with pytest.raises(ValueError, match=about):
        value_scores(pairs)


@pytest.mark.parametrize("value", [0.1, 1e6 / 3, -7.3])
def test_equal_true_values_have_no_coefficient_of_determination(value: float) -> None:
    truth = np.full(1000, value)
    assert np.isnan(r2(truth, truth + 0.5))
