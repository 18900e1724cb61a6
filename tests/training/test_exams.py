"""What of annotated slices is predicted, and how a model is scored on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.annotations import annotate
from napari_unet.evaluation import Scores
from napari_unet.network import UNet
from napari_unet.prediction import predict
from napari_unet.training.exams import examine, longest_pause, next_exam, score_of
from tests.prediction.models import lively_model
from tests.training.pictures import bright_discs


def test_only_what_is_annotated_is_predicted_and_what_the_network_sees_around_it():
    model = lively_model()
    rng = np.random.default_rng(0)
    picture = rng.random((400, 420)).astype(np.float32)
    labels = np.zeros((400, 420), np.int32)
    labels[180:200, 210:240] = 1
    annotated = np.zeros(labels.shape, bool)
    annotated[170:210, 200:250] = True
    [exam] = examine(model, [annotate(picture, labels, annotated=annotated)], "cpu")
    whole = predict(model, picture, device="cpu")
    assert exam.labels.size < picture.size / 2
    assert exam.annotated.sum() == annotated.sum()
    found = exam.probabilities[:, exam.annotated]
    np.testing.assert_allclose(found, whole[:, annotated], atol=2e-3)
    assert np.ptp(found[1]) > 0.05


def test_nothing_is_examined_after_a_stop():
    image = annotate(np.zeros((64, 64), np.float32), np.ones((64, 64), np.int32))
    assert not list(examine(lively_model(), [image], "cpu", should_stop=lambda: True))


def test_a_region_that_vanishes_at_the_size_of_the_training_pixels_is_left_out():
    annotated = np.zeros((160, 160), bool)
    annotated[81, 81] = True
    image = annotate(
        np.zeros((160, 160), np.float32),
        annotated.astype(np.int32),
        annotated=annotated,
        pixel_size=0.1,
    )
    model = replace(lively_model(), pixel_size=0.5)
    assert not list(examine(model, [image], "cpu"))


def test_one_number_for_instances_and_for_classes():
    nothing = dict.fromkeys(("ap50", "ap", "f1_50", "seg", "pixel_error", "rand_error"))
    counts = {"n_true": 1, "n_predicted": 1, "images": 1}
    cells = Scores(**{**nothing, "f1_50": 0.5, "seg": 0.7}, **counts)
    classes = Scores(**{**nothing, "pixel_error": 0.2}, **counts)
    assert score_of(cells) == 0.6
    assert score_of(classes) == 0.8


@pytest.mark.parametrize(("cost", "expected"), [(0.0, 0.467), (0.01, 0.467), (0.2, 2.3)])
def test_validation_takes_a_tenth_of_the_time_at_most(cost, expected):
    assert next_exam(0.3, cost) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("seconds", "cost", "expected"), [(0.0, 0.0, 30.0), (1000.0, 1.0, 1200.0), (10.0, 20.0, 210.0)]
)
def test_without_an_end_validations_become_rarer_with_time(seconds, cost, expected):
    assert next_exam(seconds, cost, endless=True) == pytest.approx(expected)


def test_however_long_a_training_is_it_is_validated_every_few_minutes():
    assert longest_pause(1.0) == 300
    assert longest_pause(60.0) == 600, "but it takes a tenth of the time at most"


@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_a_network_that_never_pools_is_examined_at_every_scale(scale):
    image = bright_discs()
    network = UNet(1, 2, depth=0, width=2)
    model = replace(lively_model(), network=network, scale=scale)
    (exam,) = examine(model, [image], "cpu")
    assert exam.annotated.any()
