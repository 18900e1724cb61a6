"""Cells as numbers in a label image: finding, splitting and counting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage import measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "are_masks",
    "binary_to_instances",
    "cell_boxes",
    "cell_values",
    "count_cells",
    "looks_like_picture",
    "pieces",
    "split_connected",
]

Box = tuple[slice, slice]

_FEW_VALUES = 8
_MANY_PIECES = 20  # per value; a cell's number is in one piece, or in few
_CRUMB = 4  # pixels per piece, as grey values with 16 bits have; no cell is so small


def pieces(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Find the 4-connected pieces of equal value in a label image.

    Parameters
    ----------
    labels
        (Y, X), integers. 0 belongs to no piece; touching cells stay apart.

    Returns
    -------
    numpy.ndarray
        (Y, X) int32: 0, and 1 to n for the pieces, in the order of their first pixels.
    """
    numbered: NDArray[Any] = measure.label(labels, background=0, connectivity=1)
    return numbered.astype(np.int32, copy=False)


def looks_like_picture(labels: NDArray[Any]) -> bool:
    """Tell whether labels of cells are rather the grey values of a picture, or classes.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X), integers >= 0; of slices the first that holds anything is looked at.

    Returns
    -------
    bool
        Whether there are several values, each scattered in many pieces, or many, scattered in
        single pixels. A single value is a mask.
    """
    planes = labels.reshape(-1, *labels.shape[-2:])
    plane = next((plane for plane in planes if plane.any()), None)
    if plane is None:
        return False
    values, number = len(cell_values(plane)), int(pieces(plane).max())
    scattered = values > 1 and number > _MANY_PIECES * values
    crumbs = values >= _FEW_VALUES and number * _CRUMB > np.count_nonzero(plane)
    return bool(scattered or crumbs)


def cell_values(labels: NDArray[Any]) -> NDArray[Any]:
    """List the different values besides 0, rising.

    Parameters
    ----------
    labels
        Any shape, integers; below 0 stand slips of the brush, and marks of other programs.

    Returns
    -------
    numpy.ndarray
        (cells,) integers.
    """
    if labels.size and labels.min() >= 0 and labels.max() < labels.size:
        # Counting is many times faster than sorting, and knows no number below 0.
        values: NDArray[Any] = np.flatnonzero(np.bincount(labels.ravel().astype(np.intp)))
    else:
        values = np.unique(labels)
    present: NDArray[Any] = values[values != 0]
    return present


def cell_boxes(labels: NDArray[Any]) -> Iterator[tuple[int, Box]]:
    """Yield every cell's value with the smallest box that holds it.

    Parameters
    ----------
    labels
        (Y, X), integers >= 0.

    Yields
    ------
    tuple
        The value and the slices in y and x, by rising value.
    """
    highest = int(labels.max(initial=0))
    if highest <= labels.size:
        values: Sequence[int] | NDArray[Any] = range(1, highest + 1)
        numbered = labels
    else:
        # find_objects keeps one entry for each number up to the highest.
        values, inverse = np.unique(labels, return_inverse=True)
        numbered = inverse.reshape(labels.shape)
        if values[0] == 0:
            values = values[1:]
        else:
            numbered = numbered + 1
    boxes = ndimage.find_objects(numbered.astype(np.int32, copy=False))
    for value, box in zip(values, boxes, strict=False):
        if box is not None:
            yield int(value), (box[0], box[1])


def split_connected(mask: NDArray[Any]) -> NDArray[np.int32]:
    """Make one cell of each connected piece of a mask.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X), nonzero = cell. Slices are split one by one.

    Returns
    -------
    numpy.ndarray
        int32, as `mask`: 0, and a number for each 4-connected piece, unique over the slices.
    """
    if mask.ndim not in (2, 3):
        raise ValueError(f"a mask has the axes (Y, X) or (Z, Y, X), got shape {mask.shape}")
    if mask.ndim == 2:
        return pieces(mask != 0)
    split = np.zeros(mask.shape, dtype=np.int32)
    highest = 0
    for z, plane in enumerate(mask):
        numbered = pieces(plane != 0)
        split[z] = np.where(numbered > 0, numbered + highest, 0)
        highest += int(numbered.max(initial=0))
    return split


def binary_to_instances(
    labels: Sequence[NDArray[Any]], annotated: Sequence[NDArray[np.bool_]] | None = None
) -> list[NDArray[Any]]:
    """Split masks into cells, if masks is what these label images are.

    That is decided over all of them together: one picture with a single cell, numbered 1, among
    others with many cells is no mask.

    Parameters
    ----------
    labels
        Label images, (Y, X) or (Z, Y, X) each.
    annotated
        Where each of them counts, as `labels`; None: everywhere.

    Returns
    -------
    list of numpy.ndarray
        `split_connected` of each if one single value besides 0 counts in all of them together,
        otherwise the images as they came.
    """
    masks = are_masks(labels, annotated)
    return [split_connected(image) for image in labels] if masks else list(labels)


def are_masks(
    labels: Sequence[NDArray[Any]], annotated: Sequence[NDArray[np.bool_]] | None = None
) -> bool:
    """Tell whether one single value besides 0, or none, counts in all of these label images.

    Parameters
    ----------
    labels, annotated
        As for `binary_to_instances`.
    """
    values: set[int] = set()
    for number, image in enumerate(labels):
        counted = image if annotated is None else image[annotated[number]]
        values.update(cell_values(counted).tolist())
        if len(values) > 1:
            return False
    return True


def count_cells(labels: NDArray[Any]) -> int:
    """Count the cells of a picture, or those in all slices of a stack.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X), integers >= 0. In a stack a cell counts once in every slice that it
        goes through, because a network is shown slices.

    Returns
    -------
    int
        The number of different values besides 0, summed over the slices.
    """
    planes = labels[np.newaxis] if labels.ndim == 2 else labels
    return sum(len(cell_values(plane)) for plane in planes)
