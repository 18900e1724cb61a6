"""The laws of the target: apart, whole, and nobody lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label

from napari_unet.annotations import class_target, instance_target, listed, separate


def contacts(labels):
    """Count pairs of 8-neighbours that belong to two cells, the slow way."""
    padded = np.pad(labels, 1)
    height, width = labels.shape
    count = 0
    for dy, dx in [(0, 1), (1, -1), (1, 0), (1, 1)]:
        other = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        count += np.count_nonzero((labels > 0) & (other > 0) & (labels != other))
    return count


def values(labels):
    return set(np.unique(labels).tolist()) - {0}


def check_laws(labels):
    separated = separate(labels)
    assert separated.dtype == labels.dtype
    assert contacts(separated) == 0
    assert values(separated) == values(labels)
    by_sides = label(separated > 0, connectivity=1)
    by_corners = label(separated > 0, connectivity=2)
    assert np.array_equal(by_sides, by_corners)
    return separated


def draw_cells(seed, size=48, cells=14):
    """Draw touching cells that fill nearly everything, as a Voronoi diagram does."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, size, (cells, 2))
    away = np.indices((size, size))[:, None] - centres.T[..., None, None]
    distance = np.hypot(*away)
    labels = distance.argmin(axis=0) + 1
    labels[distance.min(axis=0) > size / 4] = 0
    return labels


@pytest.mark.parametrize("seed", range(10))
def test_touching_cells_come_apart_and_each_stays_one_piece(seed):
    labels = draw_cells(seed)
    separated = check_laws(labels)
    for value in values(labels):
        assert label(separated == value, connectivity=1).max() == 1


@pytest.mark.parametrize("seed", range(5))
def test_only_pixels_at_contacts_are_taken(seed):
    labels = draw_cells(seed)
    separated = separate(labels)
    taken = (separated == 0) & (labels > 0)
    padded = np.pad(labels, 1)
    for y, x in np.argwhere(taken):
        window = padded[y : y + 3, x : x + 3]
        around_whole = values(window) != {int(labels[y, x])}
        part_of_a_fragment = label(labels == labels[y, x], connectivity=1).max() == 1
        assert around_whole or part_of_a_fragment
    assert not ((separated > 0) & (separated != labels)).any()


@given(
    hnp.arrays(np.int64, (16, 16), elements=st.integers(0, 6)),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_any_painting_with_some_room_keeps_the_laws(coarse, zoom):
    labels = np.kron(coarse, np.ones((zoom, zoom), int))
    check_laws(labels)


@given(st.lists(st.tuples(st.integers(3, 20), st.integers(3, 20)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_single_pixels_anywhere_survive(places):
    labels = np.zeros((24, 24), np.uint16)
    for value, place in enumerate(places, start=1):
        labels[place] = value
    check_laws(labels)


def test_a_chain_of_single_pixels_moves_apart_by_little():
    labels = np.zeros((11, 20), int)
    labels[5, 4:14] = np.arange(1, 11)
    separated = check_laws(labels)
    for value in range(1, 11):
        place = np.argwhere(separated == value)
        assert np.abs(place - [5, 3 + value]).max() <= 3


def test_single_pixels_inside_a_large_cell_make_room_for_themselves():
    labels = np.full((15, 15), 9)
    labels[7, 6:9] = [1, 2, 3]
    separated = check_laws(labels)
    assert np.count_nonzero(separated == 9) > 100


def test_tiles_of_two_by_two_all_survive():
    labels = np.kron(np.arange(1, 65).reshape(8, 8), np.ones((2, 2), int))
    check_laws(labels)


def test_thin_cells_between_thick_ones_keep_their_length():
    labels = np.zeros((20, 30), int)
    labels[:9], labels[9], labels[10:] = 1, 2, 3
    separated = check_laws(labels)
    assert np.count_nonzero(separated == 2) == 30


def test_a_cell_within_another_comes_apart_from_it():
    labels = np.full((20, 20), 1)
    labels[6:14, 6:14] = 2
    separated = check_laws(labels)
    assert np.array_equal(np.argwhere(separated == 2)[[0, -1]], [[7, 7], [12, 12]])


def test_cells_that_do_not_touch_stay_as_they_are():
    labels = np.zeros((12, 12), np.uint8)
    labels[1:5, 1:5], labels[6:10, 6:10], labels[0:4, 7:12] = 200, 3, 7
    assert np.array_equal(separate(labels), labels)


def test_separating_again_changes_nothing():
    once = separate(draw_cells(3))
    assert np.array_equal(separate(once), once)


def test_a_mirrored_picture_is_separated_alike():
    labels = draw_cells(4)
    assert np.array_equal(separate(labels[::-1, ::-1].copy()), separate(labels)[::-1, ::-1])


@pytest.mark.parametrize("value", [0, 1])
def test_pictures_without_contacts_are_trivial(value):
    labels = np.full((1, 1), value)
    assert np.array_equal(separate(labels), labels)


def test_a_stack_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        separate(np.zeros((2, 4, 4), int))


def test_the_target_of_instances_is_read_back_as_them():
    labels = draw_cells(5)
    target = instance_target(labels)
    assert target.dtype == np.uint8
    assert label(target, connectivity=2).max() == len(values(labels))


def test_classes_are_ranked_in_the_order_given():
    labels = np.array([[1, 2], [5, 0]])
    target = class_target(labels, (1, 5, 2))
    assert target.dtype == np.uint8
    assert target.tolist() == [[0, 2], [1, 0]]
    assert listed(labels, (1, 5, 2)).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("wrong", [(), (1, 1), tuple(range(256))])
def test_classes_need_values_of_their_own(wrong):
    with pytest.raises(ValueError, match="class"):
        class_target(np.zeros((2, 2), int), wrong)
