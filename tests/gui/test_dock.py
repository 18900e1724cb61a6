"""What docks have in common: keys that work wherever the keyboard is in them."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QPushButton, QWidget

from napari_unet.gui.dock import Dock, words
from napari_unet.gui.elastic_warp import ElasticWarpDock
from napari_unet.gui.export import ExportDock
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.train import TrainDock
from napari_unet.gui.weight_map import WeightMapDock

CTRL = Qt.KeyboardModifier.ControlModifier


def focusable(dock: QWidget) -> list[QWidget]:
    """List what the Tab key goes to."""
    found = [widget for widget in dock.findChildren(QWidget) if widget.isVisible()]
    return [w for w in found if w.isEnabled() and w.focusPolicy() & Qt.FocusPolicy.TabFocus]


def presses(
    dock: Any, keys: tuple[Qt.Key, Qt.KeyboardModifier], text: str, qtbot: Any
) -> dict[QWidget, int]:
    """Press a key in every control of a dock; tell how often it pressed the button."""
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow, timeout=5000)
    (target,) = [b for b in dock._keys.values() if b.text().startswith(text)]
    target.clicked.disconnect()
    count = [0]
    target.clicked.connect(lambda: count.__setitem__(0, count[0] + 1))
    pressed = {}
    for control in focusable(dock):
        control.setFocus()
        count[0] = 0
        QTest.keyClick(control, *keys)
        pressed[control] = count[0]
    return pressed


@pytest.mark.parametrize(
    ("kind", "button"),
    [
        (TrainDock, "Start training"),
        (PredictDock, "Predict"),
        (ExportDock, "Export"),
        (WeightMapDock, "Show"),
        (ElasticWarpDock, "Draw"),
    ],
)
def test_ctrl_return_does_what_the_dock_is_for(viewer, stack, kind, button, qtbot):
    dock = kind(viewer)
    viewer.window.add_dock_widget(dock)
    pressed = presses(dock, (Qt.Key.Key_Return, CTRL), button, qtbot)
    assert pressed
    assert set(pressed.values()) == {1}, {type(w).__name__: n for w, n in pressed.items()}


def test_ctrl_o_loads_a_model_although_napari_opens_files_with_it(viewer, stack, qtbot):
    dock = PredictDock(viewer)
    viewer.window.add_dock_widget(dock)
    pressed = presses(dock, (Qt.Key.Key_O, CTRL), "Load model", qtbot)
    # QTest sends the letter along, which a list takes for its entry; a keyboard sends none.
    others = {w: n for w, n in pressed.items() if not isinstance(w, QComboBox)}
    assert others
    assert set(others.values()) == {1}, {type(w).__name__: n for w, n in others.items()}


@pytest.mark.parametrize("text", ["0 cells on this slice, 0 in all on 0 slices", "two lines " * 9])
def test_words_take_the_height_that_they_have_at_their_width(viewer, text, qtbot):
    dock, below = Dock(viewer), QPushButton("Below")
    label = words()
    dock.column.addWidget(label)
    dock.column.addWidget(below)
    dock.finish()
    qtbot.addWidget(dock)
    dock.resize(320, 500)
    dock.show()
    label.setText(text)
    height = label.heightForWidth(label.width())
    qtbot.waitUntil(lambda: label.height() == height, timeout=5000)
    assert below.y() == label.y() + height + dock.column.spacing()
