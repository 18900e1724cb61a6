"""Images, labels and values in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.files.errors import FileError
from napari_unet.files.names import SUFFIXES, stem
from napari_unet.files.ome_zarr import read_ome_zarr
from napari_unet.files.png import read_png
from napari_unet.files.stored import to_zcyx
from napari_unet.files.tiff import read_tiff

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from napari_unet.files.stored import StoredArray

__all__ = ["ImageFile", "read_image", "read_labels", "read_values"]


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image from a file.

    Attributes
    ----------
    data
        (Z, C, Y, X), in the file's own type; Z == 1 for a 2D picture, C == 3 for a colour one.
        A series of stacks is one long stack, time point after time point.
    is_stack
        Whether there is more than one slice.
    pixel_size
        Micrometres per pixel in y and x, None where the file does not say or they differ.
    name
        The file's name without its ending.
    path
        Where it came from.
    note
        What a person should know of the pixel size; mostly empty.
    """

    data: NDArray[Any]
    is_stack: bool
    pixel_size: float | None
    name: str
    path: Path
    note: str = ""


def read_image(path: str | os.PathLike[str]) -> ImageFile:
    """Read a TIFF, OME-TIFF, ImageJ hyperstack, PNG or OME-Zarr.

    The file's metadata decide what is a slice and what a channel. Without any, the first axis of
    three is a series of slices; a last axis of 3 or 4 is the colour, whose alpha is dropped.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a picture.
    """
    source = Path(path)
    stored = _read(source, labels=False)
    data = _to_zcyx(source, stored)
    is_stack = data.shape[0] > 1
    return ImageFile(data, is_stack, stored.pixel_size, stem(source), source, stored.note)


def read_labels(path: str | os.PathLike[str], *, unlabelled: int | None = None) -> NDArray[Any]:
    """Read a label image.

    Parameters
    ----------
    path
        A file, or an OME-Zarr folder.
    unlabelled
        A value that says nothing; it alone may be negative, and stays as it is.

    Returns
    -------
    ndarray
        (Z, Y, X) integers >= 0 or `unlabelled`, in the file's own type; Z == 1 for a 2D picture.

    Raises
    ------
    FileError
        If the file is missing, damaged, coloured, or holds other than whole numbers >= 0.
    """
    source = Path(path)
    stored = _read(source, labels=True)
    stored = replace(stored, axes=_without_channels(stored.axes))
    data = _to_zcyx(source, stored)
    if (data[:, 1:] != data[:, :1]).any():
        raise FileError(
            f"{source} is a picture of {data.shape[1]} colours; labels are one number per pixel"
        )
    return _whole_numbers(source, data[:, 0], unlabelled)


def read_values(path: str | os.PathLike[str], *, slices: int | None = None) -> NDArray[Any]:
    """Read the values that a regression learns or has predicted.

    Parameters
    ----------
    path
        A file, or an OME-Zarr folder. Its channels are the outputs, and so are the samples of a
        colour picture: all of them, for programs write any four values as colours with alpha.
    slices
        How many slices the image of these values has, where it is known: for a 2D picture, planes
        that a file takes for slices are outputs.

    Returns
    -------
    ndarray
        (Z, K, Y, X) in the file's own type, Z == 1 for a 2D picture; NaN where nothing is known.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds no real numbers.
    """
    source = Path(path)
    values = _to_zcyx(source, _read(source, labels=False), alpha=True)
    planes = slices == 1 and values.shape[0] > 1 and values.shape[1] == 1
    return np.moveaxis(values, 0, 1) if planes else values


def _read(path: Path, *, labels: bool) -> StoredArray:
    name = path.name.lower()
    if path.is_dir():
        return read_ome_zarr(path, labels=labels)
    if name.endswith((".tif", ".tiff")):
        return read_tiff(path)
    if name.endswith(".png"):
        return read_png(path, indices=labels)
    if not path.exists():
        raise FileError(f"{path} cannot be read: there is no such file or folder")
    endings = ", ".join(sorted(suffix for suffix in SUFFIXES if not suffix.startswith(".ome")))
    raise FileError(f"{path} is not a picture that can be read; use {endings}")


def _without_channels(axes: str) -> str:
    """Read planes of labels as slices, whatever the program that wrote them took them for.

    Only a colour picture's samples, after Y and X, stay what they are.
    """
    planes, x, samples = axes.partition("X")
    return planes.replace("C", "Q").replace("S", "Q") + x + samples


def _to_zcyx(path: Path, stored: StoredArray, *, alpha: bool = False) -> NDArray[Any]:
    try:
        return to_zcyx(stored, alpha=alpha)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error


def _whole_numbers(path: Path, labels: NDArray[Any], unlabelled: int | None) -> NDArray[Any]:
    if labels.dtype.kind == "f":
        rounded = np.round(labels)
        if not (np.array_equal(rounded, labels) and abs(labels).max() <= 2**53):
            raise FileError(
                f"{path} holds fractions or NaN; labels are whole numbers, values are "
                "for the task regression"
            )
        labels = rounded.astype(np.int64)
    if labels.min() < 0:
        negative = labels[labels < 0]
        wrong = negative if unlabelled is None else negative[negative != unlabelled]
        if wrong.size:
            raise FileError(f"{path} holds {wrong.min()}; labels are 0 or more")
    return np.ascontiguousarray(labels)
