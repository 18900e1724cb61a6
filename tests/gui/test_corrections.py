"""What a person paints on a prediction, in real napari: it is told, kept, and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_unet.files import recovery
from napari_unet.gui import layers
from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.corrections import Corrections
from napari_unet.gui.cutter import Cutter
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.predictor import Predictor
from napari_unet.gui.recovery import Autosave
from tests.gui.test_predict import bright, tissue

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_unet.gui.session import Session


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
    return viewer.add_image(data, name="cells")


@pytest.fixture
def predict(dock: PredictDock, session: Session, press: Any, qtbot: Any) -> Callable[..., Any]:
    """Predict the slice that is shown, or all; return the layer."""

    def run(*, whole: bool = False) -> Any:
        dock._slices.setCurrentIndex(int(whole))
        press(dock, "Predict")
        qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
        return session.part(Predictor).labels_layer

    return run


@pytest.fixture
def painted(viewer: Any, session: Session, squares: Any, predict: Any) -> Any:
    """Predict all slices and paint a cell on slice 1; return the layer."""
    session.set_model(bright())
    found = predict(whole=True)
    viewer.dims.set_current_step(0, 1)
    found.paint((1, 10, 40), 77)
    return found


def kept(viewer: Any) -> list[Any]:
    return [layer for layer in viewer.layers if "(corrected)" in layer.name]


def test_the_first_stroke_is_told(viewer, dock, session, painted, predict, qtbot):
    told: list[str] = []
    assert "“cells prediction” is a prediction" in dock.message
    assert "Correct" in dock.message
    session.part(Corrections).told.connect(told.append)
    painted.paint((1, 30, 5), 78)
    predict()
    predict(whole=True)
    assert not told
    painted.paint((1, 10, 40), 77)
    assert len(told) == 1


@pytest.mark.parametrize("whole", [False, True])
def test_strokes_are_kept_from_the_next_prediction(viewer, dock, painted, predict, whole):
    before = painted.data[1].copy()
    assert predict(whole=whole) is painted
    assert not (painted.data[1] == 77).any()
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data[1], before)
    assert not layer.data[[0, 2]].any()
    assert not layer.visible
    assert painted.visible
    assert f"kept in “{layer.name}”" in dock.message
    predict(whole=whole)
    assert len(kept(viewer)) == 1
    assert "kept" not in dock.message


def test_a_stroke_under_way_is_kept_from_the_next_prediction(viewer, painted, predict, session):
    viewer.dims.set_current_step(0, 2)
    painted.paint((2, 30, 5), 88)
    predict(whole=True)
    viewer.dims.set_current_step(0, 0)
    painted._begin_stroke()  # the button of the mouse is down
    painted.paint((0, 10, 40), 99)
    before = painted.data[0].copy()
    predict()
    painted._commit_stroke()
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data[0] > 0, before > 0)
    assert layer.data[0, 10, 40] > 0
    predict()
    assert len(kept(viewer)) == 1


def test_an_undone_stroke_is_not_kept(viewer, dock, painted, predict):
    painted.undo()
    predict()
    assert not kept(viewer)
    assert "kept" not in dock.message


def test_what_is_kept_already_is_not_kept_again_when_the_prediction_is_undone(
    viewer, painted, predict
):
    predict()
    painted.undo()
    assert (painted.data[1] == 77).any()
    predict()
    assert len(kept(viewer)) == 1


def test_the_first_stroke_on_a_prediction_is_a_cell_of_its_own(viewer, session, squares, predict):
    session.set_model(bright())
    found = predict(whole=True)
    assert found.selected_label > found.data.max() > 0
    found.selected_label = 3  # chosen, to go on with a cell
    predict(whole=True)
    assert found.selected_label == 3


def test_a_kept_layer_with_room_is_used_before_another_is_made(viewer, painted, predict):
    predict()
    painted.paint((1, 30, 5), 5)
    predict()
    assert len(kept(viewer)) == 2
    viewer.dims.set_current_step(0, 0)
    for _ in range(2):
        painted.paint((0, 30, 40), 6)
        predict()
    assert len(kept(viewer)) == 2


def test_strokes_are_kept_from_cutting(viewer, dock, session, painted, qtbot):
    before = painted.data[1].copy()
    session.part(Cutter).set_options(dock._options.value().__class__(min_area=1000))
    qtbot.waitUntil(lambda: not session.part(Cutter).running, timeout=20_000)
    assert not painted.data[1].any()
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data[1], before)
    assert f"kept in “{layer.name}”" in dock.message


def test_strokes_on_several_slices_share_a_layer_and_none_is_written_over(viewer, painted, predict):
    first = painted.data[1].copy()
    predict()
    viewer.dims.set_current_step(0, 0)
    painted.paint((0, 10, 40), 77)
    predict()
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data[1], first)
    assert (layer.data[0] > 0)[painted.data[0] > 0].all()
    assert (layer.data[0] > 0).sum() > (painted.data[0] > 0).sum()
    assert not set(np.unique(layer.data[0])) & set(np.unique(layer.data[1])) - {0}
    viewer.dims.set_current_step(0, 1)
    painted.paint((1, 30, 5), 5)
    predict()
    one, other = kept(viewer)
    np.testing.assert_array_equal(one.data[1], first)
    assert (other.data[1] > 0).sum() > (painted.data[1] > 0).sum()


def test_a_ball_paints_on_every_slice(viewer, painted, predict):
    painted.n_edit_dimensions = 3
    painted.brush_size = 5
    painted.paint((1, 30, 5), 80)
    before = painted.data.copy()
    predict(whole=True)
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data > 0, before > 0)


def test_correct_takes_the_strokes_and_keeps_no_second_copy(
    viewer, dock, session, painted, predict, correct
):
    before = painted.data[1].copy()
    correct(dock)
    np.testing.assert_array_equal(session.labels_layer.data[1] > 0, before > 0)
    predict()
    assert not kept(viewer)


def test_correct_takes_what_was_kept_when_it_is_in_hand(
    viewer, dock, session, painted, predict, correct
):
    before = painted.data[1].copy()
    predict()
    (layer,) = kept(viewer)
    viewer.layers.selection.active = layer
    layer.visible = True
    correct(dock)
    np.testing.assert_array_equal(session.labels_layer.data[1] > 0, before > 0)
    assert not layer.visible
    assert not painted.visible


def test_correct_takes_the_prediction_where_what_is_in_hand_has_nothing(
    viewer, dock, session, painted, predict, correct
):
    predict()
    (layer,) = kept(viewer)
    viewer.layers.selection.active = layer
    viewer.dims.set_current_step(0, 2)
    assert session.part(Predictor).source is painted
    correct(dock)
    np.testing.assert_array_equal(session.labels_layer.data[2] > 0, painted.data[2] > 0)
    viewer.dims.set_current_step(0, 1)
    viewer.layers.selection.active = layer
    assert session.part(Predictor).source is layer


def test_strokes_beside_painted_cells_are_kept_after_correct(
    viewer, dock, session, squares, predict, correct
):
    viewer.dims.set_current_step(0, 0)
    labels = session.create_annotation()
    labels.paint((0, 10, 10), 9)
    session.set_model(bright())
    found = predict()
    found.paint((0, 10, 14), 1)
    correct(dock)
    predict()
    assert len(kept(viewer)) == 1


def test_classes_keep_their_values_and_names(viewer, session, squares, predict):
    viewer.dims.set_current_step(0, 0)
    session.set_model(tissue("background", "muscle"))
    found = predict()
    found.paint((0, 10, 40), 2)
    before = found.data[0].copy()
    predict()
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data[0], before)
    session.adopt(layer)
    assert session.task == "classes"
    assert session.part(ClassNames).all == {1: "background", 2: "muscle"}


def test_what_the_plugin_writes_is_no_stroke(viewer, session, squares, predict, qtbot):
    told: list[str] = []
    session.part(Corrections).told.connect(told.append)
    session.set_model(bright())
    found = predict(whole=True)
    predict()
    found.undo()
    predict(whole=True)
    assert not told
    assert not kept(viewer)


def test_strokes_are_saved_and_restored_beside_the_labels(
    viewer, dock, session, painted, predict, press, qtbot, correct
):
    before = painted.data.copy()
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10_000):
        pass
    (entry,) = recovery.list_recoveries(recovery.recovery_folder()).entries
    saved = recovery.load_recovery(recovery.recovery_folder(), entry.key)
    np.testing.assert_array_equal(saved.labels, before)
    annotate = AnnotateDock(viewer)
    viewer.window.add_dock_widget(annotate, name="Annotate")
    labels = session.create_annotation()
    viewer.layers.remove(painted)
    qtbot.waitUntil(annotate._offer.isVisible, timeout=5000)
    assert "Restore the corrected prediction of “cells” from" in annotate._offer.text
    press(annotate, "Restore")
    qtbot.waitUntil(lambda: bool(kept(viewer)), timeout=5000)
    (layer,) = kept(viewer)
    np.testing.assert_array_equal(layer.data, before)
    assert layer.visible
    assert session.labels_layer is labels
    assert not labels.data.any()
    qtbot.waitUntil(lambda: not annotate._offer.isVisible(), timeout=5000)
    correct(dock)
    np.testing.assert_array_equal(labels.data[1] > 0, before[1] > 0)


def test_the_file_of_strokes_goes_when_another_layer_has_them(
    viewer, dock, session, painted, predict, press, qtbot
):
    def entries() -> list[Any]:
        return list(recovery.list_recoveries(recovery.recovery_folder()).entries)

    qtbot.waitUntil(lambda: len(entries()) == 1, timeout=10_000)
    key = layers.identity(painted)
    assert entries()[0].key.endswith(key)
    predict()
    (layer,) = kept(viewer)
    qtbot.waitUntil(
        lambda: [e.key.endswith(layers.identity(layer)) for e in entries()] == [True],
        timeout=10_000,
    )
    painted.paint((1, 30, 5), 5)
    qtbot.waitUntil(lambda: len(entries()) == 2, timeout=10_000)
    layer.paint((1, 30, 30), 5)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10_000):
        pass
    assert len(entries()) == 2
