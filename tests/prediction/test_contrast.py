"""An image that shows nothing is told from those that were learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.prediction import IntensityRange, contrast, predict_slices
from tests.prediction.models import lively_model


def learnt(**contrast_of_images):
    return replace(lively_model(depth=1), provenance={"contrast": contrast_of_images})


def said(model, image):
    reports = list(predict_slices(model, image[None, None], device="cpu", tile=32))
    assert not any(report.message for report in reports[1:])
    return reports[0].message


def picture(spread, dtype=np.uint16):
    values = np.random.default_rng(0).normal(1000, spread, (48, 48))
    return values.astype(dtype)


def test_a_picture_of_nothing_is_told_once():
    model = learnt(dtype="uint16", span=[1000.0])
    assert "of the contrast of the images trained on" in said(model, picture(5))
    assert "3%" in said(
        model, np.full((48, 48), 1000, np.uint16) + np.arange(48, dtype=np.uint16) * 2 // 3
    )
    assert said(model, picture(100)) == ""


def test_units_that_cannot_be_compared_are_not():
    model = learnt(dtype="uint16", span=[1000.0])
    assert said(model, picture(5, np.float32)) == ""
    assert said(lively_model(depth=1), picture(5)) == ""


def test_one_channel_with_contrast_is_enough():
    model = replace(
        lively_model(depth=1, channels=2),
        provenance={"contrast": {"dtype": "uint16", "span": [1000.0, 1000.0]}},
    )
    image = np.stack([picture(5), picture(200)])[None]
    (report, *_) = predict_slices(model, image, device="cpu")
    assert report.message == ""


@pytest.mark.parametrize(
    "known",
    [
        "much",
        {"dtype": "uint16"},
        {"dtype": "uint16", "span": "x"},
        {"dtype": "uint16", "span": [1, 2]},
        {"dtype": "uint16", "span": [0.0]},
    ],
)
def test_a_model_file_may_say_anything(known):
    model = replace(lively_model(depth=1), provenance={"contrast": known})
    assert said(model, picture(5)) == ""


def test_the_least_contrast_is_remembered_where_all_images_have_one_type():
    ranges = [
        IntensityRange(np.array([0.0, 1.0]), np.array([10.0, 3.0])),
        IntensityRange(np.array([5.0, 1.0]), np.array([9.0, 9.0])),
    ]
    same = [np.dtype("uint8"), np.dtype("uint8")]
    assert contrast(ranges, same) == {"dtype": "uint8", "span": [4.0, 2.0]}
    assert contrast(ranges, [np.dtype("uint8"), np.dtype("uint16")]) == {}
