"""Several networks in one training: each keeps another part back, and their mean predicts."""

from __future__ import annotations

import gc
import importlib
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.annotations import annotate
from napari_unet.files import load_model, save_model
from napari_unet.network import Ensemble
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, train
from napari_unet.training.optimisation import Learner
from tests.training.pictures import bright_discs, domes, small

run_module = importlib.import_module("napari_unet.training.run")
parts_module = importlib.import_module("napari_unet.training.validation_parts")
preparation_module = importlib.import_module("napari_unet.training.preparation")
train_module = importlib.import_module("napari_unet.training.train")
validation_module = importlib.import_module("napari_unet.training.validation")


def _last(images, config, **more):
    *_, last = train(images, config, **more)
    return last


def _images(count=6):
    return [bright_discs(seed) for seed in range(count)]


def _equal(one, other):
    other = other.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


def _alone(model):
    """Return a model of each network."""
    return [replace(model, network=network) for network in model.network.networks]


@pytest.fixture(scope="module")
def finished():
    return _last(_images(), small(steps=30, networks=3))


def test_the_networks_differ_and_their_mean_predicts(finished):
    model, image = finished.model, bright_discs(9).image[0, 0]
    assert model.architecture["members"] == 3
    each = [predict(alone, image) for alone in _alone(model)]
    assert not np.allclose(each[0], each[1], atol=1e-3)
    np.testing.assert_allclose(predict(model, image), np.mean(each, axis=0), atol=2e-3)


def test_the_result_does_not_depend_on_the_tile(finished):
    image = bright_discs(9, shape=(160, 160)).image[0, 0]
    whole, tiled = (predict(finished.model, image, tile=tile) for tile in (256, 64))
    np.testing.assert_allclose(whole, tiled, atol=1e-5)


def test_the_networks_share_the_steps(finished):
    assert finished.step == finished.model.provenance["steps"] == 30
    assert finished.model.configuration["networks"] == 3


def _kept_back(monkeypatch, config, images):
    """Train, and return the names that each network kept back and those that it was shown."""
    seen = []
    real = run_module.TrainingRun.learn

    def spied(run):
        kept = {image.name for image in run.division.validation_images}
        seen.append((kept, {image.name for image in run.division.training_images}))
        return real(run)

    monkeypatch.setattr(run_module.TrainingRun, "learn", spied)
    return _last(images, config), seen


def test_each_network_keeps_another_part_back_and_all_are_scored(monkeypatch):
    last, seen = _kept_back(monkeypatch, small(steps=6, networks=3), _images())
    kept = [names for names, _ in seen]
    assert all(names for names in kept)
    assert len(frozenset().union(*kept)) == sum(len(names) for names in kept), "none twice"
    assert all(not names & taught for names, taught in seen)
    assert sorted(last.model.provenance["scored_on"]) == sorted(frozenset().union(*kept))


def test_a_network_is_judged_on_what_it_did_not_see(monkeypatch):
    """The cutting is tuned on the parts of all, each predicted by the network that never saw it."""
    judged, tuned = [], []
    real_predict, real_tune = run_module.TrainingRun.predict_kept_back, train_module.tune

    def predicted(run, *, stopped):
        judged.append(real_predict(run, stopped=stopped))
        return judged[-1]

    def spied(parts, *rest):
        tuned.extend(parts)
        return real_tune(parts, *rest)

    monkeypatch.setattr(run_module.TrainingRun, "predict_kept_back", predicted)
    monkeypatch.setattr(train_module, "tune", spied)
    _last(_images(), small(steps=6, networks=3))
    assert len(judged) == 3
    assert tuned == [part for parts in judged for part in parts]


def test_progress_goes_on_over_all_networks_and_each_is_named():
    reports = list(train(_images(), small(steps=9, networks=3)))
    progress = [report.progress for report in reports]
    assert progress == sorted(progress)
    assert sum(report.loss is not None for report in reports) == 9
    said = [report.message for report in reports if report.message.startswith("Network")]
    assert [line[:14] for line in said] == [f"Network {n} of 3" for n in (1, 2, 3)]
    assert [r.network for r in reports if r.loss is not None] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {report.networks for report in reports} == {3}
    assert [report.phase == "finished" for report in reports].count(True) == 1


def _stopped_at(step, config):
    seen = []
    seen.extend(train(_images(), config, should_stop=lambda: bool(seen) and seen[-1].step >= step))
    return seen[-1]


def test_a_stop_keeps_the_networks_that_have_learnt_by_then():
    config = small(steps=90, networks=3)
    assert _stopped_at(5, config).model.architecture["kind"] == "unet"
    second = _stopped_at(50, config)
    assert second.model.architecture["members"] == 2
    assert second.model.instances
    assert "2 of 3 networks" in second.message


def test_a_network_that_has_just_begun_spoils_no_mean():
    stopped = _stopped_at(33, small(steps=90, networks=3))
    assert stopped.model.architecture["kind"] == "unet"
    assert "1 of 3 networks" in stopped.message


def test_a_stop_while_a_network_is_judged_still_judges_it(monkeypatch):
    asked, tuned = [], []
    real_predict, real_tune = parts_module.predict_parts, train_module.tune

    def slow(*arguments, **more):
        for part in real_predict(*arguments, **more):
            asked.append(1)
            yield part

    def spied(parts, *rest):
        tuned.append(len(parts))
        return real_tune(parts, *rest)

    monkeypatch.setattr(validation_module, "predict_parts", slow)
    monkeypatch.setattr(train_module, "tune", spied)
    reports = []
    judging = lambda: any("network 1" in report.message for report in reports)  # noqa: E731
    for report in train(_images(), small(steps=6, networks=3), should_stop=judging):
        reports.append(report)  # noqa: PERF402
    assert asked
    assert tuned[0] > 0
    assert reports[-1].model.architecture["kind"] == "unet"


def test_what_a_crash_would_leave_holds_the_networks_before():
    reports = list(train(_images(), small(steps=40, networks=2)))
    kept = [report.checkpoint for report in reports if report.checkpoint is not None]
    kinds = [model.architecture["kind"] for model in kept]
    assert set(kinds) == {"unet", "ensemble"}
    assert kinds == sorted(kinds, reverse=True), "of the first network alone, then of both"
    first, finished = (model.network.networks[0] for model in (kept[-1], reports[-1].model))
    assert _equal(first, finished)


def test_a_network_that_fails_does_not_cost_those_before(monkeypatch):
    taken = []
    real = Learner.learn

    def fails_later(learner, *arguments):
        taken.append(1)
        if len(taken) > 5:
            raise RuntimeError("the cable was pulled")
        return real(learner, *arguments)

    monkeypatch.setattr(Learner, "learn", fails_later)
    reports = list(train(_images(), small(steps=15, networks=3)))
    assert reports[-1].model.architecture["kind"] == "unet"
    assert "Network 2 ended early (the cable was pulled)" in reports[-1].message
    assert "1 of 3 networks" in reports[-1].message


def test_a_network_that_diverges_does_not_cost_those_before(monkeypatch):
    real = run_module.TrainingRun.best_network

    def broken(run):
        if run.config.seed > 1000:
            raise FloatingPointError("no numbers any more")
        return real(run)

    monkeypatch.setattr(run_module.TrainingRun, "best_network", broken)
    last = _last(_images(), small(steps=6, networks=2))
    assert last.model.architecture["kind"] == "unet"


def test_time_is_shared_by_the_networks():
    last = _last(_images(), small(steps=None, minutes=0.12, networks=2))
    assert last.model.architecture["members"] == 2


def test_without_an_end_one_network_learns_and_it_says_why():
    seen = []
    config = small(steps=None, until_stopped=True, networks=3)
    stop = lambda: bool(seen) and seen[-1].step >= 3  # noqa: E731
    seen.extend(train(_images(), config, should_stop=stop))
    assert seen[-1].model.architecture["kind"] == "unet"
    assert sum("nobody knows the time" in report.message for report in seen) == 1


def test_what_is_painted_during_the_first_network_reaches_the_second(monkeypatch):
    images = [bright_discs(seed, cells=9) for seed in range(3)]
    fresh = [*images, bright_discs(7, name="new")]
    told = iter([fresh])
    shown = []
    real = run_module.TrainingRun._prepare

    def spied(run, wanted, known=()):
        shown.append((run.config.seed, {image.name for image in wanted}))
        return real(run, wanted, known)

    monkeypatch.setattr(run_module.TrainingRun, "_prepare", spied)
    _last(images, small(steps=6, networks=2), updates=lambda: next(told, None))
    seeds = list(dict.fromkeys(seed for seed, _ in shown))
    assert len(seeds) == 2
    for seed in seeds:
        assert "new" in frozenset().union(*(names for at, names in shown if at == seed))


def test_going_on_from_an_ensemble_goes_on_with_each_of_its_networks(finished, monkeypatch):
    begun = []
    real = Learner.__init__

    def spied(learner, network, *arguments, **more):
        begun.append({name: value.clone() for name, value in network.state_dict().items()})
        real(learner, network, *arguments, **more)

    monkeypatch.setattr(Learner, "__init__", spied)
    last = _last(_images(), small(steps=6), start=finished.model)
    assert last.model.architecture == finished.model.architecture
    for weights, network in zip(begun, finished.model.network.networks, strict=True):
        assert all(torch.equal(weights[name], v) for name, v in network.state_dict().items())


def test_a_stop_loses_none_of_the_networks_that_are_gone_on_from(finished):
    seen = []
    stop = lambda: bool(seen) and seen[-1].step >= 3  # noqa: E731
    seen.extend(train(_images(), small(steps=90), start=finished.model, should_stop=stop))
    before, after = finished.model.network.networks, seen[-1].model.network.networks
    assert [_equal(*pair) for pair in zip(before, after, strict=True)] == [False, True, True]
    assert "1 of 3 networks went on, the others stay" in seen[-1].message


def test_without_an_end_the_first_of_several_goes_on(finished):
    seen = []
    stop = lambda: bool(seen) and seen[-1].step >= 3  # noqa: E731
    config = small(steps=None, until_stopped=True)
    seen.extend(train(_images(), config, start=finished.model, should_stop=stop))
    assert seen[-1].model.architecture["members"] == 3


def test_another_kind_of_picture_begins_with_each_network_anew(finished):
    images = [
        annotate(np.stack([i.image[0, 0]] * 2), i.labels[0], channel_axis=0, name=i.name)
        for i in _images()
    ]
    last = _last(images, small(steps=6), start=finished.model)
    assert last.model.channels == 2
    assert last.model.architecture["members"] == 3


def test_going_on_from_one_network_is_one_network(finished):
    alone = _alone(finished.model)[0]
    last = _last(_images(), small(steps=6, networks=3), start=alone)
    assert last.model.architecture["kind"] == "unet"


def test_values_are_averaged_in_their_own_units():
    images = [domes(seed) for seed in range(5)]
    model = _last(images, small(task="regression", steps=20, networks=2)).model
    image = images[0].image[0, 0]
    each = [predict(alone, image) for alone in _alone(model)]
    assert predict(model, image)[1].mean() > 300, "about 500, and not about 0"
    np.testing.assert_allclose(predict(model, image), np.mean(each, axis=0), rtol=1e-3, atol=0.2)


def test_a_saved_ensemble_predicts_the_same(finished, tmp_path):
    again = load_model(save_model(finished.model, tmp_path / "three.safetensors"))
    assert isinstance(again.network, Ensemble)
    image = bright_discs(9).image[0, 0]
    first, second = (predict(model, image) for model in (finished.model, again))
    assert np.array_equal(first, second)
    assert np.array_equal(labels_from(finished.model, first), labels_from(again, second))


def test_few_cells_teach_every_network(monkeypatch):
    image = bright_discs(cells=5)
    last, seen = _kept_back(monkeypatch, small(steps=4, networks=2), [image])
    assert last.model.architecture["members"] == 2
    assert all(not kept for kept, _ in seen)


def test_preparing_for_long_costs_no_network_its_time(monkeypatch):
    real = run_module.prepare

    def slow(*arguments, known=(), **more):
        if not known:
            time.sleep(1.5)  # more than a third of the time
        return real(*arguments, known=known, **more)

    monkeypatch.setattr(run_module, "prepare", slow)
    rates = []
    real_learn = Learner.learn

    def spied(learner, patches, progress):
        rates.append(progress)
        return real_learn(learner, patches, progress)

    monkeypatch.setattr(Learner, "learn", spied)
    last = _last(_images(), small(steps=None, minutes=0.07, networks=3))
    assert last.model is not None
    assert rates[0] < 0.2, "the schedule begins with the first step"


def test_what_the_network_before_was_shown_is_not_prepared_again(monkeypatch):
    made = []
    real = preparation_module._scaled_slice

    def spied(image, *rest):
        made.append(image.name)
        return real(image, *rest)

    monkeypatch.setattr(preparation_module, "_scaled_slice", spied)
    old = [bright_discs(20), bright_discs(21)]
    _last(_images(), small(steps=6, networks=3), old_images=old)
    assert [made.count(image.name) for image in old] == [1, 1]
    assert len(made) <= 2 + 6 + 1, "one was kept back from the second network in between"


def test_a_network_that_has_learnt_leaves_the_memory(monkeypatch):
    learners, alive = [], []
    real = Learner.__init__

    def spied(learner, *arguments, **more):
        alive.append([each() is not None for each in learners])
        learners.append(weakref.ref(learner))
        real(learner, *arguments, **more)

    monkeypatch.setattr(Learner, "__init__", spied)
    gc.collect()
    gc.disable()
    try:
        _last(_images(), small(steps=6, networks=3))
    finally:
        gc.enable()
    assert alive == [[], [False], [False, False]]


def test_a_checkpoint_says_in_which_precision_it_was_learnt():
    reports = list(train(_images(), small(steps=24)))
    kept = [report.checkpoint for report in reports if report.checkpoint is not None]
    wanted = reports[-1].model.provenance["precision"]
    assert {model.provenance["precision"] for model in kept} == {wanted}


def test_the_configuration_limits_how_many_there_are():
    with pytest.raises(ValueError, match="networks"):
        TrainingConfig(networks=11)
