"""One dock that holds all others in the order of the work."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.elastic_warp import ElasticWarpDock
from napari_unet.gui.export import ExportDock
from napari_unet.gui.pages import Pages
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.train import TrainDock
from napari_unet.gui.weight_map import WeightMapDock

__all__ = ["Workbench"]

_DOCKS = {
    "Annotate": (AnnotateDock, "Paint some cells, and say what counts as annotated."),
    "Weight map": (WeightMapDock, "See where the network will look most closely."),
    "Elastic warp": (ElasticWarpDock, "See how training bends the image into new ones."),
    "Train": (TrainDock, "Let a network learn from what you painted."),
    "Predict": (PredictDock, "Let the network find the cells on other slices and images."),
    "Export": (ExportDock, "Write labels into files for other programs."),
}


class Workbench(QWidget):
    """The docks as numbered pages, one open at a time; made for a window of 1280 x 800.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.pages = Pages()
        for n, (title, (dock, tooltip)) in enumerate(_DOCKS.items(), start=1):
            self.pages.addItem(dock(napari_viewer), f"{n}  {title}", tooltip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.pages)
        # Without it napari puts empty space below, and the open page has to be scrolled.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Ask for a column beside the canvas that holds the widest dock."""
        return QSize(340, 640)
