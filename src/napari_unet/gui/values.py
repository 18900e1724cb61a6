"""What values a network learns, for the task "regression": from which layers, and what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_unet.gui import layers
from napari_unet.gui.layers import TARGETS, LayerError
from napari_unet.gui.marks import Marks, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_unet.gui.session import Session

__all__ = ["Values"]


class Values(QObject):
    """The values that are learnt for the chosen image; a part of the session."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    @property
    def chosen(self) -> tuple[Image, ...]:
        """The layers that hold them, those that are still there; empty for another task."""
        return layers.targets_of(self._session.viewer, self._session.image_layers)

    def choose(self, targets: Sequence[Image]) -> None:
        """Learn the values of these layers, one output for each.

        Raises
        ------
        LayerError
            With a sentence, when one cannot be used; the choice then stays what it was.
        """
        self._session.check_chosen()
        images = self._session.image_layers
        for target in targets:
            layers.check_target(target, images)
        layers.set_fact(images[0], TARGETS, [layers.identity(target) for target in targets])
        self._session.refresh()

    def marks(self) -> Marks | None:
        """Return the values and what counts of them; None without, or where they do not fit."""
        try:
            values = layers.target_stack(self.chosen, self._session.image_layers)
        except LayerError:
            return None
        return Marks(values=values, **self._drawn())

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Copy what counts, for a job that reads image and values; see `Session.snapshot`."""
        session, targets = self._session, self.chosen
        values = layers.target_stack(targets, session.image_layers)
        if before is not None and before.values is not None and values.reads_as(before.values):
            values = before.values
        return Snapshot(
            image=session.image_stack() if before is None else before.image,
            values=values,
            outputs=tuple(target.name for target in targets),
            **self._drawn(),
            name=session.name,
            pixel_size=layers.pixel_size(session.image_layers[0]),
        )

    def _drawn(self) -> dict[str, Any]:
        """Everything of `Marks` but the values; regions stay when the labels are removed."""
        like = self._session.image_layers[0]
        regions = layers.outlines(self._session.regions_layer, like)
        shape = layers.volume_shape(like)
        return {
            "labels": np.broadcast_to(np.int32(0), shape),
            "region_outlines": regions,
            "ignored_outlines": layers.outlines(self._session.ignored_layer, like),
            "complete": np.zeros(shape[0], dtype=bool),
            "task": "regression",
            "confined": bool(regions),
        }
