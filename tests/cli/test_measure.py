"""`napari-unet measure`."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.files import write_labels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_of_every_image_has_a_line(folders: Path, run: Run) -> None:
    table = folders / "out" / "cells.csv"
    done = run("measure", folders / "labels", "--images", folders / "images", "--table", table)
    assert (done.code, done.err) == (0, "")
    assert "p0_masks.tif: " in done.out
    found = rows(table)
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        image = tifffile.imread(folders / "images" / f"p{number}.tif")
        own = [row for row in found if row["image"] == f"p{number}_masks"]
        assert [int(row["label"]) for row in own] == [n for n in np.unique(labels) if n]
        for row in own:
            cell = labels == int(row["label"])
            assert int(row["area"]) == cell.sum()
            assert float(row["intensity_mean"]) == pytest.approx(image[cell].mean(), rel=1e-5)
    assert "area_um2" not in found[0]


def test_what_one_file_does_not_tell_stays_empty(folders: Path, run: Run) -> None:
    labels = folders / "labels"
    write_labels(labels / "sized.tif", np.eye(8, dtype=np.int32), pixel_size=0.5)
    table = folders / "cells.csv"
    assert run("measure", labels, "--table", table).code == 0
    found = rows(table)
    sized = [row for row in found if row["image"] == "sized"]
    assert {row["area_um2"] for row in found} - {row["area_um2"] for row in sized} == {""}
    assert float(sized[0]["area_um2"]) == int(sized[0]["area"]) / 4
    assert "intensity_mean" not in found[0]


def test_a_mask_is_measured_piece_by_piece(tmp_path: Path, run: Run) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[2:5, 2:5] = mask[10:14, 10:14] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    assert run("measure", tmp_path / "mask.tif", "--table", tmp_path / "t.csv").code == 0
    assert [int(row["area"]) for row in rows(tmp_path / "t.csv")] == [9, 16]


def test_a_file_that_does_not_fit_is_told_and_the_others_are_measured(
    folders: Path, run: Run
) -> None:
    tifffile.imwrite(folders / "images" / "p1.tif", np.zeros((5, 5), np.uint8))
    (folders / "labels" / "p2_masks.tif").write_bytes(b"")
    table = folders / "cells.csv"
    done = run("measure", folders / "labels", "--images", folders / "images", "--table", table)
    assert done.code == 1
    assert "p1_masks.tif: the labels have the shape" in done.err
    assert "p2_masks.tif" in done.err
    assert {row["image"] for row in rows(table)} == {"p0_masks"}


def test_nothing_is_replaced_unasked_and_labels_never(folders: Path, run: Run) -> None:
    table = folders / "cells.csv"
    table.write_text("mine", encoding="utf-8")
    done = run("measure", folders / "labels", "--table", table)
    assert done.code != 0
    assert "--overwrite" in done.err
    assert table.read_text(encoding="utf-8") == "mine"
    labels = folders / "labels" / "p0_masks.tif"
    before = labels.read_bytes()
    assert run("measure", folders / "labels", "--table", labels, "--overwrite").code != 0
    assert labels.read_bytes() == before
    assert run("measure", folders / "labels", "--table", table, "--overwrite").code == 0
    assert rows(table)


def test_without_a_readable_file_there_is_no_table(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    done = run("measure", tmp_path / "a.tif", "--table", tmp_path / "t.csv")
    assert done.code != 0
    assert "could be measured" in done.err
    assert not (tmp_path / "t.csv").exists()
