"""Tables, goals and drawings: what is measured is shown, what is missing is said."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.figures.curves import Axes, Curve, Point, draw
from benchmarks.figures.page import NAMES, block
from benchmarks.figures.plan import (
    AP50,
    GOALS,
    MINUTES,
    PIXEL,
    PLAN,
    STEPS,
    TABLES,
    Column,
    quality,
    untrained,
)
from benchmarks.figures.results import REPOSITORY, published
from benchmarks.figures.tables import as_text, cell, goals, provenance, report, table
from tests.benchmarks.known import everything, result

TWO = quality("nuclei", 10.0)


def measured(*scores, key="ap50"):
    return {run.key: result(run, **{key: score}) for run, score in zip(TWO, scores, strict=False)}


def test_a_cell_shows_the_mean_and_both_seeds():
    assert cell(TWO, AP50, measured(0.8, 0.9)) == "0.850 (0.800, 0.900)"
    assert cell(TWO, STEPS, measured(1000, 2001, key="steps")) == "1,500"
    percent = Column("ap50", "share", "percent")
    assert cell(TWO[:1], percent, measured(0.0312)) == "3.1 %"


def test_a_cell_says_which_seeds_are_missing():
    assert cell(TWO, AP50, measured(0.8)) == "0.800, 1 of 2 seeds"
    assert cell(TWO, AP50, {}) == "–"


@pytest.mark.parametrize("found", TABLES, ids=lambda found: found.key)
def test_every_table_has_its_rows_and_its_command(found):
    for results in ({}, everything()):
        lines = table(found, results).splitlines()
        assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:-2]] == [
            row.label for row in found.rows
        ]
        assert f"--only {found.key}" in lines[-1]


def test_goals_count_the_mean_of_both_seeds_after_the_longest_time():
    results = everything(ap50=0.5, seg=0.5, rand_error=0.5, pixel_error=0.5)
    assert goals(results).count("**not met**") == len(GOALS)
    for run in quality("nuclei", max(MINUTES)):
        results[run.key] = result(run, ap50=0.80 + 0.1 * run.seed)
    lines = goals(results).splitlines()[2:]
    assert lines[0].endswith("| AP50 at least 0.85 | 0.850 | met |")
    assert lines[1].endswith("| 0.350 (0.850 against 0.500) | met |")
    assert all(line.endswith("| **not met** |") for line in lines[2:])


def test_a_goal_needs_both_seeds_and_the_baseline():
    results = {run.key: result(run, ap50=1.0) for run in quality("nuclei", 10.0)}
    states = [line.rsplit("| ", 1)[1] for line in goals(results).splitlines()[2:]]
    assert states == ["met |", *["not measured |"] * 4]
    (base,) = untrained("nuclei")
    results[base.key] = result(base, ap50=0.9)
    assert goals(results).splitlines()[3].endswith("| **not met** |")
    results.popitem()
    results.pop(quality("nuclei", 10.0)[0].key)
    assert goals(results).count("not measured") == len(GOALS)


def test_a_goal_is_met_at_its_bound_and_lower_errors_are_better():
    em = next(goal for goal in GOALS if goal.column == PIXEL)
    assert em.met(0.08)
    assert not em.met(0.0801)
    nuclei = GOALS[0]
    assert nuclei.met(0.85)
    assert not nuclei.met(0.8499)
    above = replace(nuclei, bound=0.12, above_baseline=True)
    assert above.met(0.85, 0.72)
    assert not above.met(0.85, 0.74)


def test_the_report_of_a_part_says_what_is_missing():
    results = {TWO[0].key: result(TWO[0])}
    text = report(results)
    assert f"1 of {len(PLAN)} runs" in text
    assert f"Not measured: {', '.join(run.name for run in PLAN if run != TWO[0])}." in text
    assert "make figures" in provenance({})


def test_provenance_names_the_runs_that_shared_the_machine_and_every_version():
    results = everything()
    assert "Other programs" not in provenance(results)
    slow, other = PLAN[1], PLAN[2]
    results[slow.key]["cpu_share"] = 0.4
    results[other.key]["commit"] = "fedcba987654"
    text = provenance(results)
    assert f"fewer steps were taken: {slow.name}." in text
    assert f"commit 0123456789ab ({len(PLAN) - 1} runs); commit fedcba987654 (1 runs)" in text
    assert "Not measured" not in text


def test_durations_are_said_as_a_person_says_them():
    assert [as_text(s) for s in (4.6, 65, 3599.9)] == ["5 s", "1 min 5 s", "1 h 0 min"]


def test_the_page_shows_every_table_once_and_nothing_unknown():
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"<!-- figures (\S+) -->", page)) == sorted(NAMES)
    for name in NAMES:
        assert block(name, everything())
    with pytest.raises(ValueError, match="'quality'"):
        block("quality")


def test_what_is_published_belongs_to_the_plan():
    assert set(published()) <= {run.key for run in PLAN}


def test_a_drawing_puts_scores_where_the_axes_say():
    axes = Axes("minutes", MINUTES, 0.5)
    assert axes.x(1.0) < axes.x(3.0) < axes.x(10.0)
    assert axes.x(10.0**0.5) == pytest.approx((axes.x(1.0) + axes.x(10.0)) / 2)
    assert axes.y(1.0) < axes.y(0.75) < axes.y(0.5) == axes.y(0.1)
    assert axes.y(0.75) == pytest.approx((axes.y(1.0) + axes.y(0.5)) / 2)


def test_a_drawing_has_a_dot_for_every_seed_and_a_line_for_every_curve():
    curves = [
        Curve("a < b", (Point(1.0, (0.61, 0.7)), Point(10.0, (0.9,)))),
        Curve("without", (), level=0.55),
    ]
    drawn = draw(curves, "minutes", MINUTES)
    root = ElementTree.fromstring(drawn)
    assert len(root.findall("circle")) == 3
    assert "a < b" in [text.text for text in root.findall("text")]
    coloured = [line for line in root.findall("polyline") if line.get("stroke") != "currentColor"]
    assert len(coloured) == 2
    assert "\n\n" not in drawn
    assert draw([Curve("nothing", ())], "minutes", MINUTES) == ""
