"""Saves every change of every annotation by itself, and brings it back after a crash.

One recovery file per Labels layer and session: it never takes the place of one that was not
restored yet, and a file that a living session writes, in whichever process, is offered to no other
before that session's window is closed. The files are written in the background from a copy.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_unet.gui import layers
from napari_unet.gui.copies import Copy, Replaced, Waiting, Written, pack
from napari_unet.gui.layers import CLASSES, CORRECTED, IGNORED, PREDICTION, REGIONS
from napari_unet.gui.removed_regions import RemovedRegions
from napari_unet.gui.restoring import restore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from napari.layers import Shapes

    from napari_unet.files.recovery import Recovery, RecoveryEntry
    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.session import Session

__all__ = ["Autosave"]

_WAIT_MS = 1500
_COPY_BYTES = 2**26
_REST = 4.0
_RETRY_MS = 15_000
_LOOK_MS = 5000


class Autosave(QObject):
    """Keeps the recovery files of a session's annotations up to date; a part of the session.

    Of every image, and of labels that others took the place of: whatever is still in the layer list
    can be painted on.

    Attributes
    ----------
    offered : Signal(object)
        A `RecoveryEntry` that belongs to the chosen image, or None: there is none (any more).
    saved : Signal()
        Everything up to a moment ago is in the recovery files.
    failed : Signal(str)
        Why it could not be saved or restored, in one sentence.
    recovered : Signal(str)
        What could not be saved before is saved now, in one sentence.
    discarded : Signal(str)
        Where what was discarded can still be had, in words.
    """

    offered = Signal(object)
    saved = Signal()
    failed = Signal(str)
    recovered = Signal(str)
    discarded = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._stamp = uuid.uuid4().hex
        self._pending = Waiting()
        self._replaced = Replaced()
        self._written: tuple[str, ...] = ()
        self._look_again = False
        self._unwritten = False
        self._changed: set[str] = set()
        self._images: dict[str, _Image] = {}
        self._fingerprints = layers.Fingerprints()
        self._here: layers.Fingerprint | None = None
        self._settled: set[str] = set()
        self._removed = session.part(RemovedRegions)
        self.offer: RecoveryEntry | None = None
        self._save_job = session.job("save a recovery file")
        self._look_job = session.job("look for recovery files")
        self._load_job = session.job("load a recovery file")
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._pause = _WAIT_MS
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LOOK_MS)
        self._wire()
        self._look()
        for layer in layers.annotation_layers(session.viewer):
            self._on_edited(layer)

    def _wire(self) -> None:
        session = self._session
        self._soon.timeout.connect(self._on_time)
        self._later.timeout.connect(self._look)
        self._save_job.reported.connect(self._on_written)
        self._save_job.finished.connect(self._on_saved)
        self._look_job.reported.connect(self._on_entries)
        self._look_job.finished.connect(self._on_looked)
        self._load_job.reported.connect(self._on_loaded)
        self._save_job.failed.connect(self._on_unwritten)
        for job in (self._look_job, self._load_job):
            job.failed.connect(self.failed)
        session.edited.connect(self._on_edited)
        session.image_changing.connect(self.save)
        session.image_changed.connect(self._look)
        session.closing.connect(self._on_closing)
        # A window that a script closes is gone without `closing`, and this object before it.
        pending = self._pending
        self.destroyed.connect(lambda: pending.leave())
        # While the layer that goes is still there, what was painted last can be copied.
        session.viewer.layers.events.removing.connect(self._on_removing)

    # ------------------------------------------------------------------------------- saving

    def save(self) -> None:
        """Save now what has changed since the last time; returns before it is written."""
        self._collect()
        self._write()

    def replace(self, old: Labels, new: Labels) -> None:
        """Give up the file of a layer as soon as another one is saved, which has all of it."""
        self._changed.discard(layers.identity(old))
        self._replaced.add(self._key(old), by=self._key(new))

    def _collect(self) -> None:
        """Copy every annotation that has changed since it was copied last."""
        if not self._changed:
            return
        changed, self._changed = self._changed, set()
        painted = [
            layer
            for layer in layers.annotation_layers(self._session.viewer)
            if isinstance(layer, Labels) and layers.identity(layer) in changed
        ]
        # What is painted on again needs its file again.
        self._replaced.drop({self._key(layer) for layer in painted})
        for copy in map(self._copy, painted):
            if copy is not None:
                self._pending.put(copy)

    def _on_edited(self, layer: Labels | Shapes) -> None:
        """Save soon what a layer belongs to; a region may belong to several labels."""
        found = layers.annotations_of(self._session.viewer, layer)
        self._changed.update(layers.identity(labels) for labels in found)
        self._start_soon()

    def _start_soon(self) -> None:
        """Save in a while; where that has just failed, later, and without a stroke too."""
        if (self._changed or self._unwritten) and not self._soon.isActive():
            self._soon.start(max(self._pause, _RETRY_MS if self._unwritten else 0))

    def _on_time(self) -> None:
        """Save what has changed, but let the files before be written first."""
        if not self._save_job.running:
            self.save()

    def _copy(self, layer: Labels) -> Copy | None:
        """Copy an annotation; None where no image is known that it could come back to."""
        image = self._image_of(layer)
        if image is None:
            return None
        marks = layers.marks_of(self._session.viewer, layer)
        key, labels, removed = self._key(layer), marks.labels, self._removed.outlines
        return Copy(
            key=key,
            # A big stack is read while it is written; a torn stroke is whole in the next file.
            labels=labels.copy() if labels.nbytes <= _COPY_BYTES else labels,
            arrays={
                "regions": pack([*marks.region_outlines, *removed(labels=layer, role=REGIONS)]),
                "ignored": pack([*marks.ignored_outlines, *removed(labels=layer, role=IGNORED)]),
                "complete": np.flatnonzero(marks.complete),
            },
            facts={
                **image.facts,
                "task": marks.task,
                "corrected": layers.annotation_role(layer) in (PREDICTION, CORRECTED),
                "classes": {str(v): n for v, n in layers.fact(layer, CLASSES, {}).items()},
                "values": self._targets_of(layer),
            },
            replaces=self._replaced.by(key),
            image=image.fingerprint.read,
        )

    def _image_of(self, labels: Labels) -> _Image | None:
        """Tell which image labels belong to; what was known of it where it does not fit any more.

        As when the image was removed, or its layer given an array of another size.
        """
        images = layers.linked_images(self._session.viewer, labels)
        key = layers.identity(labels)
        if not images or not layers.fits(labels, images[0]):
            return self._images.get(key)
        fingerprint = self._fingerprints.of(images[0])
        path, look = layers.source_path(images[0]), fingerprint.look
        facts = {"name": images[0].name, "path": path, "look": look}
        self._images[key] = _Image(facts, fingerprint)
        return self._images[key]

    def _targets_of(self, labels: Labels) -> list[str] | None:
        """Name the layers whose values are learnt for the image; None where labels are."""
        images = layers.linked_images(self._session.viewer, labels)
        if not layers.learns_values(images):
            return None
        return [target.name for target in layers.targets_of(self._session.viewer, images)]

    def _key(self, labels: Labels) -> str:
        return f"{self._stamp} {layers.identity(labels)}"

    def _write(self) -> None:
        """Begin to write, unless that is under way: then it goes on with what has come."""
        if self._pending.going:
            return
        self._save_job.wait()  # a thread that is through may not have been heard of yet
        if self._pending and not self._save_job.running:
            pending, self._written = self._pending, ()
            pending.going = True
            self._save_job.start(lambda _: pending.write())

    def _on_written(self, written: Written) -> None:
        """Take note of what is on disk; files that take long are written less often."""
        self._written = written.keys
        self._settled.difference_update(written.keys)
        self._replaced.drop(written.replaced)
        self._pause = max(_WAIT_MS, int(1000 * _REST * written.seconds))

    def _on_unwritten(self, why: str) -> None:
        self._unwritten = True
        self.failed.emit(
            "What you paint is not being saved by itself; that is tried again, and Export can save "
            f"it elsewhere: {why}"
        )

    def _on_saved(self) -> None:
        """Go on with what came in meanwhile; what could not be written is tried again later."""
        if self._save_job.error is not None:
            self._start_soon()
            return
        if self._unwritten:
            self._unwritten = False
            self.recovered.emit(
                "Your annotation is safe again: its recovery file could be written now."
            )
        if any(self._is_gone(key) for key in self._written):
            self._look()
        if self._pending:
            self._write()
        else:
            self.saved.emit()
        self._start_soon()

    def _on_removing(self, event: Any = None) -> None:
        """Save before the first of the layers that go together: the next ones miss it."""
        if not self._turn.isActive():
            self._turn.start()
            self.save()

    def _on_closing(self) -> None:
        """Write the last strokes; the thread keeps the process alive until they are on disk.

        A training keeps it alive for much longer, so the files say that nobody is at work on them.
        """
        self._collect()
        self._pending.leave()

    # ---------------------------------------------------------------------------- restoring

    def restore(self) -> None:
        """Bring back what is offered; it then arrives as layers."""
        entry = self.offer
        if entry is None or self._load_job.running:
            return

        def load(_: ShouldStop) -> Iterator[tuple[RecoveryEntry, Recovery]]:
            from napari_unet.files import recovery

            yield entry, recovery.load_recovery(recovery.recovery_folder(), entry.key)

        self._load_job.start(load)

    def discard(self) -> None:
        """Put the file that is offered away, and say where it can still be had."""
        entry = self.offer
        if entry is None:
            return
        self._settled.add(entry.key)
        self._put_away(entry.key)
        self._look()

    def _put_away(self, key: str) -> None:
        from napari_unet.files import FileError, recovery

        try:
            kept = recovery.discard_recovery(recovery.recovery_folder(), key)
        except FileError as problem:
            self.failed.emit(str(problem))
            return
        if kept is not None:
            self.discarded.emit(
                f"What you discarded is kept for {recovery.KEPT.days} days: {kept}. Moved one "
                "folder up, it is offered again when the image is opened the next time."
            )

    def _look(self) -> None:
        """Look in the background for what could be restored."""
        session = self._session
        images = session.image_layers
        here = self._here = self._fingerprints.of(images[0]) if images else None
        self._look_again = self._look_job.running
        if not self._look_again:
            own = {f"{self._stamp} {layers.identity(layer)}" for layer in session.viewer.layers}
            self._look_job.start(lambda _: _entries(here, own | self._settled))

    def _on_looked(self) -> None:
        if self._look_again:
            self._look()

    def _on_entries(self, found: _Found) -> None:
        """Offer the newest that fits, of several one from an image of the same name.

        What somebody else is at work on may be free in a while.
        """
        fitting = self._fitting(found.entries)
        free = [entry for entry in fitting if entry.key not in found.taken | self._taken(fitting)]
        named = [entry for entry in free if entry.facts.get("name") == self._session.name]
        self._offer(next(iter([*named, *free]), None))
        if len(free) < len(fitting):
            self._later.start()

    def _offer(self, entry: RecoveryEntry | None) -> None:
        self.offer = entry
        self.offered.emit(entry)

    def _fitting(self, entries: Sequence[RecoveryEntry]) -> list[RecoveryEntry]:
        """List the entries that belong to the chosen image and to no layer that is there."""
        if not self._session.image_layers:
            return []
        left = [e for e in entries if e.key not in self._settled and not self._is_here(e.key)]
        return [e for e in left if self._is_of_the_image(e.facts)]

    def _is_of_the_image(self, facts: Mapping[str, Any]) -> bool:
        """Whether what is saved belongs to the chosen image.

        An image is known by its pixels: files are renamed, and layers too. Only where these could
        not be read, now or when it was saved, by its name and size. The pixels of an image that was
        chosen meanwhile are read when it is looked for again.
        """
        here, saved = self._here, str(facts.get("image", "")).rsplit(" ", 1)[-1]
        if here is None or not (here.known or here.failed):
            return False
        if here.known and saved:
            return saved == here.known
        return facts.get("look") == here.look and facts.get("name") == self._session.name

    def _taken(self, entries: Iterable[RecoveryEntry]) -> set[str]:
        """Return the keys of those that other windows of this process are at work on."""
        others = _stamps() - {self._stamp}
        return {entry.key for entry in entries if entry.key.partition(" ")[0] in others}

    def _is_here(self, key: str) -> bool:
        """Whether a file is this session's own, of a layer in the viewer."""
        return key.startswith(self._stamp) and not self._is_gone(key)

    def _is_gone(self, key: str) -> bool:
        """Whether the layer of one of this session's own files is no longer in the viewer."""
        identities = {layers.identity(layer) for layer in self._session.viewer.layers}
        return key.removeprefix(f"{self._stamp} ") not in identities

    def _on_loaded(self, report: tuple[RecoveryEntry, Recovery]) -> None:
        entry, recovery = report
        # Meanwhile the same file may have been offered again, as another object.
        same = self.offer is not None and entry.key == self.offer.key
        if not same or not self._fitting([entry]) or self._taken([entry]):
            return
        self._settled.add(entry.key)
        labels = restore(self._session, recovery)
        self._offer(None)
        self._save_instead_of(entry.key, labels)
        self._look()

    def _save_instead_of(self, key: str, labels: Labels) -> None:
        """Keep the old file until the restored annotation is in the new one."""
        self._replaced.add(key, by=self._key(labels))
        self._session.edited.emit(labels)
        self.save()


@dataclass(frozen=True)
class _Found:
    """The recovery files that there are, and the keys of those that other processes write."""

    entries: tuple[RecoveryEntry, ...]
    taken: frozenset[str]


@dataclass(frozen=True)
class _Image:
    """What is known of the image of an annotation, also when its layer was removed."""

    facts: Mapping[str, str]
    fingerprint: layers.Fingerprint


def _entries(here: layers.Fingerprint | None, settled: Collection[str]) -> Iterator[_Found]:
    """List the recovery files; the image is read if one is there that may be of it."""
    from napari_unet.files import recovery

    entries = recovery.list_recoveries(recovery.recovery_folder()).entries
    if here is not None and any(entry.key not in settled for entry in entries):
        here.read()
    yield _Found(entries, frozenset(entry.key for entry in entries if recovery.in_use(entry)))


def _stamps() -> set[str]:
    """List what the files of the windows in this process begin with that are not closed."""
    windows = QApplication.topLevelWidgets()
    parts = [part for window in windows for part in window.findChildren(Autosave)]
    return {part._stamp for part in parts if not part._pending.left}
