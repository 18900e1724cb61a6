"""What a command will write is checked before its work starts."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from typing import TYPE_CHECKING

from napari_unet.cli.failures import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["prepare_folder", "refuse_existing", "refuse_inputs"]

_NAMED = 3
_IMAGES = (".tif", ".tiff", ".png")


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace files that are there already.

    Raises
    ------
    CommandError
        If one exists and `overwrite` is False, one is a folder, or two are the same.
    """
    paths = list(paths)
    twice = [path.name for path, n in Counter(paths).items() if n > 1]
    if twice:
        raise CommandError(
            f"several inputs would be written to {_some(twice)}; give them different names"
        )
    there = [path for path in paths if path.exists()]
    for path in there:
        if path.is_dir() and path.suffix != ".zarr":
            raise CommandError(f"{path} is a folder; name a file to write")
    if there and not overwrite:
        verb = "exists" if len(there) == 1 else "exist"
        raise CommandError(
            f"{_some([str(path) for path in there])} {verb} already; "
            "choose another place, or replace with --overwrite"
        )


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write over a file that is read, even when overwriting is allowed."""
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise CommandError(
                f"{path} would be replaced by its own result; write to another folder"
            )


def prepare_folder(folder: Path) -> None:
    """Make a folder for outputs and try whether files can be written there.

    Raises
    ------
    CommandError
        If it is called like an image, it cannot be made or nothing can be written into it.
    """
    if folder.suffix.lower() in _IMAGES and not folder.is_dir():
        raise CommandError(
            f"{folder} is called like an image, but the results go into a folder; name one"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".napari-unet-")
        os.close(descriptor)
        os.unlink(name)
    except OSError as error:
        raise CommandError(
            f"cannot write into {folder} ({error.strerror}); choose another folder"
        ) from error


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
