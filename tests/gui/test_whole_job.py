"""The whole job as a user does it: mouse and keys only, controls found by what stands on them.

Nothing of napari_unet is called before the exported file is read with tifffile.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QWidget,
)

if TYPE_CHECKING:
    from pathlib import Path

LEFT = Qt.MouseButton.LeftButton
CELLS = 10


class User:
    """Somebody with a mouse, a keyboard and eyes."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer = viewer
        self.window = viewer.window._qt_window
        self.qtbot = qtbot

    def see(self, kind: type, text: str) -> Any:
        """Find what is visible and says `text`, with a key behind it at most."""
        seen = [w for w in self.window.findChildren(kind) if w.isVisible()]
        for widget in seen:
            words = re.sub(r"\s\([^)]*\)$", "", widget.text().replace("&", ""))
            if words == text:
                return widget
        raise AssertionError(f"nobody can see {text!r} among {[w.text() for w in seen]}")

    def press(self, text: str) -> None:
        button = self.see(QAbstractButton, text)
        self.qtbot.waitUntil(button.isEnabled, timeout=30_000)
        QTest.mouseClick(button, LEFT)
        QApplication.processEvents()

    def field(self, title: str) -> Any:
        """Find the field that stands beside a title."""
        return self.see(QLabel, title).buddy()

    def type_into(self, title: str, text: str) -> None:
        field = self.field(title)
        line = field if isinstance(field, QLineEdit) else field.findChild(QLineEdit)
        QTest.mouseDClick(line, LEFT)
        QTest.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Tab)

    def read(self, pattern: str) -> re.Match[str] | None:
        """Look for words anywhere in the window."""
        for label in self.window.findChildren(QLabel):
            found = re.search(pattern, label.text()) if label.isVisible() else None
            if found:
                return found
        return None

    def wait_to_read(self, pattern: str, seconds: float = 120) -> None:
        self.qtbot.waitUntil(lambda: self.read(pattern) is not None, timeout=int(1000 * seconds))

    def choose_in_menu(self, *path: str) -> None:
        """Open a menu and its submenus by clicking, as far as the last entry."""
        menu: Any = self.window.menuBar()
        for text in path:
            entries = {a.text().replace("&", ""): a for a in menu.actions()}
            named = [a for words, a in entries.items() if words.split("(")[0].strip() == text]
            entry = entries.get(text) or (named[0] if named else None)
            assert entry is not None, f"no entry {text!r} among {list(entries)}"
            QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(entry).center())
            submenu = entry.menu()
            if submenu is not None:
                self.qtbot.waitUntil(submenu.isVisible, timeout=5000)
                menu = submenu
        QApplication.processEvents()

    # ------------------------------------------------------------------------------ the canvas

    @property
    def canvas(self) -> QWidget:
        return self.viewer.window._qt_viewer.canvas.native

    def pixel(self, y: float, x: float, layer: Any) -> QPoint:
        """Where on the canvas a pixel of the picture is seen."""
        world = np.asarray(layer.data_to_world((y, x)))
        centre = np.array([self.canvas.height(), self.canvas.width()]) / 2
        where = (
            world - self.viewer.scene.camera.center[-2:]
        ) * self.viewer.scene.camera.zoom + centre
        return QPointF(where[1], where[0]).toPoint()

    def draw(self, start: QPoint, end: QPoint) -> None:
        QTest.mouseMove(self.canvas, start)
        QTest.mousePress(self.canvas, LEFT, pos=start)
        for share in (0.5, 1.0):
            QTest.mouseMove(self.canvas, start + (end - start) * share)
            QApplication.processEvents()
        QTest.mouseRelease(self.canvas, LEFT, pos=end)
        QApplication.processEvents()

    def key(self, key: Qt.Key) -> None:
        QTest.keyClick(self.canvas, key)
        QApplication.processEvents()


def middles(truth: np.ndarray, count: int) -> list[tuple[float, float]]:
    """Where a person would point: the middles of some cells that lie well inside the picture."""
    found = []
    for cell in np.unique(truth)[1:]:
        y, x = np.nonzero(truth == cell)
        inside = min(y.min(), x.min()) > 20 and max(y.max(), x.max()) < 492
        if inside and truth[int(y.mean()), int(x.mean())] == cell and len(y) > 300:
            found.append((y.mean(), x.mean()))
    return found[:count]


@pytest.mark.usefixtures("own_home")
def test_the_whole_job_by_mouse_and_keys(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    user = User(viewer, qtbot)

    user.choose_in_menu("File", "Open Sample", "U-Net", "Touching cells (2D)")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    image, truth = viewer.layers

    user.choose_in_menu("Plugins", "U-Net", "U-Net workbench")
    user.wait_to_read("Image")
    user.press("Start annotating")
    labels = viewer.layers.selection.active
    assert not labels.data.any()
    for n, (y, x) in enumerate(middles(truth.data, CELLS)):
        if n:
            user.press("New cell")
        user.draw(user.pixel(y - 4, x, image), user.pixel(y + 4, x, image))
    assert len(np.unique(labels.data)) == CELLS + 1
    user.wait_to_read(f"{CELLS} cells")
    painted = labels.data.copy()

    user.press("2  Weight map")
    user.press("Show weight map")
    user.wait_to_read(r"largest weight is \d")
    assert f"{image.name} weight map" in viewer.layers
    user.press("Remove")

    user.press("4  Train")
    user.type_into("Minutes", "9")
    user.press("Start training")
    user.wait_to_read(r"step ([5-9]|\d\d+)\b", seconds=600)
    user.press("Stop")
    user.wait_to_read("Trained for", seconds=600)
    np.testing.assert_array_equal(labels.data, painted)

    user.press("5  Predict")
    user.press("Predict")
    user.wait_to_read("The result is in")
    predicted = viewer.layers[f"{image.name} prediction"]
    np.testing.assert_array_equal(labels.data, painted)

    user.press("6  Export")
    assert user.field("Layer").currentText() == predicted.name
    user.type_into("File", str(tmp_path / "cells.tif"))
    user.press("Export")
    user.wait_to_read("Written")

    written = tifffile.imread(tmp_path / "cells.tif")
    np.testing.assert_array_equal(written, predicted.data)
    assert written.dtype == np.uint16
    assert written.shape == image.data.shape
