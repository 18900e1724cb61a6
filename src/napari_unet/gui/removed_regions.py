"""Keeps the regions whose layer was removed while the labels that they belong to stayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes
from qtpy.QtCore import QObject, Signal

from napari_unet.gui import layers
from napari_unet.gui.restoring import draw

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_unet.gui.marks import Outline
    from napari_unet.gui.session import Session

__all__ = ["RemovedRegions"]


@dataclass(frozen=True, eq=False)
class _Removed:
    """Outlines of a role, and the identities of the Labels layers that they belong to."""

    labels: frozenset[str]
    role: str
    outlines: tuple[Outline, ...]


class RemovedRegions(QObject):
    """Has removed regions until a person restores or discards them; a part of the session.

    Attributes
    ----------
    changed : Signal()
        There are others, or of another image; `count` says how many.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._kept: list[_Removed] = []
        session.viewer.layers.events.removed.connect(self._on_removed)
        session.image_changed.connect(self.changed)

    @property
    def count(self) -> int:
        """How many of the chosen image there are."""
        labels = self._session.labels_layer
        return 0 if labels is None else sum(len(kept.outlines) for kept in self._of(labels))

    def outlines(self, labels: Labels, role: str) -> tuple[Outline, ...]:
        """Return those of `role` that belong to a Labels layer, in its pixels."""
        found = (kept.outlines for kept in self._of(labels) if kept.role == role)
        return tuple(outline for outlines in found for outline in outlines)

    def restore(self) -> None:
        """Draw those of the chosen image again."""
        for kept in self._forget():
            draw(self._session, kept.role, kept.outlines)

    def discard(self) -> None:
        """Forget those of the chosen image."""
        self._forget()

    def _forget(self) -> list[_Removed]:
        labels = self._session.labels_layer
        gone = [] if labels is None else self._of(labels)
        self._kept = [kept for kept in self._kept if kept not in gone]
        self._session.touch()  # the recovery file has them, too
        self.changed.emit()
        return gone

    def _of(self, labels: Labels) -> list[_Removed]:
        return [kept for kept in self._kept if layers.identity(labels) in kept.labels]

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        role = layers.role_of(layer)
        if not isinstance(layer, Shapes) or role not in (layers.REGIONS, layers.IGNORED):
            return
        labels = layers.annotations_of(self._session.viewer, layer)
        outlines = layers.outlines(layer, labels[0]) if labels else ()
        if outlines:
            belong = frozenset(map(layers.identity, labels))
            self._kept.append(_Removed(belong, role, outlines))
            self.changed.emit()
