"""The dialogs that ask for a file: every button opens one, and it is used as with a keyboard."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QToolButton,
    QWidget,
)

from napari_unet.files import load_model, read_labels, save_model
from napari_unet.gui.export import ExportDock
from napari_unet.gui.file_dialog import MODEL, FileKind, last_folder, plain_name, remember_folder
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.train import TrainDock
from napari_unet.network import ClassLabel, TrainedModel, UNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CELLS = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
EXPORT = FileKind("export/folder", ".tif")


@pytest.fixture(autouse=True)
def dialogs_of_qt() -> Iterator[None]:
    """Let Qt draw the dialogs: those of macOS and Windows cannot be typed into by a test."""
    wish = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QCoreApplication.testAttribute(wish)
    QCoreApplication.setAttribute(wish, True)
    yield
    QCoreApplication.setAttribute(wish, before)


def model() -> TrainedModel:
    network = UNet(depth=1, width=2, padding="same", dropout=0.0).eval()
    return TrainedModel(network=network, task="instances", classes=CELLS)


def added(viewer: Any, kind: Callable[[Any], Any]) -> Any:
    made = kind(viewer)
    viewer.window.add_dock_widget(made)
    return made


def dialog_of(root: QWidget, qtbot: Any) -> QFileDialog:
    """Return the dialog that a button has opened."""

    def shown() -> list[QFileDialog]:
        return [found for found in root.findChildren(QFileDialog) if found.isVisible()]

    qtbot.waitUntil(lambda: bool(shown()), timeout=5000)
    return shown()[0]


def type_name(root: QWidget, name: str | Path, qtbot: Any) -> QFileDialog:
    """Put a name into the open dialog, as pasted, and press its button."""
    dialog = dialog_of(root, qtbot)
    dialog.findChild(QLineEdit, "fileNameEdit").setText(str(name))
    accept = QDialogButtonBox.ButtonRole.AcceptRole
    buttons = dialog.findChild(QDialogButtonBox)
    (button,) = [b for b in buttons.buttons() if buttons.buttonRole(b) == accept]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    return dialog


def choose(root: QWidget, name: str | Path, qtbot: Any) -> None:
    type_name(root, name, qtbot)
    qtbot.waitUntil(lambda: not root.findChildren(QFileDialog), timeout=5000)


def cancel(root: QWidget, qtbot: Any) -> None:
    QTest.keyClick(dialog_of(root, qtbot), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not root.findChildren(QFileDialog), timeout=5000)


def proposed(root: QWidget, qtbot: Any) -> Path:
    """Return what the open dialog would take as it is."""
    dialog = dialog_of(root, qtbot)
    line = dialog.findChild(QLineEdit, "fileNameEdit")
    return Path(dialog.directory().absolutePath()) / line.text()


@contextmanager
def answering(act: Callable[[], None]) -> Iterator[None]:
    """Act again and again meanwhile: Qt's own question holds up whoever has asked it."""
    timer = QTimer()
    timer.timeout.connect(act)
    timer.start(50)
    try:
        yield
    finally:
        timer.stop()


def press_a_file(dock: TrainDock) -> None:
    """Choose "A file…" in the list of what to start from."""
    start = dock._from
    index = start.findText("A file…")
    start.setCurrentIndex(index)
    start.activated.emit(index)


# ------------------------------------------------------------------------------------ a model


def test_a_model_is_loaded_and_its_folder_remembered(viewer, session, press, qtbot, tmp_path):
    path = save_model(model(), tmp_path / "my cells.safetensors")
    dock = added(viewer, PredictDock)
    press(dock, "Load model")
    choose(dock, path, qtbot)
    qtbot.waitUntil(lambda: session.model is not None, timeout=20_000)
    assert "my cells" in dock._about.text()
    assert session.model_path == path
    press(dock, "Load model")
    assert proposed(dock, qtbot) == tmp_path
    cancel(dock, qtbot)


def test_the_first_model_is_looked_for_where_trainings_keep_theirs(
    viewer, session, press, qtbot, own_home
):
    dock = added(viewer, PredictDock)
    press(dock, "Load model")
    assert proposed(dock, qtbot) == Path.home(), "nothing was trained yet"
    cancel(dock, qtbot)
    (own_home / "models").mkdir()
    press(dock, "Load model")
    assert proposed(dock, qtbot) == own_home / "models"
    cancel(dock, qtbot)


def test_the_key_opens_the_dialog_as_the_button_does(viewer, session, qtbot):
    dock = added(viewer, PredictDock)
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow, timeout=5000)
    dock._start.setFocus()
    QTest.keyClick(dock._start, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    cancel(dock, qtbot)


def test_a_cancelled_load_keeps_the_model_and_the_folder(viewer, session, press, qtbot, tmp_path):
    mine = model()
    session.set_model(mine)
    remember_folder(MODEL, tmp_path / "before.safetensors")
    dock = added(viewer, PredictDock)
    press(dock, "Load model")
    cancel(dock, qtbot)
    assert session.model is mine
    assert dock.message == ""
    assert last_folder(MODEL) == tmp_path


def test_a_corrupt_model_gives_a_sentence_and_keeps_the_model(
    viewer, session, press, qtbot, tmp_path
):
    mine = model()
    session.set_model(mine)
    (tmp_path / "broken.safetensors").write_bytes(b"no model at all")
    dock = added(viewer, PredictDock)
    press(dock, "Load model")
    choose(dock, tmp_path / "broken.safetensors", qtbot)
    qtbot.waitUntil(lambda: dock.message.startswith("⚠"), timeout=20_000)
    assert "broken.safetensors is not a napari-unet model" in dock.message
    assert "choose a file that napari-unet has saved" in dock.message
    assert session.model is mine
    assert dock._load.isEnabled()


def test_a_training_starts_from_a_file_that_is_chosen(viewer, session, qtbot, tmp_path):
    path = save_model(model(), tmp_path / "old.safetensors")
    dock = added(viewer, TrainDock)
    press_a_file(dock)
    choose(dock, path, qtbot)
    assert dock._from.start == path
    assert dock._from.currentText() == "old.safetensors"
    assert last_folder(MODEL) == tmp_path


def test_a_cancelled_choice_of_a_start_changes_nothing(viewer, session, qtbot):
    dock = added(viewer, TrainDock)
    press_a_file(dock)
    cancel(dock, qtbot)
    assert dock._from.currentText() == "A new network"
    assert dock._from.start is None
    assert last_folder(MODEL) == Path.home()


def test_a_model_is_saved_under_a_name_that_is_typed(viewer, session, press, qtbot, tmp_path):
    viewer.add_image(np.zeros((20, 20)), name="cells: a/b")
    mine = model()
    session.set_model(mine)
    remember_folder(MODEL, tmp_path / "before.safetensors")
    dock = added(viewer, TrainDock)
    press(dock, "Save model as")
    assert proposed(dock, qtbot) == tmp_path / "cells_ a_b.safetensors"
    choose(dock, tmp_path / "mine", qtbot)
    path = tmp_path / "mine.safetensors"
    qtbot.waitUntil(lambda: session.model_path == path, timeout=20_000)
    assert str(path) in dock.message
    assert load_model(path).fingerprint == mine.fingerprint
    assert last_folder(MODEL) == tmp_path


def test_a_cancelled_save_writes_nothing(viewer, session, press, qtbot, tmp_path):
    session.set_model(model())
    remember_folder(MODEL, tmp_path / "before.safetensors")
    dock = added(viewer, TrainDock)
    press(dock, "Save model as")
    cancel(dock, qtbot)
    assert list(tmp_path.iterdir()) == []
    assert session.model_path is None
    assert dock.message == ""


def test_a_file_that_is_there_is_replaced_only_after_a_yes(viewer, session, press, qtbot, tmp_path):
    (tmp_path / "mine.safetensors").write_text("precious")
    session.set_model(model())
    remember_folder(MODEL, tmp_path / "before.safetensors")
    dock = added(viewer, TrainDock)
    press(dock, "Save model as")
    asked = []

    def say_no() -> None:
        box = dock.findChild(QMessageBox)
        if box is not None:
            asked.append(box.text())
            QTest.keyClick(box, Qt.Key.Key_Escape)

    with answering(say_no):
        type_name(dock, tmp_path / "mine", qtbot)
    cancel(dock, qtbot)
    assert len(asked) == 1
    assert "mine.safetensors" in asked[0]
    assert (tmp_path / "mine.safetensors").read_text() == "precious"
    assert session.model_path is None


def test_a_folder_that_takes_no_model_gives_a_sentence(viewer, session, press, qtbot, tmp_path):
    session.set_model(model())
    dock = added(viewer, TrainDock)
    press(dock, "Save model as")
    dialog = dialog_of(dock, qtbot)
    target = tmp_path / "gone"
    target.mkdir()
    dialog.setDirectory(str(target))
    target.rmdir()  # such as a stick that was pulled out
    choose(dock, "mine", qtbot)
    qtbot.waitUntil(lambda: dock.message.startswith("⚠"), timeout=20_000)
    assert "mine.safetensors" in dock.message
    assert session.model_path is None


def test_a_save_does_not_name_the_model_of_a_later_training(
    viewer, session, press, qtbot, tmp_path
):
    old, new = model(), model()
    session.set_model(old)
    dock = added(viewer, TrainDock)
    press(dock, "Save model as")
    choose(dock, tmp_path / "old", qtbot)
    session.set_model(new)  # a training has ended
    qtbot.waitUntil(lambda: "is saved" in dock.message, timeout=20_000)
    assert (session.model, session.model_path) == (new, None)


def test_weights_of_an_encoder_are_chosen_and_can_be_typed(viewer, session, qtbot, tmp_path):
    path = tmp_path / "resnet18.pth"
    path.write_bytes(b"")
    dock = added(viewer, TrainDock)
    dock._form.widget("encoder").setCurrentText("ResNet-18")
    line = dock._form.widget("encoder_weights")
    [button] = line.parentWidget().findChildren(QToolButton)
    button.click()
    cancel(dock, qtbot)
    assert dock._form.value().encoder_weights == "imagenet"
    button.click()
    choose(dock, path, qtbot)
    assert dock._form.value().encoder_weights == str(path)
    button.click()
    assert proposed(dock, qtbot) == tmp_path
    cancel(dock, qtbot)
    line.clearEditText()
    assert dock._form.value().encoder_weights is None


# ---------------------------------------------------------------------------------- an export


@pytest.fixture
def export(viewer: Any) -> ExportDock:
    viewer.add_labels(np.arange(480).reshape(20, 24) % 7, name="cells")
    return added(viewer, ExportDock)


def test_browse_names_the_file_that_is_written(export, press, qtbot, tmp_path):
    press(export, "Browse")
    assert proposed(export, qtbot) == Path.home() / "cells.tif"
    choose(export, tmp_path / "mine", qtbot)
    assert export._path.text() == str(tmp_path / "mine.tif")
    assert last_folder(EXPORT) == tmp_path
    press(export, "Export")
    qtbot.waitUntil(lambda: "Written" in export.message, timeout=20_000)
    assert read_labels(tmp_path / "mine.tif").max() == 6


def test_a_cancelled_browse_keeps_the_name_and_the_folder(export, press, qtbot, tmp_path):
    remember_folder(EXPORT, tmp_path / "before.tif")
    before = export._path.text()
    press(export, "Browse")
    cancel(export, qtbot)
    assert export._path.text() == before
    assert last_folder(EXPORT) == tmp_path


def test_browse_begins_where_the_last_file_went(viewer, export, press, qtbot, tmp_path):
    export._path.clear()
    QTest.keyClicks(export._path, str(tmp_path / "typed.tif"))
    press(export, "Export")
    qtbot.waitUntil(lambda: "Written" in export.message, timeout=20_000)
    again = added(viewer, ExportDock)
    assert again._path.text() == str(tmp_path / "cells.tif")
    again._path.clear()
    press(again, "Browse")
    assert proposed(again, qtbot) == tmp_path / "labels.tif"
    cancel(again, qtbot)


def test_browse_asks_nothing_about_a_file_that_is_there(export, press, qtbot, tmp_path):
    (tmp_path / "mine.tif").write_text("precious")
    press(export, "Browse")
    choose(export, tmp_path / "mine.tif", qtbot)
    assert export._path.text() == str(tmp_path / "mine.tif")
    press(export, "Export")
    qtbot.waitUntil(lambda: export.findChildren(QMessageBox) != [], timeout=5000)
    QTest.keyClick(export.findChildren(QMessageBox)[0], Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: export.message == "Nothing was written.", timeout=5000)
    assert (tmp_path / "mine.tif").read_text() == "precious"


def test_a_folder_that_is_gone_is_forgotten(tmp_path, own_home):
    remember_folder(MODEL, tmp_path / "stick" / "cells.safetensors")
    assert last_folder(MODEL) == Path.home()


@pytest.mark.parametrize(
    ("layer", "file"),
    [
        ("cells [1]", "cells [1]"),
        ('a/b\\c:"d"?', "a_b_c__d__"),
        ("two\nlines\0", "two_lines_"),
        (" dots at the end... ", "dots at the end"),
        ("...", ""),
    ],
)
def test_a_layer_gives_a_name_that_any_system_takes(layer: str, file: str) -> None:
    assert plain_name(layer) == file


def test_a_long_name_still_fits_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / f"2026-01-01 10.10.10 {plain_name('細' * 300)} (unfinished).safetensors").touch()
