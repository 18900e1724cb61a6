"""Tests of changing how cells are cut, in the Predict dock of real napari."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_unet import prediction
from napari_unet.gui import changes, layers
from napari_unet.gui.cutter import Cutter
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.predictor import Predictor
from napari_unet.prediction import InstanceOptions
from tests.gui.test_predict import bright, heights

if TYPE_CHECKING:
    from napari_unet.gui.session import Session


@pytest.fixture
def dock(viewer: Any) -> PredictDock:
    made = PredictDock(viewer)
    viewer.window.add_dock_widget(made, name="Predict")
    made._cutting.expand(animate=False)
    return made


@pytest.fixture
def bridged(viewer: Any) -> Any:
    """Open three slices with two bright cells each, and a less bright bridge between them."""
    data = np.zeros((3, 40, 48), np.uint16)
    data[:, 10:22, 4:16] = data[:, 10:22, 24:36] = 1000
    data[:, 15:17, 16:24] = 600
    return viewer.add_image(data, name="cells")


@pytest.fixture
def predicted(viewer: Any, dock: PredictDock, session: Session, bridged: Any, press, qtbot) -> Any:
    """Predict all slices; return the layer, whose cells are joined by their bridge."""
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    found = viewer.layers["cells prediction"]
    assert sorted(np.unique(found.data)) == [0, 1, 2, 3]
    return found


def wait(session: Session, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not session.part(Cutter).running, timeout=20_000)


def test_the_slice_that_is_shown_follows_the_options(
    viewer, dock, session, predicted, press, qtbot
):
    viewer.dims.set_current_step(0, 1)
    before = predicted.data.copy()
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    assert len(np.unique(predicted.data[1])) == 3
    assert not set(np.unique(predicted.data[1])) & {1, 3}, "numbers of other slices"
    np.testing.assert_array_equal(predicted.data[[0, 2]], before[[0, 2]])
    assert session.model.instances["threshold"] == 0.95
    assert dock.message == "2 cells on this slice."
    predicted.undo()
    np.testing.assert_array_equal(predicted.data, before)
    press(dock, "Predict")
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    assert "3 slices are in" in dock.message


def test_what_takes_long_is_computed_in_the_background(
    viewer, dock, session, predicted, qtbot, monkeypatch
):
    threads = []

    def told(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            threads.append(threading.current_thread().name)
            return function(*args, **options)

        return call

    monkeypatch.setattr(changes, "digest", told(changes.digest))
    monkeypatch.setattr(changes, "_runs", told(changes._runs))
    monkeypatch.setattr(prediction, "free_number", told(prediction.free_number))
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    assert dock.message == "2 cells on this slice."
    assert threads == ["napari-unet cut"] * 5


def test_steps_of_a_slider_take_little_memory_to_be_undone(viewer, dock, session, predicted, qtbot):
    for threshold in (0.9, 0.2, 0.95):
        dock._options.widget("threshold").setValue(threshold)
        wait(session, qtbot)
    kept = [part for ((_, *parts),) in predicted._undo_history for part in parts]
    assert len(kept) == 6
    assert all(part.nbytes * 4 < predicted.data[0].nbytes for part in kept)


def test_strokes_while_a_slice_is_cut_are_kept(
    viewer, dock, session, predicted, qtbot, monkeypatch
):
    go, number_on = threading.Event(), prediction.number_on

    def number_later(*args: Any) -> Any:
        go.wait(20)
        return number_on(*args)

    monkeypatch.setattr(prediction, "number_on", number_later)
    dock._options.widget("threshold").setValue(0.95)
    qtbot.waitUntil(lambda: session.job("cut").running, timeout=20_000)
    z = session.current_slice
    predicted.paint((z, 35, 40), 77)
    before = predicted.data[z].copy()
    go.set()
    wait(session, qtbot)
    kept = viewer.layers["cells prediction (corrected)"]
    np.testing.assert_array_equal(kept.data[z] > 0, before > 0)
    assert not (predicted.data == 77).any()
    predicted.undo()
    np.testing.assert_array_equal(predicted.data[z], before)


def test_all_slices_are_cut_alike_with_numbers_of_their_own(
    viewer, dock, session, predicted, press, qtbot
):
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    press(dock, "Cut all slices")
    wait(session, qtbot)
    assert sorted(np.unique(predicted.data)) == list(range(7))
    assert dock.message == "6 cells on 3 slices."
    for z in range(3):
        assert len(np.unique(predicted.data[z])) == 3


def test_reset_goes_back_to_what_the_model_came_with(dock, session, predicted, press, qtbot):
    tuned = session.part(Cutter).options
    assert not dock._reset.isEnabled()
    dock._options.widget("min_area").setValue(1000)
    wait(session, qtbot)
    z = session.current_slice
    assert not predicted.data[z].any()
    press(dock, "Reset")
    wait(session, qtbot)
    assert session.part(Cutter).options == tuned
    assert predicted.data[z].any()
    assert dock._options.value() == tuned


def test_reset_goes_back_to_the_end_of_a_training_not_to_its_checkpoint(
    dock, session, predicted, press, qtbot
):
    finished = replace(session.model, instances={**session.model.instances, "min_area": 7})
    session.set_model(finished)
    assert not dock._reset.isEnabled()
    dock._options.widget("min_area").setValue(1000)
    wait(session, qtbot)
    session.set_model(session.model, Path("saved.safetensors"))
    press(dock, "Reset")
    wait(session, qtbot)
    assert session.part(Cutter).options.min_area == 7


def test_correct_says_that_no_cell_is_left_as_cells_are_cut(dock, session, predicted, press, qtbot):
    dock._options.widget("min_area").setValue(100_000)
    wait(session, qtbot)
    press(dock, "Correct")
    assert "No cell is left on this slice" in dock.message


def test_the_newest_of_many_wishes_counts(dock, session, predicted, qtbot):
    for threshold in np.linspace(0.1, 0.95, 18):
        dock._options.widget("threshold").setValue(float(threshold))
    wait(session, qtbot)
    assert len(np.unique(predicted.data[session.current_slice])) == 3


def test_what_is_predicted_next_is_cut_so(viewer, dock, session, bridged, press, qtbot):
    session.set_model(bright())
    dock._options.widget("threshold").setValue(0.95)
    press(dock, "Predict")
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    found = viewer.layers["cells prediction"]
    assert len(np.unique(found.data[session.current_slice])) == 3


def test_nothing_is_changed_while_slices_are_predicted(
    viewer, dock, session, bridged, press, qtbot
):
    session.set_model(bright())
    assert dock._options.isEnabled()
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    assert not dock._options.isEnabled()
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    assert dock._options.isEnabled()


def test_another_network_brings_its_own_options_and_cuts_nothing_old(
    dock, session, predicted, qtbot
):
    dock._options.widget("threshold").setValue(0.6)
    wait(session, qtbot)
    other = replace(bright(), instances={"threshold": 0.3, "min_area": 7})
    session.set_model(other)
    assert dock._options.value() == InstanceOptions(threshold=0.3, min_area=7)
    assert not dock._reset.isEnabled()
    before = predicted.data.copy()
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    np.testing.assert_array_equal(predicted.data, before)


def test_another_image_gets_no_cells_of_this_one(viewer, dock, session, predicted, qtbot):
    other = viewer.add_image(np.zeros((3, 40, 48), np.uint16), name="other")
    before = predicted.data.copy()
    dock._options.widget("threshold").setValue(0.95)
    qtbot.waitUntil(lambda: session.job("cut").running, timeout=20_000)
    session.choose([other])
    empty = layers.add_labels(viewer, [other], role="prediction", name="other prediction")
    wait(session, qtbot)
    assert not empty.data.any()
    np.testing.assert_array_equal(predicted.data, before)


def test_a_removed_prediction_is_told(viewer, dock, session, predicted, qtbot):
    viewer.layers.remove(predicted)
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    assert "The layer of the prediction was removed" in dock.message


def test_a_full_memory_is_told(dock, session, predicted, monkeypatch, qtbot):
    def broken(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("napari_unet.prediction.labels_from", broken)
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    assert "not enough memory" in dock.message


def test_only_cells_are_cut(dock, session):
    session.set_model(bright())
    assert dock._cutting.isVisible()
    session.set_model(heights())
    assert not dock._cutting.isVisible()
    session.set_model(None)
    assert not dock._cutting.isVisible()


def test_memory_is_not_filled_with_probabilities(
    viewer, dock, session, bridged, press, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_unet.gui.predictor._MOST_KEPT", 2 * 2 * 40 * 48 * 4)
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    assert session.part(Cutter).kept == [1, 2]


def test_what_is_cut_after_correct_is_seen(dock, session, predicted, qtbot, correct):
    correct(dock)
    assert not predicted.visible
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    assert predicted.visible


def test_slices_that_are_no_more_cut_have_no_number_of_those_that_are(
    viewer, dock, session, predicted, press, qtbot, monkeypatch
):
    viewer.dims.set_current_step(0, 0)
    dock._options.widget("threshold").setValue(0.95)
    wait(session, qtbot)
    before = predicted.data.copy()
    part = session.part(Predictor)
    write = part.write_labels

    def write_one_slice(z: int, *args: Any, **how: Any) -> Any:
        if z > 0:
            raise layers.LayerError("enough")
        return write(z, *args, **how)

    monkeypatch.setattr(part, "write_labels", write_one_slice)
    press(dock, "Cut all slices")
    wait(session, qtbot)
    np.testing.assert_array_equal(predicted.data[1:], before[1:])
    assert len(np.unique(predicted.data[0])) == 3
    assert not set(np.unique(predicted.data[0])) & set(np.unique(before[1:])) - {0}
