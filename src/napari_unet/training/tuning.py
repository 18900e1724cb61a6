"""Choosing how probabilities become cells, by trying it on annotated images."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import is_crowded, listed
from napari_unet.evaluation import Scores, ValueScores, adapted_rand_error, evaluate
from napari_unet.evaluation.matching import count_matches, overlaps
from napari_unet.evaluation.measures import seg_of_each
from napari_unet.prediction import (
    InstanceOptions,
    instances,
    labels_from,
    measure_range,
    never,
    pixel_ratio,
    predict_slices,
    resize,
)
from napari_unet.training.preparation import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

__all__ = ["Exam", "examine", "score_of", "sit", "tune", "usual_options"]

_THRESHOLDS = (0.5, 0.35, 0.65, 0.2)
_THRESHOLDS_IN_CROWDS = (0.35, 0.2, 0.1, 0.5)  # balanced classes draw membranes too wide
_CORES = (0.0, 0.5, 0.65, 0.8)
_SURE = (0.0, 0.8, 0.9, 0.95, 0.98)  # of the surest pixel of a cell
_PRUDENCE = 0.005  # agreement that is given up for dropping more noise: others may hold more
_FINER = 0.08  # up and down from the best threshold and the best core
_SPLITS = (0.0, 0.75, 1.5)  # depth of a waist, in working pixels
MOST_SLICES = 8
_JUDGED_PIXELS = 1_000_000


@dataclass(frozen=True, eq=False)
class Exam:
    """One annotated slice and what the network says of it.

    Parameters
    ----------
    probabilities : (C, Y, X) float32 array
        Predicted; for regression values.
    labels : (Y, X) integer array
        Painted; for regression true values (C, Y, X).
    annotated : (Y, X) bool array
        Where that counts.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[Any]
    annotated: NDArray[np.bool_]

    def scaled(self, factor: float) -> Exam:
        """Return the exam with `factor` times as many pixels per length."""
        if factor == 1:
            return self
        rows, columns = (max(1, round(n * factor)) for n in self.labels.shape)
        size = (rows, columns)
        return Exam(
            resize(self.probabilities, size),
            nearest(self.labels, size),
            nearest(self.annotated, size),
        )


def examine(
    model: TrainedModel,
    images: Sequence[AnnotatedImage],
    device: str,
    views: int | None = None,
    most: int = MOST_SLICES,
    should_stop: Callable[[], bool] = never,
) -> Iterator[Exam]:
    """Predict annotated slices, at most so many and evenly spread over the images.

    Of each slice only what is annotated is predicted, and as much around it as the network sees.
    Cells are judged at the pixel size of the training images: there hold the options by which
    probabilities become cells.
    """
    found = [
        (image, int(index))
        for image in images
        for index in np.flatnonzero(image.annotated.any(axis=(1, 2)))
    ]
    chosen = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))
    for image, index in (found[i] for i in chosen):
        ratio = pixel_ratio(image.pixel_size, model.pixel_size)
        geometry, scale = model.network.geometry, model.scale * ratio
        window = _window(
            image.annotated[index],
            math.ceil(geometry.context / scale),
            step=round(geometry.stride / scale),
        )
        for report in predict_slices(
            model,
            image.image[index : index + 1, :, *window],
            device=device,
            pixel_size=image.pixel_size,
            views=views,
            normalisation=measure_range(image.image, model.normalisation),
            should_stop=should_stop,
        ):
            if report.probabilities is not None:
                exam = Exam(
                    report.probabilities,
                    image.labels[(index, ..., *window)],
                    image.annotated[(index, *window)],
                )
                exam = exam.scaled(ratio) if model.task == "instances" else exam
                if exam.annotated.any():
                    yield exam


def _window(annotated: NDArray[np.bool_], reach: int, step: int) -> tuple[slice, slice]:
    """Return rows and columns of what is annotated, and `reach` pixels around it.

    They begin after a whole number of steps, where the whole image is pooled alike.
    """
    rows, columns = (
        slice(max(0, (int(found[0]) - reach) // step * step), int(found[-1]) + reach + 1)
        for found in (np.flatnonzero(annotated.any(axis=axis)) for axis in (1, 0))
    )
    return rows, columns


def sit(model: TrainedModel, exams: Sequence[Exam]) -> Scores | ValueScores:
    """Score a model on predicted slices; what is not annotated does not count."""
    if model.task == "regression":
        return evaluate(
            [(exam.labels, exam.probabilities, exam.annotated) for exam in exams],
            task="regression",
        )
    found = [labels_from(model, exam.probabilities) for exam in exams]
    if model.task == "instances":
        return evaluate(
            [(exam.labels, each, exam.annotated) for exam, each in zip(exams, found, strict=True)]
        )
    values = [label.value for label in model.classes]
    return evaluate(
        [
            (exam.labels, each, exam.annotated & listed(exam.labels, values))
            for exam, each in zip(exams, found, strict=True)
        ],
        task="classes",
        classes=values,
    )


def score_of(scores: Scores | ValueScores) -> float:
    """Return one number between 0 and 1, higher is better, to compare models of one training.

    Instances: the mean of F1 at IoU 0.5 and SEG, so that both the count and the outlines matter.
    Classes: the share of pixels that are right. Regression: R², or 0 where it is negative or
    all true values are equal.
    """
    if isinstance(scores, ValueScores):
        return max(0.0, scores.r2 or 0.0)
    if scores.f1_50 is None:
        return 1 - (scores.pixel_error if scores.pixel_error is not None else 1.0)
    return (scores.f1_50 + (scores.seg or 0.0)) / 2


def usual_options(scale: float) -> InstanceOptions:
    """Return the options for a network that nobody tuned yet, at this working scale."""
    return InstanceOptions(split=_SPLITS[1] / scale, grow=max(1, round(1 / scale)))


def tune(
    exams: Sequence[Exam], scale: float, should_stop: Callable[[], bool] = never
) -> InstanceOptions:
    """Return the options under which predicted slices agree best with the painted ones.

    One after the other: how deep a waist is cut, threshold and core together, how sure the
    network must be of a cell, the smallest cell, and threshold and core once more in finer steps.
    Being sure may cost a little, because other images may hold more noise; else among equals the
    first one wins. Large slices are judged by a part of them, so that this takes
    seconds; once it should stop, what is best so far is returned. Cells come back by one working
    pixel, which is what the targets took.
    """
    parts = [_part(exam, _side(len(exams))) for exam in exams]
    splits = [{"split": split / scale} for split in _SPLITS]

    def better(
        best: InstanceOptions, changes: Sequence[Mapping[str, Any]], slack: float = 0.0
    ) -> InstanceOptions:
        return best if should_stop() else _best(parts, best, changes, slack)

    crowded = _crowded(parts)
    areas = [{"min_area": area} for area in _smallest_areas(parts)]
    best = replace(usual_options(scale), min_area=areas[0]["min_area"])
    best = better(best, splits)
    best = better(best, _pairs(_THRESHOLDS_IN_CROWDS if crowded else _THRESHOLDS))
    best = better(best, [{"sure": sure} for sure in reversed(_SURE)], 0.0 if crowded else _PRUDENCE)
    best = better(best, areas)
    best = better(best, [{}, *({"threshold": value} for value in _around(best.threshold))])
    if best.core > 0:
        best = better(best, [{}, *({"core": value} for value in _around(best.core))])
        best = better(best, splits)
    return best


def _pairs(thresholds: Sequence[float]) -> list[Mapping[str, float]]:
    """Return thresholds and higher cores together: the best of each alone are no best pair."""
    return [
        {"threshold": threshold, "core": core}
        for core in _CORES
        for threshold in thresholds
        if core == 0 or threshold < core
    ]


def _around(value: float) -> tuple[float, float]:
    return (round(value - _FINER, 2), round(value + _FINER, 2))


def _best(
    exams: Sequence[Exam],
    options: InstanceOptions,
    changes: Sequence[Mapping[str, Any]],
    slack: float,
) -> InstanceOptions:
    """Try some changes, and keep the first one that does at most so much worse than the best."""
    choices = list(dict.fromkeys(replace(options, **change) for change in changes))
    found = [_agreement(exams, choice) for choice in choices]
    return next(
        choice
        for choice, agreement in zip(choices, found, strict=True)
        if agreement >= max(found) - slack
    )


def _side(exams: int) -> int:
    """Return the side of the parts that are judged: about a million pixels in all."""
    return max(256, int((_JUDGED_PIXELS / max(exams, 1)) ** 0.5))


def _part(exam: Exam, side: int) -> Exam:
    """Cut at most `side` x `side` pixels from the middle of what is annotated."""
    rows, columns = np.nonzero(exam.annotated)
    window = tuple(
        slice(max(0, middle - side // 2), max(0, middle - side // 2) + side)
        for middle in (int(rows.mean()), int(columns.mean()))
    )
    return Exam(
        exam.probabilities[(slice(None), *window)], exam.labels[window], exam.annotated[window]
    )


def _smallest_areas(exams: Sequence[Exam]) -> list[int]:
    """Return areas below which a piece may be dust, the likeliest first.

    That is a quarter of the smallest painted cells, half as wide as they are; then nothing, and
    larger parts of the smaller cells.
    """
    painted = [exam.labels[exam.annotated & (exam.labels > 0)] for exam in exams]
    cells = np.concatenate([np.unique(values, return_counts=True)[1] for values in painted])
    if cells.size == 0:
        return [0]
    smallest, *others = np.quantile(cells, [0.01, 0.05, 0.2])
    larger = {int(share * area) for area in (smallest, *others) for share in (0.5, 1.0)}
    return list(dict.fromkeys([int(smallest / 4), 0, *sorted(larger)]))


def _agreement(exams: Sequence[Exam], options: InstanceOptions) -> float:
    """Return the mean of F1 and SEG; where cells fill the picture, of two shares of pixels too.

    Between membranes a leak joins two large cells, which F1 hardly notices, but the Rand score
    does; and the share of pixels that are right keeps the membranes as wide as they are.
    """
    found = [instances(exam.probabilities, options=options) for exam in exams]
    overlap = [
        overlaps(exam.labels, labels, exam.annotated)
        for exam, labels in zip(exams, found, strict=True)
    ]
    objects = sum(each.objects for each in overlap)
    matched = sum(count_matches(each, 0.5) for each in overlap)
    covered = np.concatenate([seg_of_each(each) for each in overlap])
    parts = [2 * matched / max(objects, 1), float(covered.mean()) if covered.size else 0.0]
    if _crowded(exams):
        parts += [_rand_score(exams, found), _right(exams, found)]
    return float(np.mean(parts))


def _rand_score(exams: Sequence[Exam], found: Sequence[NDArray[np.int32]]) -> float:
    errors = np.array(
        [
            adapted_rand_error(exam.labels, labels, exam.annotated)
            for exam, labels in zip(exams, found, strict=True)
        ]
    )
    return 1 - float(np.where(np.isfinite(errors), errors, 1.0).mean())


def _right(exams: Sequence[Exam], found: Sequence[NDArray[np.int32]]) -> float:
    """Return the share of annotated pixels that are cell in both or in neither."""
    right = sum(
        np.count_nonzero(((exam.labels > 0) == (labels > 0)) & exam.annotated)
        for exam, labels in zip(exams, found, strict=True)
    )
    return right / max(sum(np.count_nonzero(exam.annotated) for exam in exams), 1)


def _crowded(exams: Sequence[Exam]) -> bool:
    """Whether cells fill most of what is annotated."""
    return is_crowded([(exam.labels, exam.annotated) for exam in exams])


def as_mapping(options: InstanceOptions) -> dict[str, Any]:
    """Return options as plain values, for a model."""
    return asdict(options)
