"""Keeps what belongs to an image where that image lies, when its scale or place is set later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_unet.gui import layers
from napari_unet.gui.watching import Watch

if TYPE_CHECKING:
    from napari_unet.gui.session import Session

__all__ = ["Placing"]

_MOVES = ("scale", "translate", "rotate", "shear", "affine", "units")


class Placing(QObject):
    """Moves labels, regions and results with their image; a part of the session.

    Of several channels the first moves them, as they were laid on it.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        session.layers_changed.connect(self._listen)
        self._listen()

    def _listen(self) -> None:
        for image in layers.image_layers(self._session.viewer):
            for name in _MOVES:
                getattr(image.events, name).connect(self._on_moved)

    def _on_moved(self, event: Any) -> None:
        session = self._session
        with session.part(Watch).unheard():
            layers.follow(session.viewer, event.source)
        if event.source in session.image_layers:
            session.slice_changed.emit()  # where the viewer looks now may be another slice of it
