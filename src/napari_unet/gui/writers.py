"""Lets napari's File > Save write Labels layers as this plugin does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels

from napari_unet.gui import layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_place", "write_labels"]


def check_place(path: Path) -> None:
    """Refuse to put labels in place of what may be an image.

    Raises
    ------
    FileError
        If a folder is there that does not say that it holds labels.
    """
    from napari_unet.files import FileError, holds_labels

    if path.is_dir() and not holds_labels(path):
        raise FileError(
            f"{path} does not say that it holds labels, so it may be an image; choose another name"
        )


def write_labels(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    """Write one Labels layer as TIFF or OME-Zarr, with its pixel size; the npe2 writer.

    Parameters
    ----------
    path
        Ends in .tif, .tiff or .zarr; .tif is added to another name. napari's dialog has asked
        before whether to replace a file, a script has not: a Zarr store is only replaced where it
        holds labels.
    data, attributes
        As napari hands them to a writer.
    """
    from napari_unet.files import write_labels as write

    asked = path.lower().endswith((".tif", ".tiff", ".zarr"))
    path = path if asked else f"{path}.tif"
    check_place(Path(path))
    known = {key: attributes[key] for key in ("scale", "units") if key in attributes}
    size = layers.pixel_size(Labels(data, **known))
    write(path, data, pixel_size=size, overwrite=asked)
    return [path]
