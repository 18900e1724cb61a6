"""Labels and probabilities out."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from napari_unet.files import (
    FileError,
    label_file,
    probability_file,
    read_image,
    read_labels,
    read_values,
    write_labels,
    write_probabilities,
    write_values,
)

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "a.ome.tif", "a.zarr", "a.ome.zarr"])
@pytest.mark.parametrize("shape", [(30, 40), (5, 30, 40), (3, 30, 40), (1, 1)])
@pytest.mark.parametrize("largest", [1, 65_535, 65_536, 2**32 - 1])
def test_labels_come_back(tmp_path: Path, name: str, shape: tuple[int, ...], largest: int) -> None:
    labels = RNG.integers(0, largest + 1, shape)
    labels.flat[0] = largest
    assert write_labels(tmp_path / name, labels, pixel_size=0.25) == tmp_path / name
    found = read_labels(tmp_path / name)
    assert found.dtype == (np.uint16 if largest <= 65_535 else np.uint32)
    np.testing.assert_array_equal(found, labels.reshape(-1, *shape[-2:]))
    assert read_image(tmp_path / name).pixel_size == pytest.approx(0.25)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize("shape", [(2, 30, 40), (3, 30, 40), (5, 2, 30, 40), (5, 3, 30, 40)])
def test_probabilities_come_back(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    probabilities = RNG.random(shape)
    write_probabilities(tmp_path / name, probabilities, pixel_size=0.5)
    image = read_image(tmp_path / name)
    assert image.data.dtype == np.float32
    expected = probabilities.astype(np.float32).reshape(-1, *shape[-3:])
    np.testing.assert_array_equal(image.data, expected)
    assert image.pixel_size == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ((1, 30, 40), (30, 40)),
        ((2, 30, 40), (2, 30, 40)),
        ((3, 30, 40), (3, 30, 40)),
        ((5, 1, 30, 40), (5, 30, 40)),
        ((5, 4, 30, 40), (5, 4, 30, 40)),
        ((1, 1, 1), (1, 1)),
    ],
)
def test_values_come_back(
    tmp_path: Path, name: str, shape: tuple[int, ...], stored: tuple[int, ...]
) -> None:
    values = RNG.normal(0, 1e3, shape)
    values.flat[0] = np.nan
    write_values(tmp_path / name, values, pixel_size=0.5)
    found = read_values(tmp_path / name)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float32).reshape(-1, *shape[-3:]))
    if name == "a.tif":
        assert tifffile.imread(tmp_path / name).shape == stored


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int16])
def test_planes_of_a_picture_are_its_outputs(tmp_path: Path, dtype: Any) -> None:
    values = RNG.integers(0, 99, (5, 30, 40)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read_values(tmp_path / "a.tif").shape == (5, 1, 30, 40)
    found = read_values(tmp_path / "a.tif", slices=1)
    np.testing.assert_array_equal(found, values[None])
    assert found.dtype == dtype


@pytest.mark.parametrize("samples", [2, 3, 4, 5])
@pytest.mark.parametrize("slices", [(), (3,)])
def test_every_sample_of_a_tiff_is_an_output(
    tmp_path: Path, samples: int, slices: tuple[int, ...]
) -> None:
    values = RNG.normal(0, 1, (*slices, 20, 30, samples)).astype(np.float32)
    outputs = np.moveaxis(values, -1, -3).reshape(-1, samples, 20, 30)
    how = [{"photometric": "minisblack", "planarconfig": "contig"}]
    if samples in (3, 4):  # tifffile and other programs write these as colours, the last as alpha
        how += [{"photometric": "rgb"}]
    for options in how:
        tifffile.imwrite(tmp_path / "a.tif", values, **options)
        np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), outputs)


@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_sample_of_a_png_is_an_output(tmp_path: Path, samples: int, dtype: Any) -> None:
    values = RNG.integers(0, 200, (20, 30, samples)).astype(dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    found = read_values(tmp_path / "a.png", slices=1)
    np.testing.assert_array_equal(found, np.moveaxis(values, -1, 0)[None])
    assert read_image(tmp_path / "a.png").data.shape[1] == (1 if samples == 2 else 3)


def test_values_need_their_axes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(30, 40\) must have the axes"):
        write_values(tmp_path / "a.tif", np.zeros((30, 40)))


def test_a_tiff_is_compressed_and_its_axes_and_calibration_are_imagej_s(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.ones((5, 300, 300), dtype=int), pixel_size=0.5)
    assert (tmp_path / "a.tif").stat().st_size < 5 * 300 * 300
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["unit"], file.imagej_metadata["slices"]) == ("um", 5)


def test_the_names_of_outputs(tmp_path: Path) -> None:
    assert label_file(tmp_path, "cells") == tmp_path / "cells.tif"
    assert probability_file(tmp_path, "cells") == tmp_path / "cells_probability.tif"


def test_an_ome_zarr_says_that_it_holds_labels(tmp_path: Path) -> None:
    labels = RNG.integers(0, 9, (2, 1500, 60))
    write_labels(tmp_path / "cells.zarr", labels, pixel_size=0.5)
    attributes = zarr.open_group(tmp_path / "cells.zarr", mode="r").attrs.asdict()
    multiscale = attributes["multiscales"][0]
    assert attributes["image-label"] == {"version": "0.4"}
    assert multiscale["name"] == "cells"
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    scales = [d["coordinateTransformations"][0]["scale"] for d in multiscale["datasets"]]
    assert scales == [[1.0, 0.5, 0.5], [1.0, 1.0, 1.0]]
    coarse = zarr.open_array(tmp_path / "cells.zarr" / "1", mode="r")[...]
    np.testing.assert_array_equal(coarse, labels[:, ::2, ::2])


def test_another_program_reads_the_ome_zarr(tmp_path: Path) -> None:
    reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr is not installed")
    parse_url = pytest.importorskip("ome_zarr.io").parse_url
    labels = RNG.integers(0, 9, (4, 30, 40))
    write_labels(tmp_path / "a.zarr", labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = list(reader.Reader(parse_url(tmp_path / "a.zarr"))())
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), labels)
    maps = RNG.random((4, 2, 30, 40), dtype=np.float32)
    write_probabilities(tmp_path / "p.zarr", maps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = list(reader.Reader(parse_url(tmp_path / "p.zarr"))())
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), maps.swapaxes(0, 1))
    np.testing.assert_array_equal(read_image(tmp_path / "p.zarr").data, maps)


def test_what_may_pass_four_gigabytes_is_a_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.files.tiff._IMAGEJ_BYTES", 1000)
    maps = RNG.random((2, 2, 30, 40), dtype=np.float32)
    write_probabilities(tmp_path / "small.tif", maps[0, :, :5, :5])
    with tifffile.TiffFile(tmp_path / "small.tif") as file:
        assert not file.is_bigtiff
    write_probabilities(tmp_path / "large.tif", maps)
    with tifffile.TiffFile(tmp_path / "large.tif") as file:
        assert file.is_bigtiff
    np.testing.assert_array_equal(read_image(tmp_path / "large.tif").data, maps)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_what_exists_is_kept_unless_overwriting_is_allowed(tmp_path: Path, name: str) -> None:
    first, second = np.ones((4, 4), dtype=int), np.full((4, 4), 2)
    write_labels(tmp_path / name, first)
    with pytest.raises(FileError, match="exists already"):
        write_labels(tmp_path / name, second)
    np.testing.assert_array_equal(read_labels(tmp_path / name)[0], first)
    write_labels(tmp_path / name, second, overwrite=True)
    np.testing.assert_array_equal(read_labels(tmp_path / name)[0], second)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.full((4, 4), -1), "label -1"),
        (np.full((4, 4), 2**32), "label 4294967296"),
        (np.zeros((4, 4)), "float64"),
        (np.zeros(4, dtype=int), r"\(4,\)"),
        (np.zeros((0, 4), dtype=int), r"\(0, 4\)"),
    ],
)
def test_what_is_no_label_is_refused(tmp_path: Path, labels: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_labels(tmp_path / "a.tif", labels)


def test_an_ending_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"\.tif or \.zarr"):
        write_labels(tmp_path / "a.png", np.ones((4, 4), dtype=int))
