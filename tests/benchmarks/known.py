"""Results that nobody had to measure, for tests."""

from __future__ import annotations

from benchmarks.figures.plan import PLAN
from benchmarks.figures.results import FORMAT


def result(run, **scores):
    """Return what a run could have left behind."""
    return {
        "format": FORMAT,
        "key": run.key,
        "name": run.name,
        "run": {"method": run.method},
        "scores": {"ap50": 0.8, "seg": 0.7, "rand_error": 0.1, "pixel_error": 0.07, **scores},
        "seconds": 60.0 * run.minutes + 5,
        "cpu_share": 0.97,
        "processor": "a processor",
        "threads": 2,
        "versions": {"torch": "2.0"},
        "commit": "0123456789ab",
        "code": "c0de",
        "date": "2026-01-02T03:04:05+00:00",
    }


def everything(**scores):
    """Return results of the whole plan."""
    return {run.key: result(run, **scores) for run in PLAN}
