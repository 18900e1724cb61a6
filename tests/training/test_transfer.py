"""Going on from a trained model: nothing of it is lost, and it ends up no worse."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from skimage.draw import disk

from napari_unet.annotations import annotate, annotate_values
from napari_unet.files import load_model, save_model
from napari_unet.network import ClassLabel, build_network
from napari_unet.prediction import labels_from, predict
from napari_unet.training import PRESETS, TrainingConfig, TrainingError, train
from napari_unet.training.optimisation import Learner
from napari_unet.training.selection import only_others
from napari_unet.training.sizes import choose_scale
from napari_unet.training.transfer import (
    adapted_network,
    ancestry,
    continued,
    known_classes,
    network_changes,
)
from napari_unet.training.validation_parts import parts_of, predict_parts, score_of, score_parts
from tests.prediction.models import TWO, lively_model
from tests.training.pictures import bright_discs, small

LEARNT = {"steps": 60, "width": 8, "learning_rate": 1e-2}


def _last(images, config, **more):
    *_, last = train(images, config, **more)
    return last


def _weights(network):
    return torch.cat([value.double().ravel() for value in network.state_dict().values()])


def _dark_discs(seed):
    """Draw what `bright_discs` draws as a negative."""
    image = bright_discs(seed)
    return replace(image, image=200 - image.image, name=f"dark {seed}")


@pytest.fixture(scope="module")
def start():
    """Train once on bright discs."""
    return _last([bright_discs(seed) for seed in range(4)], small(**LEARNT)).model


# -------------------------------------------------------------------------------- the network


_CONFIGURATIONS = {
    **PRESETS,
    "window": TrainingConfig(network="sliding_window", window=17),
    "plain": TrainingConfig(skips="none", normalisation="instance", init="xavier", depth=1),
}


@pytest.mark.parametrize("name", list(_CONFIGURATIONS))
def test_the_configuration_describes_the_network_of_the_model(name):
    narrow = replace(_CONFIGURATIONS[name], width=2)
    network = build_network(narrow.architecture(in_channels=2, out_channels=2))
    model = replace(lively_model(channels=2), network=network)
    for other in _CONFIGURATIONS.values():
        found = continued(replace(other, batch=7, learning_rate=0.5), model)
        assert found.architecture(in_channels=2, out_channels=2) == network.architecture
        assert found.geometry == network.geometry
        assert (found.batch, found.learning_rate) == (7, 0.5)


def test_only_the_network_and_the_size_of_cells_are_taken_from_the_model(start):
    config = TrainingConfig(width=64, batch=9, w0=3.0)
    found = continued(config, start)
    changed = {f.name for f in fields(config) if getattr(found, f.name) != getattr(config, f.name)}
    assert changed == {"width", "depth"}


def test_the_same_network_gives_the_same_answers():
    model = lively_model(normalisation="batch", depth=2)
    network = adapted_network(model, channels=1, outputs=2, fresh_last_layer=False)
    image = np.random.default_rng(0).normal(size=(40, 40))
    expected = predict(model, image)
    assert np.array_equal(predict(replace(model, network=network.eval()), image), expected)
    with torch.no_grad():
        network.classify.weight.zero_()
    assert np.array_equal(predict(model, image), expected), "the model itself must stay"


@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1), (2, 5)])
def test_equal_channels_give_what_equal_channels_gave(old, new):
    model = lively_model(channels=old, depth=2)
    network = adapted_network(model, channels=new, outputs=2, fresh_last_layer=False)
    grey = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        expected = model.network(grey.expand(1, old, 32, 32))
        found = network.eval()(grey.expand(1, new, 32, 32))
    assert network.architecture["in_channels"] == new
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_fresh_last_layer_is_the_only_thing_that_is_fresh():
    model = lively_model(depth=2)
    with torch.no_grad():
        model.network.classify.bias += 1
    network = adapted_network(model, channels=1, outputs=2, fresh_last_layer=True)
    old, new = model.network.state_dict(), network.state_dict()
    different = {name for name in old if not torch.equal(old[name], new[name])}
    assert different == {"classify.weight", "classify.bias"}
    more = adapted_network(model, channels=1, outputs=5, fresh_last_layer=True)
    assert more.classify.out_channels == more.architecture["out_channels"] == 5


@pytest.mark.parametrize("name", list(_CONFIGURATIONS))
def test_every_kind_of_network_takes_other_channels_and_outputs(name):
    narrow = replace(_CONFIGURATIONS[name], width=2)
    model = replace(
        lively_model(), network=build_network(narrow.architecture(in_channels=1, out_channels=2))
    )
    network = adapted_network(model, channels=3, outputs=4, fresh_last_layer=True)
    assert network.last_layer in dict(network.named_modules())
    old, new = model.network.state_dict(), network.state_dict()
    changed = {key.rpartition(".")[0] for key in old if old[key].shape != new[key].shape}
    assert len(changed) == 2, "the first layer and the last"
    assert network.last_layer in changed
    same = {key for key in old if old[key].shape == new[key].shape}
    assert all(torch.equal(old[key], new[key]) for key in same)


def test_known_outputs_go_on_and_others_begin_anew():
    tissue = tuple(ClassLabel(v, n) for v, n in ((1, "background"), (4, "wall"), (9, "lumen")))
    model = lively_model(task="classes", classes=tissue)
    assert known_classes(model, "classes", tissue, None) == tissue
    fewer = known_classes(model, "classes", (tissue[0], ClassLabel(9, "class 9")), {9: "vessel"})
    assert [(label.value, label.name) for label in fewer] == [
        (1, "background"),
        (4, "wall"),
        (9, "vessel"),
    ]
    assert known_classes(model, "classes", (*tissue, ClassLabel(11, "new")), None) is None
    assert known_classes(model, "instances", TWO, None) is None
    assert known_classes(lively_model(), "instances", TWO, None) == TWO
    assert known_classes(lively_model(), "classes", TWO, None) is None


def test_what_is_new_is_said():
    model = lively_model()
    assert network_changes(model, channels=1, fresh_last_layer=False) == ""
    said = network_changes(model, channels=3, fresh_last_layer=True)
    assert "last layer" in said
    assert "1 to 3 channels" in said


# ------------------------------------------------------------------------------- the training


def test_the_first_patch_meets_the_weights_of_the_model(start, monkeypatch):
    first = []
    original = Learner.__init__

    def spy(self, network, config, device, share):
        first.append((_weights(network), share * config.learning_rate))
        original(self, network, config, device, share)

    monkeypatch.setattr(Learner, "__init__", spy)
    config = small(steps=1, width=3, learning_rate=0.1, fine_tuning=0.25)
    model = _last([bright_discs(9)], config, start=start).model
    [(weights, rate)] = first
    assert torch.equal(weights, _weights(start.network))
    assert rate == pytest.approx(0.025)
    assert model.configuration["learning_rate"] == 0.1
    assert model.architecture == start.architecture
    assert model.configuration["width"] == 8


def test_the_model_that_is_gone_on_from_stays_as_it_was(start):
    before = _weights(start.network).clone()
    model = _last([_dark_discs(seed) for seed in range(3)], small(steps=8), start=start).model
    assert torch.equal(_weights(start.network), before)
    assert not torch.equal(_weights(model.network), before)


def _quality(model, images):
    return score_of(score_parts(model, list(predict_parts(model, parts_of(images, model), "cpu"))))


def test_a_good_model_never_becomes_a_worse_one(start, monkeypatch):
    original = Learner.learn

    def spoils(self, patches, progress):
        loss = original(self, patches, progress)
        with torch.no_grad():
            self.network.classify.weight.zero_()
        return loss

    monkeypatch.setattr(Learner, "learn", spoils)
    images = [bright_discs(seed) for seed in range(6)]
    reports = list(train(images, small(steps=4), start=start))
    first = next(report for report in reports if report.validation is not None)
    assert first.step == 0, "the model is judged before it is changed"
    model = reports[-1].model
    held_back = [image for image in images if image.name in model.provenance["scored_on"]]
    before, after = (
        _quality(replace(model, network=network), held_back)
        for network in (start.network, model.network)
    )
    assert after >= before > 0.5


def test_a_few_steps_from_a_model_beat_as_many_from_nothing(start):
    images = [bright_discs(seed) for seed in range(10, 12)]
    config = small(steps=5, width=8, learning_rate=1e-2)
    fresh, further = (_last(images, config, start=s).model for s in (None, start))
    errors = [model.provenance["scores"]["pixel_error"] for model in (fresh, further)]
    assert errors[1] < 0.5 * errors[0]


def test_the_same_seed_goes_on_to_the_same_weights(start):
    images = [_dark_discs(seed) for seed in range(2)]
    first, second = (_last(images, small(), start=start).model for _ in range(2))
    assert torch.equal(_weights(first.network), _weights(second.network))


def test_cells_become_classes_with_a_new_last_layer(start):
    image = bright_discs(20)
    classes = replace(image, labels=np.where(image.labels > 0, 7, 3))
    config = small(task="classes", steps=40, learning_rate=3e-2, validation=0.0)
    reports = list(train([classes], config, start=start))
    assert any("new last layer" in report.message for report in reports)
    model = reports[-1].model
    assert (model.task, [label.value for label in model.classes]) == ("classes", [3, 7])
    found = labels_from(model, predict(model, image.image[0, 0]))
    assert (found == classes.labels[0]).mean() > 0.9


def test_cells_become_values_with_a_new_last_layer_and_values_keep_their_units(start):
    image = bright_discs(20)
    depth = np.where(image.labels[0] > 0, 50.0, 20.0)
    values = annotate_values(image.image[0, 0], depth, name="depth")
    config = small(task="regression", steps=60, learning_rate=3e-2, validation=0.0)
    reports = list(train([values], config, start=start))
    assert any("new last layer" in report.message for report in reports)
    model = reports[-1].model
    found = predict(model, image.image[0, 0])[0]
    assert np.abs(found - depth).mean() < 5
    other = replace(values, labels=values.labels * 2)
    further = _last([other], replace(config, steps=1), start=model).model
    assert further.standardisation == model.standardisation


def test_values_on_another_scale_get_units_and_a_last_layer_of_their_own():
    image = bright_discs(20)
    depth = np.where(image.labels[0] > 0, 50.0, 20.0)
    config = small(task="regression", steps=60, learning_rate=3e-2, validation=0.0)
    model = _last([annotate_values(image.image[0, 0], depth)], config).model
    brightness = 40_000 + 900 * depth
    values = annotate_values(image.image[0, 0], brightness)
    reports = list(train([values], config, start=model))
    assert any("new last layer" in report.message for report in reports)
    found = predict(reports[-1].model, image.image[0, 0])[0]
    assert np.abs(found - brightness).mean() < 5 * 900


@pytest.fixture(scope="module")
def tissue():
    """Train once on three classes."""
    return _last([_tissue()], small(task="classes", steps=30, validation=0.0)).model


def _tissue(values=(3, 5, 7)):
    image = bright_discs(20)
    rows = np.arange(image.labels.shape[1])[:, np.newaxis]
    labels = np.where(image.labels > 0, 7, np.where(rows < 40, 5, 3))
    return replace(image, labels=labels, annotated=np.isin(labels, values))


def test_one_painted_class_would_make_a_network_forget_the_others(tissue):
    with pytest.raises(TrainingError, match=r"only “class 7” is painted.*old images"):
        list(train([_tissue(values=(7,))], small(task="classes"), start=tissue))
    config = small(task="classes", validation=0.0)
    model = _last([_tissue(values=(7,))], config, start=tissue, old_images=[bright_tissue()]).model
    assert [label.value for label in model.classes] == [3, 5, 7]


def bright_tissue():
    old = _tissue()
    return replace(old, image=old.image + 1, name="old")


def test_classes_that_are_painted_nowhere_are_named(tissue):
    config = small(task="classes", validation=0.0)
    reports = list(train([_tissue(values=(5, 7))], config, start=tissue))
    assert any("The model also knows “background”" in report.message for report in reports)
    complete = list(train([_tissue()], config, start=tissue))
    assert not any("also knows" in report.message for report in complete)


def test_a_class_that_comes_during_a_training_is_told_once():
    first, all_three = _tissue(values=(3, 5)), _tissue()
    config = small(task="classes", steps=4, validation=0.0)
    updates = iter([None, [all_three], [all_three]])
    reports = list(
        train(
            [first],
            config,
            class_names={7: "nerve"},
            updates=lambda: next(updates, None),
        )
    )
    told = [report.message for report in reports if "cannot join" in report.message]
    assert told == [
        "“nerve” came after the training had begun and cannot join it; stop, and start another "
        "training"
    ]


def test_colour_goes_on_from_grey(start):
    image = bright_discs(20)
    colour = replace(image, image=np.repeat(image.image, 3, axis=1))
    reports = list(train([colour], small(), start=start))
    assert any("from 1 to 3 channels" in report.message for report in reports)
    assert reports[-1].model.channels == 3


def test_a_saved_model_can_be_gone_on_from(start, tmp_path):
    loaded = load_model(save_model(start, tmp_path / "a.safetensors"))
    images = [_dark_discs(seed) for seed in range(2)]
    first, second = (_last(images, small(), start=model).model for model in (start, loaded))
    assert torch.equal(_weights(first.network), _weights(second.network))
    assert loaded.fingerprint == start.fingerprint


def test_the_ancestry_is_written_down(start, tmp_path):
    child = _last([_dark_discs(0)], small(), start=start, start_name="bright").model
    parent = child.provenance["parent"]
    assert parent["name"] == "bright"
    assert parent["fingerprint"] == start.fingerprint != child.fingerprint
    assert parent["date"] == start.provenance["date"]
    stored = load_model(save_model(child, tmp_path / "b.safetensors"))
    assert ancestry(stored, "dark")["parent"] == parent
    assert "parent" not in start.provenance


def test_a_network_that_no_configuration_describes_is_refused(start, monkeypatch):
    odd = lively_model(depth=2)
    monkeypatch.setattr(odd.network, "geometry", lively_model(depth=3).network.geometry)
    with pytest.raises(TrainingError, match="cannot be trained further"):
        list(train([bright_discs()], small(), start=odd))


# ---------------------------------------------------------------------------------- the scale


def _picture(diameter, cells=5, pixel_size=None):
    shape = (4 * diameter, 2 * diameter * cells)
    labels = np.zeros(shape, int)
    for number in range(cells):
        centre = (2 * diameter, diameter + 2 * diameter * number)
        labels[disk(centre, diameter / 2)] = number + 1
    return annotate(np.zeros(shape), labels, pixel_size=pixel_size)


@pytest.mark.parametrize(
    ("known", "expected"), [(None, 30), (24, 30), (40, 30), (10, 10), (90, 90), (5, 8), (900, 512)]
)
def test_a_network_that_knows_nearly_the_usual_size_gets_it(known, expected):
    model = replace(lively_model(), provenance={"cell_diameter": known} if known else {})
    assert continued(TrainingConfig(cell_diameter=30.0), model).cell_diameter == expected


@pytest.mark.parametrize("diameter", [20, 80, 120])
def test_cells_come_to_the_size_that_the_network_knows(diameter):
    model = replace(lively_model(scale=0.25), provenance={"cell_diameter": 60.0})
    config = continued(TrainingConfig(), model)
    expected = min(60 / diameter, 2)
    assert choose_scale([_picture(diameter)], config, None, model) == pytest.approx(
        expected, rel=0.05
    )


def test_with_few_cells_the_scale_of_the_model_holds_for_pixels_of_its_size():
    model = lively_model(scale=0.25, pixel_size=0.5)
    two = [_picture(80, cells=2)]
    assert choose_scale(two, TrainingConfig(), None, model) == 0.25
    assert choose_scale(two, TrainingConfig(), 0.5, model) == 0.25
    assert choose_scale(two, TrainingConfig(), 1.0, model) == 0.5
    assert choose_scale(two, TrainingConfig(working_scale=0.7), 1.0, model) == 0.7
    classes = TrainingConfig(task="classes")
    assert choose_scale([_picture(80)], classes, 1.0, model) == 0.5
    assert choose_scale([_picture(80)], classes, 1.0) == 1


def test_a_model_remembers_at_which_size_it_saw_cells():
    model = _last([_picture(80)], small(steps=1)).model
    assert model.scale == pytest.approx(0.4, rel=0.05)
    assert model.provenance["cell_diameter"] == pytest.approx(80 * model.scale, rel=0.05)


# ------------------------------------------------------------------------------ the old images


def test_old_images_are_trained_on_and_never_validated_on(start):
    new = [bright_discs(seed) for seed in range(20, 24)]
    old = [_dark_discs(seed) for seed in range(4)]
    without, with_old = (
        _last(new, small(steps=12), start=start, old_images=images).model for images in ([], old)
    )
    assert not torch.equal(_weights(without.network), _weights(with_old.network))
    assert set(with_old.provenance["scored_on"]) <= {image.name for image in new}
    assert set(with_old.provenance["images"]) == {image.name for image in [*new, *old]}
    assert with_old.scale == without.scale


def test_at_least_half_of_the_patches_are_new(start, monkeypatch):
    drawn = []
    from napari_unet.training.patches import PatchSource

    original = PatchSource.draw

    def spy(self, shape, rng):
        drawn.append(len(self.slices))
        return original(self, shape, rng)

    monkeypatch.setattr(PatchSource, "draw", spy)
    old = [bright_discs(seed) for seed in range(20)]
    _last([_dark_discs(0)], small(steps=100, validation=0.0), start=start, old_images=old)
    assert 0.4 < np.mean(np.array(drawn) == 1) < 0.6


def test_an_old_image_that_is_new_as_well_is_no_back_door_to_validation():
    new, old = [bright_discs(seed) for seed in range(3)], [bright_discs(seed) for seed in (2, 3)]
    assert [image.name for image in only_others(old, new)] == ["discs 3"]


def test_old_images_of_other_channels_are_refused(start):
    grey = bright_discs()
    colour = replace(grey, image=np.repeat(grey.image, 3, axis=1))
    with pytest.raises(TrainingError, match="1 and 3 channels"):
        list(train([grey], small(), start=start, old_images=[colour]))


def test_a_preset_does_not_undo_the_scale_that_the_model_knows():
    model = replace(lively_model(scale=0.25), provenance={})
    config = TrainingConfig.from_preset("paper")
    assert config.working_scale == 1.0
    assert continued(config, model).working_scale is None
    by_hand = TrainingConfig.from_preset("paper", working_scale=0.5)
    assert continued(by_hand, model).working_scale == 0.5


def test_two_cells_do_not_change_the_size_that_a_model_remembers():
    model = replace(lively_model(depth=2), provenance={"cell_diameter": 32.0})
    config = small(steps=1)
    few = _last([_picture(10, cells=2)], config, start=model).model
    assert few.provenance["cell_diameter"] == 32.0
    many = _last([_picture(10, cells=5)], config, start=model).model
    assert many.provenance["cell_diameter"] != 32.0


def test_one_class_alone_is_no_task_for_any_model():
    three = tuple(ClassLabel(value, f"tissue {value}") for value in (1, 2, 3))
    model = lively_model(task="classes", classes=three, depth=2)
    labels = np.zeros((48, 48), np.int32)
    labels[10:20, 10:30] = 3
    image = annotate(np.zeros(labels.shape, np.float32), labels, annotated=labels > 0)
    with pytest.raises(TrainingError, match="only “tissue 3” is painted"):
        _last([image], small(steps=1, task="classes"), start=model)
    cells = lively_model(depth=2, classes=(ClassLabel(0, "background"), ClassLabel(3, "cell")))
    for other in (None, cells):
        with pytest.raises(TrainingError, match="only one class is annotated"):
            _last([image], small(steps=1, task="classes"), start=other)
