"""True and predicted objects of one slice: their overlaps, and which of them match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Overlaps", "count_matches", "overlaps"]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How the true and the predicted objects of one slice lie over each other.

    Attributes
    ----------
    shared
        (true, predicted) integers: counted pixels that both objects have.
    true_areas, predicted_areas
        Counted pixels of every true and of every predicted object.
    """

    shared: NDArray[np.int64]
    true_areas: NDArray[np.int64]
    predicted_areas: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """(true, predicted) intersection over union."""
        union = self.true_areas[:, None] + self.predicted_areas[None, :] - self.shared
        return np.asarray(self.shared / union, dtype=np.float64)


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
    true_index, true_whole = _numbered(truth)
    predicted_index, predicted_whole = _numbered(predicted)
    counted = slice(None) if annotated is None else annotated.ravel()
    pairs = true_index[counted] * np.int64(len(predicted_whole)) + predicted_index[counted]
    size = len(true_whole) * len(predicted_whole)
    table = _histogram(pairs, size).reshape(len(true_whole), len(predicted_whole))
    true_areas, predicted_areas = table.sum(axis=1), table.sum(axis=0)
    kept_true = _mostly_inside(true_areas, true_whole)
    covers = (2 * table > true_areas[:, None])[kept_true].any(axis=0)
    kept_predicted = _mostly_inside(predicted_areas, predicted_whole) | covers
    kept_predicted[0] = False
    return Overlaps(
        table[np.ix_(kept_true, kept_predicted)],
        true_areas[kept_true],
        predicted_areas[kept_predicted],
    )


def count_matches(overlap: Overlaps, threshold: float) -> int:
    """Count one-to-one matches with IoU > `threshold`, as many as there can be.

    From 0.5 on an object has at most one such partner (Kirillov et al. 2019); below, the largest
    matching of the bipartite graph is taken.
    """
    accepted = overlap.iou > threshold
    if threshold >= 0.5 or not accepted.any():
        return int(accepted.sum())
    partners = maximum_bipartite_matching(csr_array(accepted), perm_type="column")
    return int((partners >= 0).sum())


def _numbered(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the objects numbers 1..n and the background 0; return numbers and areas."""
    values, index = np.unique(labels.ravel(), return_inverse=True)
    if values.size == 0 or values[0] != 0:
        index = index + 1
    size = values.size + int(values.size == 0 or values[0] != 0)
    return index, _histogram(index, size)


def _histogram(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.bincount(index, minlength=size).astype(np.int64)


def _mostly_inside(counted: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which objects count: at least half inside; never the background, never an empty one."""
    inside = (2 * counted >= whole) & (counted > 0)
    inside[0] = False
    return inside
