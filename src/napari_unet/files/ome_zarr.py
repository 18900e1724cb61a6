"""OME-Zarr (NGFF 0.4 and 0.5) images and label images, on the local disk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_unet.files.errors import FileError, reading
from napari_unet.files.stored import StoredArray, believable
from napari_unet.files.tiff import MICROMETRES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["holds_labels", "is_zarr", "read_ome_zarr", "write_ome_zarr"]

_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_SMALLEST = 1024


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr store."""
    return path.is_dir() and any(
        (path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json", ".zattrs")
    )


def holds_labels(path: Path) -> bool:
    """Tell whether a Zarr store says that its values are labels.

    As OME-Zarr, or as the plain array that `predict_volume` makes.
    """
    with reading(path, "an OME-Zarr image"):
        node = zarr.open(path, mode="r", use_consolidated=False)
        if isinstance(node, zarr.Array):
            return "last_label" in node.attrs
        return "image-label" in _metadata(node)


def read_ome_zarr(path: Path, *, labels: bool = False) -> StoredArray:
    """Read the full resolution of an OME-Zarr image.

    Parameters
    ----------
    path
        The folder of the image, or of one plain Zarr array.
    labels
        Take the label image inside ``labels/`` if the picture has one.

    Raises
    ------
    FileError
        If it is damaged, a plate, or holds several pictures or label images.
    """
    with reading(path, "an OME-Zarr image"):
        # Another program may have added labels and left the consolidated list of groups as it was.
        node = zarr.open(path, mode="r", use_consolidated=False)
        if isinstance(node, zarr.Array):
            return StoredArray(np.asarray(node[...]), _unnamed(node.ndim))
        return _read_image(path, _label_image(path, node) if labels else _image(path, node))


def write_ome_zarr(
    path: Path,
    data: NDArray[Any],
    axes: str,
    *,
    name: str,
    pixel_size: float | None = None,
    labels: bool = False,
) -> None:
    """Write an OME-Zarr 0.4 image with coarser copies for large ones.

    Parameters
    ----------
    path
        The folder, which must not exist.
    data
        The array.
    axes
        One letter of T, C, Z, Y, X per axis, in this order.
    name
        What viewers call the image.
    pixel_size
        Micrometres per pixel in y and x.
    labels
        Say in the metadata that the values are labels.
    """
    group = zarr.open_group(path, mode="w-", zarr_format=2)
    datasets = []
    for level, array in enumerate(_pyramid(data)):
        chunks = (*(1,) * (array.ndim - 2), *(min(512, size) for size in array.shape[-2:]))
        stored = group.create_array(
            str(level),
            shape=array.shape,
            dtype=array.dtype,
            chunks=chunks,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        stored[...] = array
        step = float(2**level) * (pixel_size or 1.0)
        scale = [step if axis in "YX" else 1.0 for axis in axes]
        transformation = {"type": "scale", "scale": scale}
        datasets.append({"path": str(level), "coordinateTransformations": [transformation]})
    multiscale: dict[str, Any] = {"version": "0.4", "name": name, "datasets": datasets}
    multiscale["axes"] = [_axis(letter, pixel_size) for letter in axes]
    group.attrs["multiscales"] = [multiscale]
    if labels:
        group.attrs["image-label"] = {"version": "0.4"}


def _axis(letter: str, pixel_size: float | None) -> dict[str, str]:
    axis = {"name": letter.lower(), "type": _TYPES[letter]}
    return {**axis, "unit": "micrometer"} if pixel_size and letter in "YX" else axis


def _pyramid(data: NDArray[Any]) -> list[NDArray[Any]]:
    """Halve y and x by leaving out, which invents no label, until the picture is small."""
    levels = [data]
    while max(levels[-1].shape[-2:]) > _SMALLEST:
        levels.append(levels[-1][..., ::2, ::2])
    return levels


def _metadata(group: zarr.Group) -> Mapping[str, Any]:
    attributes: Mapping[str, Any] = group.attrs.asdict()
    newer = attributes.get("ome")
    return newer if isinstance(newer, dict) else attributes


def _image(path: Path, group: zarr.Group) -> zarr.Group:
    """Find the one image in a store: at its top, or the only one of a converted file."""
    metadata = _metadata(group)
    if "multiscales" in metadata:
        return group
    if "plate" in metadata or "well" in metadata:
        raise FileError(f"{path} is a plate of many pictures; give one of its fields")
    names = [name for name, child in group.groups() if "multiscales" in _metadata(child)]
    if len(names) != 1:
        raise FileError(f"{path} holds {len(names)} OME-Zarr pictures; give the folder of one")
    return _child(group, names[0])


def _label_image(path: Path, group: zarr.Group) -> zarr.Group:
    """Find the label image: the only one under ``labels/``, or the image itself."""
    image = _image(path, group)
    if "labels" not in image:
        return image
    names = [name for name, _ in _child(image, "labels").groups()]
    if len(names) != 1:
        found = ", ".join(sorted(names)) or "none"
        raise FileError(f"{path} must hold one label image, not {len(names)} ({found})")
    return _child(_child(image, "labels"), names[0])


def _child(group: zarr.Group, name: str) -> zarr.Group:
    child = group[name]
    if not isinstance(child, zarr.Group):
        raise FileError(f"{name!r} should be a group of the OME-Zarr store")
    return child


def _read_image(path: Path, group: zarr.Group) -> StoredArray:
    multiscale = _metadata(group)["multiscales"][0]
    dataset = multiscale["datasets"][0]
    array = group[dataset["path"]]
    if not isinstance(array, zarr.Array):
        raise FileError(f"{path} lacks its full resolution, {dataset['path']!r}")
    described = multiscale.get("axes") or [{"name": letter} for letter in "tczyx"]
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in described]
    letters = "".join(str(axis["name"])[0].upper() for axis in axes)
    sides = (_pixel_side(axes, letters.index(axis), dataset, multiscale) for axis in "YX")
    return StoredArray(np.asarray(array[...]), letters, *believable(*sides))


def _pixel_side(
    axes: list[Mapping[str, str | None]], axis: int, *described: Mapping[str, Any]
) -> float | None:
    """Multiply the scales of a dataset and of the multiscale that it belongs to."""
    factor = MICROMETRES.get((axes[axis].get("unit") or "").lower())
    scales = [
        float(transformation["scale"][axis])
        for each in described
        for transformation in each.get("coordinateTransformations", [])
        if transformation.get("type") == "scale"
    ]
    return math.prod(scales) * factor if scales and factor else None


def _unnamed(ndim: int) -> str:
    return "Q" * (ndim - 2) + "YX"
