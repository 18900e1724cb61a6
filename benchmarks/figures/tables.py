"""Results as Markdown: the tables of the plan, the goals, and where the figures are from."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.figures.plan import (
    DATASETS,
    GOALS,
    MAIN,
    MINUTES,
    PLAN,
    TABLES,
    quality,
    runs_of,
    untrained,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.figures.plan import Column, Goal, Row, Run, Table

    Known = Mapping[str, Mapping[str, Any]]

__all__ = ["as_text", "goals", "provenance", "report", "summary", "table", "values"]

NOTHING = "–"
_BUSY = 0.85  # of the threads' time; less means that others worked too


def values(runs: Iterable[Run], score: str, results: Known) -> list[float]:
    """Return a score of every finished run."""
    found = (results.get(run.key, {}).get("scores", {}).get(score) for run in runs)
    return [float(value) for value in found if value is not None]


def cell(runs: Sequence[Run], column: Column, results: Known) -> str:
    """Return the mean of the seeds, and each of them; what is missing is said."""
    found = values(runs, column.key, results)
    if not found:
        return NOTHING
    text = _number(fmean(found), column)
    if column.style == "count":
        return text
    if len(found) > 1:
        text += f" ({', '.join(_number(value, column) for value in found)})"
    return text if len(found) == len(runs) else f"{text}, {len(found)} of {len(runs)} seeds"


def _number(value: float, column: Column) -> str:
    match column.style:
        case "count":
            return f"{value:,.0f}"
        case "percent":
            return f"{100 * value:.2g} %"
        case _:
            return f"{value:.3f}"


def table(found: Table, results: Known) -> str:
    """Return one table of the plan, and the command that measures it."""
    head = (found.head, *(column.title for column in found.columns))
    rows = [_row(row, found.columns, results) for row in found.rows]
    command = f"`make figures FIGURES='--only {found.key}'`"
    return f"{_markdown(head, rows)}\n\n{command}"


def _row(row: Row, columns: Sequence[Column], results: Known) -> tuple[str, ...]:
    return (row.label, *(cell(row.runs, column, results) for column in columns))


def goals(results: Known) -> str:
    """Return what the longest runs had to reach, and whether they do."""
    head = ("images", "goal", "measured, mean of the seeds", "")
    return _markdown(head, [_goal(goal, results) for goal in GOALS])


def _goal(goal: Goal, results: Known) -> tuple[str, ...]:
    runs = quality(goal.dataset, max(MINUTES))
    found = values(runs, goal.column.key, results)
    base = values(untrained(goal.dataset), goal.column.key, results)
    sign = "at most" if goal.lower else "at least"
    wish = f"{goal.column.title} {sign} {goal.bound:g}"
    title = DATASETS[goal.dataset].title
    if goal.above_baseline:
        wish = f"{goal.column.title} {sign} {goal.bound:g} above Otsu and watershed"
    if len(found) < len(runs) or (goal.above_baseline and not base):
        return (title, wish, NOTHING, "not measured")
    score = fmean(found)
    shown = f"{score:.3f}"
    if goal.above_baseline:
        shown = f"{score - base[0]:.3f} ({score:.3f} against {base[0]:.3f})"
    met = goal.met(score, base[0] if base else 0.0)
    return (title, wish, shown, "met" if met else "**not met**")


def provenance(results: Known, plan: Sequence[Run] = PLAN) -> str:
    """Return what the figures were measured with, and what is missing, as a list."""
    done = [results[run.key] for run in plan if run.key in results]
    if not done:
        return "Not measured yet: `make figures` does it."
    trained = [result for result in done if result["run"]["method"] == "train"]
    busy = [result["name"] for result in trained if result["cpu_share"] < _BUSY]
    lines = [
        f"{len(done)} of {len(plan)} runs, {as_text(sum(r['seconds'] for r in done))} together, "
        f"from {min(r['date'] for r in done)[:10]} to {max(r['date'] for r in done)[:10]}.",
        f"Processor: {_listed(_processor(r) for r in done)}.",
        f"Program: {_listed(_commit(r) for r in done)}; {_listed(_versions(r) for r in done)}.",
    ]
    if busy:
        lines.append(
            "Other programs worked at the same time, so that fewer steps were taken: "
            f"{', '.join(busy)}."
        )
    missing = [run.name for run in plan if run.key not in results]
    if missing:
        lines.append(f"Not measured: {', '.join(missing)}.")
    return "\n".join(f"- {line}" for line in lines)


def _processor(result: Mapping[str, Any]) -> str:
    return f"{result['threads']} threads of {result['processor']}"


def _commit(result: Mapping[str, Any]) -> str:
    return f"commit {result['commit'] or 'unknown'}"


def _versions(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())


def _listed(facts: Iterable[str]) -> str:
    """Return different facts, with how many runs have each where there is more than one."""
    counted = Counter(facts).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return "; ".join(f"{fact} ({number} runs)" for fact, number in counted)


def report(results: Known, plan: Sequence[Run] = PLAN) -> str:
    """Return the tables that these runs stand in, the goals and where all is from, in one text."""
    asked = [found for found in TABLES if not set(runs_of([found])).isdisjoint(plan)]
    blocks = [f"## {found.key}\n\n{table(found, results)}" for found in asked]
    return "\n\n".join([*blocks, f"## goals\n\n{goals(results)}", provenance(results, plan)])


def summary(run: Run, result: Mapping[str, Any] | None) -> str:
    """Return one line on a finished run."""
    if result is None:
        return f"{run.name}: no result"
    scores = result["scores"]
    column = MAIN[run.dataset]
    shown = [f"{column.title} {scores[column.key]:.3f}"]
    if scores.get("steps"):
        shown.append(f"{scores['steps']} steps")
    return f"{run.name}: {', '.join(shown)} in {as_text(result['seconds'])}"


def as_text(seconds: float) -> str:
    """Return a duration as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
