"""The warping error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.evaluation import (
    draw_borders,
    evaluate,
    pixel_error,
    topological_errors,
    warping_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

AROUND = np.ones((3, 3), dtype=bool)
CENTRE = np.pad([[True]], 1)


def pieces(inside: NDArray[Any]) -> tuple[int, int]:
    """Count 4-connected regions and 8-connected borders, border lying around the picture."""
    padded = np.pad(inside, 1)
    return ndimage.label(padded)[1], ndimage.label(~padded, AROUND)[1]


def slow_simple(inside: NDArray[np.bool_], y: int, x: int) -> bool:
    """Count what touches the centre in its neighbourhood, as the definition says."""
    near = np.pad(inside, 1)[y : y + 3, x : x + 3]
    regions, _ = ndimage.label(near & ~CENTRE)
    touching = {regions[0, 1], regions[1, 0], regions[1, 2], regions[2, 1]} - {0}
    _, borders = ndimage.label(~near & ~CENTRE, AROUND)
    return len(touching) == 1 and borders == 1


def flips(inside: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    for y, x in np.argwhere(wrong):
        if slow_simple(inside, y, x):
            yield int(y), int(x)


def slow_fewest_errors(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> int:
    """Flip wrong simple pixels in every possible order and keep the best end."""
    waiting, seen = [truth], {truth.tobytes()}
    fewest = truth.size
    while waiting:
        now = waiting.pop()
        wrong = now != predicted
        fewest = min(fewest, int(wrong.sum()))
        for place in flips(now, wrong):
            after = now.copy()
            after[place] ^= True
            if after.tobytes() not in seen:
                seen.add(after.tobytes())
                waiting.append(after)
    return fewest


def tiny(seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    truth = rng.random((4, 5)) < 0.5
    return truth, truth ^ (rng.random((4, 5)) < 0.35)


@pytest.mark.parametrize("seed", range(25))
def test_it_is_the_best_of_all_orders_or_close_above(seed: int) -> None:
    truth, predicted = tiny(seed)
    fewest = slow_fewest_errors(truth, predicted)
    assert fewest <= topological_errors(truth, predicted).sum() <= fewest + 2


def test_most_tiny_pictures_get_the_best_order() -> None:
    pairs = [tiny(seed) for seed in range(25)]
    best = [slow_fewest_errors(*pair) == topological_errors(*pair).sum() for pair in pairs]
    assert sum(best) >= 20


masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((9, 11)))


@settings(max_examples=60, deadline=None)
@given(masks, masks, st.floats(0.1, 0.9))
def test_warping_keeps_the_topology_of_the_truth(
    first: NDArray[Any], second: NDArray[Any], share: float
) -> None:
    truth, predicted = first < share, second < share
    wrong = topological_errors(truth, predicted)
    warped = predicted ^ wrong
    assert pieces(warped) == pieces(truth)
    assert not any(slow_simple(warped, y, x) for y, x in np.argwhere(wrong))
    assert not (wrong & (truth == predicted)).any()


@settings(max_examples=60, deadline=None)
@given(masks, masks)
def test_it_is_at_most_the_pixel_error_and_zero_only_for_equal_topology(
    first: NDArray[Any], second: NDArray[Any]
) -> None:
    truth, predicted = first < 0.5, second < 0.5
    error = warping_error(truth, predicted)
    assert 0 <= error <= pixel_error(truth, predicted)
    if error == 0:
        assert pieces(truth) == pieces(predicted)
    assert warping_error(truth, truth) == 0


def rings(shift: float, *, width: float = 3.0) -> NDArray[np.bool_]:
    """Draw two separate blobs, one with a hole, bent by up to `shift` pixels."""
    y, x = np.mgrid[:60, :90].astype(float)
    y, x = y + shift * np.sin(x / 9), x + shift * np.cos(y / 7)
    first, second = np.hypot(y - 30, x - 25), np.hypot(y - 28, x - 65)
    return ((first < 20) & (first > 20 - 3 * width)) | (second < 16)


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0])
def test_a_bent_copy_has_no_topological_error(shift: float) -> None:
    truth, bent = rings(0), rings(shift)
    assert pieces(truth) == pieces(bent)
    assert pixel_error(truth, bent) > 0.02
    assert warping_error(truth, bent) == warping_error(bent, truth) == 0


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_shifted_membrane_has_no_topological_error(step: int) -> None:
    truth = np.ones((20, 30), dtype=bool)
    truth[:, 10:13] = False
    shifted = np.roll(truth, step, axis=1)
    assert warping_error(truth, shifted) == 0


def test_growing_and_shrinking_costs_nothing() -> None:
    truth = rings(0)
    grown, shrunk = ndimage.binary_dilation(truth), ndimage.binary_erosion(truth)
    assert warping_error(truth, grown) == warping_error(truth, shrunk) == 0


def cells() -> NDArray[np.bool_]:
    truth = np.zeros((15, 30), dtype=bool)
    truth[2:13, 2:14] = truth[2:13, 16:28] = True
    return truth


def test_a_merger_costs_the_gap_it_closes() -> None:
    merged = cells()
    merged[5:8, 14:16] = True
    wrong = topological_errors(cells(), merged)
    assert wrong.sum() == 3  # a border of one pixel's width has to stay
    assert wrong[5:8, 14:16].sum() == 3


def test_a_split_costs_something_whatever_its_width() -> None:
    for width in (1, 3):
        split = cells()
        split[:, 6 : 6 + width] = False
        assert 0 < warping_error(cells(), split) < pixel_error(cells(), split)


def test_a_hole_and_a_lost_and_an_invented_cell_cost_something() -> None:
    hole, lost, invented = cells(), cells(), cells()
    hole[5:8, 5:8] = False
    lost[:, :15] = False
    invented[0:2, :] = False
    invented[0, 3:6] = True
    assert topological_errors(cells(), hole).sum() > 0
    assert topological_errors(cells(), lost).sum() == 1
    assert topological_errors(cells(), invented).sum() > 0


def test_a_membrane_that_ends_before_the_edge_of_the_picture_merges() -> None:
    truth = np.ones((10, 11), dtype=bool)
    truth[:, 5] = False
    leak = truth.copy()
    leak[0, 5] = True
    assert topological_errors(truth, leak).sum() == 1


def test_pixels_beyond_the_reach_stay_wrong() -> None:
    truth = np.zeros((20, 40), dtype=bool)
    truth[4:16, 4:20] = True
    longer = truth.copy()
    longer[4:16, 20:30] = True
    assert warping_error(truth, longer) == 0
    for reach in (1, 4, 10):
        wrong = topological_errors(truth, longer, reach=reach)
        assert wrong.sum() == 12 * (10 - reach)
        assert not wrong[:, : 20 + reach].any()
    assert topological_errors(truth, longer, reach=0).sum() == 120


def test_what_is_not_annotated_changes_no_error() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.random((2, 20, 24)) < 0.6
    annotated = ndimage.binary_dilation(rng.random((20, 24)) < 0.05, iterations=2)
    assert annotated.any()
    assert not annotated.all()
    expected = topological_errors(truth, predicted, annotated)
    assert not expected[~annotated].any()
    other = [np.where(annotated, m, rng.random((20, 24)) < 0.5) for m in (truth, predicted)]
    np.testing.assert_array_equal(topological_errors(*other, annotated), expected)
    assert warping_error(truth, predicted, annotated) == expected.sum() / annotated.sum()


def test_nothing_to_count_is_nan() -> None:
    mask = np.ones((4, 4), dtype=bool)
    assert np.isnan(warping_error(mask, mask, ~mask))
    assert np.isnan(warping_error(mask[:0], mask[:0]))


def test_pictures_without_region_or_border_are_compared() -> None:
    mask = np.ones((4, 5), dtype=bool)
    assert warping_error(mask, mask) == warping_error(~mask, ~mask) == 0
    assert topological_errors(mask, ~mask).sum() == 1
    assert topological_errors(~mask, mask).sum() == 20


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and prediction \(3, 2\)"):
        warping_error(np.ones((2, 3)), np.ones((3, 2)))


def test_borders_lie_only_between_regions_that_touch() -> None:
    labels = np.array([[1, 1, 2, 0, 3], [1, 1, 0, 2, 3], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(
        draw_borders(labels),
        np.array([[1, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool),
    )


def membranes(seed: int) -> NDArray[Any]:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random((2, 40, 50)), (0, 3, 3))
    return (np.abs(field - field.mean()) > 0.01).astype(np.uint8) * 255


def test_the_scores_of_a_set_hold_them_if_asked_for() -> None:
    truth, predicted = membranes(0), membranes(1)
    scores = evaluate([(truth, predicted)], task="classes", em=True)
    errors = [warping_error(t, p) for t, p in zip(truth, predicted, strict=True)]
    assert scores.warping_error == pytest.approx(np.mean(errors))
    assert scores.v_rand is not None
    assert 0 < scores.v_rand < 1
    plain = evaluate([(truth, predicted)], task="classes")
    assert plain.warping_error is plain.v_rand is plain.v_info is None
    perfect = evaluate([(truth, truth)], task="classes", em=True)
    assert (perfect.v_rand, perfect.v_info, perfect.warping_error) == pytest.approx((1, 1, 0))


def test_touching_cells_that_merge_are_a_topological_error() -> None:
    truth = np.repeat([[1] * 8 + [2] * 8], 8, axis=0)
    merged = np.ones_like(truth)
    scores = evaluate([(truth, merged)], em=True)
    assert scores.warping_error is not None
    assert scores.warping_error > 0
    assert scores.v_rand_split == 1
    assert scores.v_rand_merge == 0.5
    nothing = np.zeros_like(truth)
    empty = evaluate([(nothing, nothing)], em=True)
    assert (empty.v_rand, empty.v_info, empty.warping_error) == (None, None, 0)
