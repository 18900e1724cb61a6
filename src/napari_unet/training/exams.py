"""Exams: annotated slices are predicted, and what the network says of them is scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import listed
from napari_unet.evaluation import Scores, ValueScores, evaluate
from napari_unet.prediction import (
    labels_from,
    measure_range,
    never,
    pixel_ratio,
    predict_slices,
    resize,
)
from napari_unet.training.preparation import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

__all__ = ["MOST_SLICES", "Exam", "examine", "longest_pause", "next_exam", "score_of", "sit"]

MOST_SLICES = 8  # on which a model is judged
_EXAMS = 5  # validations in a training, apart from the last
_SHORTEST_PAUSE = 30.0  # seconds between validations where the end is not known
_LONGEST_PAUSE = 300.0  # and anywhere: what a crash may cost
_SHARE = 0.1  # of the time, at most, goes into validation


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
            step=max(1, round(geometry.stride / scale)),
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


def next_exam(used: float, cost: float, *, endless: bool = False) -> float:
    """Say how much of a training is used up when it is time to validate next.

    Parameters
    ----------
    used : float
        The share that is used up; seconds if `endless`.
    cost : float
        What the last validation took of it.
    endless : bool
        Whether the training ends when it is stopped: pauses then grow with its length.
    """
    pause = max(_SHORTEST_PAUSE, used / _EXAMS) if endless else 1 / (_EXAMS + 1)
    return used + max(pause, cost / _SHARE)


def longest_pause(cost: float) -> float:
    """Say after how many seconds it is time to validate, however long the training is.

    Parameters
    ----------
    cost : float
        Seconds that the last validation took.
    """
    return max(_LONGEST_PAUSE, cost / _SHARE)
