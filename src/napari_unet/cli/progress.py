"""Progress on the terminal; in a log file a line now and then instead of a moving bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from napari_unet.durations import duration

if TYPE_CHECKING:
    from types import TracebackType

    from napari_unet.training import TrainingReport

__all__ = ["ImagesProgress", "TrainingProgress"]

_LINES = 10  # that a finished work leaves in a log file
_FIRST_LINE = 10.0  # seconds until the second line where the end is not known


class _Percentage(ProgressColumn):
    """The share that is done, where the whole is known."""

    def render(self, task: Task) -> Text:
        """Write it for one bar."""
        return Text("" if task.total is None else f"{task.percentage:>3.0f} %")


class _Display:
    """A bar with text beside it on a terminal, lines elsewhere."""

    def __init__(self, name: str) -> None:
        self.console = Console(highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Percentage(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._name = name
        self._task: TaskID = self._bar.add_task(name, total=1.0, text="")
        self._next_line = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.console.print(line, markup=False, soft_wrap=True)

    def _pulse(self, seconds: float, text: str) -> None:
        """Show work that nobody knows the end of: lines come at ever longer intervals."""
        text = f"{text}  {duration(seconds)}"
        self._bar.update(self._task, total=None, text=text)
        if not self.console.is_terminal and seconds >= self._next_line:
            self._next_line = max(_FIRST_LINE, 1.25 * seconds)
            self.say(f"{self._name}  {text}")

    def _move(self, share: float, text: str, *, name: str | None = None) -> None:
        self._bar.update(self._task, completed=share, text=text, description=name or self._name)
        if not self.console.is_terminal and share >= self._next_line:
            self._next_line = share + 1 / _LINES
            self.say(f"{share:4.0%}  {name or self._name}  {text}")


class TrainingProgress(_Display):
    """Loss, validation and time left of a training."""

    def __init__(self) -> None:
        super().__init__("Training")
        self._loss: float | None = None
        self._validation: float | None = None

    def show(self, report: TrainingReport) -> None:
        """Show one report."""
        if report.message:
            self.say(report.message)
        if report.loss is not None:
            # A running mean: single patches differ more than one step teaches.
            before = report.loss if self._loss is None else self._loss
            self._loss = 0.95 * before + 0.05 * report.loss
        if report.validation is not None:
            self._validation = report.validation
        if report.phase != "training":
            return
        if report.progress is None:
            self._pulse(report.seconds, self._text(report))
        else:
            self._move(report.progress, self._text(report))

    def _text(self, report: TrainingReport) -> str:
        parts = [f"step {report.step}"]
        if report.networks > 1:
            parts.insert(0, f"network {report.network} of {report.networks}")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.3f}")
        if self._validation is not None:
            parts.append(f"validation {self._validation:.3f}")
        if report.seconds_left is not None:
            parts.append(f"{duration(report.seconds_left)} left")
        return "  ".join(parts)


class ImagesProgress(_Display):
    """At which of many images a work is; `name` says what is done."""

    def __init__(self, name: str, images: int) -> None:
        super().__init__(name)
        self._images = images
        self._finished = 0

    def show(self, name: str, share: float) -> None:
        """Show how much of the current image is done."""
        self._move((self._finished + share) / self._images, name)

    def finish(self, line: str) -> None:
        """Say that an image is done and go on to the next."""
        self._finished += 1
        self.say(line)
