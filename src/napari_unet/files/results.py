"""Labels, probabilities and values out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.files.atomic import writing
from napari_unet.files.errors import FileError
from napari_unet.files.names import stem
from napari_unet.files.ome_zarr import write_ome_zarr
from napari_unet.files.tiff import write_tiff

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["label_file", "probability_file", "write_labels", "write_probabilities", "write_values"]

_LARGEST = 2**32 - 1


def label_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Return where the labels of the image `name` go: ``STEM.tif``."""
    return Path(folder) / f"{name}.tif"


def probability_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Return where the probabilities of the image `name` go: ``STEM_probability.tif``."""
    return Path(folder) / f"{name}_probability.tif"


def write_labels(
    path: str | os.PathLike[str],
    labels: NDArray[Any],
    *,
    pixel_size: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a label image as compressed TIFF, or as OME-Zarr if the name ends in ``.zarr``.

    Parameters
    ----------
    path
        The file. Its folder must exist.
    labels
        (Y, X) or (Z, Y, X) whole numbers from 0; stored as uint16, or uint32 beyond 65,535.
    pixel_size
        Micrometres per pixel in y and x.
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
    ValueError
        If the labels have other axes or other values.
    """
    if labels.ndim not in (2, 3) or labels.size == 0:
        raise ValueError(f"labels {labels.shape} must have the axes (Y, X) or (Z, Y, X)")
    return _write(path, _label_type(labels), "ZYX", pixel_size, overwrite, labels=True)


def write_probabilities(
    path: str | os.PathLike[str],
    probabilities: NDArray[Any],
    *,
    pixel_size: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write probabilities as float32, channel 0 the background; else like `write_labels`.

    Parameters
    ----------
    path
        The file. Its folder must exist.
    probabilities
        (C, Y, X) or (Z, C, Y, X).
    pixel_size
        Micrometres per pixel in y and x.
    overwrite
        Replace a file that is there.
    """
    if probabilities.ndim not in (3, 4) or probabilities.size == 0:
        raise ValueError(
            f"probabilities {probabilities.shape} must have the axes (C, Y, X) or (Z, C, Y, X)"
        )
    data = probabilities.astype(np.float32, copy=False)
    return _write(path, data, "ZCYX", pixel_size, overwrite, labels=False)


def write_values(
    path: str | os.PathLike[str],
    values: NDArray[Any],
    *,
    pixel_size: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the values of a regression as float32; else like `write_labels`.

    Parameters
    ----------
    path
        The file. Its folder must exist.
    values
        (K, Y, X) or (Z, K, Y, X); a single output is written without an axis of its own.
    pixel_size
        Micrometres per pixel in y and x.
    overwrite
        Replace a file that is there.
    """
    if values.ndim not in (3, 4) or values.size == 0:
        raise ValueError(f"values {values.shape} must have the axes (K, Y, X) or (Z, K, Y, X)")
    data, axes = values.astype(np.float32, copy=False), "ZCYX"
    if data.shape[-3] == 1:
        data, axes = data[..., 0, :, :], "ZYX"
    return _write(path, data, axes, pixel_size, overwrite, labels=False)


def _write(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    axes: str,
    pixel_size: float | None,
    overwrite: bool,
    *,
    labels: bool,
) -> Path:
    target = Path(path)
    letters = axes[-data.ndim :]
    name = target.name.lower()
    if not name.endswith((".tif", ".tiff", ".zarr")):
        raise FileError(f"{target} cannot be written; choose a name that ends in .tif or .zarr")
    with writing(target, overwrite=overwrite) as temporary:
        if name.endswith(".zarr"):
            if letters == "ZCYX":  # OME-Zarr wants space behind the channels
                data, letters = data.swapaxes(0, 1), "CZYX"
            write_ome_zarr(
                temporary,
                data,
                letters,
                name=stem(target),
                pixel_size=pixel_size,
                labels=labels,
            )
        else:
            write_tiff(temporary, data, letters, pixel_size=pixel_size)
    return target


def _label_type(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "bui":
        raise ValueError(f"labels must be whole numbers, not {labels.dtype}")
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < 0 or largest > _LARGEST:
        wrong = smallest if smallest < 0 else largest
        raise ValueError(f"the label {wrong} cannot be stored; use 0 to {_LARGEST}")
    return labels.astype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)
