"""What the network is taught: painted values turned into classes of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unet.annotations.cells import cell_boxes, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["class_target", "instance_target", "listed", "separate"]

_AROUND = np.ones((3, 3), dtype=bool)


def instance_target(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn cells into a mask from whose connected pieces they can be read back.

    Parameters
    ----------
    labels
        (Y, X), integers >= 0, each value one cell.

    Returns
    -------
    numpy.ndarray
        (Y, X) uint8: 1 in the separated cells (see `separate`), 0 elsewhere.
    """
    return (separate(labels) > 0).astype(np.uint8)


def class_target(labels: NDArray[Any], values: Sequence[int]) -> NDArray[np.uint8]:
    """Rank the classes in the order of their painted values.

    Parameters
    ----------
    labels
        Painted values, any shape.
    values
        The value of each class, background first, all different, 255 at most.

    Returns
    -------
    numpy.ndarray
        uint8, as `labels`: the position of each pixel's value in `values`. Pixels of a value
        that is not listed are 0 and must weigh nothing: see `listed`.
    """
    _check_values(values)
    target = np.zeros(labels.shape, dtype=np.uint8)
    for rank, value in enumerate(values):
        if rank:
            target[labels == value] = rank
    return target


def listed(labels: NDArray[Any], values: Sequence[int]) -> NDArray[np.bool_]:
    """Tell the pixels whose value is a class from those that say nothing.

    Parameters
    ----------
    labels
        Painted values, any shape.
    values
        The value of each class.

    Returns
    -------
    numpy.ndarray
        bool, as `labels`.
    """
    _check_values(values)
    return np.isin(labels, np.asarray(values, dtype=np.int64))


def _check_values(values: Sequence[int]) -> None:
    if not 1 <= len(values) <= 255:
        raise ValueError(f"there must be 1 to 255 classes, got {len(values)}")
    if len(set(values)) != len(values):
        raise ValueError(f"every class needs a value of its own, got {list(values)}")


def separate(labels: NDArray[Any]) -> NDArray[Any]:
    """Draw cells apart until each is a connected piece of its own.

    Where two cells touch, also at a corner, both give up the pixels of the contact: a gap of two
    pixels, seen alike from both sides. A cell that falls apart keeps its largest part. Cells that
    would vanish, because they are thin or tiny, keep what their neighbours left free; a cell that
    is left with nothing (single pixels side by side) moves by as little as it can.

    Parameters
    ----------
    labels
        (Y, X), integers >= 0, each value one cell.

    Returns
    -------
    numpy.ndarray
        As `labels`, with its values. No two cells are 8-adjacent; every 4-connected piece of a
        cell gives at most one 4-connected piece, and every cell at least one pixel (except where
        a picture has fewer than four pixels per cell and no room).
    """
    if labels.ndim != 2:
        raise ValueError(f"cells are separated in a slice (Y, X), got shape {labels.shape}")
    painted = pieces(labels)
    apart = np.where(_touches_another(painted), 0, painted)
    separated = np.where(_largest_parts(apart), labels, 0).astype(labels.dtype, copy=False)
    lost = _lost(labels, painted, separated)
    if lost.any():
        _rescue(separated, np.where(lost, labels, 0))
    return separated


def _touches_another(painted: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Find the pixels with another piece among their eight neighbours."""
    highest = ndimage.maximum_filter(painted, size=3, mode="nearest")
    none = np.iinfo(painted.dtype).max
    lowest = ndimage.minimum_filter(np.where(painted == 0, none, painted), size=3, mode="nearest")
    touches: NDArray[np.bool_] = (painted > 0) & ((highest != painted) | (lowest != painted))
    return touches


def _largest_parts(apart: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Keep of each piece the largest connected part, the first of equal ones."""
    parts = pieces(apart)
    sizes = np.bincount(parts.ravel())
    whole = np.zeros(len(sizes), dtype=np.int64)
    whole[parts.ravel()] = apart.ravel()
    by_size = np.lexsort((-np.arange(len(sizes)), sizes, whole))
    last_of_whole = np.append(whole[by_size][1:] != whole[by_size][:-1], True)
    keep = np.zeros(len(sizes), dtype=bool)
    keep[by_size[last_of_whole]] = True
    keep[0] = False
    return keep[parts]


def _lost(
    labels: NDArray[Any], painted: NDArray[np.int32], separated: NDArray[Any]
) -> NDArray[np.bool_]:
    """Find the pixels of cells of which nothing is left."""
    owners = np.zeros(int(painted.max()) + 1, dtype=labels.dtype)
    owners[painted.ravel()] = labels.ravel()
    pieces_left = np.zeros(len(owners), dtype=bool)
    pieces_left[painted[separated > 0]] = True
    pieces_left[0] = True
    return ~np.isin(owners, owners[pieces_left])[painted]


def _rescue(separated: NDArray[Any], lost: NDArray[Any]) -> None:
    """Give lost cells back what is free, in place, the smallest cells first."""
    boxes = [(value, _padded(box, 1)) for value, box in cell_boxes(lost)]
    boxes.sort(key=lambda entry: int(np.count_nonzero(lost[entry[1]] == entry[0])))
    stranded = [
        (value, box) for value, box in boxes if not _place_seed(separated, lost, value, box)
    ]
    if stranded:
        _move(separated, lost, stranded)
    for value, box in boxes:
        _grow(separated[box], lost[box] == value, value)


def _padded(box: tuple[slice, slice], by: int) -> tuple[slice, slice]:
    y, x = (slice(max(side.start - by, 0), side.stop + by) for side in box)
    return y, x


def _place_seed(
    separated: NDArray[Any], lost: NDArray[Any], value: int, box: tuple[slice, slice]
) -> bool:
    """Keep the one free pixel of a cell that is in the way of the fewest others."""
    own = lost[box] == value
    others = (lost[box] != 0) & ~own
    free = own & ~ndimage.binary_dilation(separated[box] != 0, _AROUND)
    if not free.any():
        return False
    crowd = ndimage.convolve(others.astype(np.int16), _AROUND.astype(np.int16), mode="constant")
    seed = np.unravel_index(np.where(free, crowd, 10).argmin(), own.shape)
    separated[box][seed] = value
    return True


def _grow(separated: NDArray[Any], own: NDArray[np.bool_], value: int) -> None:
    """Let a cell that has its seed take its other free pixels as far as they are connected."""
    foreign = (separated != 0) & (separated != value)
    free = own & ~ndimage.binary_dilation(foreign, _AROUND)
    parts = pieces(free)
    seeded = np.unique(parts[(separated == value) & free])
    separated[np.isin(parts, seeded[seeded > 0])] = value


def _move(
    separated: NDArray[Any], lost: NDArray[Any], stranded: list[tuple[int, tuple[slice, slice]]]
) -> None:
    """Put cells without a free pixel of their own on the nearest place where nobody dies."""
    anchors = _innermost(separated)
    blocked = ndimage.binary_dilation(anchors, _AROUND)
    for value, box in stranded:
        place = _nearest_free(blocked, lost, value, box)
        if place is None:
            continue
        around = tuple(slice(max(at - 1, 0), at + 2) for at in place)
        blocked[around] = True
        separated[around] = 0
        separated[place] = value
        anchors[place] = True
    parts = pieces(separated)
    separated[~np.isin(parts, parts[anchors])] = 0


def _innermost(separated: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark in each connected piece one pixel as far inside as any."""
    parts = pieces(separated)
    anchors = np.zeros(parts.shape, dtype=bool)
    depth = ndimage.distance_transform_edt(parts > 0)
    numbers = np.arange(1, int(parts.max(initial=0)) + 1)
    for place in ndimage.maximum_position(depth, parts, numbers):
        anchors[tuple(int(at) for at in place)] = True
    return anchors


def _nearest_free(
    blocked: NDArray[np.bool_], lost: NDArray[Any], value: int, box: tuple[slice, slice]
) -> tuple[int, int] | None:
    """Look around a cell, and then everywhere, for the nearest pixel that is not blocked."""
    own = np.argwhere(lost[box] == value)
    y, x = own.mean(axis=0) + np.array([box[0].start, box[1].start])
    for window in (_padded(box, 8), (slice(0, None), slice(0, None))):
        free = np.argwhere(~blocked[window])
        if len(free):
            free += np.array([window[0].start or 0, window[1].start or 0])
            nearest = free[np.hypot(free[:, 0] - y, free[:, 1] - x).argmin()]
            return int(nearest[0]), int(nearest[1])
    return None
