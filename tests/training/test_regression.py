"""Regression: the error of values, their units, and a training that learns them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.annotations import annotate_values
from napari_unet.evaluation import value_scores
from napari_unet.files import load_model, save_model
from napari_unet.network import Standardisation
from napari_unet.prediction import predict, resize
from napari_unet.training import TrainingConfig, TrainingError, train
from napari_unet.training.checks import find_classes
from napari_unet.training.preparation import prepare
from napari_unet.training.regression import measure_standardisation, value_error
from napari_unet.training.selection import counted_only
from tests.training.pictures import bright_discs, domes, small


def _config(**changes):
    return small(task="regression", **changes)


def _last(images, config, **more):
    *_, last = train(images, config, **more)
    return last


def _weights(model):
    return torch.cat([value.ravel() for value in model.network.state_dict().values()])


def _batch(seed=0):
    rng = np.random.default_rng(seed)
    values, target = rng.normal(size=(2, 2, 3, 4, 5))
    return values, target, rng.random((2, 4, 5)) * (rng.random((2, 4, 5)) > 0.3)


# --------------------------------------------------------------------------------- the error


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_the_error_equals_its_definition(loss):
    values, target, weight = _batch()
    expected = 0.0
    for n, y, x in np.ndindex(2, 4, 5):
        difference = values[n, :, y, x] - target[n, :, y, x]
        each = difference**2 if loss == "mse" else abs(difference)
        expected += weight[n, y, x] * each.mean()
    tensors = [torch.from_numpy(array) for array in (values, target, weight)]
    summed = value_error(*tensors, loss=loss, reduction="sum").item()
    assert summed == pytest.approx(expected, rel=1e-5)
    mean = value_error(*tensors, loss=loss).item()
    assert mean == pytest.approx(expected / weight.sum(), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_where_the_weight_is_zero_so_is_the_gradient(loss):
    values, target, weight = (torch.from_numpy(array) for array in _batch())
    values.requires_grad_()
    value_error(values, target, weight, loss=loss).backward()
    counts = (weight > 0)[:, None].expand_as(values)
    assert (values.grad[~counts] == 0).all()
    assert (values.grad[counts] != 0).all()


def test_a_batch_in_which_nothing_counts_has_no_error():
    values, target, weight = (torch.from_numpy(array) for array in _batch())
    values.requires_grad_()
    loss = value_error(values, target, 0 * weight)
    loss.backward()
    assert loss.item() == 0
    assert (values.grad == 0).all()


# --------------------------------------------------------------------------------- the units


def test_annotated_values_get_mean_0_and_deviation_1():
    images = [domes(seed) for seed in range(2)]
    annotated = np.random.default_rng(0).random(images[0].annotated.shape) > 0.5
    images[0] = replace(images[0], annotated=annotated)
    units = measure_standardisation(images)
    values = np.concatenate(
        [units.apply(i.labels[0])[:, i.annotated[0]] for i in images], axis=1, dtype=float
    )
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(axis=1), 1, atol=1e-5)


def test_what_is_learnt_does_not_depend_on_the_unit():
    one = domes()
    scale = np.array([1000, 0.25], np.float32)[:, None, None]
    other = replace(one, labels=one.labels * scale - 64)
    first, second = (
        predict(_last([image], _config(validation=0.0)).model, one.image[0, 0])
        for image in (one, other)
    )
    spread = (first * scale).std(axis=(1, 2), keepdims=True)
    assert (abs(first * scale - 64 - second) < 0.02 * spread).all()


def test_an_output_of_one_value_is_refused():
    image = domes()
    image.labels[:, 1] = 7
    with pytest.raises(TrainingError, match="output “value 2” is 7 wherever it is annotated"):
        _last([image], _config())


# --------------------------------------------------------------------------- what is shown


def _prepared(image, scale=1.0):
    image = counted_only(image)
    return prepare(
        [image],
        _config(),
        scale,
        find_classes([image], "regression", None),
        np.random.default_rng(0),
        standardisation=measure_standardisation([image]),
    )[0].whole


def test_every_annotated_pixel_weighs_one_and_has_its_standardised_value():
    image = domes()
    image.annotated[0, 20:50, 30:] = False
    shown = _prepared(image)
    assert np.array_equal(shown.weight, image.annotated[0].astype(float))
    expected = measure_standardisation([image]).apply(image.labels[0])
    counts = shown.weight > 0
    np.testing.assert_allclose(shown.target[:, counts], expected[:, counts], atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.3, 2.0])
def test_at_a_working_scale_values_are_means_over_annotated_pixels(scale):
    image = domes()
    image.annotated[0, 20:50, 30:] = False
    shown = _prepared(image, scale)
    size = (round(96 * scale),) * 2
    assert shown.image.shape[1:] == shown.weight.shape == size
    values = measure_standardisation([image]).apply(image.labels[0])
    share = resize(image.annotated.astype(np.float32), size)[0]
    counts = shown.weight > 0
    np.testing.assert_array_equal(counts, share > 0.5)
    mean = resize(values * image.annotated, size)[:, counts] / share[counts]
    np.testing.assert_allclose(shown.target[:, counts], mean, atol=1e-5)
    whole = share > 0.99999
    np.testing.assert_allclose(shown.target[:, whole], resize(values, size)[:, whole], atol=1e-3)


# ------------------------------------------------------------------------------ the training


@pytest.mark.parametrize("changes", [{}, {"regression_loss": "mae"}, {"padding": "valid"}])
def test_training_predicts_values_of_two_outputs_in_their_own_units(changes):
    images = [domes(seed) for seed in range(4)]
    config = _config(steps=50, width=8, learning_rate=1e-2, patch=60, seed=2, **changes)
    report = _last(images, config)
    unseen = domes(9)
    predicted = predict(report.model, unseen.image[0, 0])
    scores = value_scores([(unseen.labels[0], predicted)])
    mean = unseen.labels[0].mean(axis=(1, 2), keepdims=True)
    guessed = value_scores([(unseen.labels[0], np.broadcast_to(mean, predicted.shape))])
    assert scores.mae < 0.5 * guessed.mae
    assert scores.r2 > 0.6
    assert 0.6 < report.validation <= 1


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_what_weighs_more_is_learnt_rather(loss):
    image = np.zeros((64, 64), np.float32)  # tells nothing: one value has to do for all
    values = np.where(np.arange(64) < 32, 0.0, 10.0) * np.ones((64, 1))
    weights = np.where(values > 0, 20.0, 1.0)
    config = _config(steps=80, learning_rate=3e-2, validation=0.0, regression_loss=loss)
    even, uneven = (
        predict(_last([annotate_values(image, values, weights=w)], config).model, image).mean()
        for w in (None, weights)
    )
    assert uneven > even + 1


def test_a_model_of_values_goes_on_where_an_output_is_the_same_everywhere():
    start = _last([domes(seed) for seed in range(2)], _config(steps=2)).model
    flat = domes(3)
    flat.labels[:, 1] = start.standardisation.mean[1]
    further = _last([flat], _config(steps=1), start=start).model
    assert further.standardisation == start.standardisation
    flat.labels[:, 1] = 1e6
    with pytest.raises(TrainingError, match="1e\\+06 wherever"):
        _last([flat], _config(steps=1), start=start)


def test_only_the_ratio_of_weights_counts():
    values, target, weight = map(torch.from_numpy, _batch())
    one, many = (value_error(values, target, weight * factor) for factor in (1, 255))
    assert one.item() == pytest.approx(many.item(), rel=1e-5)


def test_weights_follow_the_working_scale_and_zero_says_nothing():
    image = domes(0)
    weights = np.full(image.annotated.shape, 2.0)
    weights[:, :20], weights[:, 20:30] = 0, 7
    weighted = annotate_values(image.image[0], image.labels, weights=weights, channel_axis=0)
    assert not weighted.annotated[:, :20].any()
    standard = measure_standardisation([weighted])
    config = _config()
    classes = find_classes([weighted], "regression", None)
    [prepared] = prepare(
        [weighted], config, 0.5, classes, np.random.default_rng(0), standardisation=standard
    )
    weight = prepared.whole.weight
    assert sorted(np.unique(weight)) == [0, 2, 7]
    assert (weight[11:14] == 7).all()
    known = prepare(
        [replace(weighted, weights=weighted.weights * 2)],
        config,
        0.5,
        classes,
        np.random.default_rng(0),
        standardisation=standard,
        known=[prepared],
    )
    assert known[0] is not prepared, "other weights are another slice"


def test_values_that_do_not_count_change_no_trained_weight():
    image = domes()
    image.annotated[:, :, 50:] = False
    models = []
    for other in (0, 1e6):
        labels = np.where(image.annotated[:, None], image.labels, other)
        models.append(_last([replace(image, labels=labels)], _config()).model)
    assert torch.equal(_weights(models[0]), _weights(models[1]))


def test_nan_is_the_same_as_not_annotated():
    image = domes()
    hidden = np.zeros(image.annotated.shape, bool)
    hidden[:, 30:60, 10:70] = True
    values = np.where(hidden[:, None], np.nan, image.labels)
    silent = annotate_values(image.image, values, name=image.name)
    masked = annotate_values(image.image, image.labels, annotated=~hidden, name=image.name)
    first, second = (_last([each], _config()).model for each in (silent, masked))
    assert torch.equal(_weights(first), _weights(second))
    assert first.provenance["data"] == second.provenance["data"]


def test_a_saved_model_predicts_the_same_values(tmp_path):
    names = {0: "depth", 1: "light"}
    model = _last([domes(s) for s in range(3)], _config(), class_names=names).model
    loaded = load_model(save_model(model, tmp_path / "m.safetensors"))
    assert loaded.standardisation == model.standardisation
    assert [(label.value, label.name) for label in loaded.classes] == [(0, "depth"), (1, "light")]
    picture = domes(5).image[0, 0]
    assert np.array_equal(predict(loaded, picture), predict(model, picture))


def test_the_model_says_how_good_its_values_are_and_has_no_options_of_cells():
    model = _last([domes(s) for s in range(5)], _config()).model
    scores = model.provenance["scores"]
    assert {"mae", "rmse", "psnr", "r2"} <= scores.keys()
    assert scores["outputs"] == 2
    assert model.provenance["scored_on"] != "the training images"
    assert model.scale == 1
    assert not model.instances
    assert [label.name for label in model.classes] == ["value 1", "value 2"]


@pytest.mark.parametrize("case", ["slices", "one picture"])
def test_a_part_of_the_values_is_kept_for_validation(case):
    if case == "slices":
        parts = [domes(seed, shape=(64, 64)) for seed in range(4)]
        images = [
            annotate_values(
                np.concatenate([part.image for part in parts]),
                np.concatenate([part.labels for part in parts]),
            )
        ]
    else:
        images = [domes(shape=(128, 128), discs=20)]
    report = _last(images, _config(steps=2))
    assert report.validation is not None


def test_a_single_output_is_named_value():
    image = domes()
    model = _last([replace(image, labels=image.labels[:, :1])], _config(steps=1)).model
    assert [label.name for label in model.classes] == ["value"]
    assert predict(model, image.image[0, 0]).shape == (1, 96, 96)


def test_labels_of_another_kind_are_refused_with_a_sentence():
    with pytest.raises(TrainingError, match="discs 0 are numbers of cells or classes"):
        _last([bright_discs()], _config())
    for task in ("instances", "classes"):
        with pytest.raises(TrainingError, match=f"which the task {task} does not learn"):
            _last([domes()], small(task=task))
    one = domes(1)
    with pytest.raises(TrainingError, match="1 and 2 outputs"):
        _last([domes(), replace(one, labels=one.labels[:, :1])], _config())


def test_patches_of_a_regression_keep_size_and_grey_values_unless_asked():
    kept = TrainingConfig.from_preset("quick", task="regression")
    assert (kept.scaling, kept.intensity) == (0, 0)
    asked = TrainingConfig.from_preset("quick", task="regression", scaling=0.3)
    assert (asked.scaling, asked.intensity) == (0.3, 0)
    assert TrainingConfig.from_preset("quick").scaling > 0


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0,), (0,)), ((0, 1), (1,)), ((), ()), ((float("nan"),), (1,)), ((0,), (-1,))],
)
def test_units_that_cannot_be_undone_are_refused(mean, std):
    with pytest.raises(ValueError, match="deviations"):
        Standardisation(mean, std)


def test_units_are_undone():
    units = Standardisation((5.0, -1e4), (0.1, 300.0))
    values = np.random.default_rng(0).normal(size=(3, 2, 4, 5)) * 100
    np.testing.assert_allclose(units.undo(units.apply(values)), values, rtol=1e-4, atol=1e-2)
