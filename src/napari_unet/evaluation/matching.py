"""True and predicted objects of one slice: their overlaps, and which of them match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Overlaps", "contingency", "count_matches", "overlaps", "unique_inverse"]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How the true and the predicted objects of one slice lie over each other.

    The first three have one entry per pair of objects that share a pixel.

    Attributes
    ----------
    true, predicted
        Which true and which predicted object it is, counted from 0.
    shared
        Counted pixels that both have.
    true_areas, predicted_areas
        Counted pixels of every true and of every predicted object.
    true_values, predicted_values
        The label value of every object.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    shared: NDArray[np.int64]
    true_areas: NDArray[np.int64]
    predicted_areas: NDArray[np.int64]
    true_values: NDArray[Any]
    predicted_values: NDArray[Any]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of every pair."""
        areas = self.true_areas[self.true] + self.predicted_areas[self.predicted]
        return np.asarray(self.shared / (areas - self.shared), dtype=np.float64)

    @property
    def objects(self) -> int:
        """True and predicted objects together."""
        return self.true_areas.size + self.predicted_areas.size


def overlaps(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> Overlaps:
    """Count the pixels that every true object shares with every predicted one.

    Only counted pixels enter. At the edge of what is annotated objects are cut, and what is left
    of them may say little, so

    - a true object with more than half of its pixels outside is left out;
    - a predicted object with more than half of its pixels outside is left out too, unless its
      part inside covers more than half of a true object: it is neither right nor wrong.

    Parameters
    ----------
    truth, predicted
        Labels of equal shape, 0 = background, every other value one object.
    annotated
        True where a pixel counts; None = everywhere.

    Returns
    -------
    Overlaps
        Objects in the order of their label values.
    """
    true_index, true_whole, true_values = _numbered(truth)
    predicted_index, predicted_whole, predicted_values = _numbered(predicted)
    if annotated is not None:
        true_index, predicted_index = true_index[annotated], predicted_index[annotated]
    true_areas = np.bincount(true_index.ravel(), minlength=true_whole.size)
    predicted_areas = np.bincount(predicted_index.ravel(), minlength=predicted_whole.size)
    true, found, shared = _pairs(true_index, predicted_index, predicted_whole.size)
    keep_true = _mostly_inside(true_areas, true_whole)
    keep_predicted = _mostly_inside(predicted_areas, predicted_whole)
    covers = (2 * shared > true_areas[true]) & keep_true[true]
    keep_predicted[found[covers]] = True
    kept = keep_true[true] & keep_predicted[found]
    return Overlaps(
        (np.cumsum(keep_true) - 1)[true[kept]],
        (np.cumsum(keep_predicted) - 1)[found[kept]],
        shared[kept],
        true_areas[keep_true],
        predicted_areas[keep_predicted],
        true_values[keep_true],
        predicted_values[keep_predicted],
    )


def count_matches(overlap: Overlaps, threshold: float) -> int:
    """Count one-to-one matches with IoU > `threshold`, as many as there can be.

    From 0.5 on an object has at most one such partner (Kirillov et al. 2019); below, the largest
    matching of the bipartite graph is taken.
    """
    accepted = overlap.iou > threshold
    if threshold >= 0.5 or not accepted.any():
        return int(accepted.sum())
    graph = csr_array(
        (np.ones(accepted.sum()), (overlap.true[accepted], overlap.predicted[accepted])),
        shape=(overlap.true_areas.size, overlap.predicted_areas.size),
    )
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def unique_inverse(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return what ``np.unique(labels, return_inverse=True)`` does, without sorting small values.

    Memory follows the pixels, never the highest value.
    """
    if not (labels.size and labels.min() >= 0 and labels.max() <= labels.size):
        values, inverse = np.unique(labels, return_inverse=True)
        return values, inverse.reshape(labels.shape)
    index = labels.astype(np.int64)
    present = np.bincount(index.ravel()) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[index]


def contingency(
    first: NDArray[Any], second: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of every combination of two partitions that occurs, and of their parts.

    Parameters
    ----------
    first, second
        Labels of one shape; every value is a part, 0 like any other.

    Returns
    -------
    tuple of ndarray
        Pixels per combination, per part of the first, and per part of the second.
    """
    _, index_1 = unique_inverse(first)
    values, index_2 = unique_inverse(second)
    _, both = unique_inverse(index_1 * np.int64(values.size) + index_2)
    counts = [np.bincount(index.ravel()) for index in (both, index_1, index_2)]
    return counts[0], counts[1], counts[2]


def _numbered(
    labels: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Give the objects numbers 1..n and the background 0; return numbers, areas and values."""
    values, inverse = unique_inverse(labels)
    number = np.cumsum(values != 0) * (values != 0)
    index = number[inverse]
    objects = values[values != 0]
    return index, np.bincount(index.ravel(), minlength=objects.size + 1), np.insert(objects, 0, 0)


def _pairs(
    true: NDArray[np.int64], predicted: NDArray[np.int64], predicted_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """List the pairs of objects that share pixels, and how many."""
    both = (true > 0) & (predicted > 0)
    codes, shared = np.unique(true[both] * predicted_size + predicted[both], return_counts=True)
    return codes // predicted_size, codes % predicted_size, shared


def _mostly_inside(counted: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which objects count: at least half inside; never the background, never an empty one."""
    inside = (2 * counted >= whole) & (counted > 0)
    inside[0] = False
    return inside
