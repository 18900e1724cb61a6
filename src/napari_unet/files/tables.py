"""Tables out, as CSV: spreadsheets, pandas and R read them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.files.atomic import writing

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

__all__ = ["write_table"]


def write_table(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a table as comma-separated values, UTF-8, with one line of column names.

    Parameters
    ----------
    path
        The file. Its folder must exist.
    columns
        Their names.
    rows
        One sequence of plain values per line; several numbers in one cell are divided by spaces.
    overwrite
        Replace a file that is there.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileError
        If it exists or cannot be written; what was there before is untouched.
    """
    target = Path(path)
    with (
        writing(target, overwrite=overwrite) as temporary,
        # A file's name may be no text; it must not cost the table.
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_plain(value) for value in row] for row in rows)
    return target


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else value
