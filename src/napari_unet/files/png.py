"""PNG pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from PIL import Image

from napari_unet.files.errors import FileError, reading
from napari_unet.files.stored import StoredArray

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = 25
_PALETTE = 3


def read_png(path: Path, *, indices: bool = False) -> StoredArray:
    """Read a PNG of 1 to 16 bits, grey, coloured or with a palette.

    Parameters
    ----------
    path
        The file.
    indices
        Keep the numbers of a palette picture, as labels want; otherwise its colours are read.
    """
    with reading(path, "a PNG image"):
        content = path.read_bytes()
        if not content.startswith(_SIGNATURE):
            raise FileError(f"{path} is damaged or not a PNG image")
        if indices and content[_COLOUR_TYPE] == _PALETTE:
            try:
                with Image.open(path) as picture:
                    return StoredArray(np.asarray(picture), "YX")
            except Image.DecompressionBombError as error:
                raise FileError(f"{path} is too large a palette picture; use TIFF") from error
        data: NDArray[Any] = imagecodecs.png_decode(content)
    return StoredArray(data, "YXS"[: data.ndim])
