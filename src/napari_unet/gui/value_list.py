"""The list of layers whose values can be learnt, to be ticked; what cannot says why."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_unet.gui import layers
from napari_unet.gui.dock import fit_lines

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
        self.hide()
        self._listed: list[Image] = []
        self._shown: list[tuple[str, str, bool]] = []
        self.itemChanged.connect(self._on_ticked)

    def show_layers(
        self, candidates: Sequence[Image], ticked: Sequence[Image], images: Sequence[Image]
    ) -> None:
        """List layers; those that do not fit the images cannot be ticked."""
        problems = [layers.target_problem(candidate, images) for candidate in candidates]
        shown = [
            (candidate.name, problem, candidate in ticked)
            for candidate, problem in zip(candidates, problems, strict=True)
        ]
        self._listed = list(candidates)
        if shown == self._shown:
            return  # who has just ticked a box stays where the list was scrolled to
        self._shown = shown
        with QSignalBlocker(self):
            self.clear()
            for line in shown:
                self.addItem(_item(*line))
        fit_lines(self, _ROWS)
        self.setVisible(bool(candidates))

    def _on_ticked(self) -> None:
        items = [self.item(n) for n in range(self.count())]
        on = [i is not None and i.checkState() == Qt.CheckState.Checked for i in items]
        self._shown = [(*line[:2], ticked) for line, ticked in zip(self._shown, on, strict=True)]
        self.chosen.emit([i for i, ticked in zip(self._listed, on, strict=True) if ticked])


def _item(name: str, problem: str, ticked: bool) -> QListWidgetItem:
    """Make a line with a box to tick; what was ticked once can always be unticked."""
    item = QListWidgetItem(name)
    about = escape(problem) or f"<b>{escape(name)}</b>: {_TOOLTIP}"
    item.setToolTip(f"<qt>{about}</qt>")
    if problem and not ticked:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        return item
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
    return item
