"""Doing the plan: what is finished stays, what was interrupted is done again."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from benchmarks.figures.plan import Run, untrained
from benchmarks.figures.results import REPOSITORY, Results, publish, published, write
from benchmarks.figures.running import RunError, in_a_process, run_all, show_list
from tests.benchmarks.known import result

RUNS = (Run(dataset="em"), Run(dataset="em", seed=1), Run(dataset="dic"))


@pytest.fixture(autouse=True)
def sets_at_hand(tmp_path, monkeypatch):
    """Say that the images are there; the runs of these tests do not read them."""
    for folder in ("isbi2012_em", "dic_hela"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    monkeypatch.setenv("NAPARI_UNET_DATA", str(tmp_path / "data"))


class Work:
    """Does runs without measuring anything; some fail, one is interrupted."""

    def __init__(self, *, failing=(), interrupted=None):
        self.done, self.failing, self.interrupted = [], failing, interrupted

    def __call__(self, run, path, tell):
        self.done.append(run)
        tell(0.5, "half of it")
        if run == self.interrupted:
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".partial").write_text('{"format"')
            raise KeyboardInterrupt
        if run in self.failing:
            raise RunError("no memory")
        write(path, result(run))


def do(runs, results, work, **options):
    console = Console(file=io.StringIO(), width=200)
    failed = run_all(runs, results, execute=work, console=console, **options)
    return failed, console.file.getvalue()


def test_a_finished_run_is_not_repeated(tmp_path):
    results = Results(tmp_path / "results")
    do(RUNS[:2], results, Work())
    work = Work()
    failed, said = do(RUNS, results, work)
    assert work.done == [RUNS[2]]
    assert failed == []
    assert "2 of 3 runs are finished, 1 to do" in said
    assert set(results.all(RUNS)) == {run.key for run in RUNS}


def test_an_interrupted_run_is_done_again_and_those_before_it_are_kept(tmp_path):
    results = Results(tmp_path / "results")
    with pytest.raises(KeyboardInterrupt):
        do(RUNS, results, Work(interrupted=RUNS[1]))
    assert set(results.all(RUNS)) == {RUNS[0].key}
    work = Work()
    do(RUNS, results, work)
    assert work.done == list(RUNS[1:])


def test_a_damaged_result_is_done_again(tmp_path):
    results = Results(tmp_path / "results")
    do(RUNS, results, Work())
    results.path(RUNS[0]).write_text(results.path(RUNS[0]).read_text()[:50])
    work = Work()
    do(RUNS, results, work)
    assert work.done == [RUNS[0]]


def test_a_run_is_repeated_when_asked_for(tmp_path):
    results = Results(tmp_path / "results")
    do(RUNS, results, Work())
    work = Work()
    do(RUNS, results, work, again=[RUNS[1]])
    assert work.done == [RUNS[1]]


def test_a_failed_run_neither_stops_the_others_nor_counts_as_finished(tmp_path):
    results = Results(tmp_path / "results")
    failed, said = do(RUNS, results, Work(failing=[RUNS[0]]))
    assert failed == [RUNS[0]]
    assert "em-3min-seed0: failed: no memory" in said
    assert set(results.all(RUNS)) == {run.key for run in RUNS[1:]}


def test_runs_of_another_version_count_as_missing_when_asked_for(tmp_path):
    do(RUNS, Results(tmp_path), Work())
    strict = Results(tmp_path, same_code=True)
    assert strict.all(RUNS) == {}
    assert len(Results(tmp_path).all(RUNS)) == len(RUNS)


def test_runs_without_their_images_are_left_out_by_name(tmp_path):
    work = Work()
    failed, said = do([Run(dataset="nuclei"), RUNS[0]], Results(tmp_path / "results"), work)
    assert [run.name for run in failed] == ["nuclei-3min-seed0"]
    assert "left out: nuclei-3min-seed0" in said
    assert "NAPARI_UNET_DATA" in said
    assert work.done == [RUNS[0]]


def test_the_list_tells_what_is_finished(tmp_path):
    results = Results(tmp_path / "results")
    do(RUNS[:1], results, Work())
    console = Console(file=io.StringIO(), width=200)
    show_list(RUNS, results, console)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[0].endswith("finished 2026-01-02, by another version of the program")
    assert lines[1].endswith("to do")


def test_published_results_are_joined_and_those_outside_the_plan_fall_out(tmp_path):
    path = tmp_path / "figures.json"
    old = {run.key: result(run, ap50=0.1) for run in RUNS[:2]}
    assert publish(old, path, RUNS) == 2
    assert publish({RUNS[1].key: result(RUNS[1], ap50=0.9)}, path, RUNS[1:]) == 1
    assert published(path)[RUNS[1].key]["scores"]["ap50"] == 0.9
    assert set(published(path)) == {RUNS[1].key}
    assert published(tmp_path / "nothing.json") == {}


@pytest.fixture
def real_sets(real_data, monkeypatch):
    monkeypatch.setenv("NAPARI_UNET_DATA", str(real_data))


@pytest.mark.usefixtures("real_sets")
def test_a_run_in_a_process_of_its_own_leaves_its_result(tmp_path):
    (run,) = untrained("dic")
    results = Results(tmp_path)
    in_a_process(run, results.path(run), lambda progress, message: None)
    found = results.get(run)
    assert found["scores"]["n_true"] == 38
    assert found["threads"] == 2
    assert found["seconds"] > 0
    assert "python" in found["versions"]


def test_a_process_that_fails_says_why(tmp_path):
    run = Run(dataset="dic", method="otsu_watershed")  # its folder is empty here
    with pytest.raises(RunError, match="01_t0"):
        in_a_process(run, tmp_path / "result.json", lambda progress, message: None)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.usefixtures("real_sets")
def test_stopping_ends_the_process_and_leaves_no_result(tmp_path):
    def stop_when_training(progress, message):
        if progress > 0:
            raise KeyboardInterrupt

    path = tmp_path / "result.json"
    run = Run(dataset="dic", changes=(("width", 4), ("depth", 1)))
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_a_process(run, path, stop_when_training)
    assert time.monotonic() - before < 60 * run.minutes, "it was not stopped"
    assert not path.exists()


@pytest.mark.usefixtures("real_sets")
def test_ctrl_c_stops_the_whole_plan_with_a_sentence(tmp_path):
    asked = ["--again", "dic-3min-seed0", "--results", str(tmp_path)]  # measured or not
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.figures", *asked],
        cwd=REPOSITORY,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        assert "1 to do" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "what is finished is kept" in said
    assert not list(tmp_path.glob("*.json"))


def test_what_the_documentation_holds_is_finished_on_any_machine(tmp_path):
    known = {RUNS[0].key: result(RUNS[0])}
    results = Results(tmp_path / "results", known=known)
    work = Work()
    do(RUNS, results, work)
    assert work.done == list(RUNS[1:])
    assert len(results.all(RUNS)) == len(RUNS)
    again = Work()
    do(RUNS, results, again, again=RUNS[:1])
    assert again.done == [RUNS[0]]


def test_a_missing_file_of_weights_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("NAPARI_UNET_ENCODER_WEIGHTS", raising=False)
    wanting = Run(dataset="dic", changes=(("encoder_weights", "local"),))
    failed, said = do([wanting, *RUNS], Results(tmp_path / "results"), Work())
    assert not failed
    assert "left out" in said
