"""What a network is shown of an annotated image."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from napari_unet.annotations import annotate, separate, weight_map
from napari_unet.training.checks import find_classes
from napari_unet.training.patches import cut
from napari_unet.training.preparation import prepare
from napari_unet.training.regression import measure_standardisation
from napari_unet.training.selection import counted_only
from tests.training.pictures import bright_discs, domes, small


def _prepared(image, config=None, scale=1.0):
    config = config or small()
    classes = find_classes([image], config.task, None)
    units = measure_standardisation([image], classes) if config.task == "regression" else None
    rng = np.random.default_rng(0)
    return prepare([counted_only(image)], config, scale, classes, rng, standardisation=units)


def test_the_target_is_the_separated_cells_and_the_weight_the_papers_map():
    image = bright_discs()
    [prepared] = _prepared(image, small(balance=False))
    apart = separate(image.labels[0])
    assert np.array_equal(prepared.whole.target, apart > 0)
    assert np.allclose(prepared.whole.weight, weight_map(apart), rtol=1e-5)


def test_weights_are_zero_exactly_where_nothing_is_annotated():
    image = bright_discs()
    annotated = np.zeros_like(image.annotated)
    annotated[:, 10:60, 20:90] = True
    [prepared] = _prepared(replace(image, annotated=annotated))
    assert np.array_equal(prepared.whole.weight > 0, annotated[0])


def test_labels_outside_the_annotation_change_nothing():
    image = bright_discs()
    annotated = np.zeros_like(image.annotated)
    annotated[:, :, :50] = True
    other = image.labels.copy()
    other[:, :, 50:] = 77
    first, second = (
        _prepared(replace(image, annotated=annotated, labels=labels))[0]
        for labels in (image.labels, other)
    )
    assert np.array_equal(first.whole.target, second.whole.target)
    assert np.array_equal(first.whole.weight, second.whole.weight)
    assert np.array_equal(first.centres, second.centres)


def test_the_working_scale_shrinks_everything_alike():
    image = bright_discs()
    [prepared] = _prepared(image, scale=0.5)
    assert prepared.whole.image.shape == (1, 48, 48)
    assert prepared.whole.target.shape == prepared.whole.weight.shape == (48, 48)
    inside = prepared.whole.image[0][prepared.whole.target == 1].mean()
    assert inside > prepared.whole.image[0][prepared.whole.target == 0].mean() + 0.2


@pytest.mark.parametrize("scale", [1, 0.5])
@pytest.mark.parametrize("task", ["instances", "regression"])
def test_a_painted_corner_of_a_large_image_costs_no_more_than_a_small_one(monkeypatch, task, scale):
    image = bright_discs(shape=(400, 700), cells=90)
    if task == "regression":
        image = domes(shape=(400, 700), discs=90)
    annotated = np.zeros_like(image.annotated)
    annotated[:, 250:290, 400:460] = True
    image, config = replace(image, annotated=annotated), small(task=task, patch=32)
    reach = round(2 * 32 / scale)
    make = partial(_prepared, image, config, scale)
    [part] = make()
    monkeypatch.setattr("napari_unet.training.preparation._REACH", 1000)
    [whole] = make()
    assert whole.whole.weight.shape == (400 * scale, 700 * scale)
    bottom = min(290 + reach, 400)
    assert part.whole.weight.shape == ((bottom - 250 + reach) * scale, (60 + 2 * reach) * scale)
    offset = np.array([(250 - reach) * scale, (400 - reach) * scale], int)
    assert np.array_equal(part.centres + offset, whole.centres)
    for centre in part.centres[::97]:
        near = cut(part.whole, tuple(centre), (40, 40))
        far = cut(whole.whole, tuple(centre + offset), (40, 40))
        for name in ("image", "target", "weight"):
            assert np.allclose(getattr(near, name), getattr(far, name), atol=1e-6)


def test_slices_without_annotation_are_left_out():
    one = bright_discs()
    stack = annotate(
        np.repeat(one.image, 3, axis=0),
        np.repeat(one.labels, 3, axis=0),
        annotated=np.repeat(one.annotated, 3, axis=0) * np.array([1, 0, 1])[:, None, None],
    )
    assert len(_prepared(stack)) == 2


def test_scribbles_count_only_where_a_class_is_painted():
    labels = np.zeros((30, 30), int)
    labels[5:8] = 1
    labels[20:24] = 5
    image = annotate(np.zeros((30, 30)), labels, annotated=labels > 0)
    config = small(task="classes")
    classes = find_classes([image], "classes", {5: "wall"})
    assert [(c.value, c.name) for c in classes] == [(1, "background"), (5, "wall")]
    [prepared] = prepare([image], config, 1.0, classes, np.random.default_rng(0))
    assert np.array_equal(prepared.whole.weight > 0, labels > 0)
    assert prepared.whole.target[21, 3] == 1
    assert prepared.whole.weight[21, 3] < prepared.whole.weight[6, 3] * 1.5


@pytest.mark.parametrize("task", ["instances", "classes"])
def test_only_slices_that_were_painted_on_are_prepared_again(task, monkeypatch):
    config = small(task=task, balance=True)
    image = bright_discs(shape=(64, 64))
    stack = annotate(
        np.repeat(image.image[0], 3, axis=0),
        np.repeat(np.asarray(image.labels > 0, np.int32), 3, axis=0),
        annotated=np.ones((3, 64, 64), bool),
    )
    classes = find_classes([stack], task, None)
    first = prepare([stack], config, 0.5, classes, np.random.default_rng(0))
    labels = stack.labels.copy()
    labels[1, :20] = 1
    painted = replace(stack, labels=labels)
    fresh = prepare([painted], config, 0.5, classes, np.random.default_rng(0))
    made = []
    original = prepare.__globals__["_taught_part"]
    monkeypatch.setitem(
        prepare.__globals__, "_taught_part", lambda *a: made.append(a[1]) or original(*a)
    )
    again = prepare([painted], config, 0.5, classes, np.random.default_rng(0), known=first)
    assert made == [1]
    assert not np.allclose(first[0].whole.weight, again[0].whole.weight), "shares have changed"
    for one, other in zip(fresh, again, strict=True):
        assert np.array_equal(one.whole.target, other.whole.target)
        assert np.array_equal(one.whole.image, other.whole.image)
        np.testing.assert_allclose(one.whole.weight, other.whole.weight, rtol=1e-5)
    assert prepare([painted], config, 0.5, classes, np.random.default_rng(0), known=again) == again


@pytest.mark.parametrize("scale", [0.25, 0.3, 0.6])
def test_no_stroke_is_too_narrow_for_the_working_scale(scale):
    labels = np.zeros((64, 64), int)
    labels[5, 4:60] = 1
    labels[20:60, 33] = 2
    labels[np.arange(10, 40), np.arange(10, 40)] = 3
    image = annotate(np.zeros((64, 64)), labels, unlabelled=0)
    [prepared] = _prepared(image, small(task="classes"), scale)
    taught = prepared.whole.target[prepared.whole.weight > 0]
    assert (np.bincount(taught, minlength=3) > 8 * scale).all()
    places = np.argwhere(prepared.whole.weight > 0) / scale
    painted = np.argwhere(labels > 0)
    apart = np.abs(places[:, None] + 0.5 / scale - painted[None] - 0.5).max(axis=2).min(axis=1)
    assert apart.max() <= 0.5 / scale + 0.5, "only what a stroke touches is annotated"


def test_the_larger_part_of_a_pixel_decides_its_class():
    labels = np.ones((16, 16), int)
    labels[:, 11:] = 2
    [prepared] = _prepared(annotate(np.zeros((16, 16)), labels), small(task="classes"), 0.25)
    assert (prepared.whole.target == [0, 0, 0, 1]).all()
