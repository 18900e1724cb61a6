"""The warping error: what is left wrong once shapes may bend, but neither tear nor join."""

from __future__ import annotations

import heapq
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw_borders", "topological_errors", "warping_error"]

# The eight neighbours of a pixel in (y, x), clockwise from above; even ones share an edge with it.
_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def warping_error(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    annotated: NDArray[np.bool_] | None = None,
    *,
    reach: float | None = None,
) -> float:
    """Share of the counted pixels that are wrong even after the truth was warped.

    `topological_errors` says what that means and what the arguments are.

    Returns
    -------
    float
        0 = the prediction is a bent copy of the truth; never above the pixel error. NaN if no
        pixel counts.
    """
    wrong = topological_errors(truth, predicted, annotated, reach=reach)
    counted = wrong.size if annotated is None else int(annotated.sum())
    return int(wrong.sum()) / counted if counted else float("nan")


def topological_errors(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    annotated: NDArray[np.bool_] | None = None,
    *,
    reach: float | None = None,
) -> NDArray[np.bool_]:
    """Mark the pixels where a split, a merger, a hole or a lost or invented piece remains.

    The truth is warped towards the prediction: wrong pixels are flipped one by one, but only
    while they are *simple*, which means that no region and no piece of border is joined, divided,
    lost or made by it (regions are 4-connected, borders 8-connected). What cannot be flipped
    remains (Jain et al. 2010, CVPR; their greedy search, with the pixels deepest inside the
    prediction's regions or borders first). A search can end early: the result is an upper bound.

    Parameters
    ----------
    truth, predicted
        (Y, X) of one shape, nonzero inside of regions, 0 on borders and background. Touching
        regions need a border between them: `draw_borders`.
    annotated
        True where a pixel counts; None = everywhere. Everything else is border on both sides, and
        so is what lies around the picture.
    reach
        Flip only pixels at most this far from the border of a true region, pixels; None = any,
        as in the ISBI 2012 challenge.

    Returns
    -------
    ndarray
        (Y, X) bool.
    """
    if truth.shape != predicted.shape or truth.ndim != 2:
        raise ValueError(
            f"truth {truth.shape} and prediction {predicted.shape} must be two slices (Y, X) of "
            "one shape"
        )
    counts = np.ones(truth.shape, dtype=bool) if annotated is None else annotated
    start = np.pad((truth != 0) & counts, 1)
    goal = np.pad((predicted != 0) & counts, 1)
    fixed = np.zeros(start.shape, dtype=bool)
    if reach is not None:
        fixed = _depth(start) > reach
    wrong: NDArray[np.bool_] = _left_wrong(start, goal, fixed)[1:-1, 1:-1]
    return wrong


def draw_borders(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Turn labels into regions with a border wherever two of them share an edge.

    Parameters
    ----------
    labels
        (Y, X), 0 = background.

    Returns
    -------
    ndarray
        (Y, X) bool, True inside. Both pixels of a contact become border.
    """
    inside: NDArray[np.bool_] = labels != 0
    result = inside.copy()
    for first, second in (
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        contact = (labels[first] != labels[second]) & inside[first] & inside[second]
        result[first] &= ~contact
        result[second] &= ~contact
    return result


def _left_wrong(
    start: NDArray[np.bool_], goal: NDArray[np.bool_], fixed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Flip simple wrong pixels, those deepest in the goal first, and return what stays wrong.

    The pictures have a rim of one pixel in which they agree. Each pixel's neighbourhood is kept
    as a number of eight bits, which its neighbours change when they flip.
    """
    simple = _simple()
    wrong = bytearray((start != goal).tobytes())
    free = bytearray((~fixed).tobytes())
    around = bytearray(_neighbourhoods(start).tobytes())
    # Whoever lies in direction k of a pixel sees it in the direction opposite to k.
    ring = [(dy * start.shape[1] + dx, 1 << (k + 4) % 8) for k, (dy, dx) in enumerate(_RING)]
    order = array("d", (-_depth(goal)).tobytes())  # a list would hold an object for every pixel
    candidates = np.flatnonzero((start != goal) & ~fixed).tolist()
    heap = [(order[at], at) for at in candidates if simple[around[at]]]
    heapq.heapify(heap)
    while heap:
        _, at = heapq.heappop(heap)
        if not wrong[at] or not simple[around[at]]:
            continue
        wrong[at] = 0
        for step, bit in ring:
            beside = at + step
            around[beside] ^= bit
            if wrong[beside] and free[beside] and simple[around[beside]]:
                heapq.heappush(heap, (order[beside], beside))
    return np.frombuffer(wrong, dtype=bool).reshape(start.shape)


@cache
def _simple() -> bytes:
    """Say for each of the 256 neighbourhoods whether its centre may flip.

    It may where one 4-connected region of the neighbourhood touches the centre, and one
    8-connected border (Yokoi's number is 1; Kong and Rosenfeld 1989).
    """
    return bytes(_regions_at_centre(code) == 1 for code in range(256))


def _regions_at_centre(code: int) -> int:
    inside = [code >> k & 1 for k in range(8)]
    return sum(inside[k] - inside[k] * inside[k + 1] * inside[(k + 2) % 8] for k in range(0, 8, 2))


def _neighbourhoods(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Write down the eight neighbours of each pixel as bits; the rim is not to be used."""
    codes = np.zeros(inside.shape, dtype=np.uint8)
    for k, (dy, dx) in enumerate(_RING):
        codes |= np.roll(inside, (-dy, -dx), axis=(0, 1)).astype(np.uint8) << k
    return codes


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each pixel to the nearest one of the other kind."""
    depth = ndimage.distance_transform_edt(inside) + ndimage.distance_transform_edt(~inside)
    return np.asarray(depth, dtype=np.float64)
