"""The one place where long work leaves the GUI thread, and where its reports and errors come back.

The work runs in a plain Python thread and never touches a Qt object: it puts its reports into a
queue that a timer in the GUI thread empties. A ``QThread`` that is destroyed while it runs aborts
the process, and a signal emitted towards a deleted object raises in the wrong thread; neither can
happen here when a viewer is closed in the middle of a job. Unlike superqt's generator worker, a
``RuntimeError`` (torch's out-of-memory error is one) ends the job like any other error.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

__all__ = ["Job", "ShouldStop", "finish", "sentence"]

ShouldStop = Callable[[], bool]
"""Asked by the engine between its steps; True means: come to an end and give what there is."""

_log = logging.getLogger(__name__)
_POLL_MS = 30
_KNOWN = ("AnnotationError", "FileError", "LayerError", "PredictionError", "TrainingError")


@dataclass(frozen=True)
class _End:
    """The last thing a thread puts into its queue; `error` is a sentence, or None."""

    error: str | None


class Job(QObject):
    """Run one generator at a time in the background.

    Every started job ends with exactly one `finished`, whatever happened; before it comes
    `failed` when there was an error. All signals are emitted in the GUI thread, in the order of
    the reports.

    Attributes
    ----------
    reported : Signal(object)
        One report of the generator.
    failed : Signal(str)
        One sentence for the user; the traceback of what is not of our own kinds is in the log.
    finished : Signal()
        The generator ended: by itself, by `stop` or by an error.
    started : Signal()
        A new generator has been started.

    Examples
    --------
    >>> job = session.job("train")
    >>> job.reported.connect(dock.show_report)
    >>> job.start(lambda should_stop: train(images, config, should_stop=should_stop))
    """

    started = Signal()
    reported = Signal(object)
    failed = Signal(str)
    finished = Signal()

    def __init__(self, parent: QObject | None = None, *, name: str = "job") -> None:
        super().__init__(parent)
        self.name = name
        self._run: _Run | None = None
        self._last_report: Any = None
        self._error: str | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._deliver)

    @property
    def running(self) -> bool:
        """Whether a generator is at work (`finished` has not been emitted yet)."""
        return self._run is not None

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called and the generator has not ended yet."""
        return self._run is not None and self._run.stop_requested.is_set()

    @property
    def last_report(self) -> Any:
        """The newest report of this or the previous run; for docks that open in the middle."""
        return self._last_report

    @property
    def error(self) -> str | None:
        """The sentence of the last run's error, None after a run without one."""
        return self._error

    def start(self, make: Callable[[ShouldStop], Iterable[Any]]) -> None:
        """Run the generator that `make(should_stop)` returns.

        Parameters
        ----------
        make
            Called in the worker thread, so that slow set-up may stand in it too. It must not
            touch napari or Qt objects: copy what it needs before.

        Raises
        ------
        ValueError
            If the previous generator has not ended yet; a running job is stopped first.
        """
        if self._run is not None:
            raise ValueError(f"the {self.name} job is still running; stop it first")
        self._error = None
        self._last_report = None
        run = self._run = _Run(make, self.name)
        # The thread must not outlive its window by more than one step of the engine.
        self.destroyed.connect(run.stop_requested.set)
        run.start()
        self._timer.start()
        self.started.emit()

    def stop(self) -> None:
        """Ask the generator to come to an end; it may still report what it has."""
        if self._run is not None:
            self._run.stop_requested.set()

    def wait(self, seconds: float = 10.0) -> bool:
        """Block until the thread has ended and its reports are delivered; for closing and tests.

        Returns
        -------
        bool
            False when the thread is still at work after `seconds`.
        """
        if self._run is None:
            return True
        self._run.thread.join(seconds)
        if self._run.thread.is_alive():
            return False
        self._deliver()
        return True

    def _deliver(self) -> None:
        """Hand on everything that has come in; runs in the GUI thread."""
        run = self._run
        if run is None:
            return
        for item in run.reports():
            if isinstance(item, _End):
                self._end(item.error)
                return
            self._last_report = item
            self.reported.emit(item)
            if self._run is not run:  # a slot let the event loop run, and the job ended there
                return

    def _end(self, error: str | None) -> None:
        self._timer.stop()
        self._run = None
        self._error = error
        if error is not None:
            self.failed.emit(error)
        self.finished.emit()


def finish(make: Callable[[ShouldStop], Iterable[Any]], name: str) -> None:
    """Run a generator to its end though nobody hears of it: the last work of a closed window."""
    _Run(make, name).start()


class _Run:
    """One generator in one thread, without Qt."""

    def __init__(self, make: Callable[[ShouldStop], Iterable[Any]], name: str) -> None:
        self.stop_requested = threading.Event()
        self._make = make
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=f"napari-unet {name}")

    def start(self) -> None:
        self.thread.start()

    def reports(self) -> Iterator[Any]:
        """Yield what has come in so far, `_End` last; what comes meanwhile waits its turn."""
        for _ in range(self._queue.qsize()):
            yield self._queue.get_nowait()

    def _work(self) -> None:
        error: str | None = None
        try:
            for report in self._make(self.stop_requested.is_set):
                self._queue.put(report)
        except Exception as problem:  # noqa: BLE001 - the border: every error becomes a sentence
            error = sentence(problem)
            _note(self.thread.name, problem)
        finally:
            self._queue.put(_End(error))


def _note(name: str, problem: Exception) -> None:
    """Leave a traceback in the log, or a line of an error that was foreseen and put in words."""
    if _is_known(problem):
        _log.info("%s ended: %s", name, problem)
    else:
        _log.error("%s failed", name, exc_info=problem)


def sentence(problem: BaseException) -> str:
    """Say in one sentence what went wrong.

    Errors that were written for the user keep their words: the package's own error types and a
    ``ValueError`` of the package, and the system's (`OSError`). Running out of memory is named; of
    anything else only the kind is told, because the details mean nothing to a user.
    """
    if _is_out_of_memory(problem):
        return (
            "There is not enough memory for this; choose smaller tiles or a smaller preset, "
            "or close other programs."
        )
    text = " ".join(str(problem).split())
    if text and (_is_known(problem) or isinstance(problem, ValueError | OSError)):
        return text
    detail = f": {text[:200]}" if text else ""
    return (
        f"Something unexpected happened: {type(problem).__name__}{detail} (details are in the log)."
    )


def _is_known(problem: BaseException) -> bool:
    return any(kind.__name__ in _KNOWN for kind in type(problem).__mro__)


def _is_out_of_memory(problem: BaseException) -> bool:
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    text = str(problem).lower()
    return isinstance(problem, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )
