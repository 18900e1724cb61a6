"""What the classes that are painted are called; a person may name them, or leave them numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_unet.gui import layers
from napari_unet.gui.layers import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

    from napari_unet.gui.session import Session

__all__ = ["ClassNames", "given_names", "nameless"]


def nameless(value: int) -> str:
    """Return what a painted value is called before the user names it; 1 is background."""
    return f"class {value - 1}" if value > 1 else "background"


def given_names(*annotations: Labels | None) -> dict[int, str]:
    """Return painted value and name of the classes that somebody has named.

    Parameters
    ----------
    annotations
        Labels layers, of which a later one is right where two differ. None names nothing.
    """
    named: dict[int, str] = {}
    for labels in annotations:
        known = {} if labels is None else layers.fact(labels, CLASSES, {})
        named |= {value: name for value, name in known.items() if name != nameless(value)}
    return named


_FIRST_CLASSES = {value: nameless(value) for value in (1, 2)}


class ClassNames(QObject):
    """The names of the classes on the chosen image, kept with its labels; a part of the session."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    @property
    def all(self) -> dict[int, str]:
        """Painted value and name of every class, background (1) first."""
        return self._known(_FIRST_CLASSES)

    def choose(self, names: Mapping[int, str]) -> None:
        """Let these be the classes: painted value and name of every one."""
        known = {int(value): str(name) for value, name in names.items()}
        layers.set_fact(self._session.create_annotation(), CLASSES, known)
        self._session.touch()

    def suggest(self, names: Mapping[int, str]) -> None:
        """Name the classes that the user has not named."""
        known = self._known({})
        named = {**known, **names, **given_names(self._session.labels_layer)}
        if named and named != known:
            self.choose(named)

    def _known(self, otherwise: Mapping[int, str]) -> dict[int, str]:
        labels = self._session.labels_layer
        return dict(otherwise if labels is None else layers.fact(labels, CLASSES, otherwise))
