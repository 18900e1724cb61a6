"""Tests of the Weight map dock in real napari."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet.annotations import coverage, separate, weight_map
from napari_unet.gui.border import Border
from napari_unet.gui.marks import Marks
from napari_unet.gui.session import Session
from napari_unet.gui.weight_map import WeightMapDock

NAME = "cells weight map"


@pytest.fixture
def dock(viewer: Any) -> WeightMapDock:
    made = WeightMapDock(viewer)
    viewer.window.add_dock_widget(made, name="Weight map")
    return made


def paint_two_cells(session: Session, z: int) -> None:
    where = np.zeros(session.labels_layer.data.shape, dtype=bool)
    where[z, 10:20, 5:15] = True
    session.labels_layer.data_setitem(np.nonzero(where), 1)
    where = np.roll(where, 13, axis=2)
    session.labels_layer.data_setitem(np.nonzero(where), 2)


def preview(viewer: Any, qtbot: Any) -> Any:
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=20_000)
    return viewer.layers[NAME]


def test_without_an_image_one_sentence_says_what_to_do(dock, press):
    press(dock, "Show weight map")
    assert "no image yet" in dock.message


def test_without_labels_one_sentence_says_what_to_do(dock, stack, press):
    press(dock, "Show weight map")
    assert "no labels yet" in dock.message


def test_the_preview_is_the_training_weight_of_the_slice(
    viewer, dock, session, stack, press, qtbot
):
    session.create_annotation()
    paint_two_cells(session, 1)
    viewer.dims.set_current_step(0, 1)
    press(dock, "Show weight map")
    layer = preview(viewer, qtbot)
    labels = session.labels_layer.data[1]
    expected = weight_map(separate(labels)) * coverage(labels[None])[0]
    np.testing.assert_allclose(layer.data[0], expected, rtol=1e-5)
    assert layer.data.shape == (1, 40, 48)
    np.testing.assert_allclose(layer.scale, stack.scale)
    np.testing.assert_allclose(layer.translate, np.add(stack.translate, (2, 0, 0)))
    assert f"{expected.max():.1f}" in dock.message


def test_a_mask_is_split_whatever_is_painted_outside_of_what_counts(
    viewer, dock, session, stack, press, qtbot
):
    labels = session.create_annotation()
    corners = np.array([[1, 0, 0], [1, 0, 40], [1, 30, 40], [1, 30, 0]])
    session.regions_layer.add_rectangles(corners)
    paint_two_cells(session, 1)
    labels.data_setitem(np.nonzero(labels.data == 2), 1)
    labels.paint((1, 38, 44), 2)
    viewer.dims.set_current_step(0, 1)
    press(dock, "Show weight map")
    assert preview(viewer, qtbot).data.max() > 2


def test_live_follows_painting_and_slices(viewer, dock, session, stack, press, qtbot):
    session.create_annotation()
    paint_two_cells(session, 0)
    viewer.dims.set_current_step(0, 0)
    press(dock, "Show weight map")
    layer = preview(viewer, qtbot)
    assert layer.data.max() > 1
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: layer.data.max() == 0, timeout=20_000)
    paint_two_cells(session, 2)
    qtbot.waitUntil(lambda: layer.data.max() > 1, timeout=20_000)


def test_a_typed_number_moves_a_slider_and_training_takes_its_value(
    viewer, dock, session, stack, press, qtbot
):
    session.create_annotation()
    paint_two_cells(session, 0)
    viewer.dims.set_current_step(0, 0)
    press(dock, "Show weight map")
    layer = preview(viewer, qtbot)
    before = layer.data.max()
    slider = dock._sliders["w0"]
    QTest.keyClick(slider._label, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(slider._label, "12")
    QTest.keyClick(slider._label, Qt.Key.Key_Return)
    assert session.part(Border).weights == (12.0, 5.0)
    qtbot.waitUntil(lambda: layer.data.max() > before, timeout=20_000)
    assert layer.contrast_limits[1] == 13
    press(dock, "Reset")
    assert session.part(Border).weights == (10.0, 5.0)
    assert slider.value() == 10
    qtbot.waitUntil(lambda: layer.data.max() == before, timeout=20_000)


def test_w0_and_sigma_are_remembered_until_they_are_reset(dock, press, make_napari_viewer):
    def next_time() -> tuple[float, float]:
        return Session.of(make_napari_viewer()).part(Border).weights

    dock._sliders["w0"].setValue(12.0)
    dock._sliders["sigma"].setValue(7.5)
    assert next_time() == (12.0, 7.5)
    press(dock, "Reset")
    assert next_time() == (10.0, 5.0)


def test_layers_deleted_while_it_computes_do_no_harm(viewer, dock, session, stack, press, qtbot):
    session.create_annotation()
    paint_two_cells(session, 0)
    press(dock, "Show weight map")
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)
    assert len(viewer.layers) == 0


def test_remove_takes_the_layer_away_and_live_does_not_bring_it_back(
    viewer, dock, session, stack, press, qtbot
):
    session.create_annotation()
    paint_two_cells(session, 0)
    press(dock, "Show weight map")
    preview(viewer, qtbot)
    press(dock, "Remove")
    paint_two_cells(session, 1)
    with qtbot.waitSignal(session.annotations_changed, timeout=20_000):
        pass
    qtbot.wait(300)
    assert NAME not in viewer.layers


def test_what_counts_is_computed_beside_the_window(dock, session, stack, press, qtbot, monkeypatch):
    threads = []
    annotated = Marks.annotated

    def watched(marks: Marks) -> Any:
        threads.append(threading.current_thread())
        return annotated(marks)

    session.create_annotation()
    paint_two_cells(session, 0)
    monkeypatch.setattr(Marks, "annotated", watched)
    press(dock, "Show weight map")
    qtbot.waitUntil(lambda: threads != [] and not dock._job.running, timeout=20_000)
    assert threading.main_thread() not in threads


@pytest.fixture
def held(monkeypatch: Any) -> threading.Event:
    """Hold up the computing of weights until this is set."""
    go, annotated = threading.Event(), Marks.annotated

    def later(marks: Marks) -> Any:
        go.wait(20)
        return annotated(marks)

    monkeypatch.setattr(Marks, "annotated", later)
    return go


def test_what_takes_long_is_told_and_can_be_cancelled(
    viewer, dock, session, stack, press, qtbot, held
):
    session.create_annotation()
    paint_two_cells(session, 0)
    press(dock, "Show weight map")
    qtbot.waitUntil(lambda: dock.message == "Computing the weight map…", timeout=5000)
    press(dock, "Remove")
    assert not dock.message
    assert not dock._remove.isEnabled()
    held.set()
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)
    assert NAME not in viewer.layers
    assert not dock.message


def test_what_is_shown_again_after_it_was_cancelled_comes(
    viewer, dock, session, stack, press, qtbot, held
):
    session.create_annotation()
    paint_two_cells(session, session.current_slice)
    press(dock, "Show weight map")
    press(dock, "Remove")
    press(dock, "Show weight map")
    assert dock.message == "Computing the weight map…"
    held.set()
    preview(viewer, qtbot)
    qtbot.waitUntil(lambda: dock.message.startswith("The largest weight"), timeout=5000)
    assert dock._remove.isEnabled()
