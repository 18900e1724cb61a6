"""Which files are images, and which labels belong to which."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_unet.files import (
    FileError,
    ImagePair,
    image_paths,
    match_labels,
    stem,
    unread_pictures,
    write_labels,
)

if TYPE_CHECKING:
    from pathlib import Path


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def names(pairs: list[ImagePair]) -> list[tuple[str, str]]:
    return [(image.name, labels.name) for image, labels in pairs]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a"),
        ("a.b.TIFF", "a.b"),
        ("a.ome.tif", "a"),
        ("a.OME.TIF", "a"),
        ("a.ome.zarr", "a"),
        ("a.zarr", "a"),
        ("a.PNG", "a"),
        ("a.b", "a.b"),
    ],
)
def test_the_stem_is_the_name_without_its_ending(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_a_folder_lists_its_images_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif", "a.PNG", "c.ome.tiff", "notes.txt", ".hidden.tif", "._b.tif")
    (tmp_path / "folder.tif").mkdir()
    write_labels(tmp_path / "d.zarr", np.ones((4, 4), dtype=int))
    assert [path.name for path in image_paths(tmp_path)] == [
        "a.PNG",
        "b.tif",
        "c.ome.tiff",
        "d.zarr",
    ]


def test_a_file_and_an_ome_zarr_are_one_image(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif")
    write_labels(tmp_path / "d.zarr", np.ones((4, 4), dtype=int))
    assert image_paths(tmp_path / "b.tif") == [tmp_path / "b.tif"]
    assert image_paths(tmp_path / "d.zarr") == [tmp_path / "d.zarr"]


@pytest.mark.parametrize("name", ["missing", "text.txt", "empty"])
def test_nothing_to_read_is_said(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "text.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=name):
        image_paths(tmp_path / name)


@pytest.mark.parametrize(
    "labels", ["a.tif", "a.PNG", "a_masks.png", "a_cp_masks.tif", "a_labels.ome.tif"]
)
def test_labels_are_named_after_their_image(tmp_path: Path, labels: str) -> None:
    images = touch(tmp_path / "images", "a.tif")
    targets = touch(tmp_path / "labels", labels, "unrelated.tif", "._a.tif")
    assert names(match_labels(images, targets)) == [("a.tif", labels)]


def test_images_and_labels_may_lie_in_one_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_cp_masks.png", "b.tif", "b_masks.tif")
    expected = [("a.tif", "a_cp_masks.png"), ("b.tif", "b_masks.tif")]
    assert names(match_labels(tmp_path, tmp_path)) == expected


def test_true_labels_find_the_prediction_of_their_image(tmp_path: Path) -> None:
    truth = touch(tmp_path / "truth", "a_masks.tif", "b_cp_masks.tif")
    predicted = touch(tmp_path / "out", "a.tif", "a_probability.tif", "b.tif")
    expected = [("a_masks.tif", "a.tif"), ("b_cp_masks.tif", "b.tif")]
    assert names(match_labels(truth, predicted)) == expected


def test_an_exact_name_goes_before_a_shortened_one(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif", "a_masks.tif")
    labels = touch(tmp_path / "labels", "a.tif", "a_masks.tif", "a_masks_masks.tif")
    with pytest.raises(FileError, match=r"a\.tif has several labels \(a\.tif, a_masks\.tif\)"):
        match_labels(images, labels)
    (labels / "a.tif").unlink()
    (labels / "a_masks.tif").unlink()
    (labels / "a_labels.tif").touch()
    expected = [("a.tif", "a_labels.tif"), ("a_masks.tif", "a_masks_masks.tif")]
    assert names(match_labels(images, labels)) == expected


def test_two_files_belong_together_whatever_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "picture.tif", "painted.png")
    pairs = match_labels(tmp_path / "picture.tif", tmp_path / "painted.png")
    assert names(pairs) == [("picture.tif", "painted.png")]


def test_a_file_finds_its_labels_in_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_masks.tif", "b.tif")
    assert names(match_labels(tmp_path / "a.tif", tmp_path)) == [("a.tif", "a_masks.tif")]


def test_missing_labels_are_counted_and_named(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", *(f"{letter}.tif" for letter in "abcdef"))
    labels = touch(tmp_path / "labels", "a.tif")
    with pytest.raises(FileError, match=r"b\.tif, c\.tif, d\.tif and 2 more; name them b, b_masks"):
        match_labels(images, labels)


def test_one_folder_without_labels_does_not_pair_images_with_themselves(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif")
    with pytest.raises(FileError, match=r"no labels in .* for a\.tif, b\.tif"):
        match_labels(tmp_path, tmp_path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.tif", "a.png")
    with pytest.raises(FileError, match=r"a\.png and a\.tif share a name"):
        match_labels(images, touch(tmp_path / "labels", "a.tif"))


def test_accents_are_compared_however_they_are_written(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Färbung") for form in ("NFC", "NFD"))
    assert composed != apart
    for folder, name in (("images", apart), ("labels", composed)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.tif").touch()
    (pair,) = match_labels(tmp_path / "images", tmp_path / "labels")
    assert pair.labels.name == f"{composed}.tif"
    assert stem(pair.image) == composed


def test_pictures_of_other_kinds_are_listed_but_no_previews_and_no_other_files(tmp_path):
    folder = touch(tmp_path / "in", "a.tif", "a.jpg", "b.JPG", "c.czi", ".d.jpg", "e.txt", "f.csv")
    read = image_paths(folder)
    assert [path.name for path in unread_pictures(folder, read)] == ["b.JPG", "c.czi"]
    assert unread_pictures(folder / "a.tif", read) == []
