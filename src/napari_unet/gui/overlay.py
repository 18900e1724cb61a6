"""Shows in the canvas what counts as annotated: a green veil under the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.colormaps import Colormap
from qtpy.QtCore import QObject, Signal

from napari_unet.gui import layers
from napari_unet.gui.survey import SliceSurvey, Survey

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_unet.gui.session import Session

__all__ = ["NAME", "Overlay"]

NAME = "counts as annotated"
_ROLE = "coverage"
_VEIL = Colormap([[0.2, 0.9, 0.45, 0.0], [0.2, 0.9, 0.45, 1.0]], name="napari-unet coverage")


class Overlay(QObject):
    """The layer of the shown slice's annotated pixels; a part of the session.

    Attributes
    ----------
    shown_changed : Signal(bool)
        Shown or hidden, by `set_shown` or by the layer's eye.
    """

    shown_changed = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._shown = True
        self._last: SliceSurvey | None = None
        session.part(Survey).seen.connect(self._on_seen)
        session.image_changed.connect(self._on_image)

    @property
    def shown(self) -> bool:
        """Whether the veil is to be seen."""
        return self._shown

    def set_shown(self, shown: bool) -> None:
        """Show or hide the veil."""
        if shown == self._shown:
            return
        self._shown = shown
        layer = self._layer()
        if layer is not None:
            layer.visible = shown
        if shown and self._last is not None:
            self._on_seen(self._last)
        self.shown_changed.emit(shown)

    def _layer(self) -> Layer | None:
        return layers.find(self._session.viewer, _ROLE, self._session.image_layers)

    def _on_image(self) -> None:
        """Take the veil away with what it belongs to; another image gets one of its own."""
        self._last = None
        if self._session.marks() is None or self._layer() is None:
            layers.remove_roles(self._session.viewer, [_ROLE])

    def _on_seen(self, survey: SliceSurvey) -> None:
        self._last = survey
        session = self._session
        drawn = session.labels_layer or session.regions_layer
        if not self._shown or session.marks() is None or survey.annotated is None:
            return
        known = self._layer()
        layer = layers.put_image(
            self._session.viewer,
            self._session.image_layers,
            survey.annotated.view("uint8"),
            role=_ROLE,
            name=NAME,
            z=survey.z,
            below=drawn,
            colormap=_VEIL,
            contrast_limits=(0, 1),
            interpolation2d="nearest",
            blending="translucent_no_depth",
            opacity=0.25,
        )
        if layer is not known:
            layer.events.visible.connect(self._on_eye)

    def _on_eye(self, event: object = None) -> None:
        layer = self._layer()
        if layer is not None:
            self.set_shown(bool(layer.visible))
