"""What the marks ``<!-- figures NAME -->`` of a page become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures.curves import learning_curve, quality_curve
from benchmarks.figures.plan import TABLES
from benchmarks.figures.results import published
from benchmarks.figures.tables import goals, provenance, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.figures.tables import Known

__all__ = ["NAMES", "block"]


def _svg(drawn: str) -> str:
    """Wrap a drawing, so that Markdown takes it for one block."""
    return f"<figure>\n{drawn}\n</figure>" if drawn else ""


_TABLES = {found.key: found for found in TABLES}
_OTHERS: Mapping[str, Callable[[Known], str]] = {
    "goals": goals,
    "provenance": provenance,
    "quality-plot": lambda results: _svg(quality_curve(results)),
    "learning-curve-plot": lambda results: _svg(learning_curve(results)),
}

NAMES = (*_TABLES, *_OTHERS)


def block(name: str, results: Known | None = None) -> str:
    """Return a table, a drawing or a list of the published results.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    known = published() if results is None else results
    if name in _TABLES:
        return table(_TABLES[name], known)
    if name not in _OTHERS:
        raise ValueError(f"there are no figures called {name!r}; choose {', '.join(NAMES)}")
    return _OTHERS[name](known)
