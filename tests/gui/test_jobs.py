"""A job always ends, whatever its generator does, and everything arrives in the GUI thread."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from qtpy.QtCore import QObject

from napari_unet.files import FileError
from napari_unet.gui.jobs import Job, ShouldStop, sentence
from napari_unet.prediction import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Events = list[tuple[str, Any]]


@pytest.fixture
def job() -> Job:
    return Job(name="test")


@pytest.fixture
def events(job: Job) -> Events:
    """Write down what the job says, and check in which thread it does."""
    seen: Events = []

    def note(kind: str) -> Callable[..., None]:
        def slot(value: Any = None) -> None:
            assert threading.current_thread() is threading.main_thread()
            seen.append((kind, value))

        return slot

    job.started.connect(note("started"))
    job.reported.connect(note("reported"))
    job.failed.connect(note("failed"))
    job.finished.connect(note("finished"))
    return seen


def until_stopped(should_stop: ShouldStop) -> Iterator[int]:
    n = 0
    while not should_stop():
        yield n
        n += 1
        time.sleep(0.005)
    yield -1


def test_reports_come_in_order_and_then_the_end(qtbot: Any, job: Job, events: Events) -> None:
    with qtbot.waitSignal(job.finished):
        job.start(lambda _: iter(range(100)))
    reports = [("reported", n) for n in range(100)]
    assert events == [("started", None), *reports, ("finished", None)]
    assert job.last_report == 99
    assert not job.running


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (RuntimeError("shapes differ"), "Something unexpected happened: RuntimeError"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "not enough memory"),
        (MemoryError(), "not enough memory"),
        (FileError("the folder cannot be written"), "the folder cannot be written"),
        (ValueError("the image is too small"), "the image is too small"),
        (StopIteration(), "Something unexpected happened"),
        (KeyError("weights"), "Something unexpected happened: KeyError"),
    ],
)
def test_every_error_ends_the_job_with_one_sentence(
    qtbot: Any,
    job: Job,
    events: Events,
    problem: Exception,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: ShouldStop) -> Iterator[int]:
        yield 1
        raise problem

    with caplog.at_level(logging.INFO), qtbot.waitSignal(job.finished):
        job.start(fail)
    assert [kind for kind, _ in events] == ["started", "reported", "failed", "finished"]
    assert said in events[2][1]
    assert job.error == events[2][1]
    (record,) = caplog.records
    foreseen = isinstance(problem, FileError)
    assert record.levelno == (logging.INFO if foreseen else logging.ERROR)
    assert ("Traceback" in caplog.text) is not foreseen


@pytest.mark.parametrize(
    ("problem", "used_up"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("not enough memory of the last slice"), False),
    ],
)
def test_engine_and_window_agree_on_when_the_memory_is_used_up(
    problem: Exception, used_up: bool
) -> None:
    assert out_of_memory(problem) is used_up
    assert sentence(problem).startswith("There is not enough memory") is used_up


def test_an_error_while_setting_up_ends_the_job_too(qtbot: Any, job: Job, events: Events) -> None:
    def make(_: ShouldStop) -> Iterator[int]:
        raise ValueError("nothing was painted")

    with qtbot.waitSignal(job.finished):
        job.start(make)
    assert events[1:] == [("failed", "nothing was painted"), ("finished", None)]


def test_stop_is_a_wish_and_what_comes_after_it_still_arrives(
    qtbot: Any, job: Job, events: Events
) -> None:
    job.start(until_stopped)
    qtbot.waitUntil(lambda: job.last_report is not None)
    with qtbot.waitSignal(job.finished):
        job.stop()
        assert job.running
        assert job.stopping
    assert events[-2:] == [("reported", -1), ("finished", None)]


def test_a_second_start_is_refused_and_the_first_goes_on(qtbot: Any, job: Job) -> None:
    job.start(until_stopped)
    with pytest.raises(ValueError, match="still running"):
        job.start(until_stopped)
    job.stop()
    assert job.wait()


def test_a_slot_may_start_the_next_run(qtbot: Any, job: Job) -> None:
    runs = []

    def again() -> None:
        runs.append(job.last_report)
        if len(runs) < 3:
            job.start(lambda _: iter([len(runs)]))

    job.finished.connect(again)
    job.start(lambda _: iter([0]))
    qtbot.waitUntil(lambda: runs == [0, 1, 2])


def test_the_thread_ends_when_its_window_goes(qtbot: Any) -> None:
    window = QObject()
    job = Job(window, name="orphan")
    job.start(until_stopped)
    (thread,) = [t for t in threading.enumerate() if t.name == "napari-unet orphan"]
    window.deleteLater()
    qtbot.waitUntil(lambda: not thread.is_alive())


def test_sentences_are_one_line() -> None:
    assert "\n" not in sentence(ValueError("two\nlines"))
