"""From probabilities to numbered cells."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import expand_labels, watershed

from napari_unet.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["InstanceOptions", "instances", "number_uniquely"]


_POWERS = {"px": 1, "px²": 2}
_SMOOTHING = 2.0  # of the distance to the background, per pixel of waist depth


@dataclass(frozen=True, kw_only=True)
class InstanceOptions:
    """How probabilities become cells."""

    threshold: float = option(
        0.5,
        "Pixels whose cell probability is at least this belong to a cell.",
        title="Cell probability",
        min=0.05,
        max=0.95,
        step=0.05,
    )
    split: float = option(
        0.0,
        "Cut cells that touch where they have a waist at least this deep, in pixels; 0 never cuts.",
        title="Split at waists",
        min=0.0,
        max=20.0,
        step=0.25,
        unit="px",
    )
    min_area: int = option(
        0,
        "Smaller pieces are dust and vanish.",
        title="Smallest cell",
        min=0,
        max=1_000_000,
        unit="px²",
    )
    grow: int = option(
        1,
        "The network draws a gap between touching cells; close gaps of up to twice this. "
        "Outlines towards the background stay, and cells never grow into each other.",
        title="Grow back",
        min=0,
        max=50,
        unit="px",
    )
    fill_holes: bool = option(True, "Fill holes inside cells.", title="Fill holes")

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"the threshold is {self.threshold}; it must lie between 0 and 1")

    def scaled(self, factor: float) -> InstanceOptions:
        """Return the options for the same image with `factor` times as many pixels per length.

        Lengths, whose unit is px, grow by the factor and areas by its square; whole numbers are
        rounded, but never to zero. Where nothing was too small to count, a piece smaller than one
        pixel is, because there was none.
        """
        changed: dict[str, Any] = {}
        for each in fields(self):
            power = _POWERS.get(each.metadata.get("unit", ""))
            value = max(1, getattr(self, each.name)) if power == 2 else getattr(self, each.name)
            if power and value:
                grown = value * factor**power
                changed[each.name] = max(1, round(grown)) if isinstance(value, int) else grown
        return replace(self, **changed)


def instances(
    probabilities: NDArray[np.floating], *, options: InstanceOptions | None = None
) -> NDArray[np.int32]:
    """Find and number the cells in a map of class probabilities.

    Parameters
    ----------
    probabilities : (C, Y, X) float array
        Channel 0 is the background; the others together are cell.
    options : InstanceOptions, optional
        Threshold, splitting, smallest area, growing, holes.

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
        mask = _fill_small_holes(mask)
    labels = label(mask, connectivity=1)
    if options.split > 0:
        labels = _split_at_waists(labels, mask, options.split)
    if options.min_area > 1:
        labels = np.where(np.bincount(labels.ravel())[labels] >= options.min_area, labels, 0)
    if options.grow > 0:
        labels = _grow_into_gaps(labels, options.grow)
    return _renumber(labels)


def _grow_into_gaps(labels: NDArray[np.integer], reach: int) -> NDArray[np.integer]:
    """Grow cells by `reach` pixels into the gaps between two of them, nowhere else.

    A gap is what a closing of the mask fills; an outline towards the background stays.
    """
    margin = reach + 1
    padded = np.pad(labels, margin)
    near = ndimage.distance_transform_edt(padded == 0) <= reach
    closed = ndimage.distance_transform_edt(near) > reach
    grown: NDArray[np.integer] = np.where(closed, expand_labels(padded, distance=reach), padded)
    return grown[margin:-margin, margin:-margin]


def _fill_small_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill holes of single pieces; a ring of several cells keeps its middle."""
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(mask)
    holes = label(filled & ~mask, connectivity=2)
    if holes.max() == 0:
        return mask
    pieces = label(mask, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    area = np.bincount(holes.ravel())
    largest_neighbour = ndimage.maximum(
        ndimage.maximum_filter(np.where(pieces > 0, sizes[pieces], 0), size=3),
        holes,
        np.arange(1, area.size),
    )
    small = np.zeros(area.size, bool)
    small[1:] = area[1:] < 0.25 * np.asarray(largest_neighbour)
    result: NDArray[np.bool_] = mask | small[holes]
    return result


def _split_at_waists(
    labels: NDArray[np.integer], mask: NDArray[np.bool_], depth: float
) -> NDArray[np.integer]:
    """Cut pieces by a watershed on the distance to the background.

    Two cores become two cells where the passage between them is at least `depth` pixels
    narrower (in half width) than the narrower core.
    """
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), _SMOOTHING * depth)
    cores = label(h_maxima(distance, depth), connectivity=2)
    cores[~mask] = 0
    without_core = np.setdiff1d(np.unique(labels), np.unique(labels[cores > 0]))
    lost = np.isin(labels, without_core[without_core > 0])
    cores[lost] = labels[lost] + cores.max()
    result: NDArray[np.integer] = watershed(-distance, cores, mask=mask)
    return result


def _renumber(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    values, inverse = np.unique(labels, return_inverse=True)
    if values.size and values[0] != 0:
        inverse = inverse + 1
    renumbered: NDArray[np.int32] = inverse.reshape(labels.shape).astype(np.int32)
    return renumbered


def number_uniquely(slices: Iterable[NDArray[np.integer]]) -> NDArray[np.int32]:
    """Stack (Y, X) label images so that no number occurs in two slices.

    Returns
    -------
    (Z, Y, X) int32 array
    """
    stacked: list[NDArray[np.int32]] = []
    last = 0
    for labels in slices:
        shifted = np.where(labels > 0, labels + last, 0).astype(np.int32)
        last = max(last, int(shifted.max(initial=0)))
        stacked.append(shifted)
    return np.stack(stacked)
