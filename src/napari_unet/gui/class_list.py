"""The list of classes to scribble with: colour, value and a name that can be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from napari_unet.gui.class_names import nameless

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

__all__ = ["ClassList"]

_ROWS = 5


class ClassList(QWidget):
    """Pick a class to paint with, rename it, or add one.

    Attributes
    ----------
    picked : Signal(int)
        The painted value of the class that was clicked.
    renamed : Signal(dict)
        All painted values and names, after an edit.
    """

    picked = Signal(int)
    renamed = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._labels: Labels | None = None
        self._list = QListWidget()
        self._list.setToolTip(
            "<qt>Click a class to paint it; double-click to rename it. What stays unpainted says "
            "nothing.</qt>"
        )
        self._list.setAccessibleName("Classes")
        self._list.itemClicked.connect(self._on_clicked)
        self._list.itemChanged.connect(self._on_edited)
        add = QPushButton("Add class")
        add.setToolTip("<qt>Another kind of thing to tell apart.</qt>")
        add.clicked.connect(self._on_add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._list)
        column.addWidget(add)

    def show_classes(self, names: Mapping[int, str], labels: Labels | None) -> None:
        """Show the classes, in the colours of the layer that they are painted on."""
        self._follow(labels)
        if dict(names) != self._names() or not self._list.count():
            self._fill(names, labels)
        self._mark()

    def _fill(self, names: Mapping[int, str], labels: Labels | None) -> None:
        with QSignalBlocker(self._list):
            self._list.clear()
            for value, name in sorted(names.items()):
                item = QListWidgetItem(_swatch(labels, value), name)
                item.setData(Qt.ItemDataRole.UserRole, value)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                self._list.addItem(item)
        rows = min(max(len(names), 2), _ROWS)
        height = max(self._list.sizeHintForRow(0), 18) * rows
        self._list.setFixedHeight(height + 2 * self._list.frameWidth() + 4)

    def _follow(self, labels: Labels | None) -> None:
        """Hear of another class that is chosen in napari's own controls."""
        if labels is self._labels:
            return
        if self._labels is not None:
            self._labels.events.selected_label.disconnect(self._mark)
        self._labels = labels
        if labels is not None:
            labels.events.selected_label.connect(self._mark)

    def _mark(self) -> None:
        """Mark the class that the brush paints; none where it paints another number."""
        painted = 1 if self._labels is None else self._labels.selected_label
        values = list(self._names())
        with QSignalBlocker(self._list):
            self._list.setCurrentRow(values.index(painted) if painted in values else -1)

    def _names(self) -> dict[int, str]:
        items = [self._list.item(n) for n in range(self._list.count())]
        return {i.data(Qt.ItemDataRole.UserRole): i.text() for i in items if i is not None}

    def _on_clicked(self, item: QListWidgetItem) -> None:
        self.picked.emit(item.data(Qt.ItemDataRole.UserRole))

    def _on_edited(self, item: QListWidgetItem) -> None:
        if not item.text().strip():
            with QSignalBlocker(self._list):
                item.setText(nameless(item.data(Qt.ItemDataRole.UserRole)))
        self.renamed.emit(self._names())

    def _on_add(self) -> None:
        names = self._names()
        value = max(names, default=0) + 1
        self.renamed.emit({**names, value: nameless(value)})
        self.picked.emit(value)


def _swatch(labels: Labels | None, value: int) -> QIcon:
    """Return a small square in the class's colour."""
    pixmap = QPixmap(12, 12)
    colour = (0.5, 0.5, 0.5, 1.0) if labels is None else labels.get_color(value)
    red, green, blue = (int(255 * c) for c in np.asarray(colour)[:3])
    pixmap.fill(QColor(red, green, blue))
    return QIcon(pixmap)
