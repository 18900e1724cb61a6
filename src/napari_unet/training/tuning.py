"""Choosing how probabilities become cells, by trying it on annotated images."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import count_cells, is_crowded
from napari_unet.evaluation import adapted_rand_error
from napari_unet.evaluation.matching import count_matches, overlaps
from napari_unet.evaluation.measures import seg_of_each
from napari_unet.prediction import InstanceOptions, instances, never
from napari_unet.training.validation_parts import PredictedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["as_mapping", "tune", "usual_options"]

_THRESHOLDS = (0.5, 0.35, 0.65, 0.2)
_THRESHOLDS_IN_CROWDS = (0.35, 0.2, 0.1, 0.5)  # balanced classes draw membranes too wide
_CORES = (0.0, 0.5, 0.65, 0.8)
_SURE = (0.0, 0.8, 0.9, 0.95, 0.98)  # of the surest pixel of a cell
_PRUDENCE = 0.005  # agreement that is given up for dropping more noise: others may hold more
_FINER = 0.08  # up and down from the best threshold and the best core
_SPLITS = (0.75, 0.0, 1.5)  # depth of a waist, in working pixels; the usual one first
_SPLITS_IN_CROWDS = (0.0, 0.75, 1.5)  # neurites have waists of their own
_JUDGED_PIXELS = 1_000_000


def usual_options(scale: float) -> InstanceOptions:
    """Return the options for a network that nobody tuned yet, at this working scale."""
    return InstanceOptions(split=_SPLITS[0] / scale, grow=max(1, round(1 / scale)))


def tune(
    predicted: Sequence[PredictedPart], scale: float, should_stop: Callable[[], bool] = never
) -> InstanceOptions:
    """Return the options under which predicted slices agree best with the painted ones.

    One after the other: how deep a waist is cut, threshold and core together, how sure the
    network must be of a cell, the smallest cell, and threshold and core once more in finer steps.
    What is usual stays unless something else is better by what one cell counts: with few cells
    the best of many options is a matter of luck. For the same reason so many cells have to be
    sure before the network must be so sure of all; that may also cost a little, because other
    images may hold more noise.

    Large slices are judged by a part of them, so that this takes seconds; once it should stop,
    what is best so far is returned. Cells come back by one working pixel, which is what the
    targets took.
    """
    parts = [_judged(part, _side(len(predicted))) for part in predicted]
    one_cell = 1 / max(1, sum(count_cells(part.labels * part.annotated) for part in parts))
    crowded = _crowded(parts)

    def better(
        best: InstanceOptions, changes: Sequence[Mapping[str, Any]], slack: float = one_cell
    ) -> InstanceOptions:
        return best if should_stop() else _best(parts, best, changes, slack, should_stop)

    depths = _SPLITS_IN_CROWDS if crowded else _SPLITS
    splits = [{"split": depth / scale} for depth in depths]
    sure = [{"sure": sure} for sure in reversed(_SURE) if sure <= 1 - one_cell]
    areas = [{"min_area": area} for area in _smallest_areas(parts)]
    best = replace(usual_options(scale), min_area=areas[0]["min_area"])
    best = better(best, splits)
    best = better(best, _pairs(_THRESHOLDS_IN_CROWDS if crowded else _THRESHOLDS))
    best = better(best, sure, 0.0 if crowded else _PRUDENCE)
    best = better(best, areas)
    best = better(best, [{}, *({"threshold": value} for value in _around(best.threshold))])
    if best.core > 0:
        best = better(best, [{}, *({"core": value} for value in _around(best.core))])
        best = better(best, [{}, *splits])
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
    predicted: Sequence[PredictedPart],
    options: InstanceOptions,
    changes: Sequence[Mapping[str, Any]],
    slack: float,
    should_stop: Callable[[], bool],
) -> InstanceOptions:
    """Try some changes, and keep the first one that does at most so much worse than the best."""
    found: dict[InstanceOptions, float] = {}
    for choice in dict.fromkeys(replace(options, **change) for change in changes):
        if found and should_stop():
            break
        found[choice] = _agreement(predicted, choice)
    best = max(found.values())
    return next(choice for choice, agreement in found.items() if agreement >= best - slack)


def _side(parts: int) -> int:
    """Return the side of the parts that are judged: about a million pixels in all."""
    return max(256, int((_JUDGED_PIXELS / max(parts, 1)) ** 0.5))


def _judged(part: PredictedPart, side: int) -> PredictedPart:
    """Cut at most `side` x `side` pixels from the middle of what is annotated.

    Where no cell was painted there, they are cut around the cell that lies nearest to it.
    """
    middle = np.argwhere(part.annotated).mean(axis=0).astype(int)
    window = _square(middle, side)
    cells = part.annotated & (part.labels > 0)
    if not cells[window].any() and cells.any():
        places = np.argwhere(cells)
        window = _square(places[((places - middle) ** 2).sum(axis=1).argmin()], side)
    return PredictedPart(
        part.probabilities[(slice(None), *window)], part.labels[window], part.annotated[window]
    )


def _square(middle: NDArray[np.intp], side: int) -> tuple[slice, ...]:
    starts = (max(0, int(place) - side // 2) for place in middle)
    return tuple(slice(start, start + side) for start in starts)


def _smallest_areas(predicted: Sequence[PredictedPart]) -> list[int]:
    """Return areas below which a piece may be dust, the likeliest first.

    That is a quarter of the smallest painted cells, half as wide as they are; then nothing, and
    larger parts of the smaller cells.
    """
    painted = [part.labels[part.annotated & (part.labels > 0)] for part in predicted]
    cells = np.concatenate([np.unique(values, return_counts=True)[1] for values in painted])
    if cells.size == 0:
        return [0]
    smallest, *others = np.quantile(cells, [0.01, 0.05, 0.2])
    larger = {int(share * area) for area in (smallest, *others) for share in (0.5, 1.0)}
    return list(dict.fromkeys([int(smallest / 4), 0, *sorted(larger)]))


def _agreement(predicted: Sequence[PredictedPart], options: InstanceOptions) -> float:
    """Return the mean of F1 and SEG; where cells fill the picture, of two shares of pixels too.

    Between membranes a leak joins two large cells, which F1 hardly notices, but the Rand score
    does; and the share of pixels that are right keeps the membranes as wide as they are.
    """
    found = [instances(part.probabilities, options=options) for part in predicted]
    overlap = [
        overlaps(part.labels, labels, part.annotated)
        for part, labels in zip(predicted, found, strict=True)
    ]
    objects = sum(each.objects for each in overlap)
    matched = sum(count_matches(each, 0.5) for each in overlap)
    covered = np.concatenate([seg_of_each(each) for each in overlap])
    parts = [2 * matched / max(objects, 1), float(covered.mean()) if covered.size else 0.0]
    if _crowded(predicted):
        parts += [_rand_score(predicted, found), _right(predicted, found)]
    return float(np.mean(parts))


def _rand_score(predicted: Sequence[PredictedPart], found: Sequence[NDArray[np.int32]]) -> float:
    errors = np.array(
        [
            adapted_rand_error(part.labels, labels, part.annotated)
            for part, labels in zip(predicted, found, strict=True)
        ]
    )
    return 1 - float(np.where(np.isfinite(errors), errors, 1.0).mean())


def _right(predicted: Sequence[PredictedPart], found: Sequence[NDArray[np.int32]]) -> float:
    """Return the share of annotated pixels that are cell in both or in neither."""
    right = sum(
        np.count_nonzero(((part.labels > 0) == (labels > 0)) & part.annotated)
        for part, labels in zip(predicted, found, strict=True)
    )
    return right / max(sum(np.count_nonzero(part.annotated) for part in predicted), 1)


def _crowded(predicted: Sequence[PredictedPart]) -> bool:
    """Whether cells fill most of what is annotated."""
    return is_crowded([(part.labels, part.annotated) for part in predicted])


def as_mapping(options: InstanceOptions) -> dict[str, Any]:
    """Return options as plain values, for a model."""
    return asdict(options)
