"""What single cells are like: where each lies, how large, of which shape and how bright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import regionprops

from napari_unet.annotations.cells import cell_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "CellProperties",
    "Intensity",
    "cell_properties",
    "property_columns",
    "property_row",
    "unnamed_channels",
]

_LENGTHS = ("perimeter", "diameter", "length", "width")
_SHAPE = ("slice", "label", "y", "x", "area", *_LENGTHS, "eccentricity", "at_edge")
_INTENSITY = ("mean", "std", "min", "max")


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """How bright a cell is in one channel; NaN where a pixel of it is NaN.

    Attributes
    ----------
    mean, std, min, max
        Of the grey values of its pixels, as the image has them.
    """

    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True, kw_only=True)
class CellProperties:
    """One cell in one slice; everything in pixels.

    Attributes
    ----------
    slice
        Slice of the stack, counted from 0 as napari counts; 0 for a single picture.
    label
        Its value in the labels.
    y, x
        Mean position of its pixels.
    area
        Number of its pixels.
    perimeter
        Length of its outline (`skimage.measure.perimeter`).
    diameter
        Of the circle with the same area.
    length, width
        Major and minor axis of the ellipse with the same second moments.
    eccentricity
        Of that ellipse: 0 for a circle, towards 1 for a line.
    at_edge
        Whether it touches the edge of the image, which may cut it.
    intensity
        One for each channel of the image, if there is one.
    """

    slice: int
    label: int
    y: float
    x: float
    area: int
    perimeter: float
    diameter: float
    length: float
    width: float
    eccentricity: float
    at_edge: bool
    intensity: tuple[Intensity, ...] = ()


def cell_properties(labels: NDArray[Any], image: Any = None) -> Iterator[CellProperties]:
    """Measure every cell, slice by slice and in the order of the labels.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X), whole numbers: 0 is background, every other value one cell. A cell of
        several pieces is measured as one.
    image
        What is measured beside the shape: as the labels, or with channels (C, Y, X), a stack
        (Z, C, Y, X). Anything that is read slice by slice when it is indexed will do.

    Yields
    ------
    CellProperties
        One for each cell and slice.

    Raises
    ------
    ValueError
        If the labels are no whole numbers, or the image has another size.
    """
    if labels.dtype.kind not in "iu" or labels.ndim not in (2, 3):
        raise ValueError(
            f"labels of cells are whole numbers, (Y, X) or (Z, Y, X); these are {labels.dtype} of "
            f"the shape {labels.shape}"
        )
    grey = image is not None and tuple(image.shape) == labels.shape
    if image is not None and not grey and (*image.shape[:-3], *image.shape[-2:]) != labels.shape:
        raise ValueError(f"the labels have the shape {labels.shape}, the image {image.shape}")
    for z, plane in enumerate(labels.reshape(-1, *labels.shape[-2:])):
        if not plane.any():  # a slice of a large stack is not read in vain
            continue
        pixels = None
        if image is not None:
            pixels = np.asarray(image if labels.ndim == 2 else image[z])
            pixels = pixels[None] if grey else pixels
        yield from _in_slice(z, plane, pixels)


def _in_slice(z: int, plane: NDArray[Any], pixels: NDArray[Any] | None) -> Iterator[CellProperties]:
    values = cell_values(plane)
    # By rank: a table of all numbers up to the largest is made of them.
    ranks = np.where(plane == 0, 0, np.searchsorted(values, plane) + 1)
    for cell in regionprops(ranks):
        low_y, low_x, high_y, high_x = cell.bbox
        y, x = cell.centroid
        yield CellProperties(
            slice=z,
            label=int(values[cell.label - 1]),
            y=float(y),
            x=float(x),
            area=int(cell.area),
            perimeter=float(cell.perimeter),
            diameter=float(cell.equivalent_diameter_area),
            length=float(cell.axis_major_length),
            width=float(cell.axis_minor_length),
            eccentricity=float(cell.eccentricity),
            at_edge=min(low_y, low_x) == 0 or high_y == plane.shape[0] or high_x == plane.shape[1],
            intensity=() if pixels is None else _intensity(pixels[:, *cell.slice][:, cell.image]),
        )


def _intensity(values: NDArray[Any]) -> tuple[Intensity, ...]:
    """Describe the pixels of a cell, (C, N)."""
    exact = values.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):  # infinite values have no spread
        spread = exact.std(axis=1)
    of_all = zip(exact.mean(axis=1), spread, exact.min(axis=1), exact.max(axis=1), strict=True)
    return tuple(
        Intensity(mean=float(mean), std=float(std), min=float(low), max=float(high))
        for mean, std, low, high in of_all
    )


def unnamed_channels(number: int) -> list[str]:
    """Name the channels of an image that does not name them, for `property_columns`."""
    return ["intensity"] if number == 1 else [f"channel{at}" for at in range(number)]


def property_columns(channels: Sequence[str] = (), pixel_size: float | None = None) -> list[str]:
    """Name the columns of a table of cells; those of `property_row`.

    Parameters
    ----------
    channels
        Names of the image's channels, in its order; none without an image.
    pixel_size
        Micrometres per pixel; None where nobody knows, and then there are no columns in them.
    """
    physical = ["area_um2", *(f"{name}_um" for name in _LENGTHS)] if pixel_size else []
    bright = [f"{channel}_{kind}" for channel in channels for kind in _INTENSITY]
    return [*_SHAPE, *physical, *bright]


def property_row(cell: CellProperties, pixel_size: float | None = None) -> list[Any]:
    """Return the line of a cell in a table with `property_columns`; six digits of fractions."""
    lengths = [getattr(cell, name) for name in _LENGTHS]
    physical: list[float] = []
    if pixel_size:
        physical = [cell.area * pixel_size**2, *(length * pixel_size for length in lengths)]
    shape = [getattr(cell, name) for name in _SHAPE]
    bright = [getattr(channel, kind) for channel in cell.intensity for kind in _INTENSITY]
    return [_short(value) for value in (*shape, *physical, *bright)]


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
