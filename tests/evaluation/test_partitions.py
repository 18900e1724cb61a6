"""V_rand and V_info after border thinning."""

from __future__ import annotations

from dataclasses import astuple
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.measure import shannon_entropy
from skimage.metrics import contingency_table, variation_of_information

from napari_unet.evaluation import PartitionScores, partition_scores, thin_borders

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (30, 36)


def regions(seed: int, n: int = 7, *, border: float = 2.0) -> NDArray[Any]:
    """Draw a partition with a border of about this width between its regions."""
    centres = np.random.default_rng(seed).uniform((0, 0), SHAPE, (n, 2))
    places = np.stack(np.mgrid[: SHAPE[0], : SHAPE[1]], axis=-1).reshape(-1, 2)
    distances = cdist(places, centres)
    two = np.sort(distances, axis=1)[:, :2]
    labels = np.where(two[:, 1] - two[:, 0] < border, 0, distances.argmin(axis=1) + 1)
    return labels.reshape(SHAPE)


def scores_of(*arrays: NDArray[Any]) -> PartitionScores:
    scores = partition_scores(*arrays)
    assert scores is not None
    return scores


def slow_v_rand(truth: NDArray[Any], predicted: NDArray[Any]) -> list[float]:
    """Draw every two pixels (also twice the same) and ask who is together."""
    true, found = (labels[truth != 0] for labels in (truth, predicted))
    together_true = true[:, None] == true
    together_found = found[:, None] == found
    both = (together_true & together_found).sum()
    split, merge = both / together_true.sum(), both / together_found.sum()
    return [2 * split * merge / (split + merge), split, merge]


@pytest.mark.parametrize("seed", range(4))
def test_v_rand_is_the_chance_of_two_pixels_to_be_together(seed: int) -> None:
    truth, predicted = regions(seed), regions(seed + 9, border=0)
    scores = scores_of(truth, predicted)
    expected = slow_v_rand(truth, predicted)
    assert [scores.v_rand, scores.v_rand_split, scores.v_rand_merge] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_v_rand_is_that_of_skimages_contingency_table(seed: int) -> None:
    truth, predicted = regions(seed), regions(seed + 9, border=0)
    table = contingency_table(truth, predicted, ignore_labels=(0,), normalize=True).toarray()
    table = table[1:] / table[1:].sum()
    both = (table**2).sum()
    scores = scores_of(truth, predicted)
    assert scores.v_rand_split == pytest.approx(both / (table.sum(axis=1) ** 2).sum())
    assert scores.v_rand_merge == pytest.approx(both / (table.sum(axis=0) ** 2).sum())


@pytest.mark.parametrize("seed", range(4))
def test_v_info_is_that_of_skimages_variation_of_information(seed: int) -> None:
    truth, predicted = regions(seed), regions(seed + 9, border=0)
    true, found = (labels[truth != 0][None] for labels in (truth, predicted))
    splits, mergers = variation_of_information(true, found)
    h_true, h_found = shannon_entropy(true), shannon_entropy(found)
    assert h_true - mergers == pytest.approx(h_found - splits)  # both are the information shared
    scores = scores_of(truth, predicted)
    assert scores.v_info_split == pytest.approx(1 - splits / h_found)
    assert scores.v_info_merge == pytest.approx(1 - mergers / h_true)
    assert scores.v_info == pytest.approx(2 * (h_true - mergers) / (h_true + h_found))


@pytest.mark.parametrize("seed", range(4))
def test_the_f_score_is_the_harmonic_mean_of_its_parts(seed: int) -> None:
    scores = scores_of(regions(seed), regions(seed + 9))
    for f, split, merge in (astuple(scores)[:3], astuple(scores)[3:]):
        assert f == pytest.approx(2 / (1 / split + 1 / merge))
        assert 0 < f < 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("border", [0.0, 2.0, 4.0])
def test_the_same_regions_are_perfect_whatever_their_borders(seed: int, border: float) -> None:
    truth, predicted = regions(seed, 4), regions(seed, 4, border=border)
    assert set(np.unique(predicted)) | {0} == set(np.unique(truth)) == set(range(5))
    scores = scores_of(truth, predicted)
    assert min(astuple(scores)) > 0.97
    assert astuple(scores_of(truth, truth)) == pytest.approx((1,) * 6)


@pytest.mark.parametrize("half", [0, 1, 3, 6])
def test_the_width_of_a_straight_border_costs_nothing(half: int) -> None:
    truth = np.repeat([[1] * 10 + [0] + [2] * 10], 5, axis=0)
    predicted = truth.copy()
    predicted[:, 10 - half : 11 + half] = 0
    assert astuple(scores_of(truth, predicted)) == pytest.approx((1,) * 6)


def test_a_split_lowers_only_the_split_part() -> None:
    truth, split = np.array([[1, 1, 1, 1, 0, 2]]), np.array([[3, 3, 4, 4, 0, 5]])
    scores = scores_of(truth, split)
    assert (scores.v_rand_merge, scores.v_info_merge) == pytest.approx((1, 1))
    assert scores.v_rand_split == pytest.approx((4 + 4 + 1) / (16 + 1))
    h_true, h_split = -(0.8 * log(0.8) + 0.2 * log(0.2)), -(2 * 0.4 * log(0.4) + 0.2 * log(0.2))
    assert scores.v_info_split == pytest.approx(h_true / h_split)


def test_a_merger_lowers_only_the_merge_part() -> None:
    truth, merged = np.array([[3, 3, 4, 4, 0, 5]]), np.array([[1, 1, 1, 1, 0, 2]])
    scores = scores_of(truth, merged)
    assert (scores.v_rand_split, scores.v_info_split) == pytest.approx((1, 1))
    assert scores.v_rand_merge == pytest.approx((4 + 4 + 1) / (16 + 1))
    assert scores.v_info_merge < 1


def test_one_region_everywhere_shares_no_information() -> None:
    truth = regions(0)
    for nothing in (np.zeros_like(truth), np.ones_like(truth)):
        scores = scores_of(truth, nothing)
        assert (scores.v_rand_split, scores.v_info_split) == pytest.approx((1, 1))
        assert scores.v_info == scores.v_info_merge == 0
    assert astuple(scores_of(nothing, nothing)) == (1,) * 6


def test_without_a_true_region_there_is_no_score() -> None:
    nothing = np.zeros((4, 4), dtype=int)
    assert partition_scores(nothing, regions(0)[:4, :4]) is None
    assert partition_scores(nothing + 1, nothing, nothing.astype(bool)) is None


def test_what_is_not_annotated_changes_no_score() -> None:
    truth, predicted = regions(0), regions(1)
    annotated = np.zeros(SHAPE, dtype=bool)
    annotated[4:22, 3:30] = True
    nonsense = np.random.default_rng(0).integers(0, 99, SHAPE)
    expected = scores_of(truth, predicted, annotated)
    cut_out = scores_of(truth[4:22, 3:30], predicted[4:22, 3:30])
    assert astuple(expected) == pytest.approx(astuple(cut_out))
    changed = [np.where(annotated, labels, nonsense) for labels in (truth, predicted)]
    assert scores_of(*changed, annotated) == expected


@pytest.mark.parametrize("seed", range(3))
def test_borders_go_to_the_nearest_region(seed: int) -> None:
    labels = regions(seed, border=5)
    thinned = thin_borders(labels)
    np.testing.assert_array_equal(thinned[labels != 0], labels[labels != 0])
    places, border = np.argwhere(labels != 0), np.argwhere(labels == 0)
    distances = cdist(border, places)
    own = np.where(labels[labels != 0] == thinned[labels == 0][:, None], distances, np.inf)
    np.testing.assert_allclose(own.min(axis=1), distances.min(axis=1))
