"""Learning values in napari: chosen in the Annotate dock, trained, predicted and measured."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_unet.files import load_model
from napari_unet.gui import layers
from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.corrector import Corrector
from napari_unet.gui.layers import LayerError
from napari_unet.gui.overlay import NAME
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.predictor import Predictor
from napari_unet.gui.recovery import Autosave
from napari_unet.gui.session import Session
from napari_unet.gui.survey import survey_slices
from napari_unet.gui.train import TrainDock
from napari_unet.gui.trainer import Trainer
from napari_unet.gui.value_list import ValueList
from napari_unet.gui.values import Values
from napari_unet.network import ClassLabel, TrainedModel, UNet
from tests.gui.conftest import picture

if TYPE_CHECKING:
    from napari.layers import Image

TINY = {"depth": 1, "width": 4, "patch": 32, "batch": 2, "views": 1}


def waves(*shape: int) -> np.ndarray:
    """Draw smooth bumps between 0 and 200; every call with the same shape gives the same."""
    y, x = np.indices(shape[-2:])
    plane = 100 + 50 * np.sin(y / 4) + 50 * np.cos(x / 5)
    return np.broadcast_to(plane, shape).astype(np.uint8).copy()


@pytest.fixture
def dock(viewer: Any) -> AnnotateDock:
    made = AnnotateDock(viewer)
    viewer.window.add_dock_widget(made, name="Annotate", area="right")
    return made


@pytest.fixture
def train(viewer: Any) -> TrainDock:
    made = TrainDock(viewer)
    viewer.window.add_dock_widget(made, name="Train", area="left")
    return made


@pytest.fixture
def image(viewer: Any) -> Image:
    """Open one picture, and two layers of values: five times as bright, and the negative."""
    found = viewer.add_image(waves(48, 64), name="cells")
    viewer.add_image(5.0 * waves(48, 64), name="height")
    viewer.add_image(-waves(48, 64).astype(np.int16), name="negative")
    Session.of(viewer).choose([found])
    return found


@pytest.fixture
def chosen(viewer: Any, image: Image) -> Session:
    session = Session.of(viewer)
    session.task = "regression"
    session.part(Values).choose([viewer.layers["height"], viewer.layers["negative"]])
    return session


@pytest.fixture
def three(viewer: Any, stack: Image) -> Session:
    """Choose one layer of values for a stack of three slices."""
    session = Session.of(viewer)
    viewer.add_image(waves(3, 40, 48).astype(np.float32), name="height")
    session.choose([stack])
    session.task = "regression"
    session.part(Values).choose([viewer.layers["height"]])
    return session


def tick(dock: AnnotateDock, name: str) -> None:
    """Click a box in the list of values with the mouse."""
    found = dock.findChild(ValueList)
    assert found is not None
    (item,) = found.findItems(name, Qt.MatchFlag.MatchExactly)
    where = found.visualItemRect(item)
    at = QPoint(where.left() + 10, where.center().y())
    QTest.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, pos=at)


def tiny(dock: TrainDock, **changes: Any) -> None:
    dock._form.set_value(replace(dock._form.value(), **{**TINY, "minutes": None, **changes}))


def trained(session: Session, qtbot: Any) -> Trainer:
    part = session.part(Trainer)
    qtbot.waitUntil(lambda: not part.running, timeout=60_000)
    return part


def text_of(dock: AnnotateDock) -> str:
    return f"{dock._counts.text()} {dock._share.text()}"


def draw(session: Session, role: str, *corners: tuple[float, ...]) -> None:
    """Draw a region, given in pixels of the image."""
    image = session.image_layers[0]
    shapes = session.region_layer(role)
    shapes.add_polygons([np.array([shapes.world_to_data(image.data_to_world(c)) for c in corners])])


def counted(session: Session) -> np.ndarray:
    """Return the pixels that the engine is told to learn from."""
    mask: np.ndarray = session.snapshot().annotated_image().annotated
    return mask


def test_values_are_ticked_trained_predicted_and_measured(
    viewer, dock, train, image, press, qtbot
) -> None:
    session = Session.of(viewer)
    press(dock, "Values")
    assert "Tick the layers" in text_of(dock)
    tick(dock, "height")
    tick(dock, "negative")
    qtbot.waitUntil(lambda: "100 %" in text_of(dock), timeout=5000)
    assert "<b>2 values</b>" in text_of(dock)
    assert viewer.layers[NAME].data.all()
    tiny(train, steps=150, learning_rate=0.01)
    press(train, "Start training")
    part = trained(session, qtbot)
    assert not part.problem
    model = session.model
    assert (model.task, [c.name for c in model.classes]) == ("regression", ["height", "negative"])
    assert load_model(session.model_path).classes == model.classes
    assert "R²" in train._clock.text()
    predict = PredictDock(viewer)
    viewer.window.add_dock_widget(predict, name="Predict", area="left")
    assert "height R² 0." in predict._about.text()
    assert "; negative R² 0." in predict._about.text()
    press(predict, "Predict")
    qtbot.waitUntil(lambda: not session.part(Predictor).running, timeout=60_000)
    for name in ("height", "negative"):
        truth = viewer.layers[name].data
        found = viewer.layers[f"cells {name}"]
        assert np.abs(found.data - truth).mean() < 0.25 * truth.std()
    shown = [layer.name for layer in layers.value_layers(viewer)]
    assert sorted(shown) == ["cells height", "cells negative"]


def test_predictions_are_no_values_to_learn(viewer, dock, image, press) -> None:
    layers.add_image(viewer, [image], waves(48, 64), role="values 0", name="cells height")
    press(dock, "Values")
    found = dock.findChild(ValueList)
    assert [found.item(n).text() for n in range(found.count())] == ["height", "negative"]


def test_a_long_list_stays_where_it_was_scrolled_to(viewer, dock, image, press) -> None:
    for n in range(12):
        viewer.add_image(waves(48, 64), name=f"number {n}", visible=False)
    press(dock, "Values")
    found = dock.findChild(ValueList)
    found.verticalScrollBar().setValue(4)
    tick(dock, "number 4")
    assert [target.name for target in dock.session.part(Values).chosen] == ["number 4"]
    assert found.verticalScrollBar().value() == 4
    viewer.layers["number 4"].name = "another name"
    assert found.findItems("another name", Qt.MatchFlag.MatchExactly)
    tick(dock, "another name")
    assert not dock.session.part(Values).chosen


def test_pixels_with_nan_in_any_value_do_not_count(viewer, chosen) -> None:
    height = viewer.layers["height"]
    changed = height.data.copy()
    changed[:10] = np.nan
    with_nan = viewer.layers["negative"].data.astype(np.float32)
    with_nan[:, :5] = np.nan
    height.data, viewer.layers["negative"].data = changed, with_nan
    expected = np.ones((1, 48, 64), dtype=bool)
    expected[:, :10] = expected[:, :, :5] = False
    np.testing.assert_array_equal(counted(chosen), expected)
    image = chosen.snapshot().annotated_image()
    assert image.labels.shape == (1, 2, 48, 64)
    assert np.isfinite(image.labels).all()
    np.testing.assert_array_equal(image.labels[0, 0][expected[0]], changed[expected[0]])


def test_regions_are_all_that_counts_on_every_slice_without_what_is_ignored(three) -> None:
    assert counted(three).all()
    draw(three, layers.IGNORED, (0, 0, 0), (0, 0, 47), (0, 9, 47), (0, 9, 0))
    without = counted(three)
    assert not without[0, :9].any()
    assert without[0, 11:].all()
    assert without[1:].all()
    draw(three, layers.REGIONS, (1, 10, 10), (1, 10, 20), (1, 20, 20), (1, 20, 10))
    inside = counted(three)
    assert not inside[[0, 2]].any()
    assert inside[1, 11:20, 11:20].all()
    assert inside.sum() < 150
    marks = three.marks()
    seen = {r.z: r for z in range(3) for r in survey_slices(marks, [z], lambda: False)}
    assert [seen[z].annotated.sum() for z in range(3)] == list(inside.sum(axis=(1, 2)))


def test_values_are_read_in_the_worker_and_once(viewer, three, train, press, qtbot) -> None:
    import dask.array as da

    readers = []

    def read(block: np.ndarray) -> np.ndarray:
        readers.append(threading.current_thread() is threading.main_thread())
        return block

    lazy = da.from_array(waves(3, 40, 48).astype(np.float32), chunks=(1, 40, 48))
    viewer.layers["height"].visible = False
    viewer.layers["height"].data = lazy.map_blocks(read, meta=np.zeros((0, 0, 0), np.float32))
    readers.clear()
    import dask

    with dask.config.set(scheduler="synchronous"):
        before = three.snapshot()
        assert not readers
        tiny(train, steps=3)
        press(train, "Start training")
        trained(three, qtbot)
        assert three.model is not None
        assert readers
        assert not any(readers)
        before.annotated_image()
        readers.clear()
        three.snapshot(before).annotated_image()
        assert not readers


def test_switching_what_is_learnt_loses_nothing(viewer, dock, chosen, press) -> None:
    press(dock, "Single cells")
    labels = chosen.labels_layer
    assert labels.visible
    labels.paint((20, 20), 3)
    painted = labels.data.copy()
    assert painted.any()
    press(dock, "Values")
    assert chosen.task == "regression"
    assert not labels.visible
    assert viewer.layers.selection.active is chosen.image_layers[0]
    assert [t.name for t in chosen.part(Values).chosen] == ["height", "negative"]
    assert not dock._new_cell.isVisible()
    assert not dock._complete.isVisible()
    assert dock._region.isVisible()
    press(dock, "Single cells")
    assert not dock._renewal.isVisible()
    assert chosen.labels_layer is labels
    assert labels.visible
    np.testing.assert_array_equal(labels.data, painted)
    assert labels.selected_label == 4
    press(dock, "Values")
    press(dock, "Classes")  # the labels hold cells: that is asked, as ever
    assert dock._renewal.isVisible()
    press(dock, "Keep painting")
    assert chosen.task == "regression"
    np.testing.assert_array_equal(labels.data, painted)


def test_the_next_cell_is_new_on_all_slices_after_values(viewer, dock, three, press) -> None:
    press(dock, "Single cells")
    labels = three.labels_layer
    labels.data_setitem((np.array([0]), np.array([5]), np.array([5])), 7)
    viewer.dims.set_current_step(0, 2)
    press(dock, "Values")
    press(dock, "Single cells")
    assert labels.selected_label == 8


def test_each_image_has_values_of_its_own(viewer, dock, chosen) -> None:
    first = chosen.image_layers
    chosen.choose([viewer.add_image(waves(48, 64), name="others")])
    assert chosen.task == "instances"
    chosen.choose(first)
    assert chosen.task == "regression"
    assert len(chosen.part(Values).chosen) == 2


def test_a_channel_is_no_value(viewer, dock, chosen) -> None:
    chosen.set_channels([*chosen.image_layers, viewer.layers["height"]])
    assert [t.name for t in chosen.part(Values).chosen] == ["negative"]
    channels = [dock._channels.item(n).text() for n in range(dock._channels.count())]
    assert channels == ["height"]


def test_a_layer_that_is_removed_is_no_value_any_more(viewer, dock, chosen, train, press, qtbot):
    qtbot.waitUntil(lambda: "2 values" in text_of(dock), timeout=5000)
    viewer.layers.remove("negative")
    qtbot.waitUntil(lambda: "1 value<" in text_of(dock), timeout=5000)
    viewer.layers.remove("height")
    assert "Open what “cells” should become" in text_of(dock)
    assert NAME not in viewer.layers
    press(train, "Start training")
    assert "No values are chosen yet" in train.message


def test_a_layer_that_is_removed_from_a_training_stops_nothing(
    viewer, chosen, train, press, qtbot
) -> None:
    tiny(train, minutes=60.0)
    press(train, "Start training")
    part = chosen.part(Trainer)
    qtbot.waitUntil(lambda: part.report is not None and part.report.step > 2, timeout=60_000)
    viewer.layers.remove("height")
    part._hand_over()
    step = part.report.step
    qtbot.waitUntil(lambda: part.report.step > step + 2, timeout=60_000)
    press(train, "Stop")
    trained(chosen, qtbot)
    assert [label.name for label in chosen.model.classes] == ["height", "negative"]
    assert not part.problem


def test_a_region_that_is_drawn_meanwhile_joins_and_the_model_so_far_predicts(
    viewer, chosen, train, press, qtbot
) -> None:
    tiny(train, minutes=60.0, validation=0.0)
    press(train, "Start training")
    part = chosen.part(Trainer)
    qtbot.waitUntil(lambda: part.report is not None and part.report.step > 2, timeout=60_000)
    draw(chosen, layers.REGIONS, (5, 5), (5, 20), (20, 20), (20, 5))
    part._hand_over()
    assert all(handed.confined for handed in [*part._slot._newest.values()])
    step = part.report.step
    qtbot.waitUntil(lambda: part.report.step > step + 2, timeout=60_000)
    assert not part._slot._newest  # it was taken
    press(train, "Stop")
    trained(chosen, qtbot)
    assert chosen.model.task == "regression"
    assert not [note for note in part.notes if "cannot join" in note]


@pytest.mark.parametrize(
    ("data", "options", "what"),
    [
        (np.zeros((48, 65), np.float32), {}, "differ in size"),
        (np.zeros((48, 64, 3), np.uint8), {"rgb": True}, "Split RGB"),
        (np.zeros((2, 2, 48, 64), np.float32), {}, "4 dimensions"),
    ],
    ids=["size", "colour", "dimensions"],
)
def test_a_layer_that_cannot_be_learnt_says_why(viewer, dock, chosen, data, options, what) -> None:
    wrong = viewer.add_image(data, name="wrong", visible=False, **options)
    found = dock.findChild(ValueList)
    (item,) = found.findItems("wrong", Qt.MatchFlag.MatchExactly)
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    assert what in item.toolTip()
    with pytest.raises(LayerError, match=what):
        chosen.part(Values).choose([wrong])
    assert len(chosen.part(Values).chosen) == 2


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.nan, "“height” is NaN everywhere"),
        (np.inf, "“height” is infinite, or too large, at 3072"),
        (1e300, "“height” is infinite, or too large, at 3072"),
        (7.0, "“height” is 7 wherever"),
    ],
)
def test_values_that_teach_nothing_give_one_sentence(
    viewer, chosen, train, press, qtbot, value, what
) -> None:
    viewer.layers["height"].visible = False
    with qtbot.waitSignal(chosen.annotations_changed, timeout=5000):
        viewer.layers["height"].data = np.full((48, 64), value)
    tiny(train, steps=2)
    press(train, "Start training")
    trained(chosen, qtbot)
    assert what in train.message
    assert chosen.model is None


def test_values_that_know_nothing_of_each_other_give_one_sentence(viewer, chosen) -> None:
    half = np.full((48, 64), np.nan, np.float32)
    half[:24] = 1
    viewer.layers["height"].data, viewer.layers["negative"].data = half, half[::-1].copy()
    with pytest.raises(ValueError, match="no pixel has a number in all of “height”, “negative”;"):
        chosen.snapshot().annotated_image()
    viewer.layers["negative"].data = half.copy()
    assert counted(chosen).sum() == 24 * 64
    draw(chosen, layers.REGIONS, (30, 30), (30, 40), (40, 40), (40, 30))
    with pytest.raises(ValueError, match="where the regions let it count"):
        chosen.snapshot().annotated_image()


def test_a_layer_that_got_another_size_meanwhile_is_refused(viewer, dock, chosen, train, press):
    viewer.layers["height"].data = np.zeros((20, 20))
    assert "differ in size" in text_of(dock)
    press(train, "Start training")
    assert "differ in size" in train.message


def test_options_of_a_training_are_those_of_what_is_learnt(chosen, train, dock, press) -> None:
    form = train._form
    form.advanced.expand()
    assert not form.widget("regression_loss").isHidden()
    for name in ("w0", "dice", "balance", "cell_diameter"):
        assert not form.widget(name).isEnabled()
    assert (form.value().scaling, form.value().intensity) == (0, 0)
    form.widget("scaling").setValue(0.1)
    press(dock, "Single cells")
    train._on_task()
    usual = train._from_preset()
    assert usual.task == "instances"
    assert form.widget("regression_loss").isHidden()
    assert form.widget("w0").isEnabled()
    assert (form.value().scaling, form.value().intensity) == (0.1, usual.intensity)


def cells_model() -> TrainedModel:
    network = UNet(depth=1, width=4, padding="same").eval()
    labels = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
    return TrainedModel(network=network, task="instances", classes=labels, configuration=TINY)


def test_a_model_of_cells_goes_on_with_values_and_that_one_with_more(
    viewer, chosen, train, press, qtbot
) -> None:
    chosen.set_model(cells_model())
    train._from._choose("window")
    tiny(train, steps=3)
    press(train, "Start training")
    part = trained(chosen, qtbot)
    assert "a new last layer" in " ".join(part.notes)
    units = chosen.model.standardisation
    assert chosen.model.network.geometry == cells_model().network.geometry
    # Layers in another order are brought to that of the model.
    chosen.part(Values).choose([viewer.layers["negative"], viewer.layers["height"]])
    press(train, "Start training")
    part = trained(chosen, qtbot)
    assert not part.problem
    assert "a new last layer" not in " ".join(part.notes)
    assert [label.name for label in chosen.model.classes] == ["height", "negative"]
    assert chosen.model.standardisation == units
    scores = chosen.model.provenance["scores"]["each"]
    assert scores[0]["data_range"] == pytest.approx(5 * scores[1]["data_range"])


def test_cells_that_were_found_are_not_corrected_while_values_are_learnt(
    chosen, image, qtbot
) -> None:
    found = np.zeros((1, 48, 64), np.int32)
    found[0, 5:9, 5:9] = 1
    layer = layers.add_labels(
        chosen.viewer, [image], found, role=layers.PREDICTION, name="cells prediction"
    )
    layers.set_fact(layer, layers.TASK, "instances")
    with pytest.raises(LayerError, match=r"but values are learnt.*choose “Single cells”"):
        chosen.part(Corrector).start()
    chosen.task = "instances"
    chosen.part(Corrector).start()
    qtbot.waitUntil(lambda: not chosen.part(Corrector).running, timeout=10_000)
    assert chosen.part(Corrector).outcome.startswith("1 cells were copied")


def test_keys_of_painting_say_why_they_do_nothing(dock, chosen) -> None:
    dock._tools.new_cell()
    assert "Values are not painted" in dock.message
    dock._tools.toggle_complete()
    assert "slice counts as a whole" in dock.message
    assert not chosen.complete


def test_regions_and_choice_come_back_after_a_crash(make_napari_viewer, qtbot) -> None:
    def open_window() -> Session:
        viewer = make_napari_viewer()
        image = viewer.add_image(picture(48, 64), name="cells")
        viewer.add_image(waves(48, 64), name="height")
        session = Session.of(viewer)
        session.choose([image])
        return session

    session = open_window()
    session.task = "regression"
    session.part(Values).choose([session.viewer.layers["height"]])
    draw(session, layers.REGIONS, (5, 5), (5, 20), (20, 20), (20, 5))
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10_000):
        pass
    before = counted(session)
    session.viewer.close()
    again = open_window()
    saved = again.part(Autosave)
    qtbot.waitUntil(lambda: saved.offer is not None, timeout=10_000)
    saved.restore()
    qtbot.waitUntil(lambda: saved.offer is None, timeout=10_000)
    assert again.task == "regression"
    assert [target.name for target in again.part(Values).chosen] == ["height"]
    np.testing.assert_array_equal(counted(again), before)
