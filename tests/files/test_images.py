"""Images and labels in, from every format."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_unet.files import FileError, read_image, read_labels, write_labels, write_values
from napari_unet.files.ome_zarr import write_ome_zarr

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)


def numbers(*shape: int, dtype: Any = np.uint16) -> Any:
    return RNG.integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64", ">u2"])
def test_a_tiff_keeps_its_values(tmp_path: Path, compression: str | None, dtype: str) -> None:
    data = numbers(12, 13, dtype=dtype)
    tifffile.imwrite(tmp_path / "cells.tif", data, compression=compression)
    image = read_image(tmp_path / "cells.tif")
    np.testing.assert_array_equal(image.data[0, 0], data)
    assert image.data.dtype == np.dtype(dtype).newbyteorder("=")
    assert (image.data.shape, image.is_stack, image.name) == ((1, 1, 12, 13), False, "cells")


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("YX", (8, 9), (1, 1, 8, 9)),
        ("ZYX", (5, 8, 9), (5, 1, 8, 9)),
        ("TYX", (5, 8, 9), (5, 1, 8, 9)),
        ("CYX", (2, 8, 9), (1, 2, 8, 9)),
        ("ZCYX", (5, 2, 8, 9), (5, 2, 8, 9)),
        ("TZCYX", (3, 5, 2, 8, 9), (15, 2, 8, 9)),
    ],
)
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_metadata_tell_slices_from_channels(
    tmp_path: Path, axes: str, shape: tuple[int, ...], expected: tuple[int, ...], kind: str
) -> None:
    data = numbers(*shape)
    path = tmp_path / ("cells.ome.tif" if kind == "ome" else "cells.tif")
    metadata = {"axes": axes}
    tifffile.imwrite(path, data, metadata=metadata, photometric="minisblack", **{kind: True})
    image = read_image(path)
    np.testing.assert_array_equal(image.data, data.reshape(expected))
    assert (image.is_stack, image.name) == (expected[0] > 1, "cells")


def test_channels_before_slices_are_put_behind_them(tmp_path: Path) -> None:
    data = numbers(2, 5, 8, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "CZYX"}, ome=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").data, data.swapaxes(0, 1))


def test_pages_without_metadata_are_slices(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers(6, 8, 9), metadata=None)
    assert read_image(tmp_path / "a.tif").data.shape == (6, 1, 8, 9)


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("ending", ["tif", "png"])
def test_colour_is_three_channels_and_alpha_is_dropped(
    tmp_path: Path, samples: int, dtype: type, ending: str
) -> None:
    data = numbers(8, 9, samples, dtype=dtype)
    path = tmp_path / f"a.{ending}"
    if ending == "tif":
        tifffile.imwrite(path, data, photometric="rgb")
    else:
        path.write_bytes(imagecodecs.png_encode(data))
    image = read_image(path)
    np.testing.assert_array_equal(image.data, data[..., :3].transpose(2, 0, 1)[None])


def test_a_stack_of_colour_pictures(tmp_path: Path) -> None:
    data = numbers(5, 8, 9, 3, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, data.transpose(0, 3, 1, 2))


def test_four_samples_that_are_no_colour_stay_four_channels(tmp_path: Path) -> None:
    data = numbers(8, 9, 4)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data[0], data.transpose(2, 0, 1))


@pytest.mark.parametrize(("unit", "factor"), [("um", 1.0), ("micron", 1.0), ("nm", 1e-3)])
def test_imagej_tells_the_pixel_size(tmp_path: Path, unit: str, factor: float) -> None:
    path = tmp_path / "a.tif"
    options = {"imagej": True, "resolution": (4, 4), "metadata": {"unit": unit}}
    tifffile.imwrite(path, numbers(8, 9), **options)
    assert read_image(path).pixel_size == pytest.approx(0.25 * factor)


@pytest.mark.parametrize(("unit", "factor"), [("µm", 1.0), ("mm", 1e3), ("nm", 1e-3)])
def test_ome_tells_the_pixel_size(tmp_path: Path, unit: str, factor: float) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", numbers(8, 9), metadata=metadata)
    assert read_image(tmp_path / "a.ome.tif").pixel_size == pytest.approx(0.65 * factor)


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": (72, 72), "resolutionunit": "INCH"},
        {"resolution": (28.346, 28.346), "resolutionunit": "CENTIMETER"},
        {"resolution": (118.11, 118.11), "resolutionunit": "CENTIMETER"},
        {"resolution": (1, 1), "resolutionunit": "CENTIMETER"},
        {"resolution": (72, 72), "metadata": {"unit": "inch"}, "imagej": True},
        {"resolution": (2, 2), "metadata": {"unit": "pixel"}, "imagej": True},
        {"resolution": (2, 2)},
    ],
)
def test_dots_of_screens_and_printers_are_no_pixel_size(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, numbers(8, 9), **options)
    assert read_image(path).pixel_size is None


def test_a_resolution_per_centimetre_tells_the_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    options = {"resolution": (15384.6, 15384.6), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, numbers(8, 9), **options)
    assert read_image(path).pixel_size == pytest.approx(0.65, rel=1e-4)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "1e9"])
def test_a_size_that_no_microscope_has_is_unknown(tmp_path: Path, size: str) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, numbers(8, 9), metadata={"axes": "YX", "PhysicalSizeX": size})
    assert read_image(path).pixel_size is None


@pytest.mark.parametrize("kind", ["ome", "imagej", "centimetre", "zarr"])
@pytest.mark.parametrize(("height", "width"), [(1.0, 0.5), (0.5, 1.0), (0.51, 0.5)])
def test_pixels_that_are_not_square_have_no_size_and_it_is_told(
    tmp_path: Path, kind: str, height: float, width: float
) -> None:
    path = tmp_path / ("a.zarr" if kind == "zarr" else "a.tif")
    _write_with_sides(path, kind, height, width)
    image = read_image(path)
    if (height, width) == (0.51, 0.5):
        assert image.pixel_size == pytest.approx(width, rel=1e-4)
        assert image.note == ""
    else:
        assert image.pixel_size is None
        assert f"Pixels {width:.3g} µm wide and {height:.3g} µm high" in image.note


def _write_with_sides(path: Path, kind: str, height: float, width: float) -> None:
    if kind == "zarr":
        write_ome_zarr(path, numbers(8, 9), "YX", name="a", pixel_size=1.0)
        group = zarr.open_group(path, mode="r+")
        scale = {"type": "scale", "scale": [height, width]}
        multiscale = dict(group.attrs["multiscales"][0])
        group.attrs["multiscales"] = [{**multiscale, "coordinateTransformations": [scale]}]
        return
    options: dict[str, Any] = {
        "ome": {
            "ome": True,
            "metadata": {"axes": "YX", "PhysicalSizeX": width, "PhysicalSizeY": height},
        },
        "imagej": {
            "imagej": True,
            "resolution": (1 / width, 1 / height),
            "metadata": {"unit": "um"},
        },
        "centimetre": {
            "resolution": (1e4 / width, 1e4 / height),
            "resolutionunit": "CENTIMETER",
        },
    }
    tifffile.imwrite(path, numbers(8, 9), **options[kind])


def test_a_palette_png_holds_labels_by_number_and_an_image_by_colour(tmp_path: Path) -> None:
    labels = numbers(8, 9, dtype=np.uint8) % 4
    picture = Image.fromarray(labels)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png")[0], labels)
    colours = read_image(tmp_path / "a.png").data
    np.testing.assert_array_equal(colours[0, 0], np.where(labels == 1, 255, 0))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_axes_and_pixel_size(tmp_path: Path, version: str) -> None:
    data = numbers(2, 3, 8, 9)
    folder = tmp_path / "cells.ome.zarr"
    group = zarr.open_group(folder, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("full", shape=data.shape, dtype=data.dtype)[...] = data
    units = {"z": "micrometer", "y": "nanometer", "x": "nanometer"}
    axes = [{"name": name, **({"unit": units[name]} if name in units else {})} for name in "czyx"]
    scale = {"type": "scale", "scale": [1.0, 2.0, 250.0, 250.0]}
    datasets = [{"path": "full", "coordinateTransformations": [scale]}]
    metadata = {"multiscales": [{"version": version, "axes": axes, "datasets": datasets}]}
    group.attrs.update(metadata if version == "0.4" else {"ome": metadata})
    image = read_image(folder)
    np.testing.assert_array_equal(image.data, data.swapaxes(0, 1))
    assert image.pixel_size == pytest.approx(0.25)
    assert image.name == "cells"


def test_the_scales_of_an_ome_zarr_image_multiply(tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    write_ome_zarr(folder, numbers(8, 9), "YX", name="a", pixel_size=0.5)
    group = zarr.open_group(folder, mode="r+")
    multiscale = dict(group.attrs["multiscales"][0])
    scale = {"type": "scale", "scale": [0.325, 0.325]}
    group.attrs["multiscales"] = [{**multiscale, "coordinateTransformations": [scale]}]
    assert read_image(folder).pixel_size == pytest.approx(0.5 * 0.325)


def test_labels_inside_an_ome_zarr_image(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.zarr", numbers(8, 9))
    (tmp_path / "a.zarr" / "labels").mkdir()
    zarr.open_group(tmp_path / "a.zarr" / "labels", mode="w", zarr_format=2)
    labels = numbers(8, 9)
    write_labels(tmp_path / "a.zarr" / "labels" / "cells.zarr", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.zarr")[0], labels)


def test_a_plate_is_refused(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", attributes={"ome": {"plate": {}}})
    with pytest.raises(FileError, match="plate of many pictures"):
        read_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint32, np.float32])
def test_labels_are_whole_numbers_of_any_type(tmp_path: Path, dtype: type) -> None:
    labels = (numbers(4, 8, 9) % 2).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    found = read_labels(tmp_path / "a.tif")
    assert found.dtype.kind in "ui"
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"metadata": {"axes": "CYX"}}])
def test_three_planes_of_labels_are_slices(tmp_path: Path, options: dict[str, Any]) -> None:
    labels = numbers(3, 8, 9, dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(tmp_path / "a.tif", labels, **options)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels)


@pytest.mark.parametrize("planes", [2, 3, 4, 5])
def test_planes_of_unnamed_axes_are_slices_however_many(tmp_path: Path, planes: int) -> None:
    data = numbers(planes, 8, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(tmp_path / "a.tif", data)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, data[:, None])


def test_grey_labels_saved_in_colour_are_read(tmp_path: Path) -> None:
    labels = numbers(8, 9, dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.stack([labels] * 3, axis=-1)))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png")[0], labels)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.full((8, 9), 0.5, dtype=np.float32), "fractions or NaN"),
        (np.full((8, 9), np.nan, dtype=np.float32), "fractions or NaN"),
        (np.full((8, 9), np.inf, dtype=np.float32), "fractions or NaN"),
        (np.full((8, 9), -3, dtype=np.int16), "holds -3"),
        (np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3), "3 colours"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, labels: Any, sentence: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", labels)
    with pytest.raises(FileError, match=sentence):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["second", "labels of the cells"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, name: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(numbers(8, 9), metadata={"Name": "cells"})
        file.write(numbers(8, 9), metadata={"Name": name})
    with pytest.raises(FileError, match="holds 2 pictures"):
        read_image(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("others", [[(6, 7)], [(8, 9), (6, 7)], [(6, 7), (5, 4), (6, 7)]])
def test_pages_of_other_sizes_are_refused(tmp_path: Path, others: list[tuple[int, int]]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for shape in [(8, 9), *others]:
            file.write(numbers(*shape), metadata=None)
    with pytest.raises(FileError, match=r"pictures, of the shape \(.*6, 7\)"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("subifds", [0, 2])
def test_smaller_copies_of_a_picture_are_no_pictures(tmp_path: Path, subifds: int) -> None:
    data = numbers(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(data, subifds=subifds, metadata=None)
        for step in (2, 4):
            file.write(data[::step, ::step], subfiletype=1, metadata=None)
        file.write(data[::7, ::9], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data[0, 0], data)


def test_the_photograph_of_a_whole_slide_is_no_picture(tmp_path: Path) -> None:
    data = numbers(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(data, metadata={"Name": "slide 7"})
        file.write(numbers(20, 30), metadata={"Name": "macro image"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").data[0, 0], data)


@pytest.mark.parametrize("name", ["none.tif", "none.png", "none.zarr", "none.jpg"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=rf"{name} cannot be read: there is no such file"):
        read_image(tmp_path / name)


def test_another_kind_of_file_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(FileError, match=r"a\.jpg is not a picture.*\.png, \.tif"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n", RNG.bytes(3000)])
@pytest.mark.parametrize("ending", ["tif", "png"])
def test_bytes_that_are_no_picture_give_one_sentence(
    tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["shaped", "imagej", "ome", "png"])
def test_a_cut_off_file_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    data = numbers(4, 20, 20, dtype=np.uint16)
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {} if kind == "shaped" else {kind: True}
    if kind == "png":
        path, data = tmp_path / "a.png", data[:1]
        path.write_bytes(imagecodecs.png_encode(data[0]))
    else:
        options = {**options, "metadata": {"axes": "ZYX"}, "photometric": "minisblack"}
        tifffile.imwrite(path, data, **options)
    content = path.read_bytes()
    for size in range(0, len(content), 61):
        path.write_bytes(content[:size])
        try:
            found = read_image(path).data
        except FileError:
            continue
        np.testing.assert_array_equal(found[:, 0], data)


@pytest.mark.parametrize("lost", ["0/.zarray", ".zattrs"])
def test_an_ome_zarr_that_lacks_a_part_is_refused(tmp_path: Path, lost: str) -> None:
    write_labels(tmp_path / "a.zarr", numbers(8, 9))
    (tmp_path / "a.zarr" / lost).unlink()
    with pytest.raises(FileError):
        read_image(tmp_path / "a.zarr")


def test_an_ome_zarr_of_random_bytes_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.zarr", numbers(8, 9))
    (tmp_path / "a.zarr" / "0" / "0" / "0").write_bytes(RNG.bytes(100))
    with pytest.raises(FileError, match="damaged"):
        read_image(tmp_path / "a.zarr")


def _set_of(names: list[str], planes: int) -> bytes:
    """Describe a picture whose channels lie in files of these names."""
    data = "".join(
        f'<TiffData FirstC="{c}" IFD="0"><UUID FileName="{name}">urn:uuid:{c}</UUID></TiffData>'
        for c, name in enumerate(names)
    )
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="16" SizeY="12" '
        f'SizeC="{planes}" SizeZ="1" SizeT="1">{data}</Pixels></Image></OME>'
    ).encode()


@pytest.mark.parametrize("there", [1, 2])
def test_one_file_of_a_set_is_refused_and_nothing_invented(tmp_path: Path, there: int) -> None:
    names = ["c0.ome.tif", "c1.ome.tif"]
    for name in names[:there]:
        described = _set_of(names, 2)
        tifffile.imwrite(
            tmp_path / name, numbers(12, 16), description=described, metadata=None, ome=False
        )
    with pytest.raises(FileError, match="one of several files that make up one set"):
        read_image(tmp_path / "c0.ome.tif")


def test_planes_that_were_never_written_are_not_invented(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, numbers(12, 16), description=_set_of(["a.ome.tif"], 3), metadata=None, ome=False
    )
    with pytest.raises(FileError, match=r"damaged .*zeroed"):
        read_image(path)


def test_labels_that_the_consolidated_list_does_not_know_are_found(tmp_path: Path) -> None:
    picture = write_values(tmp_path / "a.zarr", np.full((1, 20, 30), 90.0))
    zarr.consolidate_metadata(picture)
    group = zarr.open_group(picture, mode="a", use_consolidated=False)
    inner = write_labels(tmp_path / "cells.zarr", np.full((20, 30), 7))
    group.create_group("labels")
    shutil.copytree(inner, picture / "labels" / "cells")
    assert read_labels(picture).max() == 7
    assert read_image(picture).data.max() == 90


def test_an_axis_without_a_unit_is_no_damage(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "a.zarr", np.full((20, 30), 7))
    group = zarr.open_group(path, mode="a")
    described = group.attrs.asdict()["multiscales"]
    for axis in described[0]["axes"]:
        axis["unit"] = None
    group.attrs["multiscales"] = described
    read = read_image(path)
    assert read.data.max() == 7
    assert read.pixel_size is None


def test_a_palette_picture_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.fromarray(numbers(40, 40, dtype=np.uint8), mode="P")
    picture.putpalette(range(256))
    picture.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(FileError, match="too large a palette picture"):
        read_labels(tmp_path / "a.png")
