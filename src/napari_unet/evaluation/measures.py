"""Measures of one pair of label images; `scores.evaluate` sums them over many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.evaluation.matching import Overlaps, contingency, count_matches, overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "THRESHOLDS",
    "adapted_rand_error",
    "average_precision",
    "f1",
    "pixel_error",
    "seg",
    "seg_of_each",
]

# Quotients of whole numbers: an IoU that equals a threshold is then the same float, so "more
# than" means it.
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


def average_precision(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    thresholds: Sequence[float] = THRESHOLDS,
    annotated: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """AP(t) = TP / (TP + FP + FN) for every threshold t, matches being one-to-one with IoU > t.

    Parameters
    ----------
    truth, predicted
        Labels of equal shape, 0 = background, every other value one object.
    thresholds
        Values of t in [0, 1).
    annotated
        True where a pixel counts; None = everywhere. `matching.overlaps` says what happens to
        objects at its edge.

    Returns
    -------
    ndarray
        One value per threshold; NaN where there is neither a true nor a predicted object.
    """
    overlap = overlaps(truth, predicted, annotated)
    return np.array([_ap(overlap, threshold) for threshold in thresholds], dtype=np.float64)


def f1(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    threshold: float = 0.5,
    annotated: NDArray[np.bool_] | None = None,
) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) at one IoU threshold; NaN without any object."""
    overlap = overlaps(truth, predicted, annotated)
    both = 2 * count_matches(overlap, threshold)
    return both / overlap.objects if overlap.objects else float("nan")


def seg(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """SEG of the Cell Tracking Challenge: mean Jaccard index over all true cells.

    A true cell's partner is the predicted one that covers more than half of it; without a partner
    its index is 0 (Maska et al. 2014). Predicted cells too many cost nothing here. NaN without a
    true cell.
    """
    indices = seg_of_each(overlaps(truth, predicted, annotated))
    return float(indices.mean()) if indices.size else float("nan")


def seg_of_each(overlap: Overlaps) -> NDArray[np.float64]:
    """Jaccard index of every true cell with the predicted one that covers over half of it, or 0."""
    covered = 2 * overlap.shared > overlap.true_areas[overlap.true]
    indices = np.zeros(overlap.true_areas.size)
    indices[overlap.true[covered]] = overlap.iou[covered]
    return indices


def pixel_error(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """Share of the counted pixels whose value is wrong; NaN if none counts.

    For instances compare ``labels > 0``; otherwise cell numbers are compared as if they were
    classes.
    """
    wrong = truth != predicted
    return float(wrong.mean() if annotated is None else wrong[annotated].mean())


def adapted_rand_error(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """Adapted Rand error: 1 - the F score of "two pixels belong to the same region".

    As in the ISBI 2012 challenge (Arganda-Carreras et al. 2015) and
    `skimage.metrics.adapted_rand_error`: only the pixels of true regions (`truth` not 0) count,
    and among these the predicted background is one region like any other.

    Returns
    -------
    float
        0 = equal partitions; NaN if `truth` has no region, or only regions of one pixel.
    """
    counted = truth != 0 if annotated is None else (truth != 0) & annotated
    both, true, found = map(_pixel_pairs, contingency(truth[counted], predicted[counted]))
    return 1 - 2 * both / (true + found) if true + found else float("nan")


def _ap(overlap: Overlaps, threshold: float) -> float:
    matches = count_matches(overlap, threshold)
    different = overlap.objects - matches
    return matches / different if different else float("nan")


def _pixel_pairs(areas: NDArray[np.int64]) -> int:
    """Count ordered pairs of different pixels of one part."""
    return int((areas * (areas - 1)).sum())
