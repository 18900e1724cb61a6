"""What the peers are given to learn from, and how it is scored."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.figures.images import Truth
from benchmarks.peers_learn import PATCH, cells_of, patch, prepare, scaled
from napari_unet.annotations import annotate

SIDE = PATCH + 40


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image(rng):
    """Two cells that touch; the right one is not annotated."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[100:140, 100:130] = 1
    labels[100:140, 130:160] = 2
    annotated = np.zeros(labels.shape, bool)
    annotated[:, :140] = True
    return annotate(rng.random(labels.shape), labels, annotated=annotated)


def test_percentiles_become_zero_and_one(rng):
    image = scaled(rng.normal(300, 50, (64, 64)))
    assert np.percentile(image, (1, 99)) == pytest.approx([0, 1], abs=1e-5)
    assert not scaled(np.full((8, 8), 7)).any()


def test_cells_that_touch_are_learnt_with_a_gap_and_only_where_they_count(image):
    _, target, counts = prepare(image)
    assert not target[100:140, 129:131].any()
    assert target[100:140, 100:129].all()
    assert not target[counts == 0].any()
    assert np.array_equal(counts, image.annotated[0])


def test_a_patch_has_its_size_and_something_that_counts(image, rng):
    prepared = prepare(image)
    prepared[2] = 0
    prepared[2, 0, 0] = 1  # only in the corner
    for _ in range(5):
        drawn = patch(prepared, rng)
        assert drawn.shape == (3, PATCH, PATCH)
        assert drawn[2].sum() == 1


def test_regions_between_membranes_are_scored_as_cells():
    painted = np.array([[[255, 0, 255], [255, 0, 255]]], np.uint8)
    truth = Truth(painted[:, None], painted)
    assert len(np.unique(cells_of(truth, "em").labels)) == 3
    assert cells_of(truth, "nuclei") is truth
