"""Choosing how probabilities become cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from skimage.draw import disk

from napari_unet.prediction import instances
from napari_unet.training import tuning
from napari_unet.training.tuning import tune, usual_options
from napari_unet.training.validation_parts import PredictedPart


def _predicted(labels, cell):
    cell = cell.astype(np.float32)
    return PredictedPart(np.stack([1 - cell, cell]), labels, np.ones(labels.shape, bool))


def _many(labels, cell):
    """Show the same slice so often that its cells are no matter of luck."""
    return [_predicted(labels, cell)] * 25


def _merged_discs():
    labels = np.zeros((80, 80), np.int32)
    labels[disk((40, 30), 12)] = 1
    labels[disk((40, 51), 12)] = 2
    return labels


def test_a_stop_ends_the_tuning_with_the_best_so_far():
    part = _predicted(_merged_discs(), 0.9 * (_merged_discs() > 0))
    answers = iter([False])
    stopped = tune([part], 1.0, lambda: next(answers, True))
    assert stopped.split == tune([part], 1.0).split
    assert stopped.sure == 0
    untried = tune([part], 1.0, lambda: True)
    assert replace(untried, min_area=0) == usual_options(1.0)


def test_merged_cells_teach_to_split():
    labels = _merged_discs()
    assert tune([_predicted(labels, 0.9 * (labels > 0))], 1.0).split > 0


def test_waisted_cells_teach_not_to_split():
    labels = (_merged_discs() > 0).astype(np.int32)
    assert tune(_many(labels, 0.9 * (labels > 0)), 1.0).split == 0


def test_dust_teaches_the_smallest_cell():
    labels = _merged_discs()
    cell = 0.9 * (labels > 0)
    cell[::13, ::13] = 0.9
    options = tune([_predicted(labels, cell)], 1.0)
    assert 1 < options.min_area <= (labels == 1).sum()


def test_the_threshold_follows_the_outlines():
    labels = np.zeros((60, 60), np.int32)
    labels[disk((30, 30), 15)] = 1
    cell = np.where(labels > 0, 0.9, 0.0)
    cell[disk((30, 30), 21)] = np.maximum(cell[disk((30, 30), 21)], 0.55)
    assert tune(_many(labels, cell), 1.0).threshold > 0.55
    assert tune([_predicted(labels, cell)], 1.0).threshold == 0.5, "one cell proves nothing"


def test_what_one_cell_of_several_would_like_changes_nothing():
    labels = np.zeros((100, 130), np.int32)
    for number, centre in enumerate(np.ndindex(3, 4), start=1):
        labels[disk((18 + 32 * centre[0], 18 + 31 * centre[1]), 10)] = number
    cell = np.where(labels > 0, 0.9, 0.0)
    wide = disk((18, 18), 14)
    cell[wide] = np.maximum(cell[wide], 0.55)
    assert tune([_predicted(labels, cell)], 1.0).threshold == 0.5


def _rooms_with_a_leak():
    """Two large rooms that fill the picture, and a membrane too faint for a waist to be there."""
    labels = np.zeros((80, 81), np.int32)
    labels[:, :39], labels[:, 42:] = 1, 2
    cell = np.where(labels > 0, 0.95, 0.02)
    cell[4:76, 39:42] = 0.6
    return labels, cell


def test_leaks_between_cells_that_fill_the_picture_teach_where_cells_start():
    labels, cell = _rooms_with_a_leak()
    cell[:, 36:39] = cell[:, 42:45] = 0.4
    options = tune(_many(labels, cell), 1.0)
    assert options.core >= 0.5
    assert options.threshold < 0.4
    found = instances(np.stack([1 - cell, cell]), options=options)
    assert found.max() == 2
    assert np.count_nonzero(found[:, :39] == found[0, 0]) == 80 * 39


def test_equal_choices_give_the_defaults_and_growth_follows_the_scale():
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 10:30] = 1
    options = tune([_predicted(labels, labels > 0)], 0.25)
    assert (options.threshold, options.split, options.core, options.grow) == (0.5, 3.0, 0.0, 4)
    assert options.min_area == 100, "half as wide as the smallest cell"


def test_noise_of_which_the_network_is_not_sure_is_dropped_and_doubtful_cells_stay():
    labels = np.zeros((80, 80), np.int32)
    for number, centre in enumerate([(20, 20), (20, 60), (60, 20), (60, 60)], start=1):
        labels[disk(centre, 9)] = number
    sure = 0.99 * (labels > 0)
    assert tune(_many(labels, sure), 1.0).sure >= 0.95, "no noise here, but elsewhere maybe"
    assert tune([_predicted(labels, sure)] * 3, 1.0).sure == 0.9, "12 cells say nothing of the 13th"
    noisy = sure.copy()
    noisy[38:42:, 5:75:10] = 0.7
    options = tune(_many(labels, noisy), 1.0)
    found = instances(np.stack([1 - noisy, noisy]), options=options)
    assert found.max() == 4
    doubtful = 0.7 * (labels > 0)
    assert tune(_many(labels, doubtful), 1.0).sure == 0


def test_the_width_of_membranes_is_kept():
    labels, _ = _rooms_with_a_leak()
    cell = np.where(labels > 0, 0.95, 0.0)
    cell[:, 39:42] = 0.3
    options = tune([_predicted(labels, cell)], 1.0)
    found = instances(np.stack([1 - cell, cell]), options=replace(options, grow=0))
    assert np.array_equal(found > 0, labels > 0)


def test_cells_far_from_the_middle_of_what_is_annotated_are_judged():
    labels = np.zeros((1400, 1400), np.int32)
    for number, centre in enumerate([(30, 30), (30, 51), (1370, 1370)], start=1):
        labels[disk(centre, 12)] = number
    cell = 0.9 * (labels > 0)
    corners = np.zeros(labels.shape, bool)
    corners[:80, :80] = corners[-80:, -80:] = True
    part = _predicted(labels, cell)
    options = tune([replace(part, annotated=corners)], 1.0)
    assert options.min_area == tune([part], 1.0).min_area > 0


def test_a_stop_in_the_middle_of_a_choice_keeps_the_best_that_was_tried(monkeypatch):
    tried = []
    agreement = tuning._agreement
    monkeypatch.setattr(tuning, "_agreement", lambda *a: tried.append(a[1]) or agreement(*a))
    part = _predicted(_merged_discs(), 0.9 * (_merged_discs() > 0))
    found = tune([part], 1.0, should_stop=lambda: len(tried) >= 2)
    assert len(tried) == 2
    assert found in tried
