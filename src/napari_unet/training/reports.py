"""How far a training has come: its clock, and the reports that are read from it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_unet.network import TrainedModel
    from napari_unet.training.configuration import TrainingConfig

__all__ = ["Clock", "Lap", "TrainingReport", "soon"]

_SOON = 5.0  # seconds


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingReport:
    """How far a training has come.

    Parameters
    ----------
    phase : {"preparing", "training", "finished"}
        The last report, and only it, is "finished".
    step : int
        Steps taken.
    seconds : float
        Time since the training began.
    loss : float or None
        The energy of this step.
    validation : float or None
        A new validation score between 0 and 1, higher is better; None between validations.
    progress : float or None
        Share of the time or the steps that is used up; None if it ends when it is stopped.
    seconds_left : float or None
        An estimate.
    message : str
        Something a person should know; often empty.
    model : TrainedModel or None
        In the last report: the best model.
    checkpoint : TrainedModel or None
        The best model so far, now and then: who keeps it loses little in a crash.
    network, networks : int
        Which network learns, from 1, and how many share the training.
    """

    phase: Literal["preparing", "training", "finished"]
    step: int = 0
    seconds: float = 0.0
    loss: float | None = None
    validation: float | None = None
    progress: float | None = 0.0
    seconds_left: float | None = None
    message: str = ""
    model: TrainedModel | None = None
    checkpoint: TrainedModel | None = None
    network: int = 1
    networks: int = 1


@dataclass
class Clock:
    """What is used up of a training's time or steps.

    Parameters
    ----------
    config : TrainingConfig
        Says how many minutes or steps there are.
    started : float
        When the training began, in seconds of `time.monotonic`.
    step : int
        Steps taken.
    network : int
        Which network takes them, from 1.
    """

    config: TrainingConfig
    started: float = field(default_factory=time.monotonic)
    step: int = 0
    network: int = 1

    @property
    def networks(self) -> int:
        """How many networks learn: one, where nobody knows the time that they would share."""
        return 1 if self.config.until_stopped else self.config.networks

    @property
    def seconds(self) -> float:
        """Time since the training began."""
        return time.monotonic() - self.started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let work (a download) take no time of the training."""
        began = time.monotonic()
        yield
        self.started += time.monotonic() - began

    @property
    def progress(self) -> float | None:
        """Share of the time or the steps that is used up; None where the end is not known."""
        if self.config.until_stopped:
            return None
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        assert self.config.minutes is not None
        return min(1.0, self.seconds / (60 * self.config.minutes))

    @property
    def over(self) -> bool:
        """Whether time or steps are used up."""
        return self.progress is not None and self.progress >= 1

    @property
    def seconds_left(self) -> float | None:
        """Estimate, None before the first of so many steps and where the end is not known."""
        if self.config.until_stopped:
            return None
        if self.config.steps is None:
            assert self.config.minutes is not None
            return max(0.0, 60 * self.config.minutes - self.seconds)
        if self.step == 0:
            return None
        return self.seconds / self.step * (self.config.steps - self.step)

    def lap(self) -> Lap:
        """Begin the part of the network in turn: as much as each after it will have."""
        begin, left = self.progress or 0.0, self.networks - self.network + 1
        return Lap(self, begin, 1.0 if left == 1 else begin + (1 - begin) / left, self.step)

    def report(self, **values: Any) -> TrainingReport:
        """Return a report that says how late it is."""
        values = {"phase": "training", "progress": self.progress, **values}
        return TrainingReport(
            step=self.step,
            seconds=self.seconds,
            seconds_left=self.seconds_left,
            network=self.network,
            networks=self.networks,
            **values,
        )


@dataclass(frozen=True)
class Lap:
    """The part of a training's time or steps that one of its networks has.

    Parameters
    ----------
    clock : Clock
        Of the whole training.
    begin, end : float
        Which part it is, as shares of the whole.
    first_step : int
        Steps that earlier networks took.
    """

    clock: Clock
    begin: float
    end: float
    first_step: int

    @property
    def step(self) -> int:
        """Steps that this network has taken."""
        return self.clock.step - self.first_step

    @property
    def progress(self) -> float | None:
        """Share of the lap that is used up; None where the end is not known."""
        whole = self.clock.progress
        if whole is None:
            return None
        share = (whole - self.begin) / max(self.end - self.begin, 1e-9)
        return 1.0 if share > 1 - 1e-9 else share  # so many steps are all, rounded or not

    @property
    def over(self) -> bool:
        """Whether the lap is used up."""
        return self.clock.over or (self.progress is not None and self.progress >= 1)

    @property
    def used(self) -> float:
        """What is used up: a share, or seconds where the whole is not known."""
        return self.clock.seconds if self.progress is None else self.progress

    @property
    def minutes(self) -> float | None:
        """How long the lap is, where that is known."""
        minutes = self.clock.config.minutes
        return None if minutes is None else (self.end - self.begin) * minutes


def soon() -> Callable[[], bool]:
    """Return a `should_stop` that turns true after some seconds: a person waits for the end."""
    latest = time.monotonic() + _SOON
    return lambda: time.monotonic() > latest
