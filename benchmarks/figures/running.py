"""Doing the runs of a plan one after the other, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from benchmarks.figures.images import data_folder
from benchmarks.figures.plan import DATASETS, THREADS, total_seconds
from benchmarks.figures.results import REPOSITORY, WEIGHTS_VARIABLE, code
from benchmarks.figures.tables import as_text, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.figures.plan import Run
    from benchmarks.figures.results import Results

    Tell = Callable[[float, str], None]
    Execute = Callable[[Run, Path, Tell], None]

__all__ = ["RunError", "in_a_process", "obstacle", "run_all", "show_list"]


class RunError(Exception):
    """A run ended without a result."""


def obstacle(run: Run) -> str | None:
    """Return what a run needs that is not here, or None."""
    folder = data_folder() / DATASETS[run.dataset].folder
    if not folder.is_dir():
        return f"the images are not at {folder}; set NAPARI_UNET_DATA to the folder of the sets"
    changes = dict(run.changes)
    if "encoder" in changes and importlib.util.find_spec("segmentation_models_pytorch") is None:
        return "it needs the extra `encoders`"
    if run.needs_weights and not Path(os.environ.get(WEIGHTS_VARIABLE, "")).is_file():
        return f"no weights are at hand; {WEIGHTS_VARIABLE} names no file"
    return None


def run_all(
    runs: Sequence[Run],
    results: Results,
    *,
    again: Sequence[Run] = (),
    execute: Execute | None = None,
    console: Console | None = None,
) -> list[Run]:
    """Do what is not finished, and what is asked for again.

    Parameters
    ----------
    runs : sequence of Run
        In the order in which they are done.
    results : Results
        Where finished runs are, and come to lie.
    again : sequence of Run
        Done even if finished; the old result stays until the new one is there.
    execute : callable, optional
        Does one run and writes its file; by default in a process of its own.

    Returns
    -------
    list of Run
        Those that failed or cannot be done here. A run that only wants a file of weights is none
        of them: the page says itself that there was none.
    """
    console, execute = console or Console(highlight=False), execute or in_a_process
    todo = [run for run in runs if run in again or results.get(run) is None]
    left_out = {run: reason for run in todo if (reason := obstacle(run))}
    todo = [run for run in todo if run not in left_out]
    for run, reason in left_out.items():
        console.print(f"left out: {run.name}: {reason}", style="yellow")
    console.print(
        f"{len(runs) - len(todo) - len(left_out)} of {len(runs)} runs are finished, {len(todo)} "
        f"to do: about {as_text(total_seconds(todo))}"
    )
    _warn_of_load(console, todo)
    failed = [run for run in left_out if not run.needs_weights]
    if not todo:
        return failed
    with _Bars(console, todo) as bars:
        for run in todo:
            try:
                execute(run, results.path(run), bars.tell)
                line = summary(run, results.get(run))
            except RunError as error:
                failed.append(run)
                line = f"[red]{run.name}: failed[/red]: {error}"
            bars.finish(line)
    return failed


def _warn_of_load(console: Console, todo: Sequence[Run]) -> None:
    load = os.getloadavg()[0]
    if todo and load > 0.5:
        console.print(
            f"other programs are working (load {load:.1f}); scores after minutes will be lower",
            style="yellow",
        )


def in_a_process(run: Run, path: Path, tell: Tell) -> None:
    """Do one run in a process of its own.

    Whatever ends this function early ends the process too, and leaves no result.

    Raises
    ------
    RunError
        With the last lines that the process wrote.
    """
    threads = str(THREADS)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, "-m", "benchmarks.figures.measuring", run.to_json(), str(path)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as complaints:
        started = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        with started as process, _ended(process):
            assert process.stdout is not None
            for line in process.stdout:
                _hand_on(line, tell)
        if process.returncode != 0 or not path.exists():
            raise RunError(_last_lines(complaints) or f"exit status {process.returncode}")


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no process behind."""
    try:
        yield
    except BaseException:
        process.terminate()
        raise
    finally:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _hand_on(line: str, tell: Tell) -> None:
    try:
        report = json.loads(line)
        tell(float(report["progress"]), str(report["message"]))
    except (ValueError, KeyError, TypeError):
        return  # a library printed something


def _last_lines(file: IO[str]) -> str:
    file.seek(0)
    return "\n".join(file.read().strip().splitlines()[-3:])


class _Bars:
    """Shows the run that is being done and how much of all is left."""

    def __init__(self, console: Console, todo: Sequence[Run]) -> None:
        self._todo = list(todo)
        self._number = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> _Bars:
        self._progress.start()
        self._run = self._progress.add_task("", total=1.0, note="")
        self._all = self._progress.add_task("all", total=max(total_seconds(self._todo), 1), note="")
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, progress: float, message: str) -> None:
        """Show how far the present run is."""
        run = self._todo[self._number]
        elapsed = time.monotonic() - self._started
        done = min(elapsed, run.estimate)
        before = total_seconds(self._todo[: self._number])
        left = total_seconds(self._todo) - before - done
        self._progress.update(self._run, completed=progress, note=message)
        self._progress.update(self._all, completed=before + done, note=f"{as_text(left)} left")

    def finish(self, line: str) -> None:
        """Write the line of the run that is done, and begin the next."""
        self._number += 1
        left = total_seconds(self._todo[self._number :])
        self._progress.console.print(
            f"{self._number}/{len(self._todo)}  {line}  ({as_text(left)} left)", soft_wrap=True
        )
        self._begin()

    def _begin(self) -> None:
        self._started = time.monotonic()
        if self._number < len(self._todo):
            name = self._todo[self._number].name
            self._progress.update(self._run, completed=0, description=name, note="")


def show_list(runs: Sequence[Run], results: Results, console: Console | None = None) -> None:
    """Print the plan: what it is, how long it takes, what is finished and with which program."""
    table = Table.grid(padding=(0, 2))
    for column in ("run", "estimate", "state"):
        table.add_column(column, no_wrap=column != "state")
    for run in runs:
        result = results.get(run)
        state = obstacle(run) or "to do"
        if result is not None:
            same = "" if result.get("code") == code() else ", by another version of the program"
            state = f"finished {result['date'][:10]}{same}"
        table.add_row(run.name, as_text(run.estimate), state)
    console = console or Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"{len(runs)} runs, about {as_text(total_seconds(runs))}")
