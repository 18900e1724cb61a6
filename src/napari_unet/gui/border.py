"""How much the background between cells weighs, in the weight map that is seen and in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari_unet.gui.session import Session

__all__ = ["Border"]


class Border(QObject):
    """The one choice of w0 and sigma that all docks show; a part of the session.

    Attributes
    ----------
    changed : Signal()
        `weights` are others.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._weights: tuple[float, float] | None = None

    @property
    def weights(self) -> tuple[float, float]:
        """w0 and sigma (pixels) of the weight map; those of a plain training until changed."""
        if self._weights is None:
            from napari_unet.training import TrainingConfig

            plain = TrainingConfig()
            self._weights = (plain.w0, plain.sigma)
        return self._weights

    def choose(self, w0: float, sigma: float) -> None:
        """Let other weights count from now on."""
        if (w0, sigma) != self.weights:
            self._weights = (w0, sigma)
            self.changed.emit()
