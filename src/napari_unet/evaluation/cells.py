"""What became of each cell: matched, split, merged, missed or extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unet.evaluation.matching import overlaps
from napari_unet.evaluation.pairs import label_pair, slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_unet.evaluation.matching import Overlaps
    from napari_unet.evaluation.pairs import Pair

__all__ = ["CellRecord", "Fates", "Kind", "cell_report", "fates"]

Kind = Literal["matched", "split", "merged", "missed", "extra"]


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """One line of a report about cells: what happened, to which of them, and where.

    Attributes
    ----------
    image
        Name of the image.
    slice
        Slice of the stack, counted from 0 as napari counts; 0 for a single picture.
    kind
        `fates` says what each kind means.
    true, predicted
        Label values of the cells concerned. A missed or extra cell stands beside the one that
        agrees best with it, although not well enough, if any overlaps it.
    iou
        Intersection over union of the true and the predicted cells of this line; 0 if there is
        only one side.
    area
        Counted pixels of the true cells, or of the predicted one where it is extra.
    y, x
        Mean position of those pixels, in pixels of the slice.
    """

    image: str
    slice: int
    kind: Kind
    true: tuple[int, ...]
    predicted: tuple[int, ...]
    iou: float
    area: int
    y: float
    x: float


@dataclass(frozen=True, eq=False)
class Fates:
    """Which objects of one slice were matched, split, merged, missed or invented.

    Attributes
    ----------
    matched
        bool, one per pair of `Overlaps`: IoU > 0.5.
    within
        bool, one per pair: more than half of the predicted object lies in the true one.
    covers
        bool, one per pair: the predicted object covers more than half of the true one.
    split, missed
        bool, one per true object.
    merged, extra
        bool, one per predicted object.
    """

    matched: NDArray[np.bool_]
    within: NDArray[np.bool_]
    covers: NDArray[np.bool_]
    split: NDArray[np.bool_]
    missed: NDArray[np.bool_]
    merged: NDArray[np.bool_]
    extra: NDArray[np.bool_]


def fates(overlap: Overlaps) -> Fates:
    """Say what became of every object of a slice.

    - *matched*: a true and a predicted object with IoU > 0.5, one to one: the true positives of
      AP(0.5).
    - *split*: a true object in which the greater part of two or more predicted ones lies, that
      cover more than half of it together.
    - *merged*: a predicted object that covers more than half of two or more true ones.
    - *missed*: a true object that is neither matched, nor split, nor merged with others.
    - *extra*: a predicted object that is neither matched, nor a part of a split, nor a merger.

    A large piece may match a cell that is split all the same, and a merger the largest of its
    cells.
    """
    n_true, n_predicted = overlap.true_areas.size, overlap.predicted_areas.size
    matched = overlap.iou > 0.5
    within = 2 * overlap.shared > overlap.predicted_areas[overlap.predicted]
    covers = 2 * overlap.shared > overlap.true_areas[overlap.true]
    parts = np.bincount(overlap.true[within], minlength=n_true)
    covered = np.bincount(overlap.true[within], overlap.shared[within], minlength=n_true)
    split = (parts > 1) & (2 * covered > overlap.true_areas)
    merged = np.bincount(overlap.predicted[covers], minlength=n_predicted) > 1
    missed, extra = ~split, ~merged
    missed[overlap.true[matched | (covers & merged[overlap.predicted])]] = False
    extra[overlap.predicted[matched | (within & split[overlap.true])]] = False
    return Fates(matched, within, covers, split, missed, merged, extra)


def cell_report(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    annotated: NDArray[np.bool_] | None = None,
    *,
    image: str = "",
) -> list[CellRecord]:
    """List the cells of a picture that were found, and how the others were not.

    Parameters
    ----------
    truth, predicted
        (Y, X) or (Z, Y, X) labels of one shape, 0 = background, every other value one cell.
    annotated
        True where a pixel counts; None = everywhere. `matching.overlaps` says what happens to
        cells at its edge.
    image
        Name of the image, for the records.

    Returns
    -------
    list of CellRecord
        Slice by slice; matched cells first, then split, merged, missed and extra ones, each by
        rising label value.

    Raises
    ------
    ValueError
        If shapes differ or labels are not integers.
    """
    pair = label_pair(truth, predicted, annotated, called=image or "the picture")
    return [
        record
        for number, plane in enumerate(slices([pair]))
        for record in _slice_report(plane, image, number)
    ]


def _slice_report(plane: Pair, image: str, number: int) -> Iterator[CellRecord]:
    overlap = overlaps(plane.truth, plane.predicted, plane.annotated)
    shared = _shared(overlap)
    true_sums = _position_sums(plane.truth, plane.annotated, overlap.true_values)
    predicted_sums = _position_sums(plane.predicted, plane.annotated, overlap.predicted_values)
    for kind, true, predicted in _events(overlap, fates(overlap)):
        both = sum(shared.get((t, p), 0) for t in true for p in predicted)
        true_area = int(overlap.true_areas[true].sum())
        predicted_area = int(overlap.predicted_areas[predicted].sum())
        area = predicted_area if kind == "extra" else true_area
        sums = predicted_sums[predicted] if kind == "extra" else true_sums[true]
        y, x = sums.sum(axis=0) / area
        yield CellRecord(
            image=image,
            slice=number,
            kind=kind,
            true=tuple(overlap.true_values[true].tolist()),
            predicted=tuple(overlap.predicted_values[predicted].tolist()),
            iou=both / (true_area + predicted_area - both),
            area=area,
            y=float(y),
            x=float(x),
        )


def _events(overlap: Overlaps, fate: Fates) -> Iterator[tuple[Kind, list[int], list[int]]]:
    """Yield kind, true and predicted objects of every line."""
    for pair in np.flatnonzero(fate.matched):
        yield "matched", [int(overlap.true[pair])], [int(overlap.predicted[pair])]
    parts = _partners(overlap.true, overlap.predicted, fate.within)
    for true in np.flatnonzero(fate.split).tolist():
        yield "split", [true], parts[true]
    covered = _partners(overlap.predicted, overlap.true, fate.covers)
    for predicted in np.flatnonzero(fate.merged).tolist():
        yield "merged", covered[predicted], [predicted]
    nearest = _best_partner(overlap.true, overlap.predicted, overlap.iou)
    for true in np.flatnonzero(fate.missed).tolist():
        yield "missed", [true], nearest.get(true, [])
    nearest = _best_partner(overlap.predicted, overlap.true, overlap.iou)
    for predicted in np.flatnonzero(fate.extra).tolist():
        yield "extra", nearest.get(predicted, []), [predicted]


def _shared(overlap: Overlaps) -> dict[tuple[int, int], int]:
    pairs = zip(overlap.true.tolist(), overlap.predicted.tolist(), strict=True)
    return dict(zip(pairs, overlap.shared.tolist(), strict=True))


def _partners(
    own: NDArray[np.int64], others: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> dict[int, list[int]]:
    """Collect for each object the others that it has a chosen pair with."""
    found: dict[int, list[int]] = {}
    for one, other in zip(own[chosen].tolist(), others[chosen].tolist(), strict=True):
        found.setdefault(one, []).append(other)
    return found


def _best_partner(
    own: NDArray[np.int64], others: NDArray[np.int64], iou: NDArray[np.float64]
) -> dict[int, list[int]]:
    """Find for each object the other with the highest IoU."""
    rising = np.argsort(iou, kind="stable")
    pairs = zip(own[rising].tolist(), others[rising].tolist(), strict=True)
    return {one: [other] for one, other in pairs}


def _position_sums(
    labels: NDArray[Any], annotated: NDArray[np.bool_], values: NDArray[Any]
) -> NDArray[np.float64]:
    """Sum up y and x of the counted pixels of each object: (objects, 2)."""
    if not values.size:
        return np.zeros((0, 2))
    y, x = np.nonzero((labels != 0) & annotated)
    index = np.minimum(np.searchsorted(values, labels[y, x]), values.size - 1)
    known = values[index] == labels[y, x]
    sums = [np.bincount(index[known], at[known], minlength=values.size) for at in (y, x)]
    return np.stack(sums, axis=1)
