"""What a training starts from: nothing, the model in the window, or one in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox

from napari_unet.gui.file_dialog import MODEL, ask_to_open
from napari_unet.gui.settings import remember, remembered

if TYPE_CHECKING:
    from napari_unet.gui.session import Session
    from napari_unet.network import TrainedModel

__all__ = ["StartChoice"]

_NEW, _WINDOW, _FILE, _BROWSE = "new", "window", "file", "browse"


class StartChoice(QComboBox):
    """Choose what a training starts from; the choice is remembered.

    "The model in the window" can be chosen once there is one, and is chosen again as soon as
    there is one if it was the last time.

    Attributes
    ----------
    changed : Signal()
        Another start was chosen, or the model in the window is another one.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._wish = remembered("train/start", _NEW)
        self._file = remembered("train/start file", "")
        self.setToolTip(
            "<qt>Begin with a new network, or go on from one that is trained: where the new images "
            "resemble the old ones it needs fewer cells and less time. It may have learnt "
            "cells, classes or values before: where “Annotate” asks for another of these, only "
            "its last layer is new.</qt>"
        )
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(14)
        self.activated.connect(self._on_activated)
        session.model_changed.connect(self._list)
        self._list()

    @property
    def start(self) -> TrainedModel | Path | None:
        """The model, or the file that holds it, or None for a new network."""
        kind = self.currentData()
        if kind == _WINDOW:
            return self._session.model
        return Path(self._file) if kind == _FILE else None

    @property
    def name(self) -> str:
        """What the model is called; empty for a new network."""
        if self.currentData() == _WINDOW:
            path = self._session.model_path
            return path.stem if path else "the model in the window"
        return Path(self._file).stem if self.currentData() == _FILE else ""

    def choose_file(self, name: str) -> None:
        """Start from the model in a file from now on; it is read when a training starts."""
        self._file = name
        remember("train/start file", name)
        self._choose(_FILE)

    def _choose(self, kind: str) -> None:
        self._wish = kind
        remember("train/start", kind)
        self._list()

    def _list(self) -> None:
        """List what there is to choose from, and show the choice that can be had."""
        entries = {_NEW: "A new network"}
        if self._session.model is not None:
            entries[_WINDOW] = "The model in the window"
        if self._file:
            entries[_FILE] = Path(self._file).name
        entries[_BROWSE] = "A file…"
        with QSignalBlocker(self):
            self.clear()
            for kind, text in entries.items():
                self.addItem(text, kind)
            self.setCurrentIndex(self.findData(self._wish if self._wish in entries else _NEW))
        self.changed.emit()

    def _on_activated(self, index: int) -> None:
        kind = self.itemData(index)
        if kind != _BROWSE:
            self._choose(kind)
            return
        self._list()  # the old choice stays until a file is chosen
        ask_to_open(self, "Start from a model", MODEL, self.choose_file)
