"""Pixel sizes: an image with other pixels gives the same cells, at its own resolution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.draw import disk
from skimage.transform import rescale

from napari_unet.evaluation import evaluate
from napari_unet.prediction import (
    InstanceOptions,
    PredictionError,
    at_pixel_size,
    labels_from,
    pixel_ratio,
    predict,
    predict_slices,
    rescaling,
)
from tests.prediction.models import brightness_model, lively_model

SIZES = {"large": 14, "dust": 4}
OPTIONS = {
    "threshold": 0.5,
    "core": 0.0,
    "split": 1.5,
    "sure": 0.9,
    "min_area": 100,
    "grow": 2,
    "fill_holes": True,
}


def _discs(shape=(160, 180)):
    """Draw two touching cells, three others, and specks below the smallest cell."""
    image = np.zeros(shape, np.float32)
    for y, x in ((20, 30), (20, 57), (70, 40), (120, 130), (40, 140)):
        image[disk((y, x), SIZES["large"], shape=shape)] = 1
    for y, x in ((80, 90), (130, 30)):
        image[disk((y, x), SIZES["dust"], shape=shape)] = 1
    return image


def _found(model, image, pixel_size):
    return labels_from(model, predict(model, image, pixel_size=pixel_size), pixel_size=pixel_size)


@pytest.mark.parametrize("factor", [2, 3, 0.5])
def test_an_image_with_other_pixels_gives_the_same_cells(factor):
    model = brightness_model(pixel_size=0.4, instances=OPTIONS)
    original = _discs()
    other = rescale(original, factor, order=1, anti_aliasing=factor < 1)
    found = _found(model, original, 0.4)
    assert found.max() == 5
    again = _found(model, other, 0.4 / factor)
    assert again.shape == other.shape
    truth = rescale(found, factor, order=0, preserve_range=True, anti_aliasing=False)
    scores = evaluate([(truth.astype(int), again)])
    assert scores.ap50 == 1
    assert scores.seg > 0.85


def test_without_its_pixel_size_an_enlarged_image_keeps_its_dust():
    model = brightness_model(pixel_size=0.4, instances=OPTIONS)
    enlarged = rescale(_discs(), 2, order=1)
    assert _found(model, enlarged, 0.2).max() == 5
    assert labels_from(model, predict(model, enlarged)).max() > 5


def test_the_network_sees_the_same_picture():
    model = lively_model(depth=2, scale=0.5)
    smooth = rescale(np.random.default_rng(0).normal(size=(20, 24)), 4, order=3)
    expected = predict(model, smooth)
    known = lively_model(depth=2, scale=0.5, pixel_size=0.4)
    twice = rescale(smooth, 2, order=1)
    found = predict(known, twice, pixel_size=0.2)
    assert found.shape == (2, *twice.shape)
    halved = found.reshape(2, 80, 2, 96, 2).mean(axis=(2, 4))
    assert np.abs(halved - expected).mean() < 0.01
    assert np.abs(predict(known, twice).reshape(2, 80, 2, 96, 2).mean((2, 4)) - expected).mean() > (
        3 * np.abs(halved - expected).mean()
    )


@pytest.mark.parametrize(
    ("pixel_size", "trained"), [(None, 0.5), (0.5, None), (None, None), (0.5, 0.5), (0.51, 0.5)]
)
def test_unknown_and_nearly_equal_pixels_change_nothing(pixel_size, trained):
    model = brightness_model(pixel_size=trained, instances=OPTIONS)
    assert at_pixel_size(model, pixel_size) is model
    assert rescaling(model, pixel_size) == ""
    image = _discs()
    assert np.array_equal(predict(model, image, pixel_size=pixel_size), predict(model, image))


def test_a_model_is_brought_to_a_pixel_size_once():
    model = brightness_model(pixel_size=0.4, scale=0.5, instances=OPTIONS)
    once = at_pixel_size(model, 0.1)
    assert once.scale == pytest.approx(0.125)
    assert at_pixel_size(once, 0.1) is once
    back = at_pixel_size(once, 0.4)
    assert back.scale == pytest.approx(0.5)
    assert dict(back.instances) == pytest.approx(OPTIONS)


def test_lengths_and_areas_are_given_in_pixels_of_the_image():
    options = InstanceOptions(**OPTIONS)
    assert options.scaled(2) == InstanceOptions(
        threshold=0.5, split=3.0, sure=0.9, min_area=400, grow=4, fill_holes=True
    )
    tiny = options.scaled(0.01)
    assert (tiny.grow, tiny.min_area) == (1, 1)
    nothing = InstanceOptions(grow=0, min_area=0, split=0.0).scaled(3)
    assert (nothing.grow, nothing.split) == (0, 0)


def test_where_every_piece_counted_one_smaller_than_a_pixel_does_not():
    assert InstanceOptions(min_area=0).scaled(3).min_area == 9
    assert InstanceOptions(min_area=0).scaled(0.3).min_area == 1


@pytest.mark.parametrize(("pixel_size", "change"), [(0.8, "enlarged 2 times"), (0.1, "to 25%")])
def test_the_first_report_says_how_the_image_is_changed(pixel_size, change):
    model = brightness_model(pixel_size=0.4)
    stack = np.stack([_discs(), _discs()])[:, None]
    reports = list(predict_slices(model, stack, pixel_size=pixel_size))
    assert change in reports[0].message
    assert [report.message for report in reports[1:]] == [""] * (len(reports) - 1)


@pytest.mark.parametrize("pixel_size", [0.5 * 9, 0.5 / 9])
def test_absurd_pixels_are_refused_with_both_sizes_and_the_ways_out(pixel_size):
    model = brightness_model(pixel_size=0.5)
    expected = rf"{pixel_size:.3g} µm, 9 times .*0\.5 µm .*correct its pixel size, or ignore"
    with pytest.raises(PredictionError, match=expected):
        predict(model, _discs(), pixel_size=pixel_size)
    assert predict(model, _discs()).shape == (2, 160, 180)


def test_ratios_are_those_of_lengths():
    assert pixel_ratio(1.0, 0.5) == 2
    assert math.isclose(pixel_ratio(0.3, 0.6), 0.5)
    assert pixel_ratio(8.0, 1.0) == 8
