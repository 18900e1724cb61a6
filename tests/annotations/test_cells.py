import numpy as np
import pytest
from skimage import data

from napari_unet.annotations import (
    binary_to_instances,
    count_cells,
    looks_like_picture,
    split_connected,
)
from napari_unet.annotations.cells import cell_boxes, cell_values, pieces
from napari_unet.samples import touching_cells


def test_pieces_are_connected_by_sides_and_of_one_value():
    labels = np.array([[5, 5, 0, 2], [0, 0, 2, 0], [7, 3, 3, 0]])
    assert pieces(labels).tolist() == [[1, 1, 0, 2], [0, 0, 3, 0], [4, 5, 5, 0]]


@pytest.mark.parametrize("offset", [0, 4_000_000_000])
def test_boxes_hold_every_cell_exactly(offset):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, (9, 11)).astype(np.int64) ** 2
    labels[labels > 0] += offset
    found = dict(cell_boxes(labels))
    assert sorted(found) == [value for value in np.unique(labels) if value]
    for value, box in found.items():
        rows, columns = np.nonzero(labels == value)
        assert box[0] == slice(rows.min(), rows.max() + 1)
        assert box[1] == slice(columns.min(), columns.max() + 1)


def test_boxes_of_a_picture_full_of_cells_with_high_numbers():
    labels = np.array([[70_000, 70_000], [90_000, 90_000]])
    assert [value for value, _ in cell_boxes(labels)] == [70_000, 90_000]


def test_a_mask_becomes_its_pieces():
    mask = np.array([[255, 0, 255], [255, 0, 0], [0, 255, 0]], np.uint8)
    assert split_connected(mask).tolist() == [[1, 0, 2], [1, 0, 0], [0, 3, 0]]


def test_pieces_of_a_stack_are_numbered_on():
    mask = np.array([[[1, 0, 1]], [[0, 0, 0]], [[1, 1, 0]]])
    assert split_connected(mask).tolist() == [[[1, 0, 2]], [[0, 0, 0]], [[3, 3, 0]]]


def test_a_set_of_masks_is_split():
    masks = [np.array([[255, 0, 255]]), np.array([[0, 0, 0]])]
    assert [image.tolist() for image in binary_to_instances(masks)] == [[[1, 0, 2]], [[0, 0, 0]]]


def test_one_picture_with_more_cells_decides_for_all():
    labels = [np.array([[1, 0, 1]]), np.array([[1, 0, 2]])]
    kept = binary_to_instances(labels)
    assert all(after is before for after, before in zip(kept, labels, strict=True))


def test_nothing_painted_stays_nothing():
    assert binary_to_instances([]) == []
    assert not binary_to_instances([np.zeros((3, 3), int)])[0].any()


def test_cells_count_once_in_every_slice():
    assert count_cells(np.array([[0, 3, 3], [9, 0, 3]])) == 2
    assert count_cells(np.array([[[0, 3], [9, 0]], [[3, 3], [3, 3]]])) == 3
    assert count_cells(np.zeros((4, 4), int)) == 0


def test_a_mask_of_other_axes_is_refused():
    with pytest.raises(ValueError, match=r"\(5,\)"):
        split_connected(np.ones(5))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_values_are_taken_for_a_picture(kind):
    grey = data.camera().astype(kind)
    if kind is np.uint16:
        grey = grey * 257 + np.random.default_rng(0).integers(0, 257, grey.shape, kind)
    assert looks_like_picture(grey)
    assert looks_like_picture(np.stack([np.zeros_like(grey), grey]))


def test_cells_scribbles_and_masks_are_not():
    labels = touching_cells()[1][0]
    assert not looks_like_picture(labels)
    assert not looks_like_picture(labels > 0)
    assert not looks_like_picture(np.zeros((20, 20), int))
    dotted = labels.copy()
    dotted[::7] = 0  # every cell falls into some pieces
    assert not looks_like_picture(dotted)


def test_classes_do_not_look_like_cells_either():
    labels = touching_cells()[1][0]
    assert looks_like_picture(np.where(labels > 0, 1 + labels % 2, 0))


def test_what_does_not_count_decides_nothing_and_stays():
    labels = np.array([[5, 5, 0, 5], [0, 0, 0, 7]])
    counted = np.array([[True, True, True, True], [True, True, True, False]])
    assert binary_to_instances([labels], [counted])[0].tolist() == [[1, 1, 0, 2], [0, 0, 0, 2]]
    assert binary_to_instances([labels])[0].tolist() == labels.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_values_below_zero_are_listed_as_any_other(dtype):
    labels = np.array([[0, -1, 3, 3], [-1, -1, 0, 1]], dtype)
    assert cell_values(labels).tolist() == [-1, 1, 3]
    assert count_cells(labels) == 3
