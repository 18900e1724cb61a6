"""Tests of the Train dock in real napari, with networks of a few channels."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox

from napari_unet.files import load_model, save_model
from napari_unet.gui import trainer
from napari_unet.gui.border import Border
from napari_unet.gui.class_names import ClassNames, given_names
from napari_unet.gui.layers import ImageStack
from napari_unet.gui.teaching import other_annotations
from napari_unet.gui.train import TrainDock
from napari_unet.gui.trainer import Curve, Trainer
from napari_unet.network import ClassLabel, TrainedModel, UNet
from napari_unet.training import TrainingConfig, TrainingReport, depending_options

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unet.gui.session import Session

CELLS = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
TINY = {"depth": 1, "width": 2, "patch": 32, "batch": 1}


@pytest.fixture
def dock(viewer: Any) -> TrainDock:
    made = TrainDock(viewer)
    viewer.window.add_dock_widget(made, name="Train")
    return made


@pytest.fixture
def painted(session: Session, stack: Any) -> Session:
    where = np.zeros((3, 40, 48), dtype=bool)
    where[1, 10:20, 5:15] = True
    labels = session.create_annotation()
    labels.data_setitem(np.nonzero(where), 1)
    labels.data_setitem(np.nonzero(np.roll(where, 15, axis=2)), 2)
    return session


def choose(dock: TrainDock, **changes: Any) -> None:
    dock._form.set_value(replace(dock._form.value(), **{**TINY, **changes}))


def pick(dock: TrainDock, text: str) -> None:
    """Choose what to start from, as the mouse does."""
    index = dock._from.findText(text)
    assert index >= 0, text
    dock._from.setCurrentIndex(index)
    dock._from.activated.emit(index)


def small_model() -> TrainedModel:
    network = UNet(depth=1, width=3, padding="same", dropout=0.0).eval()
    return TrainedModel(network=network, task="instances", classes=CELLS)


def wait(session: Session, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not session.part(Trainer).running, timeout=60_000)


def test_without_an_image_one_sentence_says_what_to_do(dock, press):
    press(dock, "Start training")
    assert "no image yet" in dock.message


def test_without_labels_one_sentence_says_what_to_do(dock, stack, press):
    press(dock, "Start training")
    assert "no labels yet" in dock.message


def test_without_paint_one_sentence_says_what_to_do_until_there_is_some(
    dock, session, stack, press, qtbot
):
    session.create_annotation()
    press(dock, "Start training")
    assert "Nothing is painted" in dock.message
    assert not session.part(Trainer).running
    session.labels_layer.data_setitem((np.array([1]), np.array([5]), np.array([5])), 1)
    qtbot.waitUntil(lambda: not dock.message, timeout=5_000)


def test_a_model_remembers_what_its_channels_are_called(viewer, dock, painted, stack, press, qtbot):
    second = viewer.add_image(stack.data, name="green")
    viewer.layers.move(viewer.layers.index(second), 0)
    painted.set_channels([stack, second])
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model.provenance["channels"] == ["green", "cells"]
    stored = load_model(painted.model_path)
    assert list(stored.provenance["channels"]) == ["green", "cells"]


def test_why_a_training_failed_stays_while_one_paints_on(dock, painted, qtbot):
    part = painted.part(Trainer)
    part.report = TrainingReport(phase="training", step=5)
    part.problem = "The graphics card went away."
    part.changed.emit()
    assert "went away" in dock.message
    with qtbot.waitSignal(painted.annotations_changed, timeout=5_000):
        painted.labels_layer.data_setitem((np.array([1]), np.array([5]), np.array([5])), 1)
    assert "went away" in dock.message


def test_a_picture_with_nan_gives_one_sentence(viewer, dock, session, press, qtbot):
    viewer.add_image(np.full((40, 40), np.nan, np.float32), name="broken")
    labels = session.create_annotation()
    labels.data_setitem((np.array([5]), np.array([5])), 1)
    press(dock, "Start training")
    wait(session, qtbot)
    assert dock.message.startswith("⚠")
    assert "NaN" in dock.message
    assert session.model is None


def test_a_stop_before_the_first_step_is_no_warning(dock, painted, qtbot, caplog):
    choose(dock, minutes=1.0)
    dock._start.click()
    dock._stop.click()
    wait(painted, qtbot)
    assert dock.message == "Stopped before the first step; there is no new model."
    assert "Traceback" not in caplog.text
    assert painted.model is None


def test_nothing_is_being_finished_before_there_is_a_network(dock, painted, qtbot):
    choose(dock, minutes=1.0)
    dock._start.click()
    dock._stop.click()
    assert dock._clock.text() == "Stopping…"
    wait(painted, qtbot)


def test_pixels_that_are_not_square_are_told_once(dock, painted, stack, press, qtbot):
    stack.scale = (2, 0.5, 0.25)
    for used, told in ((False, False), (True, True), (True, False)):
        choose(dock, steps=1, minutes=None, use_pixel_size=used)
        press(dock, "Start training")
        notes = painted.part(Trainer).notes
        assert any("Pixels 0.25 µm wide" in note for note in notes) == told
        assert ("Pixels 0.25 µm wide" in dock.message) == told
        wait(painted, qtbot)


def test_training_leaves_a_model_in_the_session_and_in_a_file(
    dock, painted, press, button, qtbot, own_home: Path
):
    choose(dock, steps=3, minutes=None)
    press(dock, "Start training")
    assert not button(dock, "Start training").isEnabled()
    wait(painted, qtbot)
    assert painted.model is not None
    assert painted.model_path.parent == own_home / "models"
    assert load_model(painted.model_path).configuration["steps"] == 3
    assert "Trained for 3 steps" in dock.message
    assert button(dock, "Save model as").isEnabled()
    assert button(dock, "Start training").isEnabled()


def test_start_progress_and_curves_stay_in_sight_below_all_options(dock, painted, press, qtbot):
    dock.resize(340, 500)
    choose(dock, minutes=1.0)
    bar = dock._controls.verticalScrollBar()
    dock._form.advanced.expand(animate=False)
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    assert not dock._plot.isVisible(), "the room is for the options before there are curves"
    QTest.keyClick(dock._preset, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(dock._plot.isVisible)
    for shown in (dock._start, dock._stop, dock._progress, dock._clock, dock._plot, dock._so_far):
        assert shown.visibleRegion().boundingRect() == shown.rect()
    press(dock, "Stop")
    wait(painted, qtbot)


def test_why_nothing_follows_a_start_by_key_is_seen_below_all_options(dock, qtbot):
    dock._form.advanced.expand(animate=False)
    qtbot.waitUntil(lambda: dock._controls.verticalScrollBar().maximum() > 0)
    QTest.keyClick(dock._preset, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert dock.warned
    qtbot.waitUntil(lambda: not dock._message.visibleRegion().isEmpty())


def test_it_says_which_of_several_networks_learns(dock, painted, press, qtbot):
    choose(dock, steps=6, minutes=None, networks=2)
    seen = []
    painted.part(Trainer).changed.connect(lambda: seen.append(dock._times()))
    press(dock, "Start training")
    wait(painted, qtbot)
    assert any("network 1 of 2" in text for text in seen)
    assert any("network 2 of 2" in text for text in seen)
    assert "mean of 2 networks" in dock.message
    assert "Network 1" not in dock.message, "that was for the beginning"
    assert load_model(painted.model_path).architecture["members"] == 2


def test_stop_keeps_a_model(dock, painted, press, qtbot):
    choose(dock, minutes=60.0)
    press(dock, "Start training")
    part = painted.part(Trainer)
    qtbot.waitUntil(lambda: part.report is not None and part.report.step > 2, timeout=60_000)
    press(dock, "Stop")
    wait(painted, qtbot)
    assert painted.model is not None


def test_until_i_stop_trains_until_stop(viewer, dock, painted, press, qtbot):
    choose(dock, minutes=0.01)
    endless: Any = dock._form.widget("until_stopped")
    minutes = dock._form.widget("minutes")
    assert minutes.isEnabled()
    endless.click()
    assert not minutes.isEnabled()
    press(dock, "Start training")
    part = painted.part(Trainer)
    qtbot.waitUntil(lambda: part.report is not None and part.report.seconds > 1.5, timeout=60_000)
    qtbot.waitUntil(lambda: dock._progress.maximum() == 0, timeout=5_000)
    assert part.running
    assert "left" not in dock._clock.text()
    press(dock, "Stop")
    wait(painted, qtbot)
    assert painted.model is not None
    assert dock._progress.maximum() > 0
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="Train again")
    assert again._form.value().until_stopped
    assert not again._form.widget("minutes").isEnabled()


def test_the_best_model_so_far_lies_in_a_file_until_the_training_is_over(
    dock, painted, press, qtbot, own_home: Path, monkeypatch
):
    kept = []
    store = trainer._store

    def spied(model: TrainedModel, name: str) -> Any:
        found = store(model, name)
        kept.append((name, found.path, load_model(found.path).provenance["steps"]))
        return found

    monkeypatch.setattr(trainer, "_store", spied)
    choose(dock, steps=12, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    *before, last = kept
    assert before
    assert {name for name, _, _ in before} == {f"{last[0]} (unfinished)"}
    assert 0 < before[0][2] < 12
    assert list((own_home / "models").iterdir()) == [last[1]]
    assert painted.model_path == last[1]


def test_the_best_network_so_far_predicts_while_the_training_goes_on(
    dock, painted, press, button, qtbot
):
    choose(dock, steps=2000, minutes=None)
    part = painted.part(Trainer)
    assert not button(dock, "Predict with it so far").isEnabled()
    press(dock, "Start training")
    assert not button(dock, "Predict with it so far").isEnabled()
    qtbot.waitUntil(lambda: part.checkpoint is not None, timeout=60_000)
    qtbot.waitUntil(lambda: button(dock, "Predict with it so far").isEnabled(), timeout=5_000)
    assert painted.model is None, "the model in the window changes only when asked"
    early = part.checkpoint
    press(dock, "Predict with it so far")
    assert painted.model is early
    assert "Predict dock has the best network so far" in dock.message
    assert part.running
    press(dock, "Stop")
    wait(painted, qtbot)
    assert painted.model is not early
    assert part.checkpoint is None
    assert not button(dock, "Predict with it so far").isEnabled()


def test_a_training_goes_on_where_the_best_model_so_far_cannot_be_kept(
    dock, painted, press, qtbot, monkeypatch
):
    def full(model: TrainedModel, name: str) -> Any:
        return trainer._Stored(None, "no space left on device")

    monkeypatch.setattr(trainer, "_store", full)
    choose(dock, steps=12, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    notes = painted.part(Trainer).notes
    assert sum("model so far could not be kept" in note for note in notes) == 1
    assert painted.model.provenance["steps"] == 12


def test_a_training_survives_its_dock_and_its_layers(viewer, painted, press, qtbot):
    first = TrainDock(viewer)
    viewer.window.add_dock_widget(first, name="Train")
    choose(first, steps=6, minutes=None)
    press(first, "Start training")
    viewer.window.remove_dock_widget(first)
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    viewer.layers.clear()
    wait(painted, qtbot)
    assert painted.model is not None
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="Train")
    assert "Trained for 6 steps" in again.message


def test_the_next_training_goes_on_from_the_model_in_the_window(
    viewer, dock, painted, press, qtbot
):
    assert dock._from.findText("The model in the window") == -1
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    first = painted.model
    assert "Start from" in dock.message
    pick(dock, "The model in the window")
    assert not dock._form.widget("width").isEnabled()
    assert "Goes on with the network" in dock._about.text()
    choose(dock, steps=2, minutes=None, width=7)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model is not first
    assert painted.model.architecture == first.architecture
    parent = painted.model.provenance["parent"]
    assert parent["fingerprint"] == first.fingerprint
    assert first.provenance["date"] == parent["date"]
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert again._from.start is painted.model
    painted.set_model(None)
    assert again._from.start is None
    assert again._from.currentText() == "A new network"
    assert again._form.widget("width").isEnabled()


def test_classes_keep_the_names_of_the_model_unless_the_user_gives_one(dock, painted, press, qtbot):
    """Of the painted values 2 is the user's, 3 the model's, 5 nobody's."""
    labels = painted.labels_layer
    labels.data[labels.data > 0] += 1
    labels.data[0, :10, :10] = 5
    painted.task = "classes"
    painted.part(ClassNames).choose({1: "background", 2: "nerve", 3: "class 2"})
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    named = {label.value: label.name for label in painted.model.classes}
    assert named == {2: "nerve", 3: "class 2", 5: "class 4"}
    classes = tuple(ClassLabel(value, f"tissue {value}") for value in named)
    painted.set_model(replace(painted.model, classes=classes))
    pick(dock, "The model in the window")
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    named = {label.value: label.name for label in painted.model.classes}
    assert named == {2: "nerve", 3: "tissue 3", 5: "tissue 5"}


def test_options_that_a_model_decides_cannot_be_in_the_way(dock, painted, press, qtbot):
    dock._preset.setCurrentIndex(dock._preset.findData("paper"))
    encoders = dock._form.widget("encoder")
    encoders.setCurrentIndex(1)
    assert "padding" in dock.message
    encoders.setCurrentIndex(0)
    assert not dock.message
    encoders.setCurrentIndex(1)
    painted.set_model(small_model())
    pick(dock, "The model in the window")
    assert not dock.message
    assert "Goes on" in dock._about.text()
    dock._form.widget("patch").setValue(572)
    dock._form.widget("batch").setValue(1)
    assert not dock.message
    assert dock._config().encoder is None
    pick(dock, "A new network")
    assert "padding" in dock.message
    assert dock._form.widget("encoder").isEnabled()


def test_a_training_goes_on_from_a_file_which_is_remembered(
    viewer, dock, painted, press, qtbot, tmp_path: Path
):
    path = save_model(small_model(), tmp_path / "other cells.safetensors")
    dock._from.choose_file(str(path))
    assert dock._from.currentText() == "other cells.safetensors"
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model.provenance["parent"]["name"] == "other cells"
    assert painted.model.architecture["width"] == 3
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert again._from.start == path
    pick(again, "A new network")
    assert again._from.start is None


@pytest.mark.parametrize("content", [None, b"no model at all"])
def test_a_file_that_cannot_be_gone_on_from_gives_one_sentence(
    dock, painted, press, button, qtbot, tmp_path: Path, content
):
    path = tmp_path / "broken.safetensors"
    if content is not None:
        path.write_bytes(content)
    dock._from.choose_file(str(path))
    press(dock, "Start training")
    wait(painted, qtbot)
    assert dock.message.startswith("⚠")
    assert "broken.safetensors" in dock.message
    assert "another model under “Start from”" in dock.message
    assert button(dock, "Start training").isEnabled()
    assert painted.model is None


def test_painting_joins_the_training(dock, painted, press, qtbot, monkeypatch):
    seen = []

    def follow(images, config, *, should_stop, updates, **_):
        while not should_stop():
            fresh = updates()
            seen.extend(fresh or [])
            time.sleep(0.01)
            yield TrainingReport(phase="training", step=len(seen))

    monkeypatch.setattr("napari_unet.training.train", follow)
    painted.part(Trainer)._join.setInterval(50)
    press(dock, "Start training")
    painted.labels_layer.data_setitem((np.array([0]), np.array([3]), np.array([4])), 7)
    qtbot.waitUntil(lambda: seen != [], timeout=20_000)
    press(dock, "Stop")
    wait(painted, qtbot)
    assert seen[-1].labels[0, 3, 4] == 7
    assert seen[-1].image.shape == (3, 1, 40, 48)


def paint_another(viewer: Any, session: Session, name: str, channels: int = 1, **more: Any) -> Any:
    """Open a further image, paint a cell on it, and go back to the first one."""
    before = session.image_layers
    shape = (40, 48, 3) if channels == 3 else (40, 48)
    image = viewer.add_image(np.random.default_rng(1).random(shape), name=name, **more)
    session.choose([image])
    labels = session.create_annotation()
    where = np.zeros((40, 48), dtype=bool)
    where[10:20, 5:15] = True
    labels.data_setitem(np.nonzero(where), 1)
    session.choose(before)
    return image


def test_all_annotated_images_of_the_window_teach_one_network(viewer, dock, painted, press, qtbot):
    assert dock._others.isHidden()
    paint_another(viewer, painted, "second")
    paint_another(viewer, painted, "colours", channels=3)
    assert not dock._others.isHidden()
    assert dock._others.text() == "Also learn from another annotated image"
    paint_another(viewer, painted, "third")
    assert dock._others.text() == "Also learn from 2 other annotated images"
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model.provenance["images"] == ["cells", "second", "third"]
    dock._others.click()
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model.provenance["images"] == ["cells"]
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="Train again")
    assert not again._others.isChecked(), "remembered"


def test_names_of_classes_come_from_every_image_and_do_not_contradict(viewer, painted):
    painted.task = "classes"
    made = [paint_another(viewer, painted, name) for name in ("second", "third")]
    for image, names in zip(made, ({2: "nucleus"}, {2: "membrane", 3: "dirt"}), strict=True):
        painted.choose([image])
        painted.task = "classes"
        painted.part(ClassNames).choose(names)
    painted.choose([viewer.layers["cells"]])
    assert [layer.name for layer in other_annotations(painted)] == ["second labels"]
    assert given_names(*other_annotations(painted), painted.labels_layer) == {2: "nucleus"}
    painted.part(ClassNames).choose({2: "membrane"})
    assert [layer.name for layer in other_annotations(painted)] == ["third labels"]
    assert given_names(*other_annotations(painted), painted.labels_layer) == {
        2: "membrane",
        3: "dirt",
    }


def test_an_image_is_taught_by_one_layer_whatever_was_removed(viewer, painted):
    second = paint_another(viewer, painted, "second")
    third = paint_another(viewer, painted, "third")
    painted.choose([second])
    painted.set_channels([second, third])
    painted.choose([third])
    viewer.layers.remove(second)
    painted.choose([third])
    own = painted.labels_layer
    assert [layer for layer in other_annotations(painted) if layer is own] == []
    assert [layer.name for layer in other_annotations(painted)] == ["cells labels"]


def test_only_what_means_the_same_is_learnt_together(viewer, dock, painted):
    image = paint_another(viewer, painted, "tissue")
    painted.choose([image])
    painted.task = "classes"
    assert other_annotations(painted) == []
    painted.choose([viewer.layers["cells"]])
    assert other_annotations(painted) == []
    assert dock._others.isHidden()


def test_an_image_without_paint_is_not_offered(viewer, dock, painted):
    image = viewer.add_image(np.zeros((40, 48)), name="empty")
    painted.choose([image])
    painted.create_annotation()
    painted.choose([viewer.layers["cells"]])
    assert dock._others.isHidden()


def add_empty(
    viewer: Any, session: Session, name: str, *, task: str = "instances", said: str = "complete"
) -> Any:
    """Add an image on which nothing is painted, and choose the one before again.

    It is called complete, or a region says the same of a part of it.
    """
    before = session.image_layers
    image = viewer.add_image(np.random.default_rng(1).random((40, 48)), name=name)
    session.choose([image])
    session.task = task
    if said == "complete":
        session.set_complete(0, True)
    else:
        session.region_layer("regions").add_rectangles(np.array([[0, 0], [39, 30]]))
    session.choose(before)
    return image


@pytest.mark.parametrize("said", ["complete", "region"])
def test_an_image_that_is_said_to_hold_no_cell_teaches_what_is_none(
    viewer, dock, painted, press, qtbot, said
):
    add_empty(viewer, painted, "empty", said=said)
    assert dock._others.text() == "Also learn from another annotated image"
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model.provenance["images"] == ["cells", "empty"]


@pytest.mark.parametrize("said", ["complete", "region"])
def test_of_scribbles_an_image_without_any_says_nothing(viewer, dock, painted, said):
    painted.task = "classes"
    add_empty(viewer, painted, "empty", task="classes", said=said)
    assert other_annotations(painted) == []
    assert dock._others.isHidden()


@pytest.mark.parametrize("said", ["complete", "region"])
def test_images_without_a_cell_alone_are_refused_at_once(viewer, dock, session, press, said):
    for name in ("empty", "as empty"):
        session.choose([add_empty(viewer, session, name, said=said)])
    assert dock._others.text() == "Also learn from another annotated image"
    press(dock, "Start training")
    assert "Nothing is painted on “as empty” yet" in dock.message
    assert not session.part(Trainer).running


def test_painting_on_each_image_joins(viewer, dock, painted, press, qtbot, monkeypatch):
    seen: list[Any] = []

    def follow(images, config, *, should_stop, updates, **_):
        while not should_stop():
            fresh = updates()
            if fresh:
                seen.append({each.name: each.labels for each in fresh})
            time.sleep(0.01)
            yield TrainingReport(phase="training")

    second = paint_another(viewer, painted, "second")
    monkeypatch.setattr("napari_unet.training.train", follow)
    part = painted.part(Trainer)
    press(dock, "Start training")
    painted.labels_layer.data_setitem((np.array([0]), np.array([3]), np.array([4])), 7)
    painted.choose([second])
    qtbot.waitUntil(lambda: seen != [], timeout=20_000)
    assert seen[-1]["cells"][0, 3, 4] == 7, "handed over before the other image was chosen"
    part._join.setInterval(50)
    painted.labels_layer.data_setitem((np.array([30]), np.array([40])), 9)
    qtbot.waitUntil(lambda: seen[-1]["second"][0, 30, 40] > 0, timeout=20_000)
    assert seen[-1]["cells"][0, 3, 4] == 7, "what had joined stays"
    first = viewer.layers["cells labels"]
    first.data_setitem((np.array([0]), np.array([7]), np.array([9])), 8)
    qtbot.waitUntil(lambda: seen[-1]["cells"][0, 7, 9] == 8, timeout=20_000)
    assert painted.image_layers == (second,), "painted on in napari's own list"
    press(dock, "Stop")
    wait(painted, qtbot)


def test_painting_on_another_image_does_not_join(viewer, dock, painted, press, qtbot, monkeypatch):
    seen = []

    def follow(images, config, *, should_stop, updates, **_):
        while not should_stop():
            seen.extend(updates() or [])
            time.sleep(0.01)
            yield TrainingReport(phase="training")

    monkeypatch.setattr("napari_unet.training.train", follow)
    part = painted.part(Trainer)
    part._join.setInterval(50)
    press(dock, "Start training")
    other = viewer.add_image(np.ones((40, 48)), name="other")
    painted.choose([other])
    labels = painted.create_annotation()
    labels.data_setitem((np.array([3]), np.array([4])), 7)
    with qtbot.waitSignal(part._join.timeout, timeout=20_000):
        pass
    qtbot.wait(100)
    press(dock, "Stop")
    wait(painted, qtbot)
    assert seen == []


def test_a_folder_that_takes_no_model_loses_nothing(dock, painted, press, qtbot, own_home: Path):
    (own_home / "models").write_text("in the way")
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model is not None
    assert painted.model_path is None
    assert "could not be kept as a file" in dock.message


def test_weights_are_the_same_in_the_weight_map_and_here(dock, session):
    session.part(Border).choose(7.5, 3.0)
    assert (dock._form.value().w0, dock._form.value().sigma) == (7.5, 3.0)
    dock._form.widget("w0").setValue(4.0)
    assert session.part(Border).weights == (4.0, 3.0)


def test_choices_are_remembered(viewer, dock):
    dock._preset.setCurrentIndex(dock._preset.findData("balanced"))
    dock._form.widget("minutes").setValue(42.0)
    again = TrainDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert again._preset.currentData() == "balanced"
    assert again._form.value().minutes == 42.0
    assert again._form.value().width == TrainingConfig.from_preset("balanced").width


def test_the_best_says_that_three_networks_need_a_known_time(dock):
    dock._preset.setCurrentIndex(dock._preset.findData("best"))
    assert dock._form.value().networks == 3
    assert "Three small networks" in dock._about.text()
    endless: Any = dock._form.widget("until_stopped")
    endless.setChecked(True)
    assert "one learns" in dock._about.text()
    endless.setChecked(False)
    assert "Three small networks" in dock._about.text()


@pytest.mark.parametrize("lacks", ["", "Encoders need two packages more"])
def test_what_encoders_lack_is_looked_for_once_and_beside_the_window(
    dock, monkeypatch, qtbot, lacks
):
    asked_in = []

    def advice():
        asked_in.append(threading.current_thread())
        return lacks

    monkeypatch.setattr("napari_unet.gui.train.encoder_advice", advice)
    encoders, usual = dock._form.widget("encoder"), dock._about.text()
    encoders.setCurrentIndex(1)
    assert dock._form.value().encoder is not None
    qtbot.waitUntil(lambda: dock._advice is not None, timeout=5000)
    told = f"⚠ {lacks}" if lacks else usual
    assert dock._about.text() == told
    encoders.setCurrentIndex(0)
    assert dock._about.text() == usual
    encoders.setCurrentIndex(1)
    assert dock._about.text() == told
    dock._preset.setCurrentIndex(dock._preset.findData("balanced"))
    assert (dock._about.text() == told) is bool(lacks), "no preset has an encoder, so it stays"
    assert len(asked_in) == 1
    assert asked_in[0] is not threading.main_thread()


def test_the_curves_follow_the_theme(viewer, dock):
    viewer.theme = "light"
    light = dock._plot.grab().toImage().pixelColor(2, 2).lightness()
    viewer.theme = "dark"
    assert dock._plot.grab().toImage().pixelColor(2, 2).lightness() < light


def test_a_curve_keeps_few_points_and_their_mean():
    curve = Curve()
    for step in range(10_000):
        curve.add(step / 100, float(step % 2), None)
    curve.add(100.0, None, 0.5)
    assert len(curve.loss) <= 100 / trainer._FINEST
    assert curve.loss[-1][1] == pytest.approx(0.5, abs=0.1)
    assert curve.validation == [(100.0, 0.5)]


@pytest.mark.parametrize("late", [False, True])
def test_nothing_that_goes_wrong_after_the_training_loses_the_model(
    dock, painted, press, qtbot, monkeypatch, late
):
    store = trainer._store

    def fail(model: TrainedModel, name: str) -> Any:
        if "unfinished" in name:
            return store(model, name)
        if late:
            until = time.monotonic() + 20
            while painted.model is None and time.monotonic() < until:
                time.sleep(0.01)
        raise RuntimeError("the disk has come off")

    monkeypatch.setattr(trainer, "_store", fail)
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model is not None
    assert painted.model_path is None
    assert "could not be kept as a file" in dock.message
    assert "the disk has come off" in dock.message


def test_a_training_without_a_folder_of_its_own_ends_with_a_model_and_a_sentence(
    dock, painted, press, qtbot, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "file" / "home"))
    choose(dock, steps=2, minutes=None)
    press(dock, "Start training")
    wait(painted, qtbot)
    assert painted.model is not None
    assert "could not be kept as a file" in dock.message


def test_a_model_that_was_opened_meanwhile_stays(painted):
    part, opened = painted.part(Trainer), object()
    part._on_report(TrainingReport(phase="done", model=object()))
    painted.set_model(opened)
    part._on_report(trainer._Stored(painted.model_path))
    assert painted.model is opened


def test_labels_are_copied_only_after_a_change(painted, monkeypatch):
    part, job = painted.part(Trainer), painted.job("train")
    copies = []
    snapshot = painted.snapshot
    monkeypatch.setattr(painted, "snapshot", lambda *a: copies.append(1) or snapshot(*a))
    monkeypatch.setattr(job, "start", lambda make: None)
    monkeypatch.setattr(Trainer, "running", True)
    part.start(TrainingConfig())
    part._hand_over()
    assert len(copies) == 1
    painted.labels_layer.data_setitem((np.array([0]), np.array([3]), np.array([4])), 7)
    part._hand_over()
    part._hand_over()
    assert len(copies) == 2
    [taken] = part._slot.take()
    assert taken.labels[0, 3, 4] == 7


@pytest.fixture
def taught(session, stack, monkeypatch):
    """Run trainings here and now; return what they learn from, and what is done meanwhile."""
    part, job = session.part(Trainer), session.job("train")
    seen, meanwhile = [], []

    def follow(images, config, *, updates, **_):
        seen.extend(images)
        for act in meanwhile:
            act()
            part._hand_over()
            seen.extend(updates() or [])
        yield TrainingReport(phase="training")

    monkeypatch.setattr("napari_unet.training.train", follow)
    monkeypatch.setattr(job, "start", lambda make: list(make(lambda: False)))
    monkeypatch.setattr(Trainer, "running", True)
    return seen, meanwhile


def square(labels, z, y, x, value):
    index = np.mgrid[z : z + 1, y : y + 6, x : x + 6].reshape(3, -1)
    labels.data_setitem(tuple(index), value)


def test_a_mask_is_split_into_cells_whatever_is_painted_outside_of_what_counts(session, taught):
    seen, meanwhile = taught
    labels = session.create_annotation()
    session.regions_layer.add_rectangles(np.array([[1, 0, 0], [1, 0, 40], [1, 20, 40], [1, 20, 0]]))
    for x in (5, 20):
        square(labels, 1, 5, x, 1)
    square(labels, 1, 30, 40, 2)
    meanwhile.append(lambda: square(labels, 1, 12, 30, 2))
    session.part(Trainer).start(TrainingConfig())
    first, second = seen
    for image in (first, second):
        assert image.labels[1, 8, 8] != image.labels[1, 8, 22]
    assert second.labels[1, 14, 32] not in (0, second.labels[1, 8, 22])


def test_touching_cells_that_join_a_single_one_stay_apart(session, taught):
    seen, meanwhile = taught
    labels = session.create_annotation()
    square(labels, 1, 5, 5, 1)
    meanwhile.append(lambda: square(labels, 1, 5, 11, 2))
    session.part(Trainer).start(TrainingConfig())
    assert seen[1].labels[1, 8, 8] != seen[1].labels[1, 8, 13]


def test_erasing_all_of_a_complete_slice_does_not_make_it_background(session, taught):
    seen, meanwhile = taught
    labels = session.create_annotation()
    session.set_complete(1, True)
    square(labels, 1, 5, 5, 1)
    meanwhile.append(lambda: square(labels, 1, 5, 5, 0))
    meanwhile.append(lambda: square(labels, 1, 20, 5, 1))
    session.part(Trainer).start(TrainingConfig())
    assert [np.flatnonzero(image.labels[1, :, 7]).min() for image in seen] == [5, 20]


def test_more_of_an_image_that_was_without_a_cell_joins(viewer, session, stack, taught):
    seen, meanwhile = taught
    labels = session.create_annotation()
    square(labels, 1, 5, 5, 1)
    session.choose([add_empty(viewer, session, "empty", said="region")])
    meanwhile.append(lambda: session.set_complete(0, True))
    session.part(Trainer).start(TrainingConfig(), others=[labels])
    before, after = (image for image in seen if image.name == "empty")
    assert after.annotated.all()
    assert not before.annotated.all()


def test_a_pixel_size_corrected_meanwhile_counts_from_the_next_training_on(session, stack, taught):
    seen, meanwhile = taught
    labels = session.create_annotation()
    square(labels, 1, 5, 5, 1)

    def correct() -> None:
        stack.scale, stack.name = (2, 0.25, 0.25), "renamed"
        square(labels, 1, 20, 5, 2)

    meanwhile.append(correct)
    session.part(Trainer).start(TrainingConfig())
    assert [image.pixel_size for image in seen] == [0.5, 0.5]
    assert [image.name for image in seen] == ["cells", "cells"]


def test_the_image_is_read_once_and_not_in_the_window(painted, monkeypatch):
    part, job = painted.part(Trainer), painted.job("train")
    read = []
    slices = ImageStack.__getitem__
    monkeypatch.setattr(ImageStack, "__getitem__", lambda *a: read.append(a[1]) or slices(*a))
    monkeypatch.setattr(job, "start", lambda make: None)
    monkeypatch.setattr(Trainer, "running", True)
    part.start(TrainingConfig())
    first, name = part._snapshots[painted.image_layers], painted.name
    painted.labels_layer.data_setitem((np.array([0]), np.array([3]), np.array([4])), 7)
    painted.image_layers[0].name = "renamed"
    part._hand_over()
    assert not read
    [later] = part._slot.take()
    taught = [shot.annotated_image() for shot in (first, later)]
    assert read == list(range(painted.slice_count))
    assert taught[1].image is taught[0].image
    assert [image.name for image in taught] == [name, name]
    assert painted.name == "renamed"


def test_options_that_do_not_go_together_are_told_where_they_decide(
    dock, painted, press, tmp_path: Path
):
    path = save_model(small_model(), tmp_path / "other cells.safetensors")
    choose(dock)
    dock._form.widget("network").setCurrentText("Sliding window")
    dock._form.widget("encoder").setCurrentIndex(1)
    assert dock.warned
    press(dock, "Start training")
    said = dock.message
    assert dock.warned
    dock._from.choose_file(str(path))
    assert not dock.message
    assert not dock._form.widget("width").isEnabled()
    pick(dock, "A new network")
    assert dock.message == said
    assert dock._form.widget("width").isEnabled()


def test_another_preset_says_what_became_of_options_changed_by_hand(dock, session):
    def preset(name: str) -> None:
        dock._preset.setCurrentIndex(dock._preset.findData(name))

    width, dice = dock._form.widget("width"), dock._form.widget("dice")
    preset("balanced")
    assert not dock.message, "nobody has changed anything"
    preset("quick")
    width.setValue(24)
    dice.setValue(0.5)
    preset("balanced")
    assert (width.value(), dice.value()) == (32, 0.5)
    assert "Width: what you had set gave way to the preset." in dock.message
    assert "Dice term: kept as you have set it." in dock.message
    dice.setValue(0.0)
    preset("quick")
    assert not dock.message
    assert dock._form.value() == dock._from_preset()


def test_what_is_kept_from_a_preset_and_does_not_suit_the_next_is_told(dock, session):
    encoder = dock._form.widget("encoder")
    encoder.setCurrentText("ResNet-18")
    dock._preset.setCurrentIndex(dock._preset.findData("paper"))
    assert dock.warned
    assert encoder.currentText() == "ResNet-18"
    dock._preset.setCurrentIndex(dock._preset.findData("quick"))
    assert not dock.warned
    assert dock._form.value().encoder == "resnet18"


def test_choices_are_shown_in_words_for_the_values_that_they_stand_for(dock, session):
    boxes = [box for box in dock._form.findChildren(QComboBox) if box.objectName() != "device"]
    raw = {box.objectName() for box in boxes if not (box.itemText(0)[0].isupper())}
    assert raw == {"views"}, "numbers"
    assert dock._form.widget("optimiser").currentText() == "AdamW"
    assert dock._form.value().optimiser == "adamw"


def test_the_score_is_told_in_the_words_of_the_predict_dock(dock, session):
    part = session.part(Trainer)
    part.report = TrainingReport(phase="training", step=5)
    part.curve.add(1.0, 0.5, 0.8)
    assert dock._times().endswith("best score 0.80, the mean of F1 and SEG")
    part.task = "classes"
    assert dock._times().endswith("best mean IoU 0.80")


def test_options_that_do_nothing_cannot_be_edited(dock, session, tmp_path: Path):
    def greyed() -> set[str]:
        names = depending_options() & dock._form._rows.keys()
        return {name for name in names if not dock._form.widget(name).isEnabled()}

    of_encoders = {"encoder_weights", "freeze_encoder", "encoder_rate"}
    usual = {"window", "momentum", "fine_tuning", "regression_loss", *of_encoders}
    assert greyed() == usual
    network: Any = dock._form.widget("network")
    network.setCurrentText("Sliding window")
    assert greyed() == (usual - {"window"}) | {"depth", "padding", "up", "skips", "encoder"}
    network.setCurrentText("U-Net")
    dock._form.widget("encoder").setCurrentIndex(1)
    own = {"padding", "up", "skips", "normalisation", "init"}
    assert greyed() == (usual - of_encoders) | own
    dock._form.widget("freeze_encoder").click()
    assert greyed() == (usual - of_encoders) | own | {"encoder_rate"}
    # What kind of network lies in a file is not known: its encoder may be frozen.
    dock._form.widget("encoder").setCurrentIndex(0)
    dock._from.choose_file(str(save_model(small_model(), tmp_path / "other.safetensors")))
    assert "freeze_encoder" not in greyed()
    assert {"width", "encoder", "encoder_weights"} <= greyed()
    assert "fine_tuning" not in greyed()
    pick(dock, "A new network")
    assert greyed() == usual
