"""The training of one viewer: it goes on when its dock is closed, and painting joins it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.gui import layers
from napari_unet.gui.class_names import given_names, nameless
from napari_unet.gui.file_dialog import plain_name
from napari_unet.gui.layers import LayerError
from napari_unet.gui.settings import home
from napari_unet.gui.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari.layers import Image, Labels, Shapes

    from napari_unet.annotations import AnnotatedImage, Task
    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.marks import Snapshot
    from napari_unet.gui.session import Session
    from napari_unet.network import TrainedModel
    from napari_unet.training import TrainingConfig, TrainingReport

__all__ = ["Curve", "Trainer"]

_JOIN_MS = 2000
_PAUSES = 20  # a copy of large labels holds painting up, so it has that much rest before the next
_FINEST = 0.2  # seconds between two points of the curve, at first
_POINTS = 500  # later points are at least this share of the time so far apart


@dataclass(frozen=True)
class _Stored:
    """Where the finished model lies, or why it lies nowhere."""

    path: Path | None
    problem: str = ""


@dataclass(frozen=True)
class _Unkept:
    """Why the best model so far could not be kept; the training goes on."""

    problem: str


class _Slot:
    """The newest annotations, handed from the GUI thread to the training thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Snapshot] = {}

    def put(self, snapshot: Snapshot) -> None:
        """Leave a copy; an older one of this image that was not taken is forgotten."""
        with self._lock:
            self._newest[snapshot.name] = snapshot

    def take(self) -> list[Snapshot]:
        """Take the newest copy of each image; empty when there is nothing new."""
        with self._lock:
            newest, self._newest = self._newest, {}
        return list(newest.values())


class Curve:
    """The loss and the validation score over time, thinned to what a plot can show."""

    def __init__(self) -> None:
        self.loss: list[tuple[float, float]] = []
        self.validation: list[tuple[float, float]] = []
        self._waiting: list[float] = []

    def add(self, seconds: float, loss: float | None, validation: float | None) -> None:
        """Take over one report; losses close in time become their mean."""
        if validation is not None:
            self.validation.append((seconds, validation))
        if loss is None:
            return
        self._waiting.append(loss)
        last = self.loss[-1][0] if self.loss else 0.0
        if seconds - last >= max(_FINEST, seconds / _POINTS):
            self.loss.append((seconds, sum(self._waiting) / len(self._waiting)))
            self._waiting.clear()


class Trainer(QObject):
    """Train on the session's image and put the model into the session.

    A part of the session (``session.part(Trainer)``), so that a training survives its dock.

    Attributes
    ----------
    changed : Signal()
        A report came in, or the training began or ended.
    report : TrainingReport or None
        The newest report.
    curve : Curve
        What was measured so far.
    notes : list of str
        What the training said, in its order.
    problem : str
        Why the last training ended without a model; empty otherwise.
    checkpoint : TrainedModel or None
        The best model so far, while a training is at work.
    task : Task
        What the newest training learns.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._job = session.job("train")
        self.report: TrainingReport | None = None
        self.curve = Curve()
        self.notes: list[str] = []
        self.problem = ""
        self.checkpoint: TrainedModel | None = None
        self.task: Task = "instances"
        self._model: TrainedModel | None = None
        self._targets: tuple[Image, ...] = ()
        self._slot = _Slot()
        self._snapshots: dict[tuple[Image, ...], Snapshot] = {}  # of the images it learns from
        self._elsewhere: dict[tuple[Image, ...], Labels] = {}  # painted on, but not chosen
        self._told: set[str] = set()  # the images whose pixels it was told of
        self._copied = -1  # the revision of the newest copy
        self._join = QTimer(self)
        self._join.setSingleShot(True)
        self._join.setInterval(_JOIN_MS)
        self._join.timeout.connect(self._hand_over)
        session.annotations_changed.connect(self._on_painted)
        session.image_changing.connect(self._hand_over)
        session.edited.connect(self._on_edited)
        self._job.reported.connect(self._on_report)
        self._job.failed.connect(self._on_failed)
        self._job.finished.connect(self._on_finished)

    @property
    def running(self) -> bool:
        """Whether a training is at work."""
        return self._job.running

    @property
    def stopping(self) -> bool:
        """Whether the training was told to stop and is finishing its best model."""
        return self._job.stopping

    def start(
        self,
        config: TrainingConfig,
        start: TrainedModel | Path | None = None,
        name: str = "",
        others: Sequence[Labels] = (),
    ) -> None:
        """Train on a copy of what is annotated now.

        Parameters
        ----------
        config
            How to train.
        start
            A model to go on from, or the file that holds it; None begins with a new network.
        name
            What that model is called.
        others
            What is painted on other images, to learn from as well.

        Raises
        ------
        LayerError
            Without image, labels or anything painted, or without values, saying what to do.
        """
        self._copied = self._session.revision
        snapshot = self._session.snapshot()
        further = self._further(others)
        if not any(each.is_painted() for each in (snapshot, *further.values())):
            raise LayerError(
                f"Nothing is painted on “{self._session.name}” yet; paint a few cells with "
                "“Annotate”, then start again."
            )
        self._snapshots = {self._session.image_layers: snapshot, **further}
        self.report, self.curve, self.problem = None, Curve(), ""
        self.notes = self._pixel_notes() if config.use_pixel_size else []
        self._model, self._slot = None, _Slot()
        self._targets = self._session.part(Values).chosen
        self.checkpoint = None
        self.task = snapshot.task
        names = given_names(*others, self._session.labels_layer)
        config = replace(config, task=snapshot.task, threads=config.threads or _threads())
        channels = layers.channel_names(self._session.channels)
        every = tuple(self._snapshots.values())
        work = _Work(every, channels, config, names, self._slot, start, name)
        self._job.start(lambda stop: _unless_stopped(_train(work, stop)))
        self.changed.emit()

    def _pixel_notes(self) -> list[str]:
        """Say once of each image why its pixels count as of unknown size."""
        first = [images[0] for images in self._snapshots]
        new = [image for image in first if layers.identity(image) not in self._told]
        self._told.update(map(layers.identity, new))
        return [note for note in dict.fromkeys(map(layers.pixel_note, new)) if note]

    def _further(self, others: Sequence[Labels]) -> dict[tuple[Image, ...], Snapshot]:
        """Copy what is painted on other images, by their layers."""
        found = {self._images_of(labels): self._copy(labels) for labels in others}
        return {images: each for images, each in found.items() if each.says_something()}

    def _copy(self, labels: Labels, before: Snapshot | None = None) -> Snapshot:
        return layers.snapshot_of(self._session.viewer, labels, self._images_of(labels), before)

    def _images_of(self, labels: Labels) -> tuple[Image, ...]:
        return tuple(layers.linked_images(self._session.viewer, labels))

    def stop(self) -> None:
        """End the training soon; the best model so far is kept."""
        self._job.stop()
        self.changed.emit()

    def use_checkpoint(self) -> None:
        """Predict with the best model so far from now on; the training goes on."""
        if self.checkpoint is not None:
            self._session.set_model(self.checkpoint)

    def _on_painted(self) -> None:
        if self.running and not self._join.isActive():
            self._join.start()

    def _on_edited(self, layer: Labels | Shapes) -> None:
        """Note that another image than the chosen one was painted on, in napari's own list."""
        if not self.running:
            return
        for labels in layers.annotations_of(self._session.viewer, layer):
            images = self._images_of(labels)
            if images in self._snapshots and images != self._session.image_layers:
                self._elsewhere[images] = labels
                self._on_painted()

    def _hand_over_others(self) -> None:
        """Let what was painted on other images than the chosen one join the training."""
        elsewhere, self._elsewhere = self._elsewhere, {}
        for images, labels in elsewhere.items():
            before = self._snapshots.get(images)
            if before is not None and self._images_of(labels) == images:
                with suppress(LayerError):
                    self._leave(self._copy(labels, before), before)

    def _leave(self, snapshot: Snapshot, before: Snapshot) -> None:
        # Who erases all to paint it anew has not said yet that there is nothing but background.
        erased = before.is_painted() and not snapshot.is_painted()
        if snapshot.says_something() and snapshot.task == before.task and not erased:
            # By its name the training knows what of the image it keeps for validation, and by its
            # pixel size at which scale it works; a person may change both meanwhile.
            self._slot.put(replace(snapshot, name=before.name, pixel_size=before.pixel_size))

    def _hand_over(self) -> None:
        """Let what was painted meanwhile join the training, if it learns from this image."""
        session = self._session
        before = self._snapshots.get(session.image_layers)
        if not self.running:
            return
        self._hand_over_others()
        if before is None:
            return
        if session.revision == self._copied or session.part(Values).chosen != self._targets:
            return
        began, self._copied = time.monotonic(), session.revision
        try:
            snapshot = session.snapshot(before)
        except LayerError:
            return  # the labels are gone; the training goes on with what it has
        pause = _PAUSES * 1000 * (time.monotonic() - began)
        self._join.setInterval(max(_JOIN_MS, round(pause)))
        self._leave(snapshot, before)

    def _on_report(self, report: TrainingReport | _Stored | _Unkept | str) -> None:
        if isinstance(report, str):
            self.notes = [report]
            self.changed.emit()
            return
        if isinstance(report, _Stored):
            self._on_stored(report)
            return
        if isinstance(report, _Unkept):
            self.notes.append(f"The model so far could not be kept as a file: {report.problem}")
            self.changed.emit()
            return
        self.checkpoint = report.checkpoint or self.checkpoint
        self.report = report
        self.curve.add(report.seconds, report.loss, report.validation)
        if report.message and report.phase != "training":
            self.notes.append(report.message)
        if report.model is not None:
            self._model = report.model
            self._session.set_model(report.model)
        self.changed.emit()

    def _on_stored(self, stored: _Stored) -> None:
        if stored.problem:
            self.notes.append(f"The model could not be kept as a file: {stored.problem}")
        else:
            more = "" if self.task == "regression" else "paint more and "
            self.notes.append(
                f"Go on with Predict, or {more}train again; “Start from” lets a training go on "
                "from this model"
            )
        if stored.path is not None and self._session.model is self._model:
            self._session.set_model(self._model, stored.path)
        self.changed.emit()

    def _on_failed(self, problem: str) -> None:
        if self._model is None:
            self.problem = problem
        else:
            self._on_stored(_Stored(None, problem))

    def _on_finished(self) -> None:
        self._snapshots, self._elsewhere, self.checkpoint = {}, {}, None
        self.changed.emit()


def _threads() -> int:
    """Leave one core to the window."""
    return max(1, (os.cpu_count() or 2) - 1)


@dataclass(frozen=True, eq=False)
class _Work:
    """What a training needs, copied: it runs in another thread."""

    snapshots: tuple[Snapshot, ...]
    channels: list[str]
    config: TrainingConfig
    names: dict[int, str]
    slot: _Slot
    start: TrainedModel | Path | None
    start_name: str


def _unless_stopped(
    reports: Iterator[TrainingReport | _Stored | _Unkept],
) -> Iterator[TrainingReport | _Stored | _Unkept | str]:
    """Hand on what a training reports; that it was stopped before its first step is a note."""
    from napari_unet.training import StoppedError

    try:
        yield from reports
    except StoppedError as stopped:
        said = str(stopped)
        yield f"{said[:1].upper()}{said[1:]}"


def _train(work: _Work, should_stop: ShouldStop) -> Iterator[TrainingReport | _Stored | _Unkept]:
    """Train, and put the model into a file at once so that it cannot be lost.

    Meanwhile the best model so far lies in a file, for the day on which the computer goes off.
    """
    from napari_unet.annotations import are_masks
    from napari_unet.training import train

    start = _read(work.start) if isinstance(work.start, Path) else work.start
    first = work.snapshots[0]
    order = _order_of_outputs(first.outputs, start)
    painted = {each.name: each.annotated_image() for each in work.snapshots}
    # Decided once: painting a second number on a mask must not join its cells again.
    masks = {
        name
        for name, each in painted.items()
        if work.config.task == "instances" and are_masks([each.labels], [each.annotated])
    }

    def as_learnt(image: AnnotatedImage) -> AnnotatedImage:
        if image.holds_values:
            return replace(image, labels=image.labels[:, order])
        return _in_pieces(image) if image.name in masks else image

    taught = {name: as_learnt(each) for name, each in painted.items()}

    def updates() -> list[AnnotatedImage] | None:
        newer = work.slot.take()
        problems = []
        for each in newer:
            try:
                taught[each.name] = as_learnt(each.annotated_image())
            except ValueError as error:
                problems.append(error)
        if problems:
            raise problems[0]
        return list(taught.values()) if newer else None

    outputs = {k: first.outputs[n] for k, n in enumerate(order)}
    reports = train(
        list(taught.values()),
        work.config,
        start=start,
        start_name=work.start_name,
        class_names=outputs or _class_names(painted.values(), work, start),
        should_stop=should_stop,
        updates=updates,
    )
    name = _file_name(first.name)
    told = False
    for said in reports:
        report = _with_channels(said, work.channels)
        if report.checkpoint is not None:
            stored = _store(report.checkpoint, f"{name} (unfinished)")
            if stored.problem and not told:
                told = True
                yield _Unkept(stored.problem)
        yield report
        if report.model is not None:
            stored = _store(report.model, name)
            if stored.path is not None:
                with suppress(OSError):
                    stored.path.with_stem(f"{name} (unfinished)").unlink()
            yield stored


def _class_names(
    taught: Iterable[AnnotatedImage], work: _Work, start: TrainedModel | None
) -> dict[int, str] | None:
    """Name painted classes as the user does, else as `start`, else as the dock lists them."""
    from napari_unet.annotations import cell_values

    if work.config.task != "classes":
        return None
    planes = (plane for image in taught for plane in image.labels)
    painted = {int(value) for plane in planes for value in cell_values(plane)}
    known = start.classes if start is not None and start.task == "classes" else ()
    listed = {value: nameless(value) for value in painted}
    return listed | {label.value: label.name for label in known} | work.names


def _with_channels(report: TrainingReport, names: list[str]) -> TrainingReport:
    """Let the models of a report say what the channels are called that they were trained on."""

    def told(model: TrainedModel | None) -> TrainedModel | None:
        facts = {"channels": names}
        return model and replace(model, provenance={**model.provenance, **facts})

    return replace(report, model=told(report.model), checkpoint=told(report.checkpoint))


def _order_of_outputs(outputs: Sequence[str], start: TrainedModel | None) -> list[int]:
    """Return in which order a model that goes on has its outputs; else the order that they are in.

    Layers may be listed in another order than when the model was trained.
    """
    known = [] if start is None else [label.name for label in start.classes]
    if sorted(known) != sorted(outputs):
        return list(range(len(outputs)))
    return [outputs.index(name) for name in known]


def _read(path: Path) -> TrainedModel:
    from napari_unet.files import FileError, load_model

    try:
        return load_model(path)
    except FileError as error:
        raise FileError(f"{error}. Choose another model under “Start from”.") from error


def _in_pieces(image: AnnotatedImage) -> AnnotatedImage:
    """Make a cell of each connected piece, as in a mask all cells have one number."""
    from napari_unet.annotations.cells import pieces

    return replace(image, labels=np.stack([pieces(plane) for plane in image.labels]))


def _file_name(name: str) -> str:
    """Return what the file of a model is called that is trained now on an image of this name."""
    return f"{datetime.now().astimezone():%Y-%m-%d %H.%M.%S} {plain_name(name) or 'model'}"


def _store(model: TrainedModel, name: str) -> _Stored:
    from napari_unet.files import FileError, save_model

    try:
        folder = home() / "models"
        folder.mkdir(parents=True, exist_ok=True)
        return _Stored(save_model(model, folder / f"{name}.safetensors", overwrite=True))
    except (FileError, OSError) as error:
        return _Stored(None, str(error))
