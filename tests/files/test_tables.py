"""Tables out."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from napari_unet.files import FileError, write_table

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = [("a, b", 1, (3, 4), 0.5), ('say "x"\nµ', -2, (), 1e-9)]
    path = write_table(tmp_path / "t.csv", ["name", "n", "ids", "share"], rows)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "n", "ids", "share"],
            ["a, b", "1", "3 4", "0.5"],
            ['say "x"\nµ', "-2", "", "1e-09"],
        ]


def test_a_table_is_not_replaced_unless_allowed(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", ["a"], [[1]])
    with pytest.raises(FileError, match="exists already"):
        write_table(path, ["b"], [])
    assert path.read_text() == "a\n1\n"
    write_table(path, ["b"], [], overwrite=True)
    assert path.read_text() == "b\n"


def test_a_table_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_table(tmp_path / "t.csv", ["a"], ([1 / n] for n in (1, 0)))
    assert list(tmp_path.iterdir()) == []
