"""How much is annotated: counted again after every change, in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.marks import Marks
    from napari_unet.gui.session import Session

__all__ = ["SliceSurvey", "Survey", "survey_slices"]

_WAIT_MS = 60
_MOST = 255  # classes that a training takes


@dataclass(frozen=True, eq=False)
class SliceSurvey:
    """What is annotated on one slice.

    Attributes
    ----------
    cells
        Painted cells; of scribbled classes, painted classes; of values none.
    highest
        The highest painted number.
    share
        Part of the slice that counts as annotated, 0 to 1.
    annotated
        (Y, X) mask of what counts.
    outside
        How many of the cells, or classes, have no pixel that counts.
    values
        The painted numbers, where there are few enough for classes.
    """

    z: int
    cells: int
    highest: int
    share: float
    annotated: NDArray[Any] | None
    outside: int = 0
    values: frozenset[int] = frozenset()


def survey_slices(
    marks: Marks, slices: Sequence[int], should_stop: ShouldStop
) -> Iterator[SliceSurvey]:
    """Count slice by slice, in the given order; only the first brings its mask along."""
    from napari_unet.annotations import cell_values, count_cells

    for n, z in enumerate(slices):
        if should_stop():
            return
        here = marks.slice(z)
        # Painting goes on: what counts and what is counted must be of one moment.
        here = replace(here, labels=here.labels.copy())
        mask = here.annotated()[0]
        labels = here.labels[0]
        found = cell_values(labels)
        cells = len(found)
        outside = cells - count_cells(labels * mask)
        yield SliceSurvey(
            z,
            cells,
            int(labels.max()),
            float(mask.mean()),
            None if n else mask,
            outside,
            frozenset(int(value) for value in found if value > 0)
            if cells <= _MOST
            else frozenset(),
        )


class Survey(QObject):
    """The counts of all slices of the session's image; a part of the session.

    Attributes
    ----------
    changed : Signal()
        `by_slice` has news.
    seen : Signal(object)
        The `SliceSurvey`, with its mask, of the slice that the viewer shows.
    """

    changed = Signal()
    seen = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.by_slice: dict[int, SliceSurvey] = {}
        self._session = session
        self._stale: set[int] = set()
        self._valid: set[int] = set()  # what the running count may still say something about
        self._here = self._revision = 0
        self._asked = False
        self._job = session.job("survey")
        self._job.reported.connect(self._on_report)
        self._job.finished.connect(self._on_finished)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_WAIT_MS)
        self._soon.timeout.connect(self._start)
        session.image_changed.connect(self._on_image)
        session.annotations_changed.connect(self._on_slice)
        session.slice_changed.connect(self._on_slice)
        self._on_image()

    @property
    def cells(self) -> int:
        """Painted cells on all slices counted so far."""
        return sum(one.cells for one in self.by_slice.values())

    @property
    def annotated_slices(self) -> int:
        """How many slices have something that counts."""
        return sum(one.share > 0 for one in self.by_slice.values())

    @property
    def values(self) -> frozenset[int]:
        """The painted numbers on the slices counted so far, where they may be classes."""
        return frozenset().union(*(one.values for one in self.by_slice.values()))

    @property
    def highest(self) -> int:
        """The highest painted number on the slices counted so far."""
        return max((one.highest for one in self.by_slice.values()), default=0)

    def _on_image(self) -> None:
        self.by_slice.clear()
        self._stale = set(range(self._session.slice_count))
        self._valid.clear()
        self._here = self._session.current_slice
        self.changed.emit()
        self._on_slice()

    def _on_slice(self) -> None:
        """Count this slice next, whatever else is being counted."""
        here, revision = self._session.current_slice, self._session.revision
        if revision != self._revision:
            # Somebody may have painted and gone to another slice before the change was announced.
            self._outdate(self._here)
        self._outdate(here)
        self._here, self._revision = here, revision
        self._asked = True
        self._job.stop()
        self._start_soon()

    def _outdate(self, z: int) -> None:
        """Count a slice again, and do not believe a count of it that is under way."""
        self._stale.add(z)
        self._valid.discard(z)

    def _start_soon(self) -> None:
        if self._stale and not self._soon.isActive():
            self._soon.start()

    def _start(self) -> None:
        marks = self._session.marks()
        if self._job.running or marks is None:
            return
        here = self._session.current_slice
        # Of values nothing is counted over the whole stack, which may be long to read.
        counted = [here] if marks.values is not None else range(len(marks.labels))
        order = sorted(self._stale & set(counted), key=lambda z: (z != here, z))
        self._stale = set(order)
        if here not in self._stale:
            order.insert(0, here)
        self._valid = set(order)
        self._asked = False
        self._job.start(lambda should_stop: survey_slices(marks, order, should_stop))

    def _on_finished(self) -> None:
        """Go on with what is still to be counted; what has just failed waits for a change."""
        if self._job.error is None or self._asked:
            self._start_soon()

    def _on_report(self, report: SliceSurvey) -> None:
        if report.z not in self._valid:
            return
        self._stale.discard(report.z)
        self.by_slice[report.z] = replace(report, annotated=None)
        self.changed.emit()
        if report.annotated is not None and report.z == self._session.current_slice:
            self.seen.emit(report)
