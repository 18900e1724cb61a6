"""One dock that holds all others in the order of the work."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout

from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.dock import Docked
from napari_unet.gui.elastic_warp import ElasticWarpDock
from napari_unet.gui.export import ExportDock
from napari_unet.gui.pages import Pages
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.train import TrainDock
from napari_unet.gui.weight_map import WeightMapDock

__all__ = ["Workbench"]

_SIZE = QSize(340, 640)
_DOCKS = {
    "Annotate": (AnnotateDock, "Paint some cells, and say what counts as annotated."),
    "Weight map": (WeightMapDock, "See where the network will look most closely."),
    "Elastic warp": (ElasticWarpDock, "See how training bends the image into new ones."),
    "Train": (TrainDock, "Let a network learn from what you painted."),
    "Predict": (PredictDock, "Let the network find the cells on other slices and images."),
    "Export": (ExportDock, "Write labels into files for other programs."),
}


class Workbench(Docked):
    """The docks as numbered pages, one open at a time; made for a window of 1280 x 800.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.pages = Pages()
        self._docks = [dock(napari_viewer) for dock, _ in _DOCKS.values()]
        for n, (title, (_, tooltip)) in enumerate(_DOCKS.items(), start=1):
            self.pages.addItem(self._docks[n - 1], f"{n}  {title}", tooltip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.pages)
        # Without it napari puts empty space below, and the open page has to be scrolled.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Ask for a column beside the canvas that holds the widest dock."""
        return QSize(max(_SIZE.width(), self._least_width()), _SIZE.height())

    def minimumSizeHint(self) -> QSize:
        """Never be narrower than the widest dock, so that no page changes the width."""
        return QSize(self._least_width(), super().minimumSizeHint().height())

    def changeEvent(self, event: QEvent | None) -> None:
        """Need another width for letters of another size."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.updateGeometry()

    def _least_width(self) -> int:
        return max(dock.minimumSizeHint().width() for dock in self._docks)
