"""Which pixels count: what the person said something about, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["coverage"]


def coverage(
    labels: NDArray[Any],
    *,
    regions: NDArray[Any] | None = None,
    ignored: NDArray[Any] | None = None,
    complete: Sequence[bool] | NDArray[np.bool_] | None = None,
    rim: float = 5,
) -> NDArray[np.bool_]:
    """Say for each pixel whether the annotation says something about it.

    Slice by slice, the first that fits: a complete slice counts whole; a slice with regions
    counts inside them; any other slice counts in its painted cells and a rim around each, so
    that painting the first of many cells says nothing about the others. Ignored regions never
    count.

    Parameters
    ----------
    labels
        (Z, Y, X) or (Y, X), integers: the painted values, nonzero = cell.
    regions, ignored
        As `labels`, nonzero inside. None: there are none.
    complete
        (Z,), True for a slice that the person finished. None: no slice.
    rim
        Width of the rim in pixels, at least 0: background as far as this from a painted cell
        counts.

    Returns
    -------
    numpy.ndarray
        bool, as `labels`.

    Raises
    ------
    ValueError
        If the shapes differ or the rim is negative.
    """
    if labels.ndim not in (2, 3):
        raise ValueError(f"labels must have the axes (Y, X) or (Z, Y, X), got {labels.shape}")
    if rim < 0:
        raise ValueError(f"the rim must be at least 0 pixels wide, got {rim}")
    painted = labels.reshape(-1, *labels.shape[-2:])
    inside = _as_mask(regions, labels, "regions")
    outside = _as_mask(ignored, labels, "ignored")
    finished = _as_flags(complete, len(painted))
    counted = np.empty(painted.shape, dtype=bool)
    for z, plane in enumerate(painted):
        if finished[z]:
            counted[z] = True
        elif inside[z].any():
            counted[z] = inside[z]
        else:
            counted[z] = _with_rim(plane != 0, rim)
    counted &= ~outside
    return counted.reshape(labels.shape)


def _as_mask(mask: NDArray[Any] | None, labels: NDArray[Any], what: str) -> NDArray[np.bool_]:
    planes = (-1, *labels.shape[-2:])
    if mask is None:
        return np.zeros(labels.shape, dtype=bool).reshape(planes)
    if mask.shape != labels.shape:
        raise ValueError(f"{what} have shape {mask.shape}, but the labels have {labels.shape}")
    inside: NDArray[np.bool_] = mask != 0
    return inside.reshape(planes)


def _as_flags(
    complete: Sequence[bool] | NDArray[np.bool_] | None, slices: int
) -> NDArray[np.bool_]:
    if complete is None:
        return np.zeros(slices, dtype=bool)
    flags = np.asarray(complete, dtype=bool).reshape(-1)
    if len(flags) != slices:
        raise ValueError(f"complete names {len(flags)} slices, but the labels have {slices}")
    return flags


def _with_rim(cells: NDArray[np.bool_], rim: float) -> NDArray[np.bool_]:
    """Grow a mask by a Euclidean distance, computed only around what is painted."""
    found = ndimage.find_objects(cells.astype(np.uint8))
    grown = np.zeros(cells.shape, dtype=bool)
    if not found or found[0] is None:
        return grown
    pad = int(np.ceil(rim))
    box = tuple(slice(max(side.start - pad, 0), side.stop + pad) for side in found[0])
    grown[box] = ndimage.distance_transform_edt(~cells[box]) <= rim
    return grown
