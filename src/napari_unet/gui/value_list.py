"""The list of layers whose values can be learnt, to be ticked; what cannot says why."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_unet.gui import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

__all__ = ["ValueList"]

_ROWS = 5
_TOOLTIP = (
    "Tick the layers that hold what each pixel should become: a number such as a distance, or the "
    "picture of a better microscope. The network gets one output for each. NaN says nothing."
)


class ValueList(QListWidget):
    """Tick the layers that hold the values to learn.

    Attributes
    ----------
    chosen : Signal(list)
        All ticked Image layers, in the order of the list, after one was ticked or unticked.
    """

    chosen = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(f"<qt>{_TOOLTIP}</qt>")
        self.setAccessibleName("Values")
        self._listed: list[Image] = []
        self.itemChanged.connect(self._on_ticked)

    def show_layers(
        self, candidates: Sequence[Image], ticked: Sequence[Image], images: Sequence[Image]
    ) -> None:
        """List layers; those that do not fit the images cannot be ticked."""
        self._listed = list(candidates)
        with QSignalBlocker(self):
            self.clear()
            for candidate in candidates:
                self.addItem(_item(candidate, ticked, images))
        height = max(self.sizeHintForRow(0), 18) * min(len(candidates), _ROWS)
        self.setFixedHeight(height + 2 * self.frameWidth() + 4)
        self.setVisible(bool(candidates))

    def _on_ticked(self) -> None:
        items = [self.item(n) for n in range(self.count())]
        self.chosen.emit(
            [
                candidate
                for candidate, item in zip(self._listed, items, strict=True)
                if item is not None and item.checkState() == Qt.CheckState.Checked
            ]
        )


def _item(candidate: Image, ticked: Sequence[Image], images: Sequence[Image]) -> QListWidgetItem:
    """Make a line with a box to tick; what was ticked once can always be unticked."""
    item = QListWidgetItem(candidate.name)
    problem = layers.target_problem(candidate, images)
    if problem:
        item.setToolTip(f"<qt>{escape(problem)}</qt>")
    if problem and candidate not in ticked:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        return item
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    on = candidate in ticked
    item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
    return item
