"""From probabilities to numbered cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from napari_unet.annotations import separate
from napari_unet.prediction import (
    InstanceOptions,
    PredictionError,
    free_number,
    instances,
    number_on,
    number_uniquely,
)
from tests.prediction.models import brightness_model


def _probabilities(mask):
    cell = np.where(mask, 0.9, 0.1).astype(np.float32)
    return np.stack([1 - cell, cell])


def _two_discs(distance=24, radius=12):
    mask = np.zeros((60, 80), bool)
    for centre in (28, 28 + distance):
        mask[disk((30, centre), radius)] = True
    return mask


def test_separate_pieces_are_numbered_without_gaps():
    mask = np.zeros((20, 20), bool)
    mask[2:6, 2:6] = mask[10:15, 10:15] = True
    labels = instances(_probabilities(mask), options=InstanceOptions(grow=0))
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert np.array_equal(labels > 0, mask)


def test_the_threshold_decides():
    cell = np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(5, axis=0)
    labels = instances(np.stack([1 - cell, cell]), options=InstanceOptions(threshold=0.8, grow=0))
    assert np.array_equal(labels[0] > 0, cell[0] >= 0.8)


def test_touching_cells_are_split_only_when_asked():
    probabilities = _probabilities(_two_discs(distance=20))
    assert instances(probabilities).max() == 1
    split = instances(probabilities, options=InstanceOptions(split=0.75))
    assert split.max() == 2
    left, right = split[30, 28], split[30, 48]
    assert left > 0
    assert right > 0
    assert left != right


def _two_rooms(door=0.6):
    cell = np.full((40, 61), 0.95, np.float32)
    cell[:, 27:34] = 0.3
    cell[:, 30] = 0.1
    cell[18:22, 27:34] = door
    return np.stack([1 - cell, cell])


def test_cells_grow_from_where_the_network_is_sure_until_they_meet():
    options = InstanceOptions(threshold=0.2, core=0.8, grow=0)
    labels = instances(_two_rooms(), options=options)
    assert labels.max() == 2
    assert np.array_equal(labels > 0, _two_rooms()[1] >= 0.2)
    assert labels[0, 0] != labels[0, 60]
    whole = instances(_two_rooms(), options=InstanceOptions(threshold=0.2, grow=0))
    assert whole.max() == 1


def test_a_piece_in_which_nothing_is_sure_is_a_cell_all_the_same():
    options = InstanceOptions(threshold=0.2, core=0.99, grow=0)
    assert instances(_two_rooms(), options=options).max() == 1


def test_a_place_to_start_that_is_smaller_than_a_cell_starts_none():
    probabilities = _two_rooms(door=0.7)
    probabilities[1, 19:21, 29:31] = 0.9
    probabilities[0] = 1 - probabilities[1]
    dusty = InstanceOptions(threshold=0.2, core=0.8, grow=0)
    assert instances(probabilities, options=dusty).max() == 3
    clean = InstanceOptions(threshold=0.2, core=0.8, grow=0, min_area=9)
    assert instances(probabilities, options=clean).max() == 2


def test_all_channels_but_the_background_are_cell_in_any_order():
    first, second = np.zeros((2, 30, 60), np.float32)
    first[10:20, 10:30] = 0.95
    first[10:20, 18:22] = 0.6
    second[10:20, 40:50] = 0.95
    options = InstanceOptions(core=0.9)
    for parts in ([first, second], [second, first]):
        probabilities = np.stack([1 - first - second, *parts])
        assert instances(probabilities, options=options).max() == 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"newer": 1}, "'newer'; a newer napari-unet may know it"),
        ({"threshold": 7.0}, "threshold is 7.0; it must lie between"),
        ({"core": "high"}, "core is 'high'; it must be a number, 0 or more"),
        ({"split": -1.0}, "split is -1.0; it must be a number, 0 or more"),
        ({"sure": float("nan")}, "sure is nan; it must be a number"),
        ({"grow": 1.5}, "grow is 1.5; it must be a whole number"),
    ],
)
def test_no_model_has_options_that_are_unknown_or_impossible(wrong, sentence):
    with pytest.raises(ValueError, match=f"cells are cut is not understood: .*{sentence}"):
        brightness_model(instances=wrong)


def test_splitting_a_disc_changes_nothing():
    mask = np.zeros((50, 50), bool)
    mask[disk((25, 25), 15)] = True
    assert instances(_probabilities(mask), options=InstanceOptions(split=0.75)).max() == 1


def test_splitting_loses_no_small_cell():
    mask = np.zeros((40, 40), bool)
    mask[5, 5] = mask[20:23, 20:23] = True
    labels = instances(_probabilities(mask), options=InstanceOptions(split=3.0, grow=0))
    assert labels.max() == 2
    assert np.array_equal(labels > 0, mask)


def test_growing_gives_back_what_the_target_took_and_no_more():
    truth = np.zeros((40, 40), np.int32)
    truth[10:30, 5:20] = 1
    truth[10:30, 20:35] = 2
    target = separate(truth) > 0
    grown = instances(_probabilities(target), options=InstanceOptions(grow=2))
    assert grown.max() == 2
    inside = truth > 0
    assert (grown > 0)[inside].mean() > 0.99
    assert not (grown > 0)[~inside].any(), "an outline towards the background stays where it is"


@pytest.mark.parametrize("seed", range(5))
def test_a_grown_cell_hangs_together(seed):
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(48, 48)), 2) > 0
    labels = instances(_probabilities(mask), options=InstanceOptions(grow=3))
    assert all(ndimage.label(labels == cell)[1] == 1 for cell in range(1, labels.max() + 1))


def test_a_piece_without_a_sure_pixel_is_noise_when_asked():
    cell = np.zeros((30, 30), np.float32)
    cell[5:10, 5:10] = cell[20:25, 20:25] = 0.7
    cell[7, 7] = 0.99
    probabilities = np.stack([1 - cell, cell])
    assert instances(probabilities).max() == 2
    found = instances(probabilities, options=InstanceOptions(sure=0.98))
    assert found.max() == 1
    assert np.count_nonzero(found[:15, :15]) == 25
    # At most the threshold says nothing new.
    assert instances(probabilities, options=InstanceOptions(sure=0.4, threshold=0.6)).max() == 2


def test_dust_vanishes_and_small_holes_are_filled():
    mask = np.zeros((40, 40), bool)
    mask[5:25, 5:25] = True
    mask[14, 14] = False
    mask[35, 35] = True
    labels = instances(_probabilities(mask), options=InstanceOptions(min_area=5))
    assert labels.max() == 1
    assert labels[14, 14] == 1
    open_hole = instances(_probabilities(mask), options=InstanceOptions(fill_holes=False, grow=0))
    assert open_hole[14, 14] == 0


def test_a_cell_inside_another_keeps_the_gap_around_it_but_dust_does_not():
    y, x = np.mgrid[-25:26, -25:26]
    far = np.hypot(y, x)
    options = InstanceOptions(grow=0, min_area=20)
    two = (far < 24) & ~((far > 14) & (far < 15.5))
    assert instances(_probabilities(two), options=options).max() == 2
    dusty = (far < 24) & ~((far > 1) & (far < 7))
    filled = instances(_probabilities(dusty), options=options)
    np.testing.assert_array_equal(filled > 0, far < 24)


@pytest.mark.parametrize("slope", [0, 1, -1])
def test_a_gap_of_one_pixel_is_no_hole_whichever_way_it_runs(slope):
    y, x = np.mgrid[-30:31, -30:31]
    mask = (np.hypot(y, x) < 25) & (y != slope * x)
    assert instances(_probabilities(mask), options=InstanceOptions(grow=0)).max() == 2


def test_nothing_found_is_an_empty_image():
    assert not instances(_probabilities(np.zeros((9, 9), bool))).any()


def test_a_full_image_is_one_cell():
    assert (instances(_probabilities(np.ones((9, 9), bool))) == 1).all()


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected \(C, Y, X\)"):
        instances(np.zeros((5, 5)))


def test_a_free_number_is_above_those_on_other_slices():
    stack = np.array([[[0, 1]], [[7, 2]], [[0, 3]]])
    assert free_number(stack) == 8
    assert free_number(stack, without=[1]) == 4
    assert free_number(stack, without=range(3)) == 1


def test_numbers_are_unique_in_a_stack():
    first = np.array([[0, 1], [2, 2]])
    stack = number_uniquely([first, np.zeros((2, 2), int), first])
    assert stack.dtype == np.int32
    assert stack[0].tolist() == [[0, 1], [2, 2]]
    assert stack[2].tolist() == [[0, 3], [4, 4]]


def test_numbers_go_on_as_far_as_labels_can_and_never_begin_again():
    most = 2**31 - 1
    labels = np.array([[0, 1], [2, 2]], np.int32)
    numbered, last = number_on(labels, most - 2)
    assert (numbered.max(), last) == (most, most)
    with pytest.raises(PredictionError, match=f"number {most + 1}, and labels end at {most}"):
        number_on(labels, most - 1)
