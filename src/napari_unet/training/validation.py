"""The validation of a training: when it is time for one, and which network did best."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unet.training.validation_parts import parts_of, predict_parts, score_of, score_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import Network, TrainedModel
    from napari_unet.training.configuration import TrainingConfig
    from napari_unet.training.reports import Lap
    from napari_unet.training.validation_parts import Part, PredictedPart

__all__ = ["Validation", "longest_pause", "next_validation"]

_VALIDATIONS = 5  # in a training, apart from the last
_SHORTEST_PAUSE = 30.0  # seconds between validations where the end is not known
_LONGEST_PAUSE = 300.0  # and anywhere: what a crash may cost
_SHARE = 0.1  # of the time, at most, goes into validation
_HURRIED_PARTS = 2  # on which a training is finished that was stopped
_PARTS_AT_THE_END = 16  # that all networks of a training may remember, apart from two of each


@dataclass(frozen=True, eq=False)
class _Best:
    """The network that did best, its score, and its score on a few parts only."""

    score: float
    hurried: float
    network: Network


class Validation:
    """Scores one network of a training on what was kept back, now and then.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        What was kept back; nothing is scored where it is empty.
    config : TrainingConfig
        Of the training.
    lap : Lap
        How much of its time or steps this network has used up.
    device : torch.device
        What predicts.
    otherwise : sequence of AnnotatedImage
        What is predicted at the end where nothing was kept back.

    Attributes
    ----------
    step : int
        The step of the last validation.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        config: TrainingConfig,
        lap: Lap,
        device: torch.device,
        otherwise: Sequence[AnnotatedImage] = (),
    ) -> None:
        self._kept_back = bool(images)
        self._images = images or otherwise
        self.step = 0
        self._config = config
        self._lap = lap
        self._device = device
        self._best: _Best | None = None
        self._parts: list[Part] | None = None
        self.plan(0.0, 0.0)

    @property
    def best(self) -> Network | None:
        """The network that did best so far."""
        return None if self._best is None else self._best.network

    @property
    def due(self) -> bool:
        """Whether it is time to validate."""
        if self._next <= self._lap.used:
            return True
        # Not by the clock where steps are counted: the same steps give the same network.
        return self._config.steps is None and self._latest <= self._lap.clock.seconds

    def plan(self, used: float, seconds: float) -> None:
        """Choose when to validate next, from what the last time took."""
        endless = self._config.until_stopped
        self._next = next_validation(self._lap.used, used, endless=endless)
        self._latest = self._lap.clock.seconds + longest_pause(seconds)

    def score(
        self, model: TrainedModel, should_stop: Callable[[], bool], *, hurried: bool = False
    ) -> float | None:
        """Score a model on what was kept back, and remember its network if it is the best.

        Parameters
        ----------
        model : TrainedModel
            The network of this moment.
        should_stop : callable
            Once True, the validation is given up.
        hurried : bool
            Look at a few parts only, and compare what the best network scored on these.

        Returns
        -------
        float or None
            None where it was given up, or nothing was kept back.
        """
        if not self._kept_back:
            return None
        predicted = self._predict(model, 1, should_stop, hurried=hurried)
        if should_stop() or not predicted:
            return None
        few = score_of(score_parts(model, predicted[:_HURRIED_PARTS]))
        score = few if len(predicted) <= _HURRIED_PARTS else score_of(score_parts(model, predicted))
        best = self._best
        if best is None or (few >= best.hurried if hurried else score >= best.score):
            self._best = _Best(score, few, model.network)
        self.step = self._lap.step
        return score

    def last(
        self, model: TrainedModel, should_stop: Callable[[], bool], *, hurried: bool
    ) -> list[PredictedPart]:
        """Predict as a person will, what was kept back or, where nothing was, something else.

        Each of several networks predicts fewer parts: those of all are remembered until the end.
        """
        most = max(_HURRIED_PARTS, _PARTS_AT_THE_END // self._config.networks)
        return self._predict(model, None, should_stop, hurried=hurried, most=most)

    def _predict(
        self,
        model: TrainedModel,
        views: int | None,
        should_stop: Callable[[], bool],
        *,
        hurried: bool,
        most: int | None = None,
    ) -> list[PredictedPart]:
        """Predict parts of the images, as many as the time suffices for.

        What is compared is the same every time: how many they are, the first time decides.
        """
        if self._parts is None:
            self._parts = parts_of(self._images, model)
        parts = self._parts[: _HURRIED_PARTS if hurried else most]
        began, predicted = time.monotonic(), []
        for part in predict_parts(
            model, parts, str(self._device), views=views, should_stop=should_stop
        ):
            predicted.append(part)
            late = time.monotonic() - began > self._most_seconds
            if late and self._best is None:
                self._parts = self._parts[: len(predicted)]
            if late and (self._best is None or views is None):
                break
        return predicted

    @property
    def _most_seconds(self) -> float:
        """How long one validation may take, once it has begun with its second part."""
        if self._config.steps is not None:  # the same steps give the same network
            return math.inf
        if self._config.until_stopped or self._lap.minutes is None:
            return _SHORTEST_PAUSE
        return _SHARE * 60 * self._lap.minutes


def next_validation(used: float, cost: float, *, endless: bool = False) -> float:
    """Say how much of a training is used up when it is time to validate next.

    Parameters
    ----------
    used : float
        The share that is used up; seconds if `endless`.
    cost : float
        What the last validation took of it.
    endless : bool
        Whether the training ends when it is stopped: pauses then grow with its length.
    """
    pause = max(_SHORTEST_PAUSE, used / _VALIDATIONS) if endless else 1 / (_VALIDATIONS + 1)
    return used + max(pause, cost / _SHARE)


def longest_pause(cost: float) -> float:
    """Say after how many seconds it is time to validate, however long the training is.

    Parameters
    ----------
    cost : float
        Seconds that the last validation took.
    """
    return max(_LONGEST_PAUSE, cost / _SHARE)
