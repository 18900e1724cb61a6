"""Nothing is replaced that was not meant to be, and it is refused before the work starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from tests.cli.commands import SIDE, Run, train_on

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("tiny")
def test_no_old_image_is_replaced_by_the_model(folders: Path, run: Run) -> None:
    old = folders / "old.tif"
    tifffile.imwrite(old, np.ones((SIDE, SIDE), np.uint8))
    ask = ["train", folders / "images", folders / "labels", "--model", old, "--overwrite"]
    done = run(*ask, "--old-images", old, "--old-labels", old, "--steps", 1)
    assert done.code == 1
    assert "own result" in done.sentence


def test_an_existing_model_is_refused_before_anything_is_read(folders: Path, run: Run) -> None:
    (folders / "new.safetensors").write_text("precious")
    (folders / "images" / "p0.tif").write_text("broken")
    done = run(*train_on(folders))
    assert done.code == 1
    assert "--overwrite" in done.sentence
    assert (folders / "new.safetensors").read_text() == "precious"


@pytest.mark.parametrize("place", ["images/p0.tif", "labels/p0_masks.tif", "regions/p0.tif"])
def test_no_input_is_replaced_by_the_model(place: str, folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    tifffile.imwrite(folders / "regions" / "p0.tif", np.ones((SIDE, SIDE), np.uint8))
    before = (folders / place).read_bytes()
    where = [folders / "images", folders / "labels", "--regions", folders / "regions"]
    done = run("train", *where, "--model", folders / place, "--overwrite", "--steps", 1)
    assert done.code == 1
    assert "own result" in done.sentence
    assert (folders / place).read_bytes() == before


def test_a_file_is_no_place_for_several(folders: Path, model: Path, run: Run) -> None:
    out = folders / "result.tif"
    done = run("predict", model, folders / "images", "--out", out)
    assert done.code == 1
    assert "go into a folder" in done.sentence
    assert not out.exists()


def test_a_folder_is_no_model_to_write(folders: Path, run: Run) -> None:
    (folders / "new.zarr").mkdir()
    (folders / "images" / "p0.tif").write_text("broken")  # it is refused before anything is read
    where = [folders / "images", folders / "labels", "--model", folders / "new.zarr"]
    done = run("train", *where, "--overwrite", "--steps", 1)
    assert done.code == 1
    assert "is a folder" in done.sentence


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_no_input_is_replaced_by_its_own_result(
    options: list[str], folders: Path, model: Path, run: Run
) -> None:
    before = (folders / "images" / "p0.tif").read_bytes()
    done = run("predict", model, folders / "images", "--out", folders / "images", *options)
    assert done.code == 1
    assert "own result" in done.sentence
    assert (folders / "images" / "p0.tif").read_bytes() == before


def test_existing_results_are_refused_before_the_work_starts(
    folders: Path, model: Path, run: Run
) -> None:
    (folders / "out").mkdir()
    (folders / "out" / "p2.tif").write_text("precious")
    ask = ["predict", model, folders / "images", "--out", folders / "out"]
    done = run(*ask)
    assert done.code == 1
    assert "p2.tif" in done.sentence
    assert [path.name for path in (folders / "out").iterdir()] == ["p2.tif"]
    assert run(*ask, "--overwrite").code == 0
    assert tifffile.imread(folders / "out" / "p2.tif").shape == (SIDE, SIDE)


def test_two_images_of_one_stem_are_refused(folders: Path, model: Path, run: Run) -> None:
    tifffile.imwrite(folders / "images" / "p0.tiff", np.ones((9, 9), np.uint8))
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 1
    assert "several inputs would be written to p0.tif" in done.sentence
    assert not (folders / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused(folders: Path, model: Path, run: Run) -> None:
    (folders / "out").write_text("precious")
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 1
    assert "cannot write into" in done.sentence
    assert (folders / "out").read_text() == "precious"
