"""The training: a for loop over reports, repeatable, stoppable, and it learns."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from napari_unet.annotations import annotate
from napari_unet.evaluation import evaluate
from napari_unet.network import build_network
from napari_unet.prediction import labels_from, predict
from napari_unet.prediction.runner import Runner
from napari_unet.training import StoppedError, TrainingConfig, TrainingError, train
from napari_unet.training.optimisation import Learner
from napari_unet.training.preparation import prepare
from napari_unet.training.validation_parts import predict_parts
from tests.training.pictures import bright_discs, small

run_module = importlib.import_module("napari_unet.training.run")
train_module = importlib.import_module("napari_unet.training.train")  # the package shows a function
validation_module = importlib.import_module("napari_unet.training.validation")


def _last(images, config, **more):
    *_, last = train(images, config, **more)
    return last


def _weights(model):
    return torch.cat([value.ravel() for value in model.network.state_dict().values()])


def test_training_overfits_one_image():
    image = bright_discs(cells=7)
    config = small(steps=60, width=8, learning_rate=1e-2, validation=0.0)
    model = _last([image], config).model
    labels = labels_from(model, predict(model, image.image[0, 0]))
    scores = evaluate([(image.labels[0], labels)])
    assert scores.ap50 > 0.5
    assert scores.pixel_error < 0.08


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    images = [bright_discs(seed) for seed in range(3)]
    first, second, other = (
        _weights(_last(images, small(seed=seed, dropout=0.5, averaging=0.9)).model)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_training_leaves_the_random_numbers_of_the_program_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    _last([bright_discs()], small(steps=2))
    assert torch.equal(torch.rand(1), expected)


def test_labels_that_do_not_count_change_no_trained_weight():
    image = bright_discs()
    annotated = np.zeros_like(image.annotated)
    annotated[:, :, :50] = True
    models = []
    for value in (0, 5):
        labels = np.where(annotated, image.labels, value)
        models.append(_last([replace(image, labels=labels, annotated=annotated)], small()).model)
    assert torch.equal(_weights(models[0]), _weights(models[1]))


def test_reports_go_from_preparing_to_a_finished_model():
    reports = list(train([bright_discs(s) for s in range(4)], small(steps=12)))
    assert reports[0].phase == "preparing"
    assert "full resolution" in reports[0].message or "of their size" in reports[0].message
    assert [r.phase == "finished" for r in reports].index(True) == len(reports) - 1
    assert reports[-1].model is not None
    assert reports[-1].step == 12
    assert sum(r.loss is not None for r in reports) == 12
    assert any(r.validation is not None for r in reports[:-1])
    progress = [r.progress for r in reports]
    assert progress == sorted(progress)


def _stopped_at(step, images, config):
    """Train, and stop when a step is reported; return all reports."""
    seen = []
    seen.extend(train(images, config, should_stop=lambda: bool(seen) and seen[-1].step >= step))
    return seen


def test_stopping_early_keeps_a_model():
    seen = _stopped_at(5, [bright_discs()], small(steps=10_000))
    assert seen[-1].phase == "finished"
    assert seen[-1].model is not None
    assert seen[-1].step == 5


def test_a_stop_while_images_are_prepared_ends_it_in_words():
    with pytest.raises(StoppedError, match="stopped before the first step"):
        list(train([bright_discs()], small(), should_stop=lambda: True))


def test_time_that_goes_by_in_preparation_is_told(monkeypatch):
    def slow(*arguments, **more):
        time.sleep(0.7)
        return prepare(*arguments, **more)

    monkeypatch.setattr(run_module, "prepare", slow)
    with pytest.raises(TrainingError, match="give more minutes"):
        _last([bright_discs()], small(steps=None, minutes=0.01))


def test_a_download_takes_no_time_of_the_training(monkeypatch):
    def slow(architecture):
        time.sleep(3.5)
        return build_network(architecture)

    monkeypatch.setattr(run_module, "build_network", slow)
    assert _last([bright_discs()], small(steps=None, minutes=0.05)).step >= 1


def test_a_stop_in_the_middle_of_a_validation_gives_it_up(monkeypatch):
    images = [bright_discs(s) for s in range(5)]
    asked = []

    def spied(*arguments, should_stop, **more):
        asked.append(should_stop)
        stopping.append(True)
        return predict_parts(*arguments, should_stop=should_stop, **more)

    stopping = []
    monkeypatch.setattr(validation_module, "predict_parts", spied)
    seen = list(train(images, small(steps=60), should_stop=lambda: bool(stopping)))
    assert seen[-1].model is not None
    assert seen[-1].step == 10
    assert [report.validation for report in seen[:-1]].count(None) == len(seen) - 1
    # The first validation was given up; those that finish the model were not asked to stop.
    assert [ask() for ask in asked] == [True, False, False]


def test_what_is_learnt_stays_when_it_cannot_be_measured(monkeypatch):
    def broken(*_):
        raise ValueError("cannot convert float NaN to integer")

    monkeypatch.setattr(train_module, "tune", broken)
    seen = list(train([bright_discs(s) for s in range(3)], small()))
    assert seen[-1].model is not None
    assert any("could not be measured" in report.message for report in seen)


def test_a_training_without_an_end_goes_on_until_it_is_stopped():
    config = small(steps=None, minutes=0.01, until_stopped=True)
    seen = []
    took = 1.5  # seconds; more than twice the minutes, which do not count
    seen.extend(
        train([bright_discs()], config, should_stop=lambda: bool(seen) and seen[-1].seconds > took)
    )
    assert seen[-1].model is not None
    learning = [report for report in seen if report.loss is not None]
    assert learning[-1].seconds > took
    assert {report.progress for report in learning} == {None}
    assert {report.seconds_left for report in learning} == {None}


@pytest.mark.parametrize("count", [1, 5])
def test_now_and_then_the_best_model_so_far_is_handed_out(count):
    config = small(steps=30, validation=0.2 if count > 1 else 0.0)
    reports = list(train([bright_discs(s) for s in range(count)], config))
    found = [report for report in reports if report.checkpoint is not None]
    assert found
    steps = [report.checkpoint.provenance["steps"] for report in found]
    assert steps == sorted(set(steps))
    assert 0 < steps[0] < 10
    first = found[0].checkpoint
    assert not torch.equal(_weights(first), _weights(reports[-1].model))
    assert predict(first, bright_discs(9).image[0, 0]).shape == (2, 96, 96)


def test_a_worse_network_is_not_handed_out(monkeypatch):
    scores = iter([0.5, 0.4, 0.6, *[0.1] * 9])
    monkeypatch.setattr(validation_module, "score_of", lambda _: next(scores))
    config = small(steps=30)
    reports = list(train([bright_discs(s) for s in range(5)], config))
    known = [report.validation for report in reports if report.validation is not None]
    assert known[:3] == [0.5, 0.4, 0.6]
    found = [report.step for report in reports if report.checkpoint is not None]
    assert found == [report.step for report in reports if report.validation in (0.5, 0.6)]


def test_time_is_a_budget():
    last = _last([bright_discs()], small(steps=None, minutes=0.08))
    assert last.model is not None
    assert last.step >= 1


def test_the_model_says_where_it_comes_from():
    images = [bright_discs(s) for s in range(5)]
    model = _last(images, small()).model
    facts = model.provenance
    assert facts["steps"] == 6
    assert facts["cells"] > 20
    assert set(facts["versions"]) == {"napari-unet", "torch", "python"}
    assert facts["images"] == [f"discs {s}" for s in range(5)]
    assert facts["scored_on"] != "the training images"
    assert 0 <= facts["scores"]["ap50"] <= 1
    other = _last([bright_discs(9), *images[1:]], small()).model
    assert other.provenance["data"] != facts["data"]


def test_what_is_kept_back_never_reaches_the_network(monkeypatch):
    images = [bright_discs(s) for s in range(5)]
    config = small(working_scale=1.0)
    held_back = _last(images, config).model.provenance["scored_on"]
    assert len(held_back) == 1
    others = [replace(i, image=-i.image) if i.name in held_back else i for i in images]
    learners = []
    original = Learner.__init__

    def spy(self, *arguments):
        learners.append(self)
        original(self, *arguments)

    monkeypatch.setattr(Learner, "__init__", spy)
    for version in (images, others, [replace(i, image=-i.image) for i in images]):
        _last(version, config)
    first, second, third = (
        torch.cat([p.detach().ravel() for p in learner.network.parameters()])
        for learner in learners
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_few_cells_are_trained_without_validation_and_it_says_so():
    reports = list(train([bright_discs(cells=3)], small()))
    assert any("Too few cells" in r.message for r in reports)
    assert reports[-1].validation is None
    assert reports[-1].model.provenance["scored_on"] == "the training images"


def test_what_is_painted_during_a_training_joins_it():
    blank = annotate(np.zeros((64, 64), np.float32), np.zeros((64, 64), int), name="a")
    labels = blank.labels.copy()
    labels[0, 10:20, 10:20] = 1
    start = replace(blank, labels=labels)
    later = bright_discs(shape=(64, 64), name="a")
    asked = []

    def updates():
        asked.append(1)
        return [later] if len(asked) == 3 else None

    with_update = _last([start], small(validation=0.0), updates=updates).model
    without = _last([start], small(validation=0.0)).model
    assert len(asked) == 6
    assert not torch.equal(_weights(with_update), _weights(without))


def test_the_model_remembers_what_joined_its_training():
    blank = annotate(np.zeros((64, 64), np.float32), np.zeros((64, 64), int), name="a")
    labels = blank.labels.copy()
    labels[0, 10:20, 10:20] = 1
    later = bright_discs(shape=(64, 64), name="a"), bright_discs(1, name="b")
    asked = []

    def updates():
        asked.append(1)
        return later if len(asked) == 3 else None

    config = small(validation=0.0)
    facts = _last([replace(blank, labels=labels)], config, updates=updates).model.provenance
    assert facts["images"] == ["a", "b"]
    assert facts["cells"] > 2
    assert facts["data"] == _last(later, config).model.provenance["data"]


def test_painting_on_large_images_leaves_most_of_the_time_to_learning(monkeypatch):
    clock, asked = [0.0], []

    def slow_preparation(*args, **more):
        clock[0] += 2.0
        return prepare(*args, **more)

    def updates():
        asked.append(clock[0])
        return [bright_discs(len(asked), name="a")]

    learn = Learner.learn

    def step(*args):
        clock[0] += 1.0
        return learn(*args)

    monkeypatch.setattr("napari_unet.training.run.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("napari_unet.training.run.prepare", slow_preparation)
    monkeypatch.setattr(Learner, "learn", step)
    list(train([bright_discs(name="a")], small(validation=0.0, steps=50), updates=updates))
    assert np.diff(asked).min() >= 20
    assert len(asked) == 3


@pytest.mark.parametrize("where", ["asked", "prepared"])
def test_no_memory_for_what_is_painted_does_not_end_the_training(monkeypatch, where):
    asked = []

    def updates():
        asked.append(1)
        if where == "asked" and len(asked) == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return [bright_discs(1)] if len(asked) == 3 else None

    def full(*args, **more):
        if asked:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return prepare(*args, **more)

    if where == "prepared":
        monkeypatch.setattr("napari_unet.training.run.prepare", full)
    reports = list(train([bright_discs()], small(validation=0.0), updates=updates))
    assert reports[-1].model.provenance["steps"] == 6
    assert any("cannot join yet: the memory is used up" in report.message for report in reports)


def test_classes_are_learnt_by_their_painted_values():
    image = bright_discs()
    labels = np.where(image.labels > 0, 200, 50)
    config = small(task="classes", steps=40, width=8, learning_rate=1e-2)
    model = _last([replace(image, labels=labels)], config, class_names={200: "disc"}).model
    assert [(c.value, c.name) for c in model.classes] == [(50, "background"), (200, "disc")]
    found = labels_from(model, predict(model, image.image[0, 0]))
    assert set(np.unique(found)) <= {50, 200}
    assert (found == labels[0]).mean() > 0.9


def _moved(image, **choice):
    """Train with a tiny and a large rate, and return how far apart the parameters then are."""
    slow, fast = (
        _last([image], small(weight_decay=0.0, learning_rate=rate, **choice)).model
        for rate in (1e-9, 1e-2)
    )
    return {
        name: (after - before).detach().abs()
        for (name, before), after in zip(
            slow.network.named_parameters(), fast.network.parameters(), strict=True
        )
    }


def test_rgb_is_learnt():
    grey = bright_discs()
    moved = _moved(replace(grey, image=np.repeat(grey.image, 3, axis=1)))
    assert all(values.max() > 1e-4 for values in moved.values())
    first = next(iter(moved.values()))
    assert first.shape[1] == 3
    assert (first.amax(dim=(0, 2, 3)) > 1e-4).all()


def test_valid_padding_is_learnt():
    moved = _moved(bright_discs(), padding="valid", patch=60)
    assert all(values.max() > 1e-4 for values in moved.values())


@pytest.mark.parametrize(
    "choice",
    [
        {"skips": "add", "normalisation": "group"},
        {"skips": "none", "normalisation": "instance"},
        {"depth": 0, "normalisation": "none", "init": "xavier"},
    ],
)
def test_every_architecture_is_learnt(choice):
    moved = _moved(bright_discs(), averaging=0.9, **choice)
    assert all(values.max() > 1e-4 for values in moved.values())


def test_a_sliding_window_learns():
    image = bright_discs(shape=(64, 64), cells=5)
    choice = {"network": "sliding_window", "window": 9, "width": 8, "batch": 8}
    config = small(task="classes", steps=60, learning_rate=1e-2, validation=0.0, **choice)
    classes = replace(image, labels=(image.labels > 0).astype(np.int32))
    model = _last([classes], config).model
    assert model.architecture["kind"] == "sliding_window"
    found = labels_from(model, predict(model, image.image[0, 0]))
    assert (found == classes.labels[0]).mean() > 0.95


def test_what_a_network_keeps_of_a_patch_holds_something_annotated(monkeypatch):
    image = bright_discs(shape=(64, 64))
    annotated = np.zeros_like(image.annotated)
    annotated[0, 30, 30] = True
    one_cell = np.where(annotated, 1, image.labels)
    seen = []
    original = Learner.learn

    def spy(self, patches, progress):
        seen.extend(patches)
        return original(self, patches, progress)

    monkeypatch.setattr(Learner, "learn", spy)
    choice = {"network": "sliding_window", "window": 33, "elastic": False, "scaling": 0.0}
    config = small(rotate=False, validation=0.0, working_scale=1.0, **choice)
    _last([replace(image, labels=one_cell, annotated=annotated)], config)
    kept = [patch.weight[16:-16, 16:-16] for patch in seen]
    assert sum(bool(weight.any()) for weight in kept) >= len(kept) // 2


@pytest.mark.parametrize("shape", [(1, 1), (5, 3)])
def test_tiny_images_are_mirrored(shape):
    image = annotate(np.arange(np.prod(shape), dtype=float).reshape(shape), np.ones(shape, int))
    assert _last([image], small(steps=2, working_scale=1.0)).model is not None


def test_little_memory_means_smaller_batches(monkeypatch):
    sizes = []
    original = Learner.learn

    def little(self, patches, progress):
        sizes.append(len(patches))
        if len(patches) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return original(self, patches, progress)

    monkeypatch.setattr(Learner, "learn", little)
    assert _last([bright_discs()], small(batch=4, steps=2)).model is not None
    assert sizes == [4, 2, 1, 1]


def test_running_out_of_memory_late_keeps_what_was_learnt(monkeypatch):
    original = Learner.learn

    def fails_later(self, patches, progress):
        if self._steps >= 3:
            raise torch.OutOfMemoryError("out of memory")
        return original(self, patches, progress)

    monkeypatch.setattr(Learner, "learn", fails_later)
    reports = list(train([bright_discs()], small(batch=1)))
    assert reports[-1].model is not None
    assert reports[-1].step == 3
    assert any("memory" in r.message for r in reports)


def _break_weights_at(step, monkeypatch):
    original = Learner.learn

    def breaks(self, patches, progress):
        if self._steps == step:
            with torch.no_grad():
                self.network.classify.weight.fill_(float("nan"))
        return original(self, patches, progress)

    monkeypatch.setattr(Learner, "learn", breaks)


def test_a_training_that_diverges_never_leaves_a_broken_network(monkeypatch):
    _break_weights_at(3, monkeypatch)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        list(train([bright_discs()], small(validation=0.0)))


def test_a_training_that_diverges_late_keeps_the_best_network(monkeypatch):
    _break_weights_at(8, monkeypatch)
    reports = list(train([bright_discs(s) for s in range(5)], small(steps=12)))
    assert any("lower the learning rate" in r.message for r in reports)
    assert _weights(reports[-1].model).isfinite().all()


def test_a_quality_that_cannot_be_measured_does_not_lose_the_network(monkeypatch):
    def fails(*_arguments):
        raise MemoryError

    monkeypatch.setitem(train.__globals__, "tune", fails)
    reports = list(train([bright_discs()], small()))
    assert reports[-1].model is not None
    assert any("could not be measured" in r.message for r in reports)


def test_painting_that_cannot_join_does_not_end_the_training():
    wrong = annotate(np.zeros((1, 3, 9, 9)), np.ones((9, 9), int), name="rgb")
    reports = list(train([bright_discs()], small(validation=0.0), updates=lambda: [wrong]))
    assert reports[-1].step > 0
    assert reports[-1].model is not None


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("device lost")]
)
def test_a_training_that_never_took_a_step_ends_with_a_sentence(monkeypatch, error):
    def fails(self, patches, progress):
        raise error

    monkeypatch.setattr(Learner, "learn", fails)
    with pytest.raises(TrainingError, match=r"memory|training failed: device lost"):
        list(train([bright_discs()], small(batch=1)))


def test_the_paper_preset_lowers_its_energy():
    config = TrainingConfig.from_preset("paper", steps=30, width=4, intensity=0.0, elastic=False)
    image = bright_discs(shape=(572, 572), cells=200)
    losses = [r.loss for r in train([image], config) if r.loss is not None]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:3])


def test_a_prediction_that_fails_in_a_validation_costs_nothing(monkeypatch):
    calls = []
    real = Runner.__call__

    def breaks(self, *arguments):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")
        return real(self, *arguments)

    monkeypatch.setattr(Runner, "__call__", breaks)
    reports = list(train([bright_discs(s) for s in range(5)], small(steps=30)))
    assert reports[-1].model is not None
    assert 0 < reports[-1].step < 30
    assert any("CUDNN" in report.message for report in reports)


def test_in_a_long_training_it_is_time_to_validate_sooner(monkeypatch):
    monkeypatch.setattr(validation_module, "_LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(validation_module, "_SHARE", 1e9)
    images = [bright_discs(s) for s in range(5)]
    endless, seen = small(steps=None, until_stopped=True), []
    seen.extend(train(images, endless, should_stop=partial(_after, seen, 8)))
    scored = [report.step for report in seen if report.validation is not None]
    assert scored == list(range(1, 9))
    by_steps = list(train(images, small(steps=12)))
    scored = [report.step for report in by_steps if report.validation is not None]
    assert scored == [2, 4, 6, 8, 10, 12], "the same on every machine"


def test_what_was_learnt_since_the_last_validation_counts_after_a_stop(monkeypatch):
    scores = iter([0.1, 0.9])
    monkeypatch.setattr(validation_module, "score_of", lambda _: next(scores, 0.0))
    images, seen = [bright_discs(s) for s in range(5)], []
    stop = partial(_after, seen, 9)
    seen.extend(train(images, small(steps=30, averaging=0.0), should_stop=stop))
    scored = [report for report in seen if report.validation == 0.1]
    assert [report.step for report in scored] == [5]
    first = next(report.checkpoint for report in seen if report.checkpoint is not None)
    assert seen[-1].step == 9
    assert not torch.equal(_weights(first), _weights(seen[-1].model))


def _after(seen, step):
    return bool(seen) and seen[-1].step >= step


def test_images_that_are_painted_further_need_names_of_their_own():
    images = [bright_discs(0, name="a"), bright_discs(1, name="a")]
    with pytest.raises(TrainingError, match="told apart by their names"):
        list(train(images, small(), updates=lambda: None))
    assert _last(images, small(steps=1)).model is not None
