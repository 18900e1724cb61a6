"""Taking a prediction over as annotation, without touching what a person painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.annotations.annotated_image import Task

__all__ = ["join_prediction"]


def join_prediction(
    painted: NDArray[Any], predicted: NDArray[Any], *, task: Task, first: int
) -> tuple[NDArray[np.int64], int]:
    """Add to an annotated slice what was predicted beside it.

    Task instances: a predicted cell that overlaps a painted one is left out whole, since a
    person has already said what is there; the others are numbered anew. Task classes: predicted
    values go where nothing is painted.

    Parameters
    ----------
    painted
        (Y, X), as a person painted it; 0 is unpainted.
    predicted
        (Y, X), cells numbered from 1, or painted values of classes.
    task
        What the numbers mean.
    first
        The number of the first cell that is added.

    Returns
    -------
    joined
        (Y, X) int64: `painted` with what was added.
    count
        How many cells, or pixels of classes, were added.
    """
    if painted.shape != predicted.shape:
        raise ValueError(
            f"the prediction has shape {predicted.shape}, but the labels have {painted.shape}"
        )
    joined = painted.astype(np.int64)
    if task == "classes":
        free = (painted == 0) & (predicted > 0)
        joined[free] = predicted[free]
        return joined, int(np.count_nonzero(free))
    taken = np.unique(predicted[painted > 0])
    cells, inverse = np.unique(predicted, return_inverse=True)
    added = (cells > 0) & ~np.isin(cells, taken)
    numbers = np.zeros(len(cells), dtype=np.int64)
    numbers[added] = np.arange(first, first + int(added.sum()))
    new = numbers[inverse].reshape(predicted.shape)
    joined[new > 0] = new[new > 0]
    return joined, int(added.sum())
