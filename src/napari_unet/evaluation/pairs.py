"""A prediction beside its truth, checked and brought to one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Pair", "label_pair", "label_pairs", "slices"]


@dataclass(frozen=True, eq=False)
class Pair:
    """A truth, what was predicted, and where it counts: three arrays of one shape.

    Attributes
    ----------
    truth, predicted
        (Z, Y, X), or (Y, X) where it is one slice.
    annotated
        bool, True where a pixel counts.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    annotated: NDArray[np.bool_]


def label_pairs(pairs: Iterable[Sequence[NDArray[Any] | None]]) -> list[Pair]:
    """Check (truth, predicted) or (truth, predicted, annotated) label images of a set.

    Raises
    ------
    ValueError
        If there is none, two shapes differ, or labels are not integers.
    """
    checked = [label_pair(*pair, called=f"pair {n}") for n, pair in enumerate(pairs, start=1)]
    if not checked:
        raise ValueError("there is no pair of label images to compare; give at least one")
    return checked


def label_pair(
    truth: NDArray[Any] | None,
    predicted: NDArray[Any] | None,
    annotated: NDArray[Any] | None = None,
    *,
    called: str = "the pair",
) -> Pair:
    """Bring one pair of label images to (Z, Y, X).

    Parameters
    ----------
    truth, predicted
        (Y, X) or (Z, Y, X) integers, of one shape.
    annotated
        As the labels, nonzero where a pixel counts; None = everywhere.
    called
        What messages call it.

    Raises
    ------
    ValueError
        If one is missing, shapes differ, or labels are not integers.
    """
    if truth is None or predicted is None:
        raise ValueError(f"{called} lacks its truth or its prediction")
    counts = np.ones(truth.shape, dtype=bool) if annotated is None else annotated
    arrays = [_stack(called, array) for array in (truth, predicted, counts)]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError(
            f"{called}: truth {truth.shape}, prediction {predicted.shape} and what is annotated "
            f"{counts.shape} differ in shape; compare labels of the same picture"
        )
    return Pair(arrays[0], arrays[1], arrays[2].astype(bool))


def slices(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Yield every slice of every pair, (Y, X) each."""
    for pair in pairs:
        for plane in zip(pair.truth, pair.predicted, pair.annotated, strict=True):
            yield Pair(*plane)


def _stack(called: str, labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "biu":
        raise ValueError(f"{called}: labels must be whole numbers, not {labels.dtype}")
    if labels.ndim not in (2, 3):
        raise ValueError(f"{called}: labels {labels.shape} must have the axes (Y, X) or (Z, Y, X)")
    return labels if labels.ndim == 3 else labels[np.newaxis]
