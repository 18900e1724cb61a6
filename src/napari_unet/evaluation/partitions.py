"""Measures that compare pictures as partitions into regions, blind to how wide borders are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unet.evaluation.matching import contingency

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PartitionScores", "partition_scores", "thin_borders"]


@dataclass(frozen=True, kw_only=True)
class PartitionScores:
    """The final measures of the ISBI 2012 challenge; 1 is perfect, 0 the worst.

    With p_ij the share of the counted pixels in predicted region i and true region j, s_i and t_j
    its sums over j and i, H the entropy and I the mutual information of such shares
    (Arganda-Carreras et al. 2015).

    Attributes
    ----------
    v_rand
        sum p_ij^2 / (0.5 sum s_i^2 + 0.5 sum t_j^2), the F score of the next two.
    v_rand_split
        sum p_ij^2 / sum t_j^2: how likely two pixels of one true region are together in the
        prediction too. Falls where regions are split.
    v_rand_merge
        sum p_ij^2 / sum s_i^2: how likely two pixels of one predicted region belong together.
        Falls where regions are merged.
    v_info
        I / (0.5 H(s) + 0.5 H(t)), the F score of the next two.
    v_info_split
        I / H(s). Falls where regions are split, by what it takes to join them again.
    v_info_merge
        I / H(t). Falls where regions are merged.
    """

    v_rand: float
    v_rand_split: float
    v_rand_merge: float
    v_info: float
    v_info_split: float
    v_info_merge: float


def partition_scores(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> PartitionScores | None:
    """Compare two partitions of a slice after thinning the borders of the prediction.

    Only pixels of true regions count, so that the borders of the truth say nothing; and the
    borders of the prediction are thinned away (`thin_borders`), so that it does not matter how
    wide they were drawn.

    Parameters
    ----------
    truth, predicted
        (Y, X) labels of one shape, 0 = border or background, every other value one region.
    annotated
        True where a pixel counts; None = everywhere. The prediction is cut there too.

    Returns
    -------
    PartitionScores or None
        None if no pixel of a true region counts.
    """
    counted = truth != 0
    if annotated is not None:
        counted &= annotated
        predicted = np.where(annotated, predicted, 0)
    if not counted.any():
        return None
    pixels = contingency(thin_borders(predicted)[counted], truth[counted])
    both, found, true = (counts / counted.sum() for counts in pixels)
    together, split, merge = (float((share**2).sum()) for share in (both, true, found))
    entropies = _entropy(found), _entropy(true)
    common = max(0.0, sum(entropies) - _entropy(both))
    return PartitionScores(
        v_rand=together / (0.5 * split + 0.5 * merge),
        v_rand_split=together / split,
        v_rand_merge=together / merge,
        v_info=_ratio(common, 0.5 * sum(entropies)),
        v_info_split=_ratio(common, entropies[0]),
        v_info_merge=_ratio(common, entropies[1]),
    )


def thin_borders(labels: NDArray[Any]) -> NDArray[Any]:
    """Let regions grow until no border is left between them.

    Parameters
    ----------
    labels
        (Y, X), 0 = border or background.

    Returns
    -------
    ndarray
        As `labels`: each 0 has become the value of the nearest region, in pixels of Euclidean
        distance. Without any region all stays 0.
    """
    border = labels == 0
    if border.all():
        return labels
    y, x = ndimage.distance_transform_edt(border, return_distances=False, return_indices=True)
    thinned: NDArray[Any] = labels[y, x]
    return thinned


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-(shares * np.log(shares)).sum())


def _ratio(common: float, own: float) -> float:
    """Divide information; where there is only one region nothing can be lost."""
    return min(1.0, common / own) if own > 0 else 1.0
