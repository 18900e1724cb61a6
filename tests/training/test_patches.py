"""Where patches are cut from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.annotations import annotate
from napari_unet.training.checks import find_classes
from napari_unet.training.patches import PatchSource
from napari_unet.training.preparation import prepare
from tests.training.pictures import bright_discs, small


def test_patches_are_cut_around_annotated_pixels():
    image = bright_discs(shape=(200, 200))
    annotated = np.zeros_like(image.annotated)
    annotated[:, :20, :20] = True
    corner = replace(image, annotated=annotated, labels=annotated * 1)
    config = small()
    classes = find_classes([corner], config.task, None)
    rng = np.random.default_rng(0)
    source = PatchSource(prepare([corner], config, 1.0, classes, rng), 4)
    for _ in range(20):
        patch = source.draw((16, 16), rng)
        assert patch.image.shape == (1, 16, 16)
        assert patch.weight.any()


def _drawn(slices, draws=4000):
    """Count how often a patch comes from each slice, which its grey value tells."""
    source, rng = PatchSource(slices, 0), np.random.default_rng(1)
    found = [round(float(source.draw((4, 4), rng).image.mean())) for _ in range(draws)]
    return np.bincount(found, minlength=len(slices)) / draws


def _slice_of_one_grey(number, shape, cells, task="instances"):
    """Draw so many cells of four pixels; the picture is as grey as its number."""
    labels = np.zeros(shape, np.int32)
    for cell in range(cells):
        labels[1 + 4 * (cell // 8), 4 * (cell % 8) : 4 * (cell % 8) + 2] = (
            cell + 1 if task == "instances" else 1
        )
    return annotate(np.full(shape, number, np.float32), labels, name=str(number))


def _prepared(images, task):
    config = small(task=task, working_scale=1.0)
    classes = find_classes(images, config.task, None)
    slices = prepare(images, config, 1.0, classes, np.random.default_rng(0))
    return [
        replace(prepared, whole=replace(prepared.whole, image=image.image[0]))
        for prepared, image in zip(slices, images, strict=True)
    ]


def test_a_slice_with_four_times_as_many_cells_is_drawn_twice_as_often_whatever_its_size():
    images = [
        _slice_of_one_grey(number, shape, cells)
        for number, (shape, cells) in enumerate([((96, 96), 4), ((32, 32), 16), ((32, 32), 0)])
    ]
    share = _drawn(_prepared(images, "instances"))
    assert share == pytest.approx(np.array([2, 4, 1]) / 7, abs=0.03)


def test_only_cells_that_count_are_counted():
    image = _slice_of_one_grey(0, (32, 32), 16)
    annotated = image.annotated.copy()
    annotated[:, 4:] = False
    [prepared] = _prepared([replace(image, annotated=annotated)], "instances")
    assert prepared.cells == 8


def test_classes_are_drawn_by_the_root_of_the_annotated_pixels():
    images = [
        _slice_of_one_grey(number, shape, 4, "classes")
        for number, shape in enumerate([(64, 64), (32, 32)])
    ]
    assert _drawn(_prepared(images, "classes")) == pytest.approx([2 / 3, 1 / 3], abs=0.03)
