"""Tests of the Predict dock in real napari, with an untrained network of known answers."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from napari.layers import Image, Labels
from qtpy.QtWidgets import QListWidget

from napari_unet.annotations import join_prediction
from napari_unet.files import save_model
from napari_unet.gui import layers
from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.corrector import Corrector
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.predictor import Predictor
from napari_unet.gui.slices import in_words, shortcomings
from napari_unet.gui.tools import Tools
from napari_unet.network import ClassLabel, Ensemble, Standardisation, TrainedModel, UNet

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unet.gui.session import Session

CELLS = (ClassLabel(0, "background"), ClassLabel(1, "cell"))


def bright(channels: int = 1) -> TrainedModel:
    """Make a network that finds what is brighter than the middle of the range."""
    network = UNet(channels, 2, depth=0, width=1, padding="same")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4 and parameter.shape[-1] == 3:
                parameter[0, 0, 1, 1] = 1
            elif parameter.ndim == 4:
                parameter[1, 0] = 20
            elif parameter.shape == (2,):
                parameter[1] = -10
            else:
                assert name
    return TrainedModel(network=network.eval(), task="instances", classes=CELLS)


def heights(*names: str) -> TrainedModel:
    """Make a network whose outputs are 100 + 5 times -10 to 10, and one value everywhere."""
    units = Standardisation((7.0, 100.0), (1.0, 5.0))
    outputs = tuple(ClassLabel(k, name) for k, name in enumerate(names or ("level", "height")))
    return replace(bright(), task="regression", classes=outputs, standardisation=units)


@pytest.fixture
def dock(viewer: Any) -> PredictDock:
    made = PredictDock(viewer)
    viewer.window.add_dock_widget(made, name="Predict")
    return made


@pytest.fixture
def squares(viewer: Any, session: Session) -> Any:
    """Open three slices with two bright squares each."""
    data = np.zeros((3, 40, 48), np.uint16)
    data[:, 5:17, 5:17] = data[:, 20:34, 20:34] = 1000
    place = {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3), "units": ("um", "um", "um")}
    return viewer.add_image(data, name="cells", **place)


def wait(session: Session, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)


def test_without_a_model_one_sentence_says_what_to_do(dock, squares, press):
    press(dock, "Predict")
    assert "no model yet" in dock.message


def test_without_an_image_one_sentence_says_what_to_do(dock, session, press):
    session.set_model(bright())
    press(dock, "Predict")
    assert "no image yet" in dock.message


def test_the_whole_stack_becomes_a_layer_on_its_image(viewer, dock, session, squares, press, qtbot):
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    dock._sure.setChecked(True)
    press(dock, "Predict")
    wait(session, qtbot)
    found = viewer.layers["cells prediction"]
    np.testing.assert_array_equal(found.data > 0, squares.data > 0)
    assert sorted(np.unique(found.data)) == [0, 1, 2, 3, 4, 5, 6]
    sure = viewer.layers["cells probability"]
    assert sure.data[squares.data > 0].min() > 0.9
    for layer in (found, sure):
        np.testing.assert_allclose(layer.scale, squares.scale)
        np.testing.assert_allclose(layer.translate, squares.translate)
        assert layer.units == squares.units
    assert "3 slices" in dock.message


def test_other_pixels_than_those_trained_on_are_told_and_can_be_ignored(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(replace(bright(), pixel_size=0.25))
    assert "0.25 µm" in dock._about.text()
    press(dock, "Predict")
    wait(session, qtbot)
    assert "enlarged 2 times" in dock.message
    found = viewer.layers["cells prediction"]
    z = session.current_slice
    assert np.mean((found.data[z] > 0) == (squares.data[z] > 0)) > 0.95
    press(dock, "Use pixel sizes")
    press(dock, "Predict")
    wait(session, qtbot)
    assert "enlarged" not in dock.message
    again = PredictDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert not again._sizes.isChecked()


def test_pixels_that_are_not_square_are_told_once(viewer, dock, session, squares, press, qtbot):
    squares.scale = (2, 0.5, 0.25)
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    assert "µm" not in dock.message
    session.set_model(replace(bright(), pixel_size=0.5))
    for told in (True, False):
        press(dock, "Predict")
        wait(session, qtbot)
        assert ("Pixels 0.25 µm wide and 0.5 µm high count as" in dock.message) == told


def test_a_new_prediction_is_drawn_once(viewer, dock, session, squares, press, qtbot, monkeypatch):
    drawn, draw = [], Labels.set_view_slice
    monkeypatch.setattr(Labels, "set_view_slice", lambda self: [drawn.append(self), draw(self)])
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    found = viewer.layers["cells prediction"]
    assert found.visible
    assert drawn.count(found) == 1


def test_what_is_predicted_for_an_image_is_seen_with_it(
    viewer, dock, session, squares, press, qtbot
):
    other = viewer.add_image(np.zeros((3, 40, 48)), name="other")
    tools = session.part(Tools)
    session.set_model(bright())
    press(dock, "Predict")
    tools.choose(other)
    wait(session, qtbot)
    found = viewer.layers["cells prediction"]
    assert (other.visible, found.visible) == (True, False)
    tools.choose(squares)
    assert found.visible


def test_a_mean_of_networks_says_what_it_costs(dock, session):
    model = bright()
    assert "Mean of" not in dock._about.text()
    both = Ensemble([model.network, copy.deepcopy(model.network)])
    session.set_model(replace(model, network=both))
    assert "Mean of 2 networks, 2 times slower" in dock._about.text()


def test_the_channels_of_the_model_are_shown_and_another_order_is_told(
    viewer, dock, session, squares, press, qtbot
):
    green = viewer.add_image(squares.data // 2, name="green")
    session.set_channels([green, squares])
    session.set_model(replace(bright(2), provenance={"channels": ["cells", "green"]}))
    assert "Its channels: 1 cells, 2 green" in dock._about.text()
    assert "another order" not in dock._about.text()
    viewer.layers.move(viewer.layers.index(green), 0)
    assert "another order: 1 green, 2 cells" in dock._about.text()
    press(dock, "Predict")
    wait(session, qtbot)
    assert "cells prediction" in dock.message or "green prediction" in dock.message
    green.name = "DNA"
    assert "another order" not in dock._about.text()


def test_absurd_pixels_give_one_sentence(dock, session, squares, press, qtbot):
    session.set_model(replace(bright(), pixel_size=50.0))
    press(dock, "Predict")
    wait(session, qtbot)
    assert dock.message.startswith("⚠ The image has pixels of 0.5 µm")
    assert "ignore pixel sizes" in dock.message


def test_only_the_current_slice_is_written_and_can_be_undone(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(bright())
    for z in (1, 2):
        viewer.dims.set_current_step(0, z)
        press(dock, "Predict")
        wait(session, qtbot)
    found = viewer.layers["cells prediction"]
    assert not found.data[0].any()
    assert set(np.unique(found.data[1])) & set(np.unique(found.data[2])) == {0}
    squares.data[2] = 0
    squares.data[2, 30:, 40:] = 1000
    before = found.data.copy()
    press(dock, "Predict")
    wait(session, qtbot)
    assert not np.array_equal(found.data, before)
    found.undo()
    np.testing.assert_array_equal(found.data, before)


def test_the_users_labels_are_touched_only_by_correct_and_that_can_be_undone(
    viewer, dock, session, squares, press, qtbot, correct
):
    labels = session.create_annotation()
    viewer.dims.set_current_step(0, 0)
    labels.data_setitem((np.array([0]), np.array([6]), np.array([6])), 9)
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    mine = np.zeros_like(labels.data)
    mine[0, 6, 6] = 9
    np.testing.assert_array_equal(labels.data, mine)
    labels.name = "my nuclei"
    correct(dock)
    assert "1 cells were copied into “my nuclei”" in dock.message
    expected = mine.copy()
    expected[0, 20:34, 20:34] = 10
    np.testing.assert_array_equal(labels.data, expected)
    assert viewer.layers.selection.active is labels
    labels.undo()
    np.testing.assert_array_equal(labels.data, mine)


@pytest.fixture
def held(monkeypatch: Any) -> threading.Event:
    """Hold up what joins a prediction with labels until this is set."""
    go = threading.Event()

    def join_later(*args: Any, **options: Any) -> Any:
        assert threading.current_thread().name == "napari-unet correct"
        go.wait(20)
        return join_prediction(*args, **options)

    monkeypatch.setattr("napari_unet.annotations.join_prediction", join_later)
    return go


def test_what_is_painted_while_a_slice_is_copied_stays_and_counts(
    viewer, dock, session, squares, press, qtbot, held
):
    labels = session.create_annotation()
    z = session.current_slice
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    press(dock, "Correct")
    assert dock.message == "Copying what was found on this slice…"
    assert not dock._correct.isEnabled()
    labels.data_setitem((np.array([z]), np.array([6]), np.array([6])), 9)
    held.set()
    qtbot.waitUntil(lambda: not session.part(Corrector).running, timeout=20_000)
    assert "1 cells were copied" in dock.message
    assert dock._correct.isEnabled()
    assert sorted(np.unique(labels.data)) == [0, 9, 10]
    assert labels.data[z, 6, 6] == 9
    assert np.count_nonzero(labels.data == 9) == 1
    labels.undo()
    assert sorted(np.unique(labels.data)) == [0, 9]


def test_copying_a_slice_can_be_cancelled(viewer, dock, session, squares, press, qtbot, held):
    labels = session.create_annotation()
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    press(dock, "Correct")
    press(dock, "Cancel")
    held.set()
    qtbot.waitUntil(lambda: not session.part(Corrector).running, timeout=20_000)
    assert dock.message == "Cancelled; nothing was copied."
    assert not labels.data.any()
    assert viewer.layers["cells prediction"].visible


def test_a_prediction_that_is_removed_while_it_is_copied_is_told(
    viewer, dock, session, squares, press, qtbot, held
):
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    press(dock, "Correct")
    viewer.layers.remove("cells prediction")
    held.set()
    qtbot.waitUntil(lambda: not session.part(Corrector).running, timeout=20_000)
    assert "Nothing was copied" in dock.message
    assert not session.labels_layer.data.any()


def test_the_scores_of_a_model_hold_those_that_a_training_shows_the_mean_of(dock, session):
    scores = {"ap50": 0.75, "f1_50": 0.86, "seg": 0.7, "mean_iou": None}
    session.set_model(replace(bright(), provenance={"scores": scores}))
    assert "Scores: F1 0.86, SEG 0.70, AP50 0.75" in dock._about.text()
    assert "mean of F1 and SEG" in dock._about.toolTip()


def test_colour_where_grey_was_trained_gives_one_sentence(viewer, dock, session, press, qtbot):
    viewer.add_image(np.zeros((32, 32, 3), np.uint8), name="rgb", rgb=True)
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    assert dock.message.startswith("⚠")
    assert "RGB" in dock.message
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("removed", ["cells", "cells prediction"])
def test_layers_removed_in_mid_job_end_it(
    viewer, dock, session, squares, press, qtbot, monkeypatch, removed
):
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    part = session.part(Predictor)
    if removed == "cells":
        press(dock, "Predict")
        viewer.layers.remove(squares)
    else:
        write = part._write

        def write_once_then_lose(*args: Any) -> None:
            write(*args)
            viewer.layers.remove(viewer.layers["cells prediction"])

        monkeypatch.setattr(part, "_write", write_once_then_lose)
        press(dock, "Predict")
    wait(session, qtbot)
    assert "was removed" in dock.message


class Disk:
    """Slices on a slow disk: it remembers in which thread each was read."""

    def __init__(self, data: np.ndarray) -> None:
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim
        self._data = data
        self.read: list[tuple[str, int]] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        first = index[0] if isinstance(index, tuple) else index
        found = self._data[index]
        self.read.append((threading.current_thread().name, first))
        assert found.size <= self._data[0].size, "more than a slice was read at a time"
        return found


def test_the_image_is_read_in_the_background_slice_by_slice(viewer, dock, session, press, qtbot):
    data = np.zeros((3, 40, 48), np.uint16)
    data[:, 5:17, 5:17], data[1] = 1000, 100
    data[1, 20:34, 20:34] = 300
    disk = Disk(data)
    viewer.add_image(disk, name="cells", contrast_limits=(0, 1000))
    viewer.dims.set_current_step(0, 1)
    session.set_model(bright())
    disk.read.clear()
    press(dock, "Predict")
    wait(session, qtbot)
    # Grey values are those of the whole stack: 300 is dark in it, though bright in this slice.
    assert not viewer.layers["cells prediction"].data.any()
    assert [z for _, z in disk.read] == [0, 1, 2, 1]
    disk.read.clear()
    press(dock, "Predict")
    wait(session, qtbot)
    assert [z for _, z in disk.read] == [1], "measured once"
    viewer.layers["cells"].data = other = Disk(data // 2)
    other.read.clear()
    press(dock, "Predict")
    wait(session, qtbot)
    assert [z for _, z in other.read] == [0, 1, 2, 1], "other pixels, another range"
    viewer.layers["cells"].data = disk
    disk.read.clear()
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    wait(session, qtbot)
    found = viewer.layers["cells prediction"].data
    np.testing.assert_array_equal(found > 0, data == 1000)
    assert {name for name, _ in disk.read} == {"napari-unet predict"}


def test_cancel_keeps_what_is_done(viewer, dock, session, squares, press, qtbot):
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    press(dock, "Cancel")
    wait(session, qtbot)
    assert "Cancelled" in dock.message


def test_a_model_file_is_loaded_and_described(dock, session, qtbot, tmp_path: Path):
    path = save_model(bright(), tmp_path / "my cells.safetensors")
    dock.load(str(path))
    qtbot.waitUntil(lambda: session.model is not None, timeout=20_000)
    assert "my cells" in dock._about.text()
    assert "cell" in dock._about.text()


def test_a_foreign_file_gives_one_sentence_and_keeps_the_model(
    dock, session, qtbot, tmp_path: Path
):
    mine = bright()
    session.set_model(mine)
    (tmp_path / "other.safetensors").write_bytes(b"no model at all")
    dock.load(str(tmp_path / "other.safetensors"))
    qtbot.waitUntil(lambda: dock.message.startswith("⚠"), timeout=20_000)
    assert session.model is mine


def test_cells_are_not_taken_for_classes_nor_classes_for_cells(
    viewer, dock, session, squares, press, qtbot, correct
):
    labels = session.create_annotation()
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    session.task = "classes"
    correct(dock)
    assert "holds single cells, but the labels hold classes" in dock.message
    assert not labels.data.any()
    cells = viewer.layers["cells prediction"]
    before = cells.data.copy()
    tissue = (ClassLabel(1, "background"), ClassLabel(2, "tissue"))
    session.set_model(replace(bright(), task="classes", classes=tissue))
    press(dock, "Predict")
    wait(session, qtbot)
    np.testing.assert_array_equal(cells.data, before)
    correct(dock)
    assert "pixels" in dock.message
    z = session.current_slice
    np.testing.assert_array_equal(labels.data[z], np.where(squares.data[z] > 0, 2, 1))
    labels.undo()
    session.task = "instances"
    correct(dock)
    assert "holds classes, but the labels hold single cells" in dock.message
    assert not labels.data.any()


def tissue(*names: str) -> TrainedModel:
    """Make a network that finds one class, and knows of more."""
    classes = tuple(ClassLabel(value, name) for value, name in enumerate(names, start=1))
    return replace(bright(), task="classes", classes=classes)


@pytest.fixture
def annotating(viewer: Any) -> AnnotateDock:
    made = AnnotateDock(viewer)
    viewer.window.add_dock_widget(made, name="Annotate")
    return made


def shown_classes(dock: AnnotateDock) -> list[str]:
    found = dock._classes.findChild(QListWidget)
    return [found.item(n).text() for n in range(found.count())]


def test_a_prediction_that_is_adopted_keeps_the_names_of_its_classes(
    viewer, dock, annotating, session, squares, press, qtbot
):
    session.set_model(tissue("background", "muscle"))
    press(dock, "Predict")
    wait(session, qtbot)
    choice = annotating._labels
    choice.setCurrentText("cells prediction")
    choice.activated.emit(choice.currentIndex())
    press(annotating, "Start annotating")
    assert session.labels_layer is viewer.layers["cells prediction"]
    assert session.task == "classes"
    assert shown_classes(annotating) == ["background", "muscle"]


def test_correct_begins_an_annotation_of_named_classes(
    dock, annotating, session, squares, press, qtbot, correct
):
    session.set_model(tissue("background", "muscle"))
    press(dock, "Predict")
    wait(session, qtbot)
    correct(dock)
    assert "pixels were copied" in dock.message
    assert session.task == "classes"
    assert session.part(ClassNames).all == {1: "background", 2: "muscle"}
    qtbot.waitUntil(lambda: shown_classes(annotating) == ["background", "muscle"], timeout=3000)


def test_correct_names_only_the_classes_that_the_user_has_not_named(
    dock, session, squares, press, qtbot, correct
):
    session.create_annotation()
    session.task = "classes"
    session.part(ClassNames).choose({1: "background", 2: "class 1", 3: "nerve", 4: "class 3"})
    session.set_model(tissue("empty", "muscle"))
    press(dock, "Predict")
    wait(session, qtbot)
    correct(dock)
    assert session.part(ClassNames).all == {1: "empty", 2: "muscle", 3: "nerve", 4: "class 3"}


@pytest.mark.parametrize(("dtype", "taken"), [(np.int32, 255), (np.uint8, 253)])
def test_after_correct_the_brush_paints_a_cell_of_its_own(
    viewer, dock, session, squares, press, qtbot, dtype, taken, correct
):
    mine = np.zeros((3, 40, 48), dtype)
    mine[2, 0, 0] = taken
    session.adopt(viewer.add_labels(mine, name="mine", **layers.placement(squares)))
    viewer.dims.set_current_step(0, 0)
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    correct(dock)
    labels = session.labels_layer
    assert labels.data[0].max() == taken + 2
    assert labels.selected_label == (taken + 3 if dtype is np.int32 else 1)


def test_a_prediction_that_is_adopted_gets_no_more_slices(
    viewer, dock, session, squares, press, qtbot, monkeypatch
):
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    part = session.part(Predictor)
    write = part._write

    def write_then_adopt(z: int, *args: Any) -> None:
        write(z, *args)
        if session.labels_layer is None:
            session.adopt(viewer.layers["cells prediction"])

    monkeypatch.setattr(part, "_write", write_then_adopt)
    press(dock, "Predict")
    wait(session, qtbot)
    mine = session.labels_layer
    assert mine.data[0].any()
    assert not mine.data[1:].any()
    others = part.labels_layer
    assert others is not mine
    np.testing.assert_array_equal(others.data[1:] > 0, squares.data[1:] > 0)
    assert "2 slices are in" in dock.message


def test_what_is_predicted_beside_an_adopted_prediction_says_what_it_holds(
    viewer, dock, session, squares, press, qtbot, monkeypatch
):
    session.set_model(tissue("background", "muscle"))
    dock._slices.setCurrentIndex(1)
    part = session.part(Predictor)
    write = part._write

    def write_then_adopt(z: int, *args: Any) -> None:
        write(z, *args)
        if session.labels_layer is None:
            session.adopt(part.labels_layer)

    monkeypatch.setattr(part, "_write", write_then_adopt)
    press(dock, "Predict")
    wait(session, qtbot)
    assert part.labels_layer is not session.labels_layer
    assert layers.fact(part.labels_layer, layers.TASK) == "classes"
    assert layers.fact(part.labels_layer, layers.CLASSES) == {1: "background", 2: "muscle"}
    order = list(viewer.layers)
    assert order.index(part.labels_layer) > order.index(session.labels_layer)


def test_a_prediction_of_other_dimensions_is_no_place_for_the_next(
    viewer, dock, session, press, qtbot
):
    image = viewer.add_image(np.eye(40, 48)[None], name="cells")
    flat = viewer.add_labels(np.zeros((40, 48), int))
    layers.assign(flat, layers.PREDICTION, [image])
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    assert not session.part(Predictor).problem
    assert session.part(Predictor).labels_layer.ndim == 3


def test_values_become_an_image_layer_for_each_output(viewer, dock, session, squares, press, qtbot):
    session.set_model(heights())
    assert "level, height" in dock._about.text()
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    wait(session, qtbot)
    level, height = viewer.layers["cells level"], viewer.layers["cells height"]
    assert len(viewer.layers) == 3
    for layer in (level, height):
        assert isinstance(layer, Image)
        assert layer.data.dtype == np.float32
        np.testing.assert_allclose(layer.scale, squares.scale)
        np.testing.assert_allclose(layer.translate, squares.translate)
    np.testing.assert_allclose(level.data, 7, atol=0.1)
    np.testing.assert_allclose(height.data, np.where(squares.data > 0, 150, 50), atol=1)
    assert (level.visible, height.visible) == (True, False)
    assert height.contrast_limits == pytest.approx([50, 150], abs=1)
    assert "3 slices are in “cells level” and “cells height”" in dock.message


def test_what_needs_cells_is_off_for_values_and_says_why(dock, session, squares, press, qtbot):
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    assert dock._correct.isEnabled()
    assert dock._sure.isEnabled()
    session.set_model(heights())
    for off in (dock._correct, dock._sure):
        assert not off.isEnabled()
        assert "predicts values" in off.toolTip()
    session.set_model(bright())
    assert dock._correct.isEnabled()
    assert "Copy what was found" in dock._correct.toolTip()


def test_the_contrast_follows_the_values_until_the_user_chooses_one(
    viewer, dock, session, squares, press, qtbot
):
    squares.data[1] = 0
    session.set_model(heights())
    viewer.dims.set_current_step(0, 1)
    press(dock, "Predict")
    wait(session, qtbot)
    shown = viewer.layers["cells height"]
    assert shown.contrast_limits == pytest.approx([50, 51], abs=1)
    viewer.dims.set_current_step(0, 0)
    press(dock, "Predict")
    wait(session, qtbot)
    assert shown.contrast_limits == pytest.approx([50, 150], abs=1)
    shown.contrast_limits = (60, 90)
    press(dock, "Predict")
    wait(session, qtbot)
    assert viewer.layers["cells height"] is shown
    assert shown.contrast_limits == [60, 90]


def test_values_of_another_meaning_get_layers_of_their_own(
    viewer, dock, session, squares, press, qtbot
):
    for names in (("level", "height"), ("level", "depth")):
        session.set_model(heights(*names))
        press(dock, "Predict")
        wait(session, qtbot)
    names = {layer.name for layer in viewer.layers}
    assert names == {"cells", "cells level", "cells height", "cells depth"}


def test_predicted_values_are_no_image_to_annotate(viewer, dock, session, squares, press, qtbot):
    session.set_model(heights())
    press(dock, "Predict")
    wait(session, qtbot)
    assert layers.image_layers(viewer) == [squares]
    assert session.image_layers == (squares,)


def predict(dock: PredictDock, session: Session, press: Any, qtbot: Any, z: int | None) -> None:
    """Predict one slice, or with None the whole stack."""
    dock._slices.setCurrentIndex(z is None)
    if z is not None:
        session.viewer.dims.set_current_step(0, z)
    press(dock, "Predict")
    wait(session, qtbot)


def other(model: TrainedModel) -> TrainedModel:
    """Make a model of the same kind with other weights."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        next(iter(network.parameters())).mul_(1.01)
    return replace(model, network=network)


def test_a_stack_that_is_predicted_anew_fills_no_history(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(bright())
    predict(dock, session, press, qtbot, None)
    found = viewer.layers["cells prediction"]
    squares.data = np.roll(squares.data, 5, axis=1)
    predict(dock, session, press, qtbot, 0)
    viewer.layers.selection.active = found
    found.mode = "erase"
    squares.data = np.roll(squares.data, 5, axis=2)
    predict(dock, session, press, qtbot, None)
    assert found.mode == "erase"
    after = found.data.copy()
    np.testing.assert_array_equal(after > 0, squares.data > 0)
    found.undo()
    np.testing.assert_array_equal(found.data, after)


def test_what_was_painted_on_a_prediction_comes_back_by_undo(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(bright())
    predict(dock, session, press, qtbot, None)
    found = viewer.layers["cells prediction"]
    viewer.dims.set_current_step(0, 1)
    found.paint((1, 10, 40), 77)
    before = found.data.copy()
    predict(dock, session, press, qtbot, None)
    assert not (found.data == 77).any()
    found.undo()
    np.testing.assert_array_equal(found.data[1], before[1])


def test_values_of_slices_that_are_not_predicted_are_nan(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(heights())
    predict(dock, session, press, qtbot, 1)
    shown = viewer.layers["cells height"]
    assert np.isnan(shown.data[[0, 2]]).all()
    assert np.isfinite(shown.data[1]).all()
    assert shortcomings(shown) == "Not predicted, and NaN in the file: slices 0 and 2."


def test_slices_of_another_model_are_told(viewer, dock, session, squares, press, qtbot):
    session.set_model(bright())
    predict(dock, session, press, qtbot, 0)
    assert "another model" not in dock.message
    predict(dock, session, press, qtbot, 1)
    assert "another model" not in dock.message
    session.set_model(other(bright()))
    predict(dock, session, press, qtbot, 2)
    assert "still shows what another model found on slices 0–1." in dock.message
    found = viewer.layers["cells prediction"]
    assert shortcomings(found) == "From another model than the rest: slices 0–1."
    predict(dock, session, press, qtbot, None)
    assert "another model" not in dock.message
    assert not shortcomings(found)


def test_replaced_values_stay_results(viewer, dock, session, squares, press, qtbot):
    session.set_model(heights())
    predict(dock, session, press, qtbot, 0)
    old = viewer.layers["cells height"]
    session.set_model(heights("level", "depth"))
    predict(dock, session, press, qtbot, 0)
    assert old in layers.value_layers(viewer)
    assert old not in layers.image_layers(viewer)
    assert layers.newest_result(viewer) is not old


def test_probabilities_of_another_class_get_a_layer_of_their_own(
    viewer, dock, session, squares, press, qtbot
):
    dock._sure.setChecked(True)
    session.set_model(tissue("background", "muscle"))
    predict(dock, session, press, qtbot, 0)
    muscle = viewer.layers["cells probability"]
    session.set_model(other(tissue("background", "muscle")))
    predict(dock, session, press, qtbot, 1)
    assert muscle.name == "cells probability"
    session.set_model(other(tissue("background", "nerve")))
    predict(dock, session, press, qtbot, 0)
    assert muscle.name == "cells probability (earlier model)"
    nerve = viewer.layers["cells probability"]
    assert nerve.data[0].any()
    assert not nerve.data[1].any()
    assert layers.image_layers(viewer) == [squares]


def test_probabilities_that_a_prediction_does_not_write_are_set_aside(
    viewer, dock, session, squares, press, qtbot
):
    dock._sure.setChecked(True)
    session.set_model(tissue("background", "muscle"))
    predict(dock, session, press, qtbot, 0)
    dock._sure.setChecked(False)
    predict(dock, session, press, qtbot, 1)
    assert "cells probability" in viewer.layers
    session.set_model(other(tissue("background", "muscle")))
    predict(dock, session, press, qtbot, 0)
    assert "cells probability" not in viewer.layers
    assert "cells probability (earlier model)" in viewer.layers


def corrected(session: Session, dock: PredictDock, press: Any, correct: Any, qtbot: Any) -> Any:
    """Predict, and make the slice an annotation; return the prediction, which is hidden then."""
    session.set_model(bright())
    press(dock, "Predict")
    wait(session, qtbot)
    correct(dock)
    found = session.part(Predictor).labels_layer
    assert not found.visible
    return found


@pytest.mark.parametrize("labels_first", [True, False])
def test_what_is_predicted_after_correct_is_seen_above_the_labels(
    viewer, dock, session, squares, press, qtbot, labels_first, correct
):
    if labels_first:
        session.create_annotation()
    found = corrected(session, dock, press, correct, qtbot)
    press(dock, "Predict")
    wait(session, qtbot)
    assert session.part(Predictor).labels_layer is found
    assert found.visible
    labels = session.labels_layer
    assert viewer.layers.index(found) > viewer.layers.index(labels)
    assert viewer.layers.selection.active is labels


def test_a_prediction_that_is_hidden_while_it_comes_stays_hidden(
    viewer, dock, session, squares, press, qtbot, monkeypatch, correct
):
    found = corrected(session, dock, press, correct, qtbot)
    dock._slices.setCurrentIndex(1)
    part = session.part(Predictor)
    write = part._write

    def write_then_hide(z: int, *args: Any) -> None:
        write(z, *args)
        if z == 0:
            assert found.visible
            found.visible = False

    monkeypatch.setattr(part, "_write", write_then_hide)
    press(dock, "Predict")
    wait(session, qtbot)
    assert found.data.any(axis=(1, 2)).all()
    assert not found.visible


def test_a_stack_that_ends_early_has_no_number_twice(
    dock, session, squares, press, qtbot, monkeypatch
):
    session.set_model(bright())
    dock._slices.setCurrentIndex(1)
    press(dock, "Predict")
    wait(session, qtbot)
    part = session.part(Predictor)
    left = part.labels_layer.data[1:].copy()
    squares.data[0, 5:17, 30:42] = 1000
    write = part._write

    def write_one_slice(z: int, *args: Any) -> None:
        if z > 0:
            raise layers.LayerError("enough")
        write(z, *args)

    monkeypatch.setattr(part, "_write", write_one_slice)
    press(dock, "Predict")
    wait(session, qtbot)
    found = part.labels_layer.data
    np.testing.assert_array_equal(found > 0, squares.data > 0)
    np.testing.assert_array_equal(found[1:], left)
    assert len(np.unique(found[0])) == 4
    assert not set(np.unique(found[0])) & set(np.unique(left)) - {0}
    monkeypatch.setattr(part, "_write", write)
    press(dock, "Predict")
    wait(session, qtbot)
    assert sorted(np.unique(found)) == list(range(8))


def test_a_prediction_lies_on_its_image_after_that_was_moved(
    viewer, dock, session, squares, press, qtbot
):
    session.set_model(bright())
    dock._sure.setChecked(True)
    press(dock, "Predict")
    wait(session, qtbot)
    squares.scale, squares.translate = (2, 0.25, 0.25), (1, 0, 5)
    squares.units = ("um", "mm", "mm")
    press(dock, "Predict")
    wait(session, qtbot)
    for name in ("cells prediction", "cells probability"):
        layer = viewer.layers[name]
        np.testing.assert_allclose(layer.scale, squares.scale)
        np.testing.assert_allclose(layer.translate, squares.translate)
        assert layer.units == squares.units
    assert len(viewer.layers) == 3


@pytest.mark.parametrize(
    ("slices", "words"),
    [([3], "slice 3"), ([1, 0], "slices 0–1"), ([0, 2, 3, 4, 9], "slices 0, 2–4 and 9")],
)
def test_slices_are_named_in_runs(slices: list[int], words: str) -> None:
    assert in_words(slices) == words
