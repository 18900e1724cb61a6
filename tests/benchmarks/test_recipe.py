"""Which images a trial of the recipe learns from, and which it scores."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.recipe import few, folded

IMAGES = [f"slice {number}" for number in range(10)]


@pytest.mark.parametrize("neighbours", [True, False])
def test_every_image_is_scored_in_one_fold_and_learnt_from_in_the_others(neighbours):
    scored = []
    for fold in range(4):
        learnt, kept = folded(IMAGES, fold, 4, neighbours=neighbours)
        assert sorted(learnt + kept) == IMAGES
        scored += kept
    assert sorted(scored) == IMAGES


def test_neighbours_are_scored_together():
    assert folded(IMAGES, 1, 5, neighbours=True)[1] == ["slice 2", "slice 3"]
    assert folded(IMAGES, 1, 5, neighbours=False)[1] == ["slice 1", "slice 6"]


@pytest.mark.parametrize("number", [1, 2, 3, 7, 9])
def test_a_few_images_are_as_many_as_asked_for_and_lie_apart(number):
    chosen = few(IMAGES, number)
    assert len(chosen) == len(set(chosen)) == number
    places = [IMAGES.index(image) for image in chosen]
    assert len({later - sooner for sooner, later in pairwise(places)}) <= 1


@pytest.mark.parametrize("number", [None, 10, 11])
def test_all_images_are_taken_where_no_fewer_are_asked_for(number):
    assert few(IMAGES, number) == IMAGES
