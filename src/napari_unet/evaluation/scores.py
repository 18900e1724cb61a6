"""Scores of a set of predicted label images against the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from skimage.measure import label

from napari_unet.evaluation.matching import count_matches, overlaps
from napari_unet.evaluation.measures import THRESHOLDS, adapted_rand_error, seg_of_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Scores", "evaluate"]

Task = Literal["instances", "classes"]
_Pair = tuple["NDArray[Any]", "NDArray[Any]", "NDArray[np.bool_]"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How well predicted labels agree with the truth; None where a score does not apply.

    Attributes
    ----------
    ap50
        AP(0.5) = TP / (TP + FP + FN) of the objects.
    ap
        Mean of AP(t) for t = 0.5, 0.55 .. 0.95.
    f1_50
        F1 of the objects at IoU > 0.5.
    seg
        Mean Jaccard index over the true cells (Cell Tracking Challenge).
    pixel_error
        Share of counted pixels that are wrong: cell or background, or the class.
    rand_error
        Adapted Rand error of the regions, mean over the slices.
    n_true, n_predicted
        Objects that were compared.
    images
        Label images that were compared; a stack is one.
    """

    ap50: float | None
    ap: float | None
    f1_50: float | None
    seg: float | None
    pixel_error: float | None
    rand_error: float | None
    n_true: int | None
    n_predicted: int | None
    images: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the scores as plain numbers, ready for JSON."""
        return asdict(self)


def evaluate(pairs: Iterable[Sequence[NDArray[Any] | None]], *, task: Task = "instances") -> Scores:
    """Compare predicted labels with the truth, over all images together.

    Every slice of a stack is compared by itself: an object is a cell in one slice. True and false
    positives and negatives are summed over all slices before AP and F1 are taken, SEG is the mean
    over all true cells, the pixel error counts all pixels alike, and the adapted Rand error is
    the mean over the slices that have a true region.

    Parameters
    ----------
    pairs
        (truth, predicted) or (truth, predicted, annotated), each (Y, X) or (Z, Y, X) and of one
        shape; `annotated` is True where a pixel counts, None = everywhere.
    task
        "instances": 0 is background, every other value one object (split a 0/255 mask with
        `annotations.binary_to_instances` first). "classes": every value is a class. Classes
        compare by the rank of their values, so that 0/255 equals 0/1: a prediction whose values
        all occur in the truth is ranked as the truth is, one with values below the number of
        classes is taken as ranks, any other is ranked by itself. Only `pixel_error` and
        `rand_error` apply then; the regions are the 4-connected pieces of each class but the
        lowest.

    Raises
    ------
    ValueError
        If two shapes differ, labels are not integers, there is no pair, or `task` is unknown.
    """
    checked = [_checked(number, pair) for number, pair in enumerate(pairs, start=1)]
    if not checked:
        raise ValueError("there is no pair of label images to compare; give at least one")
    if task == "instances":
        return _instance_scores(checked)
    if task == "classes":
        return _class_scores(_ranked(checked))
    raise ValueError(f"task {task!r} has no scores; choose 'instances' or 'classes'")


def _instance_scores(pairs: list[_Pair]) -> Scores:
    found = [overlaps(*pair) for pair in _slices(pairs)]
    n_true = sum(overlap.true_areas.size for overlap in found)
    n_predicted = sum(overlap.predicted_areas.size for overlap in found)
    matches = [sum(count_matches(overlap, t) for overlap in found) for t in THRESHOLDS]
    precisions = [_share(tp, n_true + n_predicted - tp) for tp in matches]
    return Scores(
        ap50=precisions[0],
        ap=_mean([value for value in precisions if value is not None]),
        f1_50=_share(2 * matches[0], n_true + n_predicted),
        seg=_mean(np.concatenate([seg_of_each(overlap) for overlap in found])),
        pixel_error=_pixel_error((t > 0, p > 0, a) for t, p, a in pairs),
        rand_error=_rand_error(pairs),
        n_true=n_true,
        n_predicted=n_predicted,
        images=len(pairs),
    )


def _class_scores(pairs: list[_Pair]) -> Scores:
    regions = [(_regions(truth), _regions(predicted), a) for truth, predicted, a in pairs]
    return Scores(
        ap50=None,
        ap=None,
        f1_50=None,
        seg=None,
        pixel_error=_pixel_error(pairs),
        rand_error=_rand_error(regions),
        n_true=None,
        n_predicted=None,
        images=len(pairs),
    )


def _checked(number: int, pair: Sequence[NDArray[Any] | None]) -> _Pair:
    """Promote one pair to three (Z, Y, X) arrays."""
    truth, predicted, *rest = pair
    if truth is None or predicted is None:
        raise ValueError(f"pair {number} lacks its truth or its prediction")
    annotated = rest[0] if rest and rest[0] is not None else np.ones(truth.shape, dtype=bool)
    arrays = [_stack(number, array) for array in (truth, predicted, annotated)]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"pair {number}: truth {truth.shape}, prediction {predicted.shape} and what is "
            f"annotated {annotated.shape} differ in shape; compare labels of the same picture"
        )
    return arrays[0], arrays[1], arrays[2].astype(bool)


def _stack(number: int, labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "biu":
        raise ValueError(f"pair {number}: labels must be whole numbers, not {labels.dtype}")
    if labels.ndim not in (2, 3):
        raise ValueError(
            f"pair {number}: labels {labels.shape} must have the axes (Y, X) or (Z, Y, X)"
        )
    return labels if labels.ndim == 3 else labels[None]


def _slices(pairs: Iterable[_Pair]) -> Iterator[_Pair]:
    for pair in pairs:
        yield from zip(*pair, strict=True)


def _ranked(pairs: list[_Pair]) -> list[_Pair]:
    """Replace class values by ranks, decided over the whole set."""
    true_values = _values(truth[annotated] for truth, _, annotated in pairs)
    values = _values(predicted for _, predicted, _ in pairs)
    if np.isin(values, true_values).all():
        values = true_values
    elif values.max(initial=0) < true_values.size:
        values = np.arange(true_values.size)
    return [
        (np.searchsorted(true_values, truth), np.searchsorted(values, predicted), annotated)
        for truth, predicted, annotated in pairs
    ]


def _values(labels: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.unique(np.concatenate([np.unique(array).astype(np.int64) for array in labels]))


def _regions(ranks: NDArray[Any]) -> NDArray[Any]:
    """Label the 4-connected pieces of each class but 0, slice by slice."""
    return np.stack([label(plane, background=0, connectivity=1) for plane in ranks])


def _pixel_error(pairs: Iterable[_Pair]) -> float | None:
    wrong = counted = 0
    for truth, predicted, annotated in pairs:
        wrong += int(((truth != predicted) & annotated).sum())
        counted += int(annotated.sum())
    return _share(wrong, counted)


def _rand_error(pairs: list[_Pair]) -> float | None:
    errors = np.array([adapted_rand_error(*pair) for pair in _slices(pairs)])
    return _mean(errors[np.isfinite(errors)])


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: NDArray[np.float64] | list[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
