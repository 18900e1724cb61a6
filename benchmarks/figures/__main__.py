"""`python -m benchmarks.figures`: measure, list, report, publish."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures.plan import chosen
from benchmarks.figures.results import FOLDER, PUBLISHED, Results, publish, published
from benchmarks.figures.running import run_all, show_list
from benchmarks.figures.tables import report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; return the exit status."""
    asked = parser().parse_args(arguments)
    results = Results(asked.results, same_code=asked.same_code, known=published())
    try:
        runs = chosen(asked.only)
        again = chosen(asked.again) if asked.again else ()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.again and not asked.only:
        runs = again
    if asked.list:
        show_list(runs, results)
        return 0
    if asked.report:
        print(report(results.all(), runs))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        failed = run_all(runs, results, again=again)
    except KeyboardInterrupt:
        print("\nstopped; what is finished is kept, and the same command goes on from there")
        return 130
    if asked.publish:
        known = publish(results.all())
        print(f"{PUBLISHED} holds {known} runs")
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.figures",
        description="Measure the quality figures of the documentation. Finished runs are kept.",
    )
    found.add_argument("--only", metavar="PATTERN", help="runs or a table, such as 'em*' or skips")
    found.add_argument("--again", metavar="PATTERN", help="repeat these even if finished")
    found.add_argument("--list", action="store_true", help="show the plan and what is finished")
    found.add_argument("--report", action="store_true", help="print the tables of what is finished")
    found.add_argument(
        "--publish", action="store_true", help="then take the results over into docs/figures.json"
    )
    found.add_argument(
        "--same-code", action="store_true", help="runs of another version count as missing"
    )
    found.add_argument("--results", type=Path, default=FOLDER, help="folder of finished runs")
    return found


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
