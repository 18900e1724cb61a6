"""Taking a prediction over as annotation, without touching what a person painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations.cells import cell_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.annotations.annotated_image import Task

__all__ = ["join_prediction"]


def join_prediction(
    painted: NDArray[Any], predicted: NDArray[Any], *, task: Task, first: int
) -> tuple[NDArray[Any], int]:
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
        (Y, X), in a type that holds every number: `painted` with what was added.
    count
        How many cells, or pixels of classes, were added.
    """
    if painted.shape != predicted.shape:
        raise ValueError(
            f"the prediction has shape {predicted.shape}, but the labels have {painted.shape}"
        )
    if task == "classes":
        free = (painted == 0) & (predicted > 0)
        kind = _holding(painted.dtype, int(predicted.max(initial=0)))
        return np.where(free, predicted.astype(kind), painted), int(np.count_nonzero(free))
    cells = cell_values(predicted)
    cells = cells[cells > 0]
    added = cells[~np.isin(cells, cell_values(predicted[painted > 0]))]
    if not len(added):
        return painted.copy(), 0
    numbers = np.arange(first, first + len(added))
    new = _renumbered(predicted, added, numbers.astype(_holding(painted.dtype, int(numbers[-1]))))
    return np.where(new > 0, new, painted), len(added)


def _renumbered(labels: NDArray[Any], cells: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
    """Give some cells (rising) these numbers; leave the others out."""
    highest = int(labels.max(initial=0))
    if labels.min(initial=0) < 0 or highest >= labels.size:  # a table of all numbers is too long
        places = np.searchsorted(cells, labels).clip(max=len(cells) - 1)
        found: NDArray[Any] = numbers[places]
        found[cells[places] != labels] = 0
        return found
    table = np.zeros(highest + 1, numbers.dtype)
    table[cells] = numbers
    return np.asarray(table[labels])


def _holding(dtype: np.dtype[Any], highest: int) -> np.dtype[Any]:
    """Return a type of integers that holds what `dtype` does, and a number."""
    signed = dtype.kind == "i"
    return np.promote_types(dtype, np.min_scalar_type(-highest - 1 if signed else highest))
