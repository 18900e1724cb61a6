"""Results as curves: plain SVG that a page of the documentation holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks.figures.plan import (
    AP50,
    CURVE,
    DATASETS,
    MAIN,
    MINUTES,
    SEG,
    quality,
    untrained,
    with_images,
)
from benchmarks.figures.tables import values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.figures.plan import Column, Run
    from benchmarks.figures.tables import Known

__all__ = ["Axes", "Curve", "Point", "draw", "learning_curve", "quality_curve"]

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 170, 12, 44
_COLOURS = ("#00796b", "#c2185b", "#e65100")


@dataclass(frozen=True)
class Point:
    """A position and the scores of its seeds."""

    x: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """What is measured at several positions; a single value is drawn as a level line."""

    name: str
    points: tuple[Point, ...]
    level: float | None = None


@dataclass(frozen=True)
class Axes:
    """Where scores come to lie: x logarithmic between its ticks, y from `low` to 1."""

    label: str
    ticks: tuple[float, ...]
    low: float

    def x(self, value: float) -> float:
        """Return the column of a position."""
        first, last = math.log(self.ticks[0]), math.log(self.ticks[-1])
        share = (math.log(value) - first) / (last - first)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        """Return the row of a score; what is below the axis is drawn on it."""
        share = (1 - max(score, self.low)) / (1 - self.low)
        return _TOP + share * (_HEIGHT - _TOP - _BOTTOM)


def quality_curve(results: Known) -> str:
    """Draw what minutes of training bring on every set."""
    curves = []
    for dataset, column in MAIN.items():
        name = f"{dataset}: {'1 − ' if _is_error(column) else ''}{column.title}"
        runs = [(minutes, quality(dataset, minutes)) for minutes in MINUTES]
        curves.append(Curve(name, tuple(_points(runs, column, results))))
    return draw(curves, "minutes of training", MINUTES)


def learning_curve(results: Known) -> str:
    """Draw what annotated images bring on the nuclei."""
    runs = [(number, with_images(number)) for number in CURVE]
    curves = [Curve(column.title, tuple(_points(runs, column, results))) for column in (AP50, SEG)]
    base = values(untrained("nuclei"), AP50.key, results)
    if base:
        curves.append(Curve("AP50, untrained", (), base[0]))
    return draw(curves, f"annotated images, {DATASETS['nuclei'].title}", CURVE)


def _is_error(column: Column) -> bool:
    return column.key.endswith("_error")


def _points(
    runs: Iterable[tuple[float, Sequence[Run]]], column: Column, results: Known
) -> Iterator[Point]:
    for x, seeds in runs:
        found = values(seeds, column.key, results)
        if found:
            turned = (1 - value if _is_error(column) else value for value in found)
            yield Point(x, tuple(turned))


def draw(curves: Sequence[Curve], label: str, ticks: Sequence[float]) -> str:
    """Return curves as a block of SVG: a line through the means, a dot for every seed.

    Returns
    -------
    str
        Without empty lines, so that Markdown leaves it whole; nothing if there is no score.
    """
    scores = [score for curve in curves for point in curve.points for score in point.scores]
    if not scores:
        return ""
    lowest = min([*scores, *(curve.level for curve in curves if curve.level is not None)])
    axes = Axes(label, tuple(ticks), max(0.0, math.floor(lowest * 10) / 10))
    parts = [*_frame(axes)]
    for number, curve in enumerate(curves):
        parts += _curve(curve, axes, _COLOURS[number], number)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}" '
            f'style="max-width: {_WIDTH}px; font: 12px sans-serif" fill="currentColor">',
            *parts,
            "</svg>",
        ]
    )


def _frame(axes: Axes) -> Iterator[str]:
    right, bottom = axes.x(axes.ticks[-1]), axes.y(axes.low)
    for tenth in range(round(axes.low * 10), 11):
        y = axes.y(tenth / 10)
        yield _line([(_LEFT, y), (right, y)], "currentColor", 'stroke-opacity="0.15"')
        yield _text(_LEFT - 6, y + 4, f"{tenth / 10:.1f}", "end")
    for tick in axes.ticks:
        yield _text(axes.x(tick), bottom + 16, f"{tick:g}", "middle")
    yield _text((_LEFT + right) / 2, bottom + 36, axes.label, "middle")


def _curve(curve: Curve, axes: Axes, colour: str, number: int) -> Iterator[str]:
    if curve.level is not None:
        y = axes.y(curve.level)
        ends = [(axes.x(axes.ticks[0]), y), (axes.x(axes.ticks[-1]), y)]
        yield _line(ends, colour, 'stroke-dasharray="5 4"')
    else:
        means = [(axes.x(p.x), axes.y(fmean(p.scores))) for p in curve.points]
        yield _line(means, colour, 'stroke-width="2"')
    for point in curve.points:
        for score in point.scores:
            x, y = axes.x(point.x), axes.y(score)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    left, top = _WIDTH - _RIGHT + 14, _TOP + 12 + 20 * number
    yield f'<rect x="{left}" y="{top - 7}" width="12" height="4" fill="{colour}"/>'
    yield _text(left + 18, top, curve.name, "start")


def _line(points: Sequence[tuple[float, float]], colour: str, more: str) -> str:
    placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{placed}" fill="none" stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
