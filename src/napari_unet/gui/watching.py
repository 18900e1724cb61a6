"""Hears what is done to layers, by the brush, by undo and by other programs alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.gui import layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Layer

    from napari_unet.gui.session import Session

__all__ = ["Listener", "Watch"]

_LOOK_MS = 500


class Listener(QObject):
    """Hears of changes that others make, and can be told not to while we make some ourselves."""

    _listening = True

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Take what happens to layers meanwhile for no change by a person."""
        self._listening = False
        try:
            yield
        finally:
            self._listening = True


class Watch(Listener):
    """Listens to the layers that it is told to follow; a part of the session.

    Attributes
    ----------
    edited : Signal(object)
        On this layer something was painted, drawn, undone or redone at this moment.
    replaced : Signal(object)
        This layer was given another array.
    """

    edited = Signal(object)
    replaced = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._followed: list[Layer] = []
        self._seen_at: dict[str, tuple[Any, ...]] = {}
        self._undone: dict[str, int] = {}
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._on_look)

    def follow(self, now: Sequence[Layer]) -> None:
        """Listen to these Image, Labels and Shapes layers from now on, and to no others."""
        for layer in self._followed:
            if layer not in now:
                _disconnect(layer, self._on_edit, self._on_refresh, self._on_replaced)
        for layer in now:
            self._listen_to(layer)
        self._followed = [*now]
        self._seen_at = {layers.identity(layer): self._where() for layer in now}
        labels = [layer for layer in now if isinstance(layer, Labels)]
        self._undone = {layers.identity(layer): layers.steps_undone(layer) for layer in labels}
        if labels:
            self._look.start()
        else:
            self._look.stop()

    def _listen_to(self, layer: Any) -> None:
        if isinstance(layer, Image):  # nobody paints on it, but it may get another array
            layer.events.data.connect(self._on_replaced)
            return
        layer.events.set_data.connect(self._on_refresh)
        if isinstance(layer, Labels):
            layer.events.paint.connect(self._on_edit)
            layer.events.data.connect(self._on_replaced)
        else:
            layer.events.data.connect(self._on_edit)

    def _on_edit(self, event: Any) -> None:
        self.edited.emit(event.source)

    def _on_replaced(self, event: Any) -> None:
        self.replaced.emit(event.source)

    def _on_refresh(self, event: Any) -> None:
        """Notice undo and redo: napari only refreshes then, as it does for another slice."""
        layer, at = layers.identity(event.source), self._where()
        if self._listening and at == self._seen_at.get(layer):
            self.edited.emit(event.source)
        self._seen_at[layer] = at

    def _on_look(self) -> None:
        """Notice undo and redo on layers that are hidden: napari says nothing of them."""
        for layer in self._followed:
            if not isinstance(layer, Labels):
                continue
            key, now = layers.identity(layer), layers.steps_undone(layer)
            changed = now != self._undone.get(key, now)
            self._undone[key] = now
            if changed and not layer.visible:
                self.edited.emit(layer)

    def _where(self) -> tuple[Any, ...]:
        dims = self._session.viewer.dims
        return tuple(dims.point), dims.ndisplay, tuple(dims.order)


def _disconnect(layer: Layer, *slots: Any) -> None:
    for emitter in (layer.events.data, layer.events.set_data, getattr(layer.events, "paint", None)):
        for slot in slots:
            if emitter is not None:
                emitter.disconnect(slot)
