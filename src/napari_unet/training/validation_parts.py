"""Parts of annotated slices are predicted, and what the network says of them is scored."""

from __future__ import annotations

import itertools
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
    from napari_unet.prediction import IntensityRange

__all__ = ["Part", "PredictedPart", "parts_of", "predict_parts", "score_of", "score_parts"]

_MOST_PARTS = 8  # on which a model is judged
_SPREAD = (0, 4, 2, 6, 1, 5, 3, 7)  # any first few of so many lie far from each other
_SMALLEST_PART = 128  # pixels per side at the working scale; cells should fit into it


@dataclass(frozen=True, eq=False)
class PredictedPart:
    """A part of an annotated slice and what the network says of it.

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


@dataclass(frozen=True, eq=False)
class Part:
    """What a model is judged on: as much of an annotated slice, about, as is predicted at once.

    Parameters
    ----------
    image : AnnotatedImage
        The image.
    index : int
        Which slice of it.
    window : tuple of slice
        Rows and columns that are predicted: what counts, and as much around it as the network sees.
    annotated : (Y, X) bool array
        What counts of the window.
    ranged : IntensityRange
        The intensities of the whole image.
    """

    image: AnnotatedImage
    index: int
    window: tuple[slice, slice]
    annotated: NDArray[np.bool_]
    ranged: IntensityRange


def parts_of(images: Sequence[AnnotatedImage], model: TrainedModel) -> list[Part]:
    """Choose what a model is judged on: at most 8 parts, evenly spread over the images.

    The first of them hold a cell, or each painted class among them as far as eight parts can; any
    first few of the others are spread as well. So a few can stand for all.
    """
    found = [
        (image, int(index), place)
        for image in images
        for index in np.flatnonzero(image.annotated.any(axis=(1, 2)))
        for place in _places(image.annotated[index], _side(image, model))
    ]
    kinds = [
        _kinds(image.labels[index], image.annotated[index], at, model) for image, index, at in found
    ]
    ranges: dict[int, IntensityRange] = {}
    parts = []
    for image, index, place in (found[n] for n in _chosen(kinds)):
        ranged = ranges.get(id(image)) or measure_range(image.image, model.normalisation)
        ranges[id(image)] = ranged
        part = _part(image, index, place, model, ranged)
        if _scaled(part.annotated, _ratio(part, model)).any():
            parts.append(part)
    return parts


def _kinds(
    labels: NDArray[Any],
    annotated: NDArray[np.bool_],
    place: tuple[slice, slice],
    model: TrainedModel,
) -> frozenset[int]:
    """Return what a place can tell about: the classes painted there, or that there is a cell."""
    if model.task == "regression":
        return frozenset()
    painted = labels[place][annotated[place]]
    if model.task == "instances":
        return frozenset((1,) if painted.any() else ())
    return frozenset(np.unique(painted).tolist())


def _chosen(kinds: Sequence[frozenset[int]]) -> list[int]:
    """Choose places, those first that are needed to tell about every kind."""
    even = np.unique(np.linspace(0, len(kinds) - 1, min(_MOST_PARTS, len(kinds))).astype(int))
    spread = [int(even[i]) for i in _SPREAD if i < len(even)]
    order = [*spread, *(n for n in range(len(kinds)) if n not in spread)]
    missing, first = frozenset[int]().union(*kinds), list[int]()
    while missing and len(first) < _MOST_PARTS:
        best = max(order, key=lambda n: len(kinds[n] & missing))
        first.append(best)
        missing -= kinds[best]
    return [*first, *(n for n in spread if n not in first)][:_MOST_PARTS]


def _side(image: AnnotatedImage, model: TrainedModel) -> int:
    """Return about how many pixels of an image, per side, make a part."""
    scale = model.scale * pixel_ratio(image.pixel_size, model.pixel_size)
    return max(1, round(max(model.network.usual_tile, _SMALLEST_PART) / scale))


def _places(annotated: NDArray[np.bool_], side: int) -> list[tuple[slice, slice]]:
    """Divide what is annotated into equal rectangles of about this side that hold some of it."""
    rows, columns = (_divided(np.flatnonzero(annotated.any(axis=axis)), side) for axis in (1, 0))
    places = [(row, column) for row in rows for column in columns]
    return [place for place in places if annotated[place].any()]


def _divided(found: NDArray[np.intp], side: int) -> list[slice]:
    first, last = int(found[0]), int(found[-1]) + 1
    borders = np.linspace(first, last, max(1, round((last - first) / side)) + 1).astype(int)
    return [slice(start, stop) for start, stop in itertools.pairwise(borders.tolist())]


def _part(
    image: AnnotatedImage,
    index: int,
    place: tuple[slice, slice],
    model: TrainedModel,
    ranged: IntensityRange,
) -> Part:
    counts = np.zeros_like(image.annotated[index])
    counts[place] = image.annotated[(index, *place)]
    geometry = model.network.geometry
    scale = model.scale * pixel_ratio(image.pixel_size, model.pixel_size)
    window = _window(
        counts,
        math.ceil(geometry.context / scale),
        step=max(1, round(geometry.stride / scale)),
    )
    return Part(image, index, window, counts[window].copy(), ranged)


def _window(annotated: NDArray[np.bool_], reach: int, step: int) -> tuple[slice, slice]:
    """Return rows and columns of what is annotated, and `reach` pixels around it.

    They begin after a whole number of steps, where the whole image is pooled alike.
    """
    rows, columns = (
        slice(max(0, (int(found[0]) - reach) // step * step), int(found[-1]) + reach + 1)
        for found in (np.flatnonzero(annotated.any(axis=axis)) for axis in (1, 0))
    )
    return rows, columns


def _ratio(part: Part, model: TrainedModel) -> float:
    """Return how many times larger a part is judged than it is.

    Cells are judged at the pixel size of the training images: there hold the options by which
    probabilities become cells.
    """
    if model.task != "instances":
        return 1.0
    return pixel_ratio(part.image.pixel_size, model.pixel_size)


def _scaled(array: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return (Y, X) with `factor` times as many pixels per length, the nearest ones."""
    if factor == 1:
        return array
    rows, columns = (max(1, round(n * factor)) for n in array.shape)
    return nearest(array, (rows, columns))


def predict_parts(
    model: TrainedModel,
    parts: Sequence[Part],
    device: str,
    *,
    views: int | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[PredictedPart]:
    """Predict parts of annotated slices, one after the other; a stop ends it."""
    for part in parts:
        for report in predict_slices(
            model,
            part.image.image[part.index : part.index + 1, :, *part.window],
            device=device,
            pixel_size=part.image.pixel_size,
            views=views,
            normalisation=part.ranged,
            should_stop=should_stop,
        ):
            if report.probabilities is not None:
                yield _predicted(part, report.probabilities, _ratio(part, model))


def _predicted(part: Part, probabilities: NDArray[np.float32], ratio: float) -> PredictedPart:
    labels = part.image.labels[(part.index, ..., *part.window)]
    if ratio == 1:
        return PredictedPart(probabilities, labels, part.annotated)
    labels = _scaled(labels, ratio)
    size = (labels.shape[0], labels.shape[1])
    return PredictedPart(resize(probabilities, size), labels, _scaled(part.annotated, ratio))


def score_parts(model: TrainedModel, predicted: Sequence[PredictedPart]) -> Scores | ValueScores:
    """Score a model on predicted slices; what is not annotated does not count."""
    if model.task == "regression":
        return evaluate(
            [(part.labels, part.probabilities, part.annotated) for part in predicted],
            task="regression",
        )
    found = [labels_from(model, part.probabilities) for part in predicted]
    if model.task == "instances":
        return evaluate(
            [
                (part.labels, each, part.annotated)
                for part, each in zip(predicted, found, strict=True)
            ]
        )
    values = [label.value for label in model.classes]
    return evaluate(
        [
            (part.labels, each, part.annotated & listed(part.labels, values))
            for part, each in zip(predicted, found, strict=True)
        ],
        task="classes",
        classes=values,
    )


def score_of(scores: Scores | ValueScores) -> float:
    """Return one number between 0 and 1, higher is better, to compare models of one training.

    Instances: the mean of F1 at IoU 0.5 and SEG, so that both the count and the outlines matter;
    1 where there is no cell and none was found.
    Classes: the mean IoU of those that are painted, so that a rare one counts as much as a
    frequent one. Regression: R², or 0 where it is negative or
    all true values are equal.
    """
    if isinstance(scores, ValueScores):
        return max(0.0, scores.r2 or 0.0)
    if scores.classes is not None:
        found = [each.iou or 0.0 for each in scores.classes if each.true_pixels > 0]
        return sum(found) / len(found) if found else 0.0
    if scores.f1_50 is None:
        return 1.0
    return (scores.f1_50 + (scores.seg or 0.0)) / 2
