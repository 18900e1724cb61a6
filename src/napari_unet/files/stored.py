"""An array as a file stores it, and its way to the axes that the engine works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.files.errors import FileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StoredArray", "believable", "to_zcyx"]

_SMALLEST, _LARGEST = 1e-5, 1e3  # micrometres: a tenth of an atom; a millimetre
_ALIKE = 0.05  # a pixel is square if its sides are this close, as pixel sizes are equal


@dataclass(frozen=True, eq=False)
class StoredArray:
    """What a file holds.

    Attributes
    ----------
    data
        The array.
    axes
        One letter per axis: Y and X, C = channel, S = sample of a colour picture, Z = depth,
        T = time; any other letter is a series of slices.
    pixel_size
        Micrometres per pixel in y and x, None where the file does not say or they differ.
    note
        Why there is no pixel size although the file says one; mostly empty.
    """

    data: NDArray[Any]
    axes: str
    pixel_size: float | None = None
    note: str = ""


def believable(y: float | None, x: float | None) -> tuple[float | None, str]:
    """Return the size of a square pixel from its sides in micrometres, and a note.

    None for a size that no microscope has, and for pixels that are not square: one number cannot
    tell it, and the note says so. A side that is not known is as long as the other.
    """
    sides = [side for side in (y, x) if side is not None]
    if not sides or not all(_SMALLEST <= side <= _LARGEST for side in sides):
        return None, ""
    height, width = sides[0], sides[-1]
    if max(height, width) > (1 + _ALIKE) * min(height, width):
        return None, (
            f"Pixels {width:.3g} µm wide and {height:.3g} µm high count as of unknown size: only "
            "square ones can be brought to another size"
        )
    return width, ""


def to_zcyx(stored: StoredArray, *, alpha: bool = False) -> NDArray[Any]:
    """Bring an array to (Z, C, Y, X).

    Channels and colour samples become C. Everything else is a series of slices: time points
    first, the depth within them.

    Parameters
    ----------
    stored
        What a file holds.
    alpha
        Keep the last of two or four colour samples, which is how opaque a picture is; values
        that no picture shows have none.

    Raises
    ------
    FileError
        If there is no Y or X, or the values are not real numbers.
    """
    axes = stored.axes.upper()
    data = _real(stored.data)
    if data.ndim != len(axes) or "Y" not in axes or "X" not in axes or data.size == 0:
        raise FileError(f"shape {data.shape} with the axes {axes!r} is not a picture")
    if not alpha and "S" in axes and data.shape[axes.index("S")] in (2, 4):
        data = np.delete(data, -1, axis=axes.index("S"))
    order = sorted(range(len(axes)), key=lambda axis: _rank(axes[axis]))
    sizes = {_kind(axes[axis]): 1 for axis in order}
    for axis in order:
        sizes[_kind(axes[axis])] *= data.shape[axis]
    shape = (sizes.get("slice", 1), sizes.get("channel", 1), sizes["Y"], sizes["X"])
    return np.ascontiguousarray(data.transpose(order)).reshape(shape)


def _kind(axis: str) -> str:
    if axis in "YX":
        return axis
    return "channel" if axis in "CS" else "slice"


def _rank(axis: str) -> int:
    return {"T": 0, "Z": 2, "C": 3, "S": 4, "Y": 5, "X": 6}.get(axis, 1)


def _real(data: NDArray[Any]) -> NDArray[Any]:
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind not in "uif":
        raise FileError(f"values of the type {data.dtype} are not a picture; save it as numbers")
    return data.astype(data.dtype.newbyteorder("="), copy=False)
