"""Copies of annotations on their way into recovery files; no layers in here."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.gui.jobs import finish
from napari_unet.gui.marks import Outline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["Copy", "Replaced", "Waiting", "Written", "pack", "unpack"]


@dataclass(frozen=True, eq=False)
class Copy:
    """An annotation as it goes into a recovery file.

    Attributes
    ----------
    key
        The file's name: session and Labels layer.
    labels
        (Z, Y, X).
    arrays
        Outlines as (n, 4) rows of shape, z, y, x; complete slices.
    facts
        What it belongs to, and what the labels mean.
    replaces
        Keys of files that are no longer needed once this one is written.
    image
        What tells the image from others: read, from the image, when the file is written.
    """

    key: str
    labels: NDArray[Any]
    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]
    replaces: tuple[str, ...] = ()
    image: Callable[[], str] | None = None

    def save(self, cells: int | None) -> None:
        """Write the file; an annotation without anything in it is not worth one.

        Parameters
        ----------
        cells
            How many are painted; None where that is not known.
        """
        from napari_unet.files import recovery

        folder = recovery.recovery_folder()
        if self.labels.any() or any(array.size for array in self.arrays.values()):
            facts = {**self.facts} if cells is None else {**self.facts, "cells": cells}
            if self.image is not None:
                facts["image"] = self.image()
            recovery.save_recovery(folder, self.key, self.labels, arrays=self.arrays, facts=facts)
            for key in self.replaces:
                recovery.remove_recovery(folder, key)
        else:
            recovery.remove_recovery(folder, self.key)


@dataclass(frozen=True)
class Written:
    """The keys of the files that were written and replaced, and how long that took."""

    keys: tuple[str, ...]
    replaced: frozenset[str]
    seconds: float


class Waiting:
    """The copies that are still to be written, handed from the GUI thread to the one that writes.

    That thread goes on until there is none, so what is handed over before a layer or the window
    goes is written even when nobody is left to start another thread.

    Attributes
    ----------
    going
        Whether a thread will write what is handed over; who starts one says so.
    left
        Whether the window was closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[str, Copy] = {}
        self._held: set[str] = set()
        self.going = False
        self.left = False

    def put(self, copy: Copy) -> None:
        """Leave a copy; an older one of the same annotation is forgotten."""
        with self._lock:
            self._copies[copy.key] = copy

    def leave(self) -> None:
        """Write the rest, then let the files be anybody's: the process may live on for long.

        There is no window to be told any more, and no job of one.
        """
        with self._lock:
            self.left, going = True, self.going
        if self and not going:
            self.going = True
            finish(lambda _: self.write(), "save the last recovery files")

    def __bool__(self) -> bool:
        return bool(self._copies) or (self.left and bool(self._held))

    def write(self) -> Iterator[Written]:
        """Write until nothing is left, then report all keys at once.

        One report for all: a job that is told to stop ends after a report. A copy that could not
        be written stays here, to be tried again.
        """
        began, keys, replaced = time.monotonic(), [], set[str]()
        finished = False
        try:
            while (copy := self._next()) is not None:
                copy.save(_count(copy.labels))
                self._drop(copy)
                keys.append(copy.key)
                replaced.update(copy.replaces)
                self._held.add(copy.key)
            finished = True
        finally:
            if not finished:
                self.going = False
            if self.left:
                self._release()
        yield Written(tuple(keys), frozenset(replaced), time.monotonic() - began)

    def _release(self) -> None:
        from napari_unet.files import FileError, recovery

        with self._lock:
            held, self._held = self._held, set()
        for key in held:
            with suppress(FileError, OSError):  # the others are released all the same
                recovery.release_recovery(recovery.recovery_folder(), key)

    def _next(self) -> Copy | None:
        """Return a copy and put it last, so that one that cannot be written holds up no other."""
        with self._lock:
            copy = next(iter(self._copies.values()), None)
            if copy is None:
                self.going = False
            else:
                self._copies[copy.key] = self._copies.pop(copy.key)
            return copy

    def _drop(self, copy: Copy) -> None:
        """Forget a copy that is written, unless a newer one has come meanwhile."""
        with self._lock:
            if self._copies.get(copy.key) is copy:
                del self._copies[copy.key]


class Replaced:
    """Which files are no longer needed once another one is written, by their keys."""

    def __init__(self) -> None:
        self._by: dict[str, tuple[str, ...]] = {}

    def add(self, old: str, by: str) -> None:
        """Give up a file as soon as another one, which has all of it, is written."""
        self._by[by] = (*self.by(by), old)

    def by(self, key: str) -> tuple[str, ...]:
        """Return the keys of the files that one takes the place of."""
        return self._by.get(key, ())

    def drop(self, keys: Collection[str]) -> None:
        """Forget files that are gone, or are needed after all."""
        left = {by: tuple(o for o in old if o not in keys) for by, old in self._by.items()}
        self._by = {by: old for by, old in left.items() if old}


def _count(labels: NDArray[Any]) -> int | None:
    """Count what is painted; None where that fails, for it is only told and must stop no save."""
    from napari_unet.annotations import count_cells  # takes longer, once, than a small file

    try:
        return count_cells(labels)
    except (ValueError, MemoryError):
        return None


def pack(outlines: Iterable[Outline]) -> NDArray[Any]:
    """Return outlines as (n, 4) rows of shape, z, y, x."""
    rows = [
        np.column_stack([np.full((len(o.points), 2), (n, o.z)), o.points])
        for n, o in enumerate(outlines)
    ]
    return np.concatenate(rows) if rows else np.zeros((0, 4))


def unpack(rows: NDArray[Any]) -> list[Outline]:
    """Return the outlines of such rows."""
    shapes = [rows[rows[:, 0] == n] for n in np.unique(rows[:, 0])]
    return [Outline(int(shape[0, 1]), shape[:, 2:]) for shape in shapes]
