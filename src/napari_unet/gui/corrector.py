"""Taking a predicted slice over as annotation, computed in the background."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_unet.gui import layers
from napari_unet.gui.changes import Change, digest
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.corrections import Corrections
from napari_unet.gui.layers import CLASSES, TASK, LayerError
from napari_unet.gui.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_unet.annotations import Task
    from napari_unet.gui.session import Session

__all__ = ["Corrector"]

_NO_PAINT = "values are learnt, not what is painted"
_MEANING = {"instances": "single cells", "classes": "classes"}


@dataclass(frozen=True, eq=False)
class _Order:
    """What is copied where: a slice of a prediction into the labels of these images."""

    images: tuple[Image, ...]
    predicted: Labels
    labels: Labels
    z: int
    task: Task


@dataclass(frozen=True, eq=False)
class _Joined:
    """What was found, as it was copied, and the labels (Y, X) with it.

    `needed` is the highest number of the slice then, `highest` that of all slices.
    """

    found: NDArray[Any]
    digest: bytes
    change: Change
    count: int
    needed: int
    highest: int


def _join(
    found: NDArray[Any], painted: NDArray[Any], labels: NDArray[Any], task: Task
) -> Iterator[_Joined]:
    """Join a slice that was found with what is painted there; new cells are numbered on.

    The arrays are those of the layers. Whether somebody has painted meanwhile is seen in the end.
    """
    from napari_unet.annotations import join_prediction

    found, painted = found.copy(), painted.copy()
    last = int(labels.max(initial=0))
    joined, count = join_prediction(painted, found, task=task, first=last + 1)
    needed = int(joined.max(initial=0))
    change = Change(painted, joined.astype(painted.dtype, copy=False)).prepared()
    yield _Joined(found, digest(found), change, count, needed, max(last, needed))


class Corrector(QObject):
    """Copy what was predicted on a slice to where the user has painted nothing yet.

    A part of the session (``session.part(Corrector)``). The copy can be undone in the labels layer,
    which is then the one in hand. Classes that the user has not named get the names that the
    network knows them by.

    Attributes
    ----------
    changed : Signal()
        Copying began or ended.
    outcome : str
        What was copied, in one sentence; empty meanwhile.
    problem : str
        Why nothing was copied, empty otherwise.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._predictor = session.part(Predictor)
        self._corrections = session.part(Corrections)
        self._job = session.job("correct")
        self._order: _Order | None = None
        self._again = False
        self.outcome = ""
        self.problem = ""
        self._job.reported.connect(self._on_joined)
        self._job.failed.connect(self._on_failed)
        self._job.finished.connect(self._on_finished)

    @property
    def running(self) -> bool:
        """Whether a slice is being copied."""
        return self._job.running

    def start(self) -> None:
        """Copy the slice that is shown, soon.

        Raises
        ------
        LayerError
            Without a prediction on this slice, or when its numbers mean something else than what
            is painted.
        """
        if self.running:
            return
        session = self._session
        predicted = self._predictor.source
        if predicted is None:
            raise LayerError("Nothing is predicted for this image yet; predict first.")
        task = self._check_task(predicted)
        z = session.current_slice
        if not np.count_nonzero(layers.view_labels_slice(predicted, z)):
            raise LayerError(self._why_empty(z))
        if session.labels_layer is None:
            session.create_annotation()
            session.task = task
        labels = session.create_annotation()
        layers.check_labels(labels, session.image_layers)
        self._begin(_Order(session.image_layers, predicted, labels, z, session.task))

    def _why_empty(self, z: int) -> str:
        if z not in self._predictor.kept(self._session.model):
            return "Nothing was found on this slice; predict it first."
        return (
            "No cell is left on this slice as cells are cut now; change that under “How cells are "
            "cut”, or press “Reset” there."
        )

    def cancel(self) -> None:
        """Copy nothing."""
        if self.running:
            self._job.stop()
            self._again = False
            self.outcome = "Cancelled; nothing was copied."

    def _begin(self, order: _Order) -> None:
        found = layers.view_labels_slice(order.predicted, order.z)
        painted = layers.view_labels_slice(order.labels, order.z)
        everywhere = layers.view_labels(order.labels)
        self._order, self._again = order, False
        self.outcome = self.problem = ""
        self._job.start(lambda _: _join(found, painted, everywhere, order.task))
        self.changed.emit()

    def _on_joined(self, joined: _Joined) -> None:
        if self._order is None or self._job.stopping:
            return
        try:
            self._check_there(self._order)
            self._again = not self._is_still(self._order, joined)
            if not self._again:
                self._write(self._order, joined)
        except LayerError as problem:
            self.problem = str(problem)

    def _check_there(self, order: _Order) -> None:
        session = self._session
        there = order.predicted in session.viewer.layers and session.labels_layer is order.labels
        if not there or session.image_layers != order.images or session.task != order.task:
            raise LayerError(
                "Nothing was copied: the image, its labels or its prediction changed meanwhile. "
                "Press “Correct” again."
            )

    def _is_still(self, order: _Order, joined: _Joined) -> bool:
        """Whether nobody has painted on either slice while they were joined."""
        found = layers.view_labels_slice(order.predicted, order.z)
        painted = layers.view_labels_slice(order.labels, order.z)
        same = joined.change.since(painted) is joined.change
        return same and np.array_equal(found, joined.found)

    def _write(self, order: _Order, joined: _Joined) -> None:
        session, labels, predicted = self._session, order.labels, order.predicted
        layers.check_room(labels, joined.needed)
        layers.write_change(labels, order.z, joined.change)
        if order.task == "classes":
            session.part(ClassNames).suggest(layers.fact(predicted, CLASSES, {}))
        if joined.change.is_new:
            self._corrections.settle(predicted, order.z, labels, joined.digest)
        for layer in filter(None, (predicted, self._predictor.labels_layer)):
            layers.hide(layer)
        layers.select(session.viewer, labels, "paint")
        if order.task == "instances":
            _take_number(labels, joined.highest + 1)
        self.outcome = _outcome(order, joined.count)

    def _on_failed(self, problem: str) -> None:
        self.problem = problem

    def _on_finished(self) -> None:
        order, self._order = self._order, None
        if self._again and order is not None:
            self._begin(order)
        else:
            self.changed.emit()

    def _check_task(self, predicted: Labels) -> Task:
        """Return what the numbers mean; refuse to mix those of cells with those of classes."""
        painted = self._session.task
        task: Task = layers.fact(predicted, TASK, painted)
        if task != painted and self._session.labels_layer is not None:
            now = f"the labels hold {_MEANING[painted]}" if painted in _MEANING else _NO_PAINT
            raise LayerError(
                f"“{predicted.name}” holds {_MEANING[task]}, but {now}; choose "
                f"“{_MEANING[task].capitalize()}” in “Annotate”, or predict with another model."
            )
        return task


def _take_number(labels: Labels, fresh: int) -> None:
    """Let the brush paint a cell of its own, if the layer can hold one more number."""
    with suppress(LayerError):
        layers.check_room(labels, fresh)
        labels.selected_label = fresh


def _outcome(order: _Order, count: int) -> str:
    if not count:
        return "Everything that was found here is painted already."
    what = "pixels" if order.task == "classes" else "cells"
    return (
        f"{count} {what} were copied into “{order.labels.name}”; correct them with the brush, then "
        "train again."
    )
