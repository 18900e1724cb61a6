"""How the probabilities of one viewer's prediction become cells, tried out while it is watched."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.gui.changes import Change
from napari_unet.gui.layers import LayerError
from napari_unet.gui.predictor import Predictor
from napari_unet.prediction import InstanceOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.session import Session
    from napari_unet.network import TrainedModel

__all__ = ["Cutter"]

_DEBOUNCE_MS = 150


@dataclass(frozen=True, eq=False)
class _Cut:
    """One slice with its cells, how many they are, and how many slices are done."""

    z: int
    change: Change
    cells: int
    done: int
    total: int


def _cut(
    model: TrainedModel,
    kept: Mapping[int, NDArray[Any]],
    slices: Sequence[int],
    planes: NDArray[Any],
    pixel_size: float | None,
    should_stop: ShouldStop,
) -> Iterator[_Cut]:
    """Cut slices of `planes` (Z, Y, X) anew; cells get numbers above those on other slices."""
    from napari_unet.prediction import free_number, labels_from, number_on

    last = free_number(planes, without=slices) - 1
    for done, z in enumerate(slices, start=1):
        if should_stop():
            return
        before = last
        labels, last = number_on(labels_from(model, kept[z], pixel_size=pixel_size), last)
        change = Change.of(planes[z], labels).prepared()
        yield _Cut(z, change, last - before, done, len(slices))


class Cutter(QObject):
    """Change how cells are cut, and cut again what is predicted already.

    A part of the session (``session.part(Cutter)``). The options belong to the session's model:
    what is predicted or saved next has them too. The slice that is shown follows at once.

    Attributes
    ----------
    changed : Signal()
        The options are others, or cutting began or ended.
    share : float
        How much is cut, 0 to 1.
    outcome : str
        How many cells there are now, in one sentence; empty before anything was cut.
    problem : str
        Why cutting went wrong, empty otherwise.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._predictor = session.part(Predictor)
        self._job = session.job("cut")
        self._model: TrainedModel | None = None
        self._tuned: InstanceOptions | None = None
        self._waiting: list[int] = []
        self.share = 0.0
        self.outcome = ""
        self.problem = ""
        self._cells: dict[int, int] = {}
        self._total = 0
        self._strokes = ""
        self._images: tuple[Image, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._start)
        session.model_changed.connect(self._on_model)
        self._job.reported.connect(self._on_report)
        self._job.failed.connect(self._on_failed)
        self._job.finished.connect(self._on_finished)
        self._on_model()

    @property
    def options(self) -> InstanceOptions | None:
        """How the session's model cuts cells; None where it finds none."""
        model = self._session.model
        if model is None or model.task != "instances":
            return None
        return InstanceOptions(**model.instances)

    @property
    def tuned(self) -> InstanceOptions | None:
        """What the model came with."""
        return self._tuned

    @property
    def running(self) -> bool:
        """Whether slices are being cut, or about to be."""
        return self._job.running or self._timer.isActive()

    @property
    def kept(self) -> list[int]:
        """The slices of the chosen image whose probabilities are known."""
        return sorted(self._predictor.kept(self._session.model))

    def set_options(self, options: InstanceOptions) -> None:
        """Let the model cut cells so; the slice that is shown follows."""
        model = self._session.model
        if model is None or options == self.options:
            return
        self._model = replace(model, instances=asdict(options))
        self._session.set_model(self._model, self._session.model_path)
        self.cut([self._session.current_slice])

    def reset(self) -> None:
        """Go back to what the model came with."""
        if self._tuned is not None:
            self.set_options(self._tuned)

    def cut(self, slices: Sequence[int]) -> None:
        """Cut these slices again, those of them that are predicted; the newest wish counts."""
        self._waiting = [z for z in slices if z in self.kept]
        self.problem, self.outcome = "", ""
        if self._waiting:
            self._job.stop()
            self._timer.start()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop soon; slices that are done stay."""
        self._timer.stop()
        self._waiting = []
        self._job.stop()

    def _start(self) -> None:
        """Begin what was wished for last, once the job is free."""
        model = self._session.model
        if self._job.running or model is None or self._predictor.running:
            return
        slices, self._waiting = self._waiting, []
        kept = self._predictor.kept(model)
        slices = [z for z in slices if z in kept]
        if not slices:
            return
        try:
            planes = self._predictor.planes()
        except LayerError as error:
            self.problem = str(error)
            self.changed.emit()
            return
        size = self._predictor.kept_pixel_size
        self.share, self._cells = 0.0, {}
        self._total, self._strokes = len(slices), ""
        self._predictor.show()
        if self._total > 1:
            self._predictor.forget_history()
        self._images = self._session.image_layers
        self._job.start(lambda stop: _cut(model, kept, slices, planes, size, stop))
        self.changed.emit()

    def _on_report(self, cut: _Cut) -> None:
        if self._session.image_layers != self._images:  # these are no cells of the image in hand
            self.cancel()
            return
        try:
            kept = self._predictor.write_labels(cut.z, cut.change, undoable=self._total == 1)
            self._strokes = kept or self._strokes
        except ValueError as error:
            self.problem = str(error)
            self.cancel()
            self.changed.emit()
            return
        self.share = cut.done / cut.total
        self._cells[cut.z] = cut.cells
        counted = _counted(self._cells.values())
        self.outcome = " ".join(filter(None, (counted, self._strokes)))
        self.changed.emit()

    def _on_failed(self, problem: str) -> None:
        self.problem = problem

    def _on_finished(self) -> None:
        early = len(self._cells) < self._total
        if early and self._session.image_layers == self._images:
            self._predictor.part_numbers(self._cells)
        if self._waiting:
            self._timer.start()
        self.changed.emit()

    def _on_model(self) -> None:
        """Remember what a model came with; one whose options were changed is no other model."""
        model = self._session.model
        # Not by its network: a training may end with that of its checkpoint.
        if model is not self._model:
            self._model, self._tuned, self.outcome = model, self.options, ""
        self.changed.emit()


def _counted(cells: Collection[int]) -> str:
    """Say how many cells there are in slices that were cut."""
    number = sum(cells)
    what = "1 cell" if number == 1 else f"{number} cells"
    return f"{what} on this slice." if len(cells) == 1 else f"{what} on {len(cells)} slices."
