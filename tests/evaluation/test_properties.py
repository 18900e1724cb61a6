"""Where cells lie, how large, of which shape and how bright they are."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk, ellipse

from napari_unet.evaluation import (
    cell_properties,
    property_columns,
    property_row,
    unnamed_channels,
)


def only(labels, image=None):
    (cell,) = cell_properties(labels, image)
    return cell


def test_a_disk_is_as_large_and_as_round_as_it_was_drawn():
    labels = np.zeros((90, 100), np.uint16)
    labels[disk((40, 55), 20)] = 3
    cell = only(labels)
    assert (cell.slice, cell.label, cell.at_edge) == (0, 3, False)
    assert (cell.y, cell.x) == pytest.approx((40, 55))
    assert cell.area == np.count_nonzero(labels)
    assert cell.diameter == pytest.approx(40, rel=0.02)
    assert (cell.length, cell.width) == pytest.approx((40, 40), rel=0.02)
    assert cell.perimeter == pytest.approx(2 * np.pi * 20, rel=0.05)
    assert cell.eccentricity < 0.1


def test_a_long_cell_has_its_two_axes_whichever_way_it_lies():
    lying, turned = np.zeros((2, 100, 100), int)
    lying[ellipse(50, 50, 10, 30)] = turned[ellipse(50, 50, 10, 30, rotation=0.7)] = 1
    for cell in (only(lying), only(turned)):
        assert (cell.length, cell.width) == pytest.approx((60, 20), rel=0.03)
        assert cell.eccentricity == pytest.approx((1 - 1 / 9) ** 0.5, rel=0.02)


def test_brightness_is_that_of_the_cells_own_pixels_in_every_channel_and_slice():
    labels = np.zeros((2, 4, 5), int)
    labels[0, 1, 1:4] = 7
    labels[1, 1, 1] = 7
    labels[1, 3, :] = 2
    image = np.arange(2 * 2 * 4 * 5, dtype=np.uint8).reshape(2, 2, 4, 5)
    first, second, third = cell_properties(labels, image)
    assert [(c.slice, c.label, c.at_edge) for c in (first, second, third)] == [
        (0, 7, False),
        (1, 2, True),
        (1, 7, False),
    ]
    red, green = first.intensity
    assert (red.mean, red.min, red.max) == (7, 6, 8)
    assert red.std == pytest.approx(np.std([6, 7, 8]))
    assert green.mean == 27
    assert third.intensity[0].mean == image[1, 0, 1, 1]


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_an_image_without_a_channel_axis_has_one_channel(shape):
    labels = np.ones(shape, int)
    image = np.arange(np.prod(shape)).reshape(shape)
    for plane, cell in zip(image.reshape(-1, 4, 5), cell_properties(labels, image), strict=True):
        assert [channel.mean for channel in cell.intensity] == [plane.mean()]


def test_only_the_slices_that_hold_cells_are_read():
    class Stack:
        shape = (3, 1, 4, 5)

        def __getitem__(self, z):
            assert z == 1
            return np.ones((1, 4, 5))

    labels = np.zeros((3, 4, 5), int)
    labels[1, 2, 2] = 1
    assert only(labels, Stack()).intensity[0].mean == 1


def test_numbers_may_be_as_large_as_they_like():
    labels = np.array([[0, 2**40, 2**40, 0, -1]])
    assert [(c.label, c.area) for c in cell_properties(labels)] == [(-1, 1), (2**40, 2)]


def test_pixels_without_a_value_make_no_fuss():
    labels = np.array([[1, 1, 0, 2, 2]])
    image = np.array([[[np.nan, 1, 0, np.inf, 1]]])
    unknown, endless = cell_properties(labels, image)
    assert np.isnan(unknown.intensity[0].mean)
    assert endless.intensity[0].max == np.inf


def test_no_cells_are_no_lines():
    assert list(cell_properties(np.zeros((5, 5), int))) == []
    assert list(cell_properties(np.zeros((2, 5, 5), int), np.zeros((2, 1, 5, 5)))) == []


@pytest.mark.parametrize(
    ("labels", "image", "sentence"),
    [
        (np.zeros((4, 4)), None, "whole numbers"),
        (np.zeros(4, int), None, "whole numbers"),
        (np.zeros((4, 4), int), np.zeros((1, 4, 5)), r"\(4, 4\), the image \(1, 4, 5\)"),
        (np.zeros((2, 4, 4), int), np.zeros((1, 4, 4)), "the image"),
    ],
)
def test_what_does_not_fit_is_refused(labels, image, sentence):
    with pytest.raises(ValueError, match=sentence):
        list(cell_properties(labels, image))


def test_a_table_has_micrometres_where_they_are_known_and_a_column_for_everything():
    labels = np.zeros((20, 20), int)
    labels[4:8, 4:14] = 1
    cell = only(labels, np.ones((2, 20, 20)))
    row = dict(zip(property_columns(["a", "b"], 0.5), property_row(cell, 0.5), strict=True))
    assert row["area"] == 40
    assert row["area_um2"] == 10
    assert row["length_um"] == pytest.approx(cell.length / 2, rel=1e-5)
    assert len(str(row["length_um"])) <= 8
    assert row["b_mean"] == 1
    plain = dict(zip(property_columns(["a", "b"]), property_row(cell), strict=True))
    assert not any("_um" in name for name in plain)


def test_channels_without_names_get_some():
    assert unnamed_channels(0) == []
    assert unnamed_channels(1) == ["intensity"]
    assert unnamed_channels(2) == ["channel0", "channel1"]
