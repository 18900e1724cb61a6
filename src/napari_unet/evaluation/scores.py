"""Scores of a set of predicted label images against the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from skimage.measure import label

from napari_unet.evaluation.cells import fates
from napari_unet.evaluation.classes import ClassScore, confusion, ranked
from napari_unet.evaluation.matching import count_matches, overlaps
from napari_unet.evaluation.measures import THRESHOLDS, adapted_rand_error, seg_of_each
from napari_unet.evaluation.pairs import Pair, label_pairs, slices
from napari_unet.evaluation.partitions import PartitionScores, partition_scores
from napari_unet.evaluation.regression import ValueScores, value_scores
from napari_unet.evaluation.topology import draw_borders, topological_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import Task
    from napari_unet.evaluation.matching import Overlaps

__all__ = ["CurvePoint", "Scores", "evaluate"]


@dataclass(frozen=True)
class CurvePoint:
    """How well cells are found at one strictness; None without any cell.

    Attributes
    ----------
    iou
        A true and a predicted cell match above this intersection over union.
    ap
        TP / (TP + FP + FN).
    f1
        2 TP / (2 TP + FP + FN).
    """

    iou: float
    ap: float | None
    f1: float | None


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
    matched_iou
        Mean IoU of the cells that match at IoU > 0.5.
    n_matched, n_split, n_merged, n_missed, n_extra
        Cells by what became of them (`cells.fates`).
    curve
        AP and F1 at IoU > 0.5, 0.55 .. 0.95.
    mean_iou, mean_dice
        Mean over the classes that occur in the truth or the prediction, each weighing alike.
    classes
        Each class's scores.
    confusion
        Counted pixels by true class (rows) and predicted class, in the order of `classes`; None
        for more than 256 classes.
    v_rand, v_rand_split, v_rand_merge, v_info, v_info_split, v_info_merge
        `partitions.PartitionScores`, mean over the slices; only if asked for.
    warping_error
        Share of counted pixels that stay wrong when the truth is warped without a change of its
        topology (`topology.topological_errors`); only if asked for.
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
    matched_iou: float | None = None
    n_matched: int | None = None
    n_split: int | None = None
    n_merged: int | None = None
    n_missed: int | None = None
    n_extra: int | None = None
    curve: tuple[CurvePoint, ...] | None = None
    mean_iou: float | None = None
    mean_dice: float | None = None
    classes: tuple[ClassScore, ...] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    v_rand: float | None = None
    v_rand_split: float | None = None
    v_rand_merge: float | None = None
    v_info: float | None = None
    v_info_split: float | None = None
    v_info_merge: float | None = None
    warping_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers, ready for JSON."""
        return asdict(self)


@overload
def evaluate(
    pairs: Iterable[Sequence[NDArray[Any] | None]],
    *,
    task: Literal["instances", "classes"] = "instances",
    classes: Sequence[int] | None = None,
    em: bool = False,
) -> Scores: ...


@overload
def evaluate(
    pairs: Iterable[Sequence[NDArray[Any] | None]], *, task: Literal["regression"]
) -> ValueScores: ...


@overload
def evaluate(
    pairs: Iterable[Sequence[NDArray[Any] | None]],
    *,
    task: Task,
    classes: Sequence[int] | None = None,
    em: bool = False,
) -> Scores | ValueScores: ...


def evaluate(
    pairs: Iterable[Sequence[NDArray[Any] | None]],
    *,
    task: Task = "instances",
    classes: Sequence[int] | None = None,
    em: bool = False,
) -> Scores | ValueScores:
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
        `annotations.binary_to_instances` first). "classes": every value is a class, see
        `classes`. Regions are then the 4-connected pieces of each class but the lowest, and
        scores of objects do not apply.
        "regression": values, see `value_scores`.
    classes
        For task "classes": all values that there are. Without them classes compare by the rank of
        their values, so that 0/255 equals 0/1. It is guessed what a rank is: where the values of
        one side all occur in the other, both are ranked as the other is; else a prediction with
        values below the number of classes is taken as ranks; else values are taken as they are
        where both sides have one other than 0 in common, and ranked by themselves where not.
    em
        Also take the measures of the electron microscopy challenge of 2012, `v_rand` to
        `warping_error`: a third of a second for each 512x512 pixels. Not for values.

    Raises
    ------
    ValueError
        If two shapes differ, labels are not integers, there is no pair, a value is none of
        `classes`, or `task` is unknown.
    """
    if task == "regression":
        return value_scores(pairs)
    if task == "instances":
        return _instance_scores(label_pairs(pairs), em)
    if task == "classes":
        return _class_scores(label_pairs(pairs), classes, em)
    raise ValueError(f"task {task!r} has no scores; choose instances, classes or regression")


def _instance_scores(pairs: list[Pair], em: bool) -> Scores:
    found = [overlaps(plane.truth, plane.predicted, plane.annotated) for plane in slices(pairs)]
    curve = _curve(found)
    means = [point.ap for point in curve if point.ap is not None]
    masks = (Pair(pair.truth != 0, pair.predicted != 0, pair.annotated) for pair in pairs)
    return Scores(
        ap50=curve[0].ap,
        ap=_mean(means),
        f1_50=curve[0].f1,
        seg=_mean(_joined(seg_of_each(overlap) for overlap in found)),
        pixel_error=_pixel_error(masks),
        rand_error=_rand_error(pairs),
        n_true=sum(overlap.true_areas.size for overlap in found),
        n_predicted=sum(overlap.predicted_areas.size for overlap in found),
        images=len(pairs),
        curve=curve,
        **_cell_counts(found),
        **(_em_scores(pairs) if em else {}),
    )


def _curve(found: list[Overlaps]) -> tuple[CurvePoint, ...]:
    objects = sum(overlap.objects for overlap in found)
    matches = [sum(count_matches(overlap, t) for overlap in found) for t in THRESHOLDS]
    return tuple(
        CurvePoint(threshold, _share(n, objects - n), _share(2 * n, objects))
        for threshold, n in zip(THRESHOLDS, matches, strict=True)
    )


def _cell_counts(found: list[Overlaps]) -> dict[str, Any]:
    fate = [fates(overlap) for overlap in found]
    matched = (overlap.iou[each.matched] for overlap, each in zip(found, fate, strict=True))
    counts = {
        f"n_{kind}": sum(int(getattr(each, kind).sum()) for each in fate)
        for kind in ("matched", "split", "merged", "missed", "extra")
    }
    return {"matched_iou": _mean(_joined(matched)), **counts}


def _class_scores(pairs: list[Pair], known: Sequence[int] | None, em: bool) -> Scores:
    pairs, values = ranked(pairs, known)
    counts = confusion(pairs, values)
    classes = counts.classes
    regions = [_regions(pair) for pair in pairs]
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
        mean_iou=_mean([each.iou for each in classes if each.iou is not None]),
        mean_dice=_mean([each.dice for each in classes if each.dice is not None]),
        classes=classes,
        confusion=counts.table,
        **(_em_scores(regions) if em else {}),
    )


def _regions(pair: Pair) -> Pair:
    """Label the 4-connected pieces of each class but the lowest, slice by slice.

    What is not annotated is cut out of both sides alike: it neither joins nor divides regions.
    """
    regions = [
        np.array(
            [
                label(np.where(counts, plane, 0), background=0, connectivity=1)
                for plane, counts in zip(ranks, pair.annotated, strict=True)
            ]
        ).reshape(ranks.shape)
        for ranks in (pair.truth, pair.predicted)
    ]
    return Pair(regions[0], regions[1], pair.annotated)


def _pixel_error(pairs: Iterable[Pair]) -> float | None:
    wrong = counted = 0
    for pair in pairs:
        wrong += int(((pair.truth != pair.predicted) & pair.annotated).sum())
        counted += int(pair.annotated.sum())
    return _share(wrong, counted)


def _rand_error(pairs: list[Pair]) -> float | None:
    errors = np.array(
        [adapted_rand_error(p.truth, p.predicted, p.annotated) for p in slices(pairs)]
    )
    return _mean(errors[np.isfinite(errors)])


def _joined(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *values])


def _em_scores(regions: list[Pair]) -> dict[str, Any]:
    planes = list(slices(regions))
    each = [partition_scores(plane.truth, plane.predicted, plane.annotated) for plane in planes]
    known = [scores for scores in each if scores is not None]
    means = {
        field.name: _mean([getattr(scores, field.name) for scores in known])
        for field in fields(PartitionScores)
    }
    wrong = sum(_topological_errors(plane) for plane in planes)
    counted = sum(int(plane.annotated.sum()) for plane in planes)
    return {**means, "warping_error": _share(wrong, counted)}


def _topological_errors(plane: Pair) -> int:
    truth, predicted = (
        draw_borders(np.where(plane.annotated, labels, 0))
        for labels in (plane.truth, plane.predicted)
    )
    return int(topological_errors(truth, predicted, plane.annotated).sum())


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: NDArray[np.float64] | list[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
