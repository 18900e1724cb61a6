"""What `predict` writes, and what it says of images that it cannot predict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.files import read_image, save_model
from napari_unet.samples import draw_touching_cells
from tests.cli.commands import SIDE, Run, program, untrained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (["--views", 3], "1, 2, 4 or 8"),
        (["--views", 0], "1, 2, 4 or 8"),
        (["--tile", 0], "--tile"),
        (["--device", "abacus"], "choose auto or"),
        (["--set", "threshold=2"], "a number from 0"),
        (["--set", "width=3"], "choose"),
    ],
)
def test_an_impossible_option_of_predict_is_wrong_usage(
    options: list[object], about: str, model: Path, folders: Path, run: Run
) -> None:
    done = run("predict", model, folders / "images", "--out", folders / "out", *options)
    assert done.code == 2
    assert about in done.sentence
    assert not (folders / "out").exists()


def test_views_decide_the_probabilities(model: Path, folders: Path, run: Run) -> None:
    found = []
    for views in (1, 8):
        out = folders / f"out{views}"
        ask = ["predict", model, folders / "images" / "p0.tif", "--out", out, "--probabilities"]
        assert run(*ask, "--views", views).code == 0
        found.append(tifffile.imread(out / "p0_probability.tif"))
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_values_have_no_probabilities(folders: Path, run: Run) -> None:
    path = save_model(untrained(task="regression"), folders / "values.safetensors")
    out = folders / "out"
    done = run("predict", path, folders / "images", "--out", out, "--probabilities")
    assert done.code == 2
    assert "leave --probabilities away" in done.sentence
    assert not out.exists()


def test_every_image_that_can_be_is_predicted_and_each_other_is_reported(
    folders: Path, model: Path, run: Run
) -> None:
    images = folders / "images"
    whole = (images / "p0.tif").read_bytes()
    broken = {
        "p1.tif": "is damaged or not a TIFF image",
        "p2.tif": "25 pixels that are NaN or infinite",
        "p3.tif": "the image has 3 channels",
        "p4.tif": "the image has 2 channels",
        "p5.png": "is damaged or not a PNG image",
    }
    (images / "p1.tif").write_bytes(whole[:300])
    tifffile.imwrite(images / "p2.tif", np.full((5, 5), np.nan, np.float32))
    tifffile.imwrite(images / "p3.tif", np.ones((20, 20, 3), np.uint8), photometric="rgb")
    channels = {"imagej": True, "metadata": {"axes": "CYX"}}
    tifffile.imwrite(images / "p4.tif", np.ones((2, 20, 20), np.uint8), **channels)
    (images / "p5.png").write_bytes(whole)
    (images / "p6.tif").write_bytes(whole)
    done = run("predict", model, images, "--out", folders / "out")
    assert done.code == 1
    assert sorted(path.name for path in (folders / "out").iterdir()) == ["p0.tif", "p6.tif"]
    complaints = done.err.splitlines()
    assert len(complaints) == len(broken)
    for complaint, (name, about) in zip(complaints, broken.items(), strict=True):
        assert complaint.startswith("napari-unet: ")
        assert name in complaint
        assert about in complaint
        assert f"{name}: failed" in done.out


def test_a_stack_of_classes_has_the_values_that_were_painted(folders: Path, run: Run) -> None:
    values = (3, 70_000)
    path = save_model(untrained(task="classes", values=values), folders / "c.safetensors")
    stack = np.random.default_rng(0).integers(0, 200, (2, 20, 30)).astype(np.uint16)
    tifffile.imwrite(folders / "stack.tif", stack, photometric="minisblack")
    done = run("predict", path, folders / "stack.tif", "--out", folders / "o", "--probabilities")
    assert (done.code, done.err) == (0, "")
    likely = read_image(folders / "o" / "stack_probability.tif").data.argmax(axis=1)
    written = tifffile.imread(folders / "o" / "stack.tif")
    np.testing.assert_array_equal(written, np.array(values)[likely])
    assert set(np.unique(written)) == set(values)


@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (3, 40, 30)])
def test_any_size_is_predicted(
    shape: tuple[int, ...], tmp_path: Path, model: Path, run: Run
) -> None:
    image = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    more = ["--out", tmp_path / "out", "--probabilities", "--tile", 16]
    done = run("predict", model, tmp_path / "a.tif", *more)
    assert (done.code, done.err) == (0, "")
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == shape
    probabilities = read_image(tmp_path / "out" / "a_probability.tif").data
    assert probabilities.shape == (*(shape[:-2] or (1,)), 2, *shape[-2:])


def test_other_pixels_than_those_trained_on_are_told_and_can_be_ignored(
    tmp_path: Path, run: Run
) -> None:
    model = save_model(replace(untrained(), pixel_size=0.5), tmp_path / "m.safetensors")
    image = draw_touching_cells((SIDE, SIDE), 6, 0)[0]
    (tmp_path / "images").mkdir()
    sizes = {"a": (0.25, 0.25), "b": (0.5, 0.5), "c": (50.0, 50.0), "d": (0.5, 1.0)}
    for name, (x, y) in sizes.items():
        how = {"imagej": True, "resolution": (1 / x, 1 / y), "metadata": {"unit": "um"}}
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image, **how)
    ask = ["predict", model, tmp_path / "images", "--out", tmp_path / "out"]
    done = run(*ask)
    assert done.code == 1
    first, second = (line for line in done.out.splitlines() if line.startswith(("a.tif", "b.tif")))
    assert "0.25 µm, not 0.5 µm" in first
    assert "µm" not in second
    assert "c.tif" in done.sentence
    assert "ignore pixel sizes" in done.sentence
    [oblong] = (line for line in done.out.splitlines() if line.startswith("d.tif"))
    assert "Pixels 0.5 µm wide and 1 µm high" in oblong
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == (SIDE, SIDE)
    done = run(*ask, "--ignore-pixel-size", "--overwrite")
    assert (done.code, done.err) == (0, "")
    assert "µm" not in done.out


def test_colour_where_grey_was_trained_is_refused(tmp_path: Path, model: Path, run: Run) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 20, 3), np.uint8), photometric="rgb")
    done = run("predict", model, tmp_path / "a.tif", "--out", tmp_path / "out")
    assert done.code == 1
    assert "a.tif: the image has 3 channels" in done.sentence


def test_a_stack_cut_between_its_slices_is_refused(folders: Path, model: Path) -> None:
    path = folders / "images" / "p1.tif"
    tifffile.imwrite(path, np.ones((8, SIDE, SIDE), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        fifth = file.pages[4].offset
    path.write_bytes(path.read_bytes()[:fifth])
    process = program("predict", model, path, "--out", folders / "out")
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    [sentence] = complaints.splitlines()
    assert "p1.tif is damaged" in sentence


def test_labels_in_the_folder_of_the_images_are_no_images(
    folders: Path, model: Path, run: Run
) -> None:
    for path in (folders / "labels").iterdir():
        path.rename(folders / "images" / path.name)
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 0
    assert "p1_masks.tif, p2_masks.tif: named like labels of the images" in done.sentence
    assert sorted(path.name for path in (folders / "out").iterdir()) == [
        "p0.tif",
        "p1.tif",
        "p2.tif",
    ]
    scored = run("evaluate", folders / "images", folders / "out", "--json")
    assert scored.code == 0
    assert not scored.err


def test_pictures_that_cannot_be_read_are_named(folders: Path, model: Path, run: Run) -> None:
    (folders / "images" / "q.czi").write_bytes(b"")
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 0
    assert "q.czi: left out, for this kind of file cannot be read" in done.sentence
