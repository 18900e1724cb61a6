"""How large a network sees the images."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_unet.training.sizes import common_pixel_size, gap_in_pixels
from tests.training.pictures import bright_discs


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([None], None),
        ([None, 0.4], 0.4),
        ([0.4, 0.2], 0.2),
        ([0.3, 1.0, 0.4], 0.4),
        ([0.3, None, 0.9, 0.4, 0.5], 0.4),
    ],
)
def test_images_are_brought_to_the_median_of_the_known_pixel_sizes(sizes, expected):
    images = [replace(bright_discs(), pixel_size=size) for size in sizes]
    assert common_pixel_size(images) == expected


def test_the_gap_is_one_receptive_field_in_pixels_of_the_image():
    assert gap_in_pixels(112, 1.0, None, None) == 112
    assert gap_in_pixels(112, 0.5, None, None) == 224
    assert gap_in_pixels(112, 1.0, 0.25, 0.5) == 224, "pixels half as large are twice as many"
    assert gap_in_pixels(112, 2.0, 1.0, 0.5) == 28
