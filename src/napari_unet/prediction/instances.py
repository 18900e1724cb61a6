"""From probabilities to numbered cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import expand_labels, watershed

from napari_unet.network import InstanceOptions
from napari_unet.prediction.errors import PredictionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

__all__ = [
    "InstanceOptions",
    "free_number",
    "instances",
    "number_on",
    "number_uniquely",
]

_SMOOTHING = 2.0  # of the distance to the background, per pixel of waist depth
_AROUND = np.ones((3, 3), dtype=bool)
_LARGEST_HOLE = 0.25  # of the piece around it


def instances(
    probabilities: NDArray[np.floating], *, options: InstanceOptions | None = None
) -> NDArray[np.int32]:
    """Find and number the cells in a map of class probabilities.

    Parameters
    ----------
    probabilities : (C, Y, X) float array
        Channel 0 is the background; the others together are cell.
    options : InstanceOptions, optional
        Threshold, splitting, surest pixel, smallest area, growing, holes.

    Returns
    -------
    (Y, X) int32 array
        0 is background; the cells are numbered from 1 without gaps.

    Raises
    ------
    ValueError
        If `probabilities` is not (C, Y, X) with at least two channels.
    """
    if probabilities.ndim != 3 or probabilities.shape[0] < 2:
        raise ValueError(
            f"probabilities have shape {probabilities.shape}; "
            "expected (C, Y, X) with the background as channel 0"
        )
    options = options or InstanceOptions()
    mask = (1 - probabilities[0]) >= options.threshold
    if options.fill_holes:
        mask = _fill_small_holes(mask, options.min_area)
    labels = _separated(probabilities, mask, options)
    if options.sure > options.threshold:
        labels = _with_a_pixel_in(labels, (1 - probabilities[0]) >= options.sure)
    if options.min_area > 1:
        labels = np.where(_areas(labels) >= options.min_area, labels, 0)
    if options.grow > 0:
        labels = _grow_into_gaps(labels, options.grow)
    return _renumber(labels)


def _separated(
    probabilities: NDArray[np.floating], mask: NDArray[np.bool_], options: InstanceOptions
) -> NDArray[np.integer]:
    """Grow the cells of a mask from a seed for each, until they meet.

    Without cores and waists the seeds are the connected pieces themselves.
    """
    pieces: NDArray[np.integer] = label(mask, connectivity=1)
    if options.core <= 0 and options.split <= 0:
        return pieces
    core = probabilities[1:].sum(axis=0)
    seeded = mask & (core >= options.core)
    landscape = probabilities[0] - core
    seeds = label(seeded, connectivity=1)
    if options.split > 0:
        depth = _smoothed_depth(seeded, options.split)
        seeds = _add_seedless(seeds, _cores(depth, seeded, options.split))
        landscape = landscape if options.core > 0 else -depth
    seeds = np.where(_areas(seeds) >= options.min_area, seeds, 0) if options.core > 0 else seeds
    grown: NDArray[np.integer] = watershed(landscape, _add_seedless(pieces, seeds), mask=mask)
    return grown


def _smoothed_depth(mask: NDArray[np.bool_], waist: float) -> NDArray[np.float64]:
    """Return the distance to the background, smoothed so that a ragged outline makes no waist."""
    depth: NDArray[np.float64] = ndimage.gaussian_filter(
        ndimage.distance_transform_edt(mask), _SMOOTHING * waist
    )
    return depth


def _cores(
    depth: NDArray[np.float64], mask: NDArray[np.bool_], waist: float
) -> NDArray[np.integer]:
    """Find and number tops with a passage between them that is `waist` lower.

    Two tops become two cells where the passage is at least `waist` pixels narrower (in half
    width) than the narrower of them.
    """
    tops: NDArray[np.integer] = label(h_maxima(depth, waist), connectivity=2)
    return np.where(mask, tops, 0)


def _add_seedless(pieces: NDArray[np.integer], seeds: NDArray[np.integer]) -> NDArray[np.integer]:
    """Add the pieces in which nothing was found to start from, as seeds of their own."""
    found = np.zeros(int(pieces.max(initial=0)) + 1, dtype=bool)
    found[pieces[seeds > 0]] = True
    found[0] = True
    return np.where(found[pieces], seeds, pieces + seeds.max(initial=0))


def _areas(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return at each pixel the area of what it belongs to; 0 in the background."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    found: NDArray[np.integer] = areas[labels]
    return found


def _with_a_pixel_in(labels: NDArray[np.integer], mask: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Return the cells that have a pixel in the mask."""
    found = np.bincount(labels[mask], minlength=int(labels.max(initial=0)) + 1) > 0
    return np.where(found[labels], labels, 0)


def _grow_into_gaps(labels: NDArray[np.integer], reach: int) -> NDArray[np.integer]:
    """Grow cells by `reach` pixels into the gaps between two of them, nowhere else.

    A gap is what a closing of the mask fills; an outline towards the background stays. Crumbs that
    do not hang together with their cell are left out.
    """
    margin = reach + 1
    padded = np.pad(labels, margin)
    near = ndimage.distance_transform_edt(padded == 0) <= reach
    closed = ndimage.distance_transform_edt(near) > reach
    grown: NDArray[np.integer] = np.where(closed, expand_labels(padded, distance=reach), padded)
    whole = _with_a_pixel_in(label(grown, connectivity=1), padded > 0) > 0
    return np.where(whole, grown, 0)[margin:-margin, margin:-margin]


def _fill_small_holes(mask: NDArray[np.bool_], min_area: int) -> NDArray[np.bool_]:
    """Fill the holes of pieces, but for those in which another lies: they are gaps around a cell.

    A piece below `min_area` is none. The background goes on diagonally, as pieces do not: a
    slanting gap is no hole.
    """
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(mask, structure=_AROUND)
    holes = label(filled & ~mask, connectivity=2)
    if holes.max() == 0:
        return mask
    pieces = label(mask, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    area = np.bincount(holes.ravel())
    pieces[sizes[pieces] < min_area] = 0
    numbers, none = np.arange(1, area.size), sizes.size
    highest = np.asarray(ndimage.maximum(ndimage.maximum_filter(pieces, size=3), holes, numbers))
    lowest = np.asarray(
        ndimage.minimum(
            ndimage.minimum_filter(np.where(pieces > 0, pieces, none), size=3), holes, numbers
        )
    )
    filling = np.zeros(area.size, bool)
    filling[1:] = (highest == lowest) & (area[1:] < _LARGEST_HOLE * sizes[highest])
    result: NDArray[np.bool_] = mask | filling[holes]
    return result


def _renumber(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Close the gaps between the numbers, in their order; 0 stays 0."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    renumbered: NDArray[np.int32] = (np.cumsum(present) * present).astype(np.int32)[labels]
    return renumbered


def number_on(labels: NDArray[np.integer], last: int) -> tuple[NDArray[np.int32], int]:
    """Return cells with numbers that follow the `last` of other slices, and the new last one.

    Raises
    ------
    PredictionError
        If a number would be larger than an int32 array holds.
    """
    highest, most = last + int(labels.max(initial=0)), np.iinfo(np.int32).max
    if highest > most:
        raise PredictionError(
            f"a cell would get the number {highest}, and labels end at {most}; number this stack "
            "anew, or predict it in parts"
        )
    numbered = np.where(labels > 0, labels + last, 0).astype(np.int32)
    return numbered, max(last, int(numbered.max(initial=0)))


def free_number(planes: NDArray[np.integer], *, without: Collection[int] = ()) -> int:
    """Return a number above all cells of slices (Z, Y, X), some of them left out."""
    others = (plane for z, plane in enumerate(planes) if z not in without)
    return 1 + max((int(plane.max(initial=0)) for plane in others), default=0)


def number_uniquely(slices: Iterable[NDArray[np.integer]]) -> NDArray[np.int32]:
    """Stack (Y, X) label images so that no number occurs in two slices.

    Returns
    -------
    (Z, Y, X) int32 array
    """
    stacked: list[NDArray[np.int32]] = []
    last = 0
    for labels in slices:
        numbered, last = number_on(labels, last)
        stacked.append(numbered)
    return np.stack(stacked)
