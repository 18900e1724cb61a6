"""What of annotated slices is predicted, and how a model is scored on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.annotations import annotate
from napari_unet.evaluation import Scores, evaluate
from napari_unet.network import ClassLabel, UNet
from napari_unet.prediction import predict
from napari_unet.training.validation_parts import parts_of, predict_parts, score_of
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
    image = annotate(picture, labels, annotated=annotated)
    [part] = predict_parts(model, parts_of([image], model), "cpu")
    whole = predict(model, picture, device="cpu")
    assert part.labels.size < picture.size / 2
    assert part.annotated.sum() == annotated.sum()
    found = part.probabilities[:, part.annotated]
    np.testing.assert_allclose(found, whole[:, annotated], atol=2e-3)
    assert np.ptp(found[1]) > 0.05


def test_nothing_is_predicted_after_a_stop():
    image = annotate(np.zeros((64, 64), np.float32), np.ones((64, 64), np.int32))
    model = lively_model()
    parts = parts_of([image], model)
    assert not list(predict_parts(model, parts, "cpu", should_stop=lambda: True))


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
    assert not list(predict_parts(model, parts_of([image], model), "cpu"))


def test_a_large_slice_is_predicted_in_parts_that_hold_all_that_counts(monkeypatch):
    model = lively_model()
    monkeypatch.setattr(UNet, "usual_tile", 128)
    annotated = np.zeros((400, 520), bool)
    annotated[10:270, 30:410] = True
    annotated[140:, 283:] = False
    image = annotate(
        np.random.default_rng(0).random((400, 520)).astype(np.float32),
        annotated.astype(np.int32),
        annotated=annotated,
    )
    parts = parts_of([image], model)
    assert len(parts) == 5, "of six, for one corner says nothing"
    counted = np.zeros(annotated.shape, int)
    for part in parts:
        assert max(part.annotated.shape) < 128 * 1.5 + 2 * 100
        counted[part.window] += part.annotated
    assert (counted == annotated).all()
    whole = predict(model, image.image[0, 0], device="cpu")
    for part, predicted in zip(parts, predict_parts(model, parts, "cpu"), strict=True):
        expected = whole[(slice(None), *part.window)][:, part.annotated]
        np.testing.assert_allclose(predicted.probabilities[:, part.annotated], expected, atol=2e-3)


def test_the_first_parts_tell_about_every_class(monkeypatch):
    classes = tuple(ClassLabel(value, str(value)) for value in (1, 2, 3))
    model = lively_model(task="classes", classes=classes)
    monkeypatch.setattr(UNet, "usual_tile", 128)
    labels = np.ones((128 * 20, 128), np.int32)
    labels[128 * 7 : 128 * 7 + 9, :9] = 2
    labels[128 * 13 : 128 * 13 + 9, :9] = 3
    image = annotate(np.zeros(labels.shape, np.float32), labels)
    parts = parts_of([image], model)
    assert len(parts) == 8
    seen = [set(np.unique(image.labels[0][part.window][part.annotated])) for part in parts]
    assert set().union(*seen[:3]) == {1, 2, 3}


def test_the_first_part_holds_a_cell(monkeypatch):
    monkeypatch.setattr(UNet, "usual_tile", 128)
    labels = np.zeros((128 * 20, 128), np.int32)
    labels[128 * 7 : 128 * 7 + 9, :9] = 1
    part, *others = parts_of([annotate(np.zeros(labels.shape, np.float32), labels)], lively_model())
    assert labels[part.window][part.annotated].any()
    assert len(others) == 7
    assert part.annotated.base is None, "no mask of the whole slice is kept"


def test_a_few_parts_lie_far_from_each_other():
    images = [
        annotate(np.zeros((40, 40), np.float32), np.ones((40, 40), np.int32), name=str(number))
        for number in range(30)
    ]
    names = [int(part.image.name) for part in parts_of(images, lively_model())]
    assert len(names) == 8
    assert sorted(names)[::7] == [0, 29]
    assert abs(names[0] - names[1]) > 10


def test_one_number_for_instances_and_for_classes():
    nothing = dict.fromkeys(("ap50", "ap", "f1_50", "seg", "pixel_error", "rand_error"))
    counts = {"n_true": 1, "n_predicted": 1, "images": 1}
    assert score_of(Scores(**{**nothing, "f1_50": 0.5, "seg": 0.7}, **counts)) == 0.6
    truth = np.array([[1, 1, 1, 1, 1, 1, 1, 1, 2, 2]])
    common = np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]])
    both = np.array([[1, 1, 1, 1, 1, 3, 3, 3, 2, 2]])
    scored = [
        score_of(evaluate([(truth, found)], task="classes", classes=[1, 2, 3]))
        for found in (common, both)
    ]
    assert scored == pytest.approx([0.4, 13 / 16]), "a rare class counts as much as a common one"


@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_a_network_that_never_pools_is_predicted_at_every_scale(scale):
    image = bright_discs()
    network = UNet(1, 2, depth=0, width=2)
    model = replace(lively_model(), network=network, scale=scale)
    (part,) = predict_parts(model, parts_of([image], model), "cpu")
    assert part.annotated.any()


def test_nothing_found_where_nothing_is_cannot_be_better():
    empty = np.zeros((1, 20, 20), int)
    assert score_of(evaluate([(empty, empty, empty == 0)], task="instances")) == 1.0
