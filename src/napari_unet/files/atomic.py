"""Writing that happens whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.files.errors import FileError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["writing"]


@contextmanager
def writing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path that takes the place of `path` once the block has ended well.

    The temporary file or folder lies beside `path`, so that taking its place is one renaming;
    its name starts with a dot. If the block fails or is interrupted it is removed, and what was
    at `path` is as it was.

    Parameters
    ----------
    path
        The file, or folder, to be written.
    overwrite
        Replace what is there already.

    Yields
    ------
    Path
        Write here. It does not exist yet.

    Raises
    ------
    FileError
        If `path` exists and may not be overwritten, or the system refuses to write.
    """
    target = Path(path)
    if not target.name:
        raise FileError(f"{str(path)!r} is no name for a file; choose one")
    temporary = target.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        _refuse_existing(target, overwrite)
        if not target.parent.is_dir():
            raise FileError(f"{target} was not written: there is no folder {target.parent}")
        yield temporary
        _refuse_existing(target, overwrite)
        _take_place(temporary, target)
    except OSError as error:
        raise FileError(f"{target} was not written: {reason(error)}") from error
    finally:
        _remove(temporary)


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(target):
        raise FileError(f"{target} exists already; choose another name or allow overwriting")


def _take_place(temporary: Path, target: Path) -> None:
    """Rename; a folder in the way is first moved aside and comes back if the renaming fails."""
    if not temporary.is_dir():
        with temporary.open("r+b") as written:  # Windows flushes only what may be written
            os.fsync(written.fileno())
    if not target.is_dir() or target.is_symlink():
        temporary.replace(target)
        return
    if not _is_zarr(target):
        raise FileError(f"{target} was not written: it is a folder")
    aside = temporary.with_name(f"{temporary.name}.old")
    target.replace(aside)
    try:
        temporary.replace(target)
    except OSError:
        aside.replace(target)
        raise
    _remove(aside)


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        path.unlink()
