"""How well each class of pixels is found, and which are taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.evaluation.pairs import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["ClassScore", "Confusion", "confusion", "ranked"]

_COUNTED = 64  # classes up to which a full table of counts is made for each image
_READABLE = 256


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """How well one class is found; None where it occurs in neither truth nor prediction.

    Attributes
    ----------
    value
        The class's value in the truth, or in the prediction if only that has so many classes.
    iou
        Pixels of this class in both / pixels of this class in either.
    dice
        2 * pixels in both / (pixels in the truth + pixels in the prediction).
    true_pixels, predicted_pixels
        Counted pixels of this class.
    """

    value: int
    iou: float | None
    dice: float | None
    true_pixels: int
    predicted_pixels: int


@dataclass(frozen=True, eq=False)
class Confusion:
    """How many pixels of each class were taken for which.

    Attributes
    ----------
    values
        The values of the classes, in the order of their ranks.
    true, predicted
        Ranks; one entry for each combination that occurs.
    pixels
        How often it does.
    """

    values: tuple[int, ...]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def classes(self) -> tuple[ClassScore, ...]:
        """Each class's scores."""
        true, predicted, both = (
            self._summed(self.true),
            self._summed(self.predicted),
            self._summed(self.true, self.true == self.predicted),
        )
        return tuple(map(_class_score, self.values, true, predicted, both))

    @property
    def table(self) -> tuple[tuple[int, ...], ...] | None:
        """Pixels by true class (rows) and predicted class; None for more than 256 classes."""
        if len(self.values) > _READABLE:
            return None
        table = np.zeros((len(self.values), len(self.values)), dtype=np.int64)
        table[self.true, self.predicted] = self.pixels
        return tuple(map(tuple, table.tolist()))

    def _summed(
        self, ranks: NDArray[np.int64], chosen: NDArray[np.bool_] | slice = slice(None)
    ) -> list[int]:
        counts = np.zeros(len(self.values), dtype=np.int64)
        np.add.at(counts, ranks[chosen], self.pixels[chosen])
        return [int(count) for count in counts]


def ranked(
    pairs: Sequence[Pair], classes: Sequence[int] | None = None
) -> tuple[list[Pair], tuple[int, ...]]:
    """Replace class values by ranks, decided over the whole set, and name the ranks by values.

    Parameters
    ----------
    pairs
        What the truth holds where it is not annotated is no class; its rank says nothing.
    classes
        All values that truth and predictions may hold. Without them it is guessed: where the
        values of one side all occur in the other, both are ranked as the other is; a prediction
        with values below the number of classes is taken as ranks; where both sides have a value
        other than 0 in common, all values are taken as they are; any other prediction is ranked
        by itself.

    Raises
    ------
    ValueError
        If a value is 2**63 or more, or is none of the `classes`.
    """
    true_values = _values(pair.truth[pair.annotated] for pair in pairs)
    found = _values(pair.predicted for pair in pairs)
    if classes is not None:
        known = np.unique(np.asarray(classes, dtype=np.int64))
        strange = np.setdiff1d(np.union1d(true_values, found), known)
        if strange.size:
            raise ValueError(
                f"the value {strange[0]} is none of the classes {known.tolist()}; name all"
            )
        true_values = values = known
    elif np.isin(found, true_values).all():
        values = true_values
    elif np.isin(true_values, found).all():
        true_values = values = found
    elif found.max(initial=0) < true_values.size:
        values = np.arange(true_values.size)
    elif np.intersect1d(true_values, found).any():
        true_values = values = np.union1d(true_values, found)
    else:
        values = found
    ranks = [
        Pair(
            np.searchsorted(true_values, pair.truth.astype(np.int64)),
            np.searchsorted(values, pair.predicted.astype(np.int64)),
            pair.annotated,
        )
        for pair in pairs
    ]
    return ranks, (*true_values.tolist(), *values[true_values.size :].tolist())


def confusion(pairs: Iterable[Pair], values: tuple[int, ...]) -> Confusion:
    """Count which class was taken for which, over the counted pixels of ranked pairs.

    Memory follows the pixels and the combinations that occur, not the number of classes squared.
    """
    n = max(len(values), 1)
    counted = [_codes(pair, n) for pair in pairs]
    codes, where = np.unique(
        np.concatenate([np.zeros(0, dtype=np.int64), *(code for code, _ in counted)]),
        return_inverse=True,
    )
    pixels = np.zeros(codes.size, dtype=np.int64)
    np.add.at(pixels, where, np.concatenate([pixels[:0], *(count for _, count in counted)]))
    return Confusion(values, codes // n, codes % n, pixels)


def _codes(pair: Pair, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the combinations of one image, coded as true rank * n + predicted rank."""
    codes = pair.truth[pair.annotated] * np.int64(n) + pair.predicted[pair.annotated]
    if n > _COUNTED:
        return np.unique(codes, return_counts=True)
    counts = np.bincount(codes, minlength=n * n)
    present = np.flatnonzero(counts)
    return present, counts[present]


def _values(labels: Iterable[NDArray[Any]]) -> NDArray[np.int64]:
    found = [np.unique(array) for array in labels]
    highest = max((int(values[-1]) for values in found if values.size), default=0)
    if highest > np.iinfo(np.int64).max:
        raise ValueError(f"the class value {highest} is too large; use values below 2**63")
    return np.unique(np.concatenate([np.zeros(0, np.int64), *(v.astype(np.int64) for v in found)]))


def _class_score(value: int, true: int, predicted: int, both: int) -> ClassScore:
    either = true + predicted - both
    return ClassScore(
        value=value,
        iou=both / either if either else None,
        dice=2 * both / (true + predicted) if either else None,
        true_pixels=true,
        predicted_pixels=predicted,
    )
