"""How much the background between cells weighs, in the weight map that is seen and in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_unet.gui.settings import remember, remembered

if TYPE_CHECKING:
    from napari_unet.gui.session import Session

__all__ = ["Border"]

_W0, _SIGMA = "weight map/w0", "weight map/sigma"


class Border(QObject):
    """The one choice of w0 and sigma that all docks show; a part of the session.

    The next session begins with it.

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
        """w0 and sigma (pixels) of the weight map: the last ones, or those of a plain training."""
        if self._weights is None:
            from napari_unet.training import TrainingConfig

            plain = TrainingConfig()
            self._weights = (remembered(_W0, plain.w0), remembered(_SIGMA, plain.sigma))
        return self._weights

    def choose(self, w0: float, sigma: float) -> None:
        """Let other weights count from now on."""
        if (w0, sigma) != self.weights:
            self._weights = (w0, sigma)
            remember(_W0, w0)
            remember(_SIGMA, sigma)
            self.changed.emit()
