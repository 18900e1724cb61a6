"""The samples: same seed, same picture; touching cells that no threshold finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.samples import (
    CellDrawing,
    draw_touching_cells,
    touching_cells,
    touching_cells_stack,
)


def test_same_seed_draws_the_same_picture() -> None:
    first, second = (draw_touching_cells((96, 80), 12, 7) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], draw_touching_cells((96, 80), 12, 8)[0])


@pytest.mark.parametrize("shape", [(128, 96), (4, 96, 128)])
def test_labels_count_from_one_and_fit_the_image(shape: tuple[int, ...]) -> None:
    image, labels = draw_touching_cells(shape, 15, 3)
    assert image.shape == labels.shape == shape
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


@pytest.mark.parametrize("n", [0, 1, 10_000])
def test_any_number_of_cells_can_be_asked_for(n: int) -> None:
    _, labels = draw_touching_cells((64, 64), n, 0)
    assert min(n, 1) <= labels.max() <= min(n, 20)


@pytest.mark.parametrize("shape", [(5,), (0, 5), (1, 2, 3, 4)])
def test_a_shape_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="give \\(Y, X\\) or \\(Z, Y, X\\)"):
        draw_touching_cells(shape, 3, 0)


def test_each_cell_is_one_piece_of_the_asked_size_and_most_touch_another() -> None:
    _, labels = draw_touching_cells((256, 256), 50, 1, drawing=CellDrawing(diameter=30))
    areas = np.bincount(labels.ravel())[1:]
    assert 22 < 2 * np.sqrt(np.median(areas) / np.pi) < 36
    touching = 0
    for number in range(1, labels.max() + 1):
        cell = labels == number
        assert ndimage.label(cell)[1] == 1
        around = labels[ndimage.binary_dilation(cell) & ~cell]
        touching += bool(np.any(around > 0))
    assert touching > 0.8 * labels.max()


def test_cells_are_as_bright_as_the_background() -> None:
    image, labels = draw_touching_cells((256, 256), 50, 1, drawing=CellDrawing(illumination=0))
    inside, outside = image[labels > 0], image[labels == 0]
    assert abs(float(inside.mean()) - float(outside.mean())) < 0.5 * float(inside.std())


def test_a_stack_changes_smoothly_from_slice_to_slice() -> None:
    _, labels = draw_touching_cells((8, 128, 128), 20, 5)
    changed = [np.mean(a != b) for a, b in itertools.pairwise(labels)]
    assert 0 < max(changed) < 0.1


def test_sample_data_are_napari_layers() -> None:
    for layers, shape in [(touching_cells(), (512, 512)), (touching_cells_stack(), (8, 256, 256))]:
        (image, image_how, image_kind), (labels, labels_how, labels_kind) = layers
        assert (image_kind, labels_kind) == ("image", "labels")
        assert image.shape == labels.shape == shape
        assert image_how["scale"] == labels_how["scale"]
        assert len(image_how["scale"]) == len(shape)
        assert len(np.unique(labels)) > 40
