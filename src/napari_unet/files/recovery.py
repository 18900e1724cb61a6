"""Recovery files: what is being painted, saved by itself and offered after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.lib.npyio import NpzFile

from napari_unet.files.atomic import writing
from napari_unet.files.errors import FileError, reading, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = [
    "KEPT",
    "Recovery",
    "RecoveryEntry",
    "RecoveryList",
    "RecoveryProblem",
    "discard_recovery",
    "in_use",
    "list_recoveries",
    "load_recovery",
    "recovery_folder",
    "release_recovery",
    "remove_recovery",
    "save_recovery",
]

KEPT = timedelta(days=30)
"""How long what was discarded can still be had."""

_HEADER = "header"
_LABELS = "labels"
_SAME = 60.0  # seconds by which the clock may have been set since a process told when it began


@dataclass(frozen=True)
class RecoveryEntry:
    """A recovery file that can be offered.

    Attributes
    ----------
    key, path
        What it was saved under, and where it lies.
    saved
        When.
    facts
        What it says.
    process, started
        The number of the process that is at work on it, and when that began, in seconds since
        1970; None where nobody is, or the file does not say.
    """

    key: str
    path: Path
    saved: datetime
    facts: Mapping[str, Any]
    process: int | None = None
    started: float | None = None


@dataclass(frozen=True)
class RecoveryProblem:
    """A recovery file that cannot be read, and why; it is left where it is."""

    path: Path
    message: str


@dataclass(frozen=True)
class RecoveryList:
    """All recovery files of a folder, the newest first."""

    entries: tuple[RecoveryEntry, ...]
    problems: tuple[RecoveryProblem, ...]


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was saved.

    Attributes
    ----------
    labels
        The painted labels.
    arrays
        Anything else that is numbers: regions, what is complete.
    facts
        Plain values: names, scale, the image's path.
    """

    labels: NDArray[Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def recovery_folder() -> Path:
    """Return the user's folder of recovery files, made if need be.

    ``NAPARI_UNET_HOME`` in the environment overrides the place that the system has for it.

    Raises
    ------
    FileError
        If it cannot be made.
    """
    home = os.environ.get("NAPARI_UNET_HOME")
    base = Path(home) if home else platformdirs.user_data_path("napari-unet", appauthor=False)
    folder = base / "recovery"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} cannot be made: {reason(error)}") from error
    return folder


def save_recovery(
    folder: str | os.PathLike[str],
    key: str,
    labels: NDArray[Any],
    *,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Save labels and what belongs to them under a key, in place of what was there.

    Parameters
    ----------
    folder
        Usually `recovery_folder()`.
    key
        Says what the labels belong to, for example the image's path; any text.
    labels
        Numbers of any shape.
    arrays
        More arrays of numbers by name.
    facts
        Plain values, as JSON can store them.

    Raises
    ------
    FileError
        If it cannot be written; an earlier file of this key is then as it was.
    ValueError
        If an array holds objects.
    """
    stored = {_LABELS: labels, **{f"array {name}": a for name, a in (arrays or {}).items()}}
    for name, array in stored.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"{name!r} holds objects; a recovery file stores numbers only")
    saved = datetime.now(UTC).isoformat()
    writer = {"process": os.getpid(), "started": _began(os.getpid())}
    path = _path(folder, key)
    _write(path, {"key": key, "saved": saved, "facts": dict(facts or {}), **writer}, stored)
    return path


def release_recovery(folder: str | os.PathLike[str], key: str) -> None:
    """Say in a file, if there is one, that nobody is at work on it any more, else change nothing.

    Raises
    ------
    FileError
        If it cannot be read or written; it is then as it was.
    """
    path = _path(folder, key)
    if not path.exists():
        return
    with _opened(path) as file:
        header = json.loads(str(file[_HEADER])) | {"process": None}
        stored = {name: file[name] for name in file.files if name != _HEADER}
    _write(path, header, stored)


def _write(path: Path, header: Mapping[str, Any], stored: Mapping[str, NDArray[Any]]) -> None:
    said = {_HEADER: np.array(json.dumps(header))}
    with writing(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **said, **stored)


def list_recoveries(folder: str | os.PathLike[str]) -> RecoveryList:
    """List what can be recovered; a file that cannot be read becomes a `RecoveryProblem`."""
    entries: list[RecoveryEntry] = []
    problems: list[RecoveryProblem] = []
    for path in sorted(Path(folder).glob("[!.]*.npz")):
        try:
            entries.append(_entry(path))
        except FileError as error:
            problems.append(RecoveryProblem(path, str(error)))
    entries.sort(key=lambda entry: entry.saved, reverse=True)
    return RecoveryList(tuple(entries), tuple(problems))


def in_use(entry: RecoveryEntry) -> bool:
    """Tell whether another process, the one that saved a file, is still at work on it."""
    if entry.process is None or entry.started is None or entry.process == os.getpid():
        return False
    import psutil

    try:
        # Numbers of processes are used again, by this computer and by others of the same home.
        same = abs(_began(entry.process) - entry.started) < _SAME
        return same and bool(psutil.Process(entry.process).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _began(process: int) -> float:
    """Return when a process began; the name of a computer changes with its network, this not."""
    import psutil  # asked for in napari only

    return float(psutil.Process(process).create_time())


def load_recovery(folder: str | os.PathLike[str], key: str) -> Recovery:
    """Read what was saved under a key; nothing in the file is executed.

    Raises
    ------
    FileError
        If there is none, or it cannot be read.
    """
    path = _path(folder, key)
    with _opened(path) as file:
        arrays = {
            name.removeprefix("array "): file[name]
            for name in file.files
            if name.startswith("array ")
        }
        return Recovery(file[_LABELS], arrays, json.loads(str(file[_HEADER]))["facts"])


def discard_recovery(folder: str | os.PathLike[str], key: str) -> Path | None:
    """Put away what was saved under a key, should somebody want it after all.

    It goes into the folder ``discarded`` in this one, and what has lain there for `KEPT` is
    removed. A file that is moved back is listed again.

    Returns
    -------
    Path or None
        Where it lies now; None where nothing was saved.

    Raises
    ------
    FileError
        If the system refuses; it is then where it was.
    """
    path = _path(folder, key)
    kept = Path(folder) / "discarded" / path.name
    try:
        if not path.exists():
            return None
        kept.parent.mkdir(exist_ok=True)
        os.utime(path)  # it counts from now on
        path.replace(kept)
    except OSError as error:
        raise FileError(f"{path} was not moved to {kept.parent}: {reason(error)}") from error
    _prune(kept.parent)
    return kept


def remove_recovery(folder: str | os.PathLike[str], key: str) -> None:
    """Remove what was saved under a key, if anything was: nobody needs it any more.

    Raises
    ------
    FileError
        If the system refuses.
    """
    path = _path(folder, key)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"{path} was not removed: {reason(error)}") from error


def _prune(folder: Path) -> None:
    """Remove what was discarded long ago; what cannot be removed now is at the next time."""
    oldest = time.time() - KEPT.total_seconds()
    for path in folder.glob("*.npz"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _path(folder: str | os.PathLike[str], key: str) -> Path:
    return Path(folder) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def _entry(path: Path) -> RecoveryEntry:
    with _opened(path) as file:
        header = json.loads(str(file[_HEADER]))
        saved = datetime.fromisoformat(header["saved"])
        if saved.tzinfo is None:
            raise ValueError("the time it was saved has no time zone")
        writer = header.get("process"), header.get("started")
        return RecoveryEntry(header["key"], path, saved, header["facts"], *writer)


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    with reading(path, "a recovery file"), path.open("rb") as opened:
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, NpzFile):
            raise FileError(f"{path} is damaged or not a recovery file")
        with file:
            yield file
