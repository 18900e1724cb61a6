"""One network of a training: from its first weights to its validation."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_unet.augmentation import Patch, apply, draw, source_shape
from napari_unet.network import EncoderUNet, Network, TrainedModel, build_network
from napari_unet.prediction import PredictionError, never, out_of_memory
from napari_unet.training.batches import Batches
from napari_unet.training.checks import check_annotations, painted_values
from napari_unet.training.errors import StoppedError, TrainingError
from napari_unet.training.messages import (
    cannot_join_message,
    late_classes_message,
    no_step_message,
)
from napari_unet.training.optimisation import Learner
from napari_unet.training.patches import PatchSource
from napari_unet.training.preparation import prepare
from napari_unet.training.selection import share_of_old, without_validation
from napari_unet.training.setup import taken
from napari_unet.training.transfer import adapted_network
from napari_unet.training.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.training.configuration import TrainingConfig
    from napari_unet.training.preparation import PreparedSlice
    from napari_unet.training.reports import Clock, TrainingReport
    from napari_unet.training.setup import Division, Setup
    from napari_unet.training.validation_parts import PredictedPart

__all__ = ["MISHAPS", "TrainingRun"]

MISHAPS = (RuntimeError, MemoryError, ValueError, ArithmeticError, PredictionError)
"""What may go wrong while one learns and must not cost what was learnt."""

_PATCH_THREADS = 4  # prepare the next batch while a GPU takes a step
_SEEDS_APART = 1_000_003  # so that neighbouring seeds share no network
_SEEDS = 2**31
_JOINING = 0.1  # of the time, at most, goes into taking over what is painted
_AT_ONCE = 0.05  # seconds that this may take without waiting for the next time
_RIPE = 0.5  # share of its time after which an unfinished network may join others


def _threads_for_patches(device: torch.device) -> int:
    """Return how many threads make patches beside the steps; on a CPU the steps need all cores."""
    return 0 if device.type == "cpu" else _PATCH_THREADS


class TrainingRun:
    """One network of a training, from its first weights to its validation; a fresh object for each.

    To make one takes time: its slices are prepared.

    Parameters
    ----------
    setup : Setup
        What is learnt.
    clock : Clock
        Of the whole training.
    division : Division
        Which network it is, and what it learns from.
    start : TrainedModel or None
        Begin with its network.
    known : sequence of PreparedSlice
        What the network before was shown, and need not be prepared again.

    Attributes
    ----------
    mishap : Exception or None
        What ended it before its time.

    Raises
    ------
    TrainingError
        If nothing is left to learn from, or it was stopped.
    """

    def __init__(
        self,
        setup: Setup,
        clock: Clock,
        division: Division,
        *,
        start: TrainedModel | None,
        known: Sequence[PreparedSlice] = (),
    ) -> None:
        config, turn = setup.config, division.turn
        self.setup = setup
        self.config = replace(config, seed=(config.seed + turn * _SEEDS_APART) % _SEEDS)
        self.clock = clock
        self.division = division
        self.mishap: Exception | None = None
        self._next_join = 0.0  # of the monotonic clock
        self._rng = np.random.default_rng(self.config.seed)
        self._batch = config.batch
        self._source = self._prepare(division.training_images, known)
        self._old_source = self._prepare(setup.old, known) if setup.old else None
        self.lap = clock.lap()
        self.validation = Validation(
            division.validation_images,
            self.config,
            self.lap,
            setup.device,
            division.training_images,
        )
        with clock.paused():
            network = self._new_network(start)
        share = 1.0 if start is None else config.fine_tuning
        self._learner = Learner(network, self.config, setup.device, share)

    @property
    def shown(self) -> Sequence[PreparedSlice]:
        """What the network was shown, for the next network."""
        old = self._old_source.slices if self._old_source else []
        return [*self._source.slices, *old]

    @property
    def ripe(self) -> bool:
        """Whether what it knows by now is worth being averaged with other networks."""
        return (self.lap.progress or 0.0) >= _RIPE

    def learn(self) -> Iterator[TrainingReport]:
        """Train the network, reporting after every step.

        Raises
        ------
        TrainingError
            If it never took a step.
        """
        threads = _threads_for_patches(self.setup.device)
        # Not kept: it knows this object, which would live on with all its memory.
        with Batches(self._draw_patch, threads=threads) as batches:
            yield from self._take_steps(batches)
        if self.lap.step == 0:
            stopped = self.setup.should_stop()
            kind = StoppedError if stopped else TrainingError
            raise kind(no_step_message(self.clock.seconds, stopped=stopped))

    def predict_kept_back(self, *, stopped: bool) -> list[PredictedPart]:
        """Predict as a person will: what was kept back, or else what was trained on.

        After a stop this is done on two parts, and nothing stops it any more.
        """
        should_stop = never if stopped else self.setup.should_stop
        if self.division.validation_images and self.validation.step < self.lap.step:
            newest = self.setup.model(self._learner.snapshot())
            self.validation.score(newest, should_stop, hurried=stopped)
        model = self.setup.model(self.best_network())
        return self.validation.last(model, should_stop, hurried=stopped)

    def best_network(self) -> Network:
        """Return the network that did best, or the newest where nothing was kept back.

        Raises
        ------
        FloatingPointError
            If there is none that still holds numbers.
        """
        return self.validation.best or self._learner.snapshot()

    def _prepare(
        self, images: Sequence[AnnotatedImage], known: Sequence[PreparedSlice] = ()
    ) -> PatchSource:
        setup = self.setup
        slices = prepare(
            images,
            self.config,
            setup.scale,
            setup.classes,
            self._rng,
            reference=setup.pixel_size,
            standardisation=setup.standardisation,
            known=known,
            should_stop=setup.should_stop,
        )
        size = self.config.input_size
        kept = self.config.geometry.output_size(size)
        return PatchSource(slices, jitter=min(size // 4, kept // 2))

    def _new_network(self, start: TrainedModel | None) -> Network:
        channels, outputs = self.setup.images[0].image.shape[1], len(self.setup.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            if start is not None:
                return adapted_network(
                    start,
                    channels=channels,
                    outputs=outputs,
                    fresh_last_layer=not self.setup.goes_on,
                )
            network = build_network(
                self.config.architecture(in_channels=channels, out_channels=outputs)
            )
        if isinstance(network, EncoderUNet):
            _load_encoder(network, self.config)
        return network

    def _take_steps(self, batches: Batches) -> Iterator[TrainingReport]:
        """Take steps until the end; whatever goes wrong after the first, what is learnt stays."""
        self.validation.plan(0.0, 0.0)  # preparing took time
        if (
            self.setup.goes_on and self.division.validation_images
        ):  # so that a good model never becomes a worse one
            yield from self._validate()
        while not self.lap.over and not self.setup.should_stop():
            yield from self._join_updates()
            try:
                loss = self._step(batches)
                self.clock.step += 1
                yield self.clock.report(loss=loss)
                if self.validation.due and not self.lap.over:
                    yield from self._validate()
            except MISHAPS as error:
                if self.lap.step == 0:
                    raise
                self.mishap = error
                return

    def _validate(self) -> Iterator[TrainingReport]:
        """Validate, hand out the best network so far, and say when the next time is."""
        used, seconds, before = self.lap.used, self.clock.seconds, self.validation.best
        if self.division.validation_images:  # or a snapshot is in vain
            model = self.setup.model(self._learner.snapshot())
            score = self.validation.score(model, self.setup.should_stop)
            if score is not None:
                yield self.clock.report(validation=score)
        if self.lap.step > 0 and (
            self.validation.best is not before or not self.division.validation_images
        ):
            yield self.clock.report(checkpoint=self.setup.model(self.best_network()))
        self.validation.plan(self.lap.used - used, self.clock.seconds - seconds)

    def _step(self, batches: Batches) -> float:
        """Take one step, with a smaller batch when the memory is used up."""
        while True:
            try:
                patches = batches.take(self._batch)
                return self._learner.learn(patches, self.lap.progress)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self._batch == 1:
                    raise
                self._batch //= 2

    def _draw_patch(self) -> Callable[[], Patch]:
        """Draw a change, then a patch with just the surroundings that it reads; change it later."""
        shape = (self.config.input_size, self.config.input_size)
        drawn = draw(self.config.augmentation, shape, self._rng)
        whole = self._next_source().draw(source_shape(drawn, shape), self._rng)
        return partial(apply, drawn, whole, output_shape=shape)

    def _next_source(self) -> PatchSource:
        """Return the new images, or the old ones in their turn: at most every second time."""
        if self._old_source is None:
            return self._source
        share = share_of_old(len(self._source.slices), len(self._old_source.slices))
        return self._old_source if self._rng.random() < share else self._source

    def _join_updates(self) -> Iterator[TrainingReport]:
        """Take over what was painted since the training began, except on validation.

        Where that takes long, not after every stroke: most of the time is for learning.
        """
        began = time.monotonic()
        if began < self._next_join:
            return
        yield from self._join_newest()
        seconds = time.monotonic() - began
        self._next_join = time.monotonic() + (seconds / _JOINING if seconds > _AT_ONCE else 0.0)

    def _join_newest(self) -> Iterator[TrainingReport]:
        setup = self.setup
        try:
            fresh = setup.painting.news()
            if not fresh:
                return
            check_annotations([*setup.images[:1], *fresh], self.config)
            yield from self._refuse_late_classes(fresh)
            kept_back = {image.name: image for image in self.division.validation_images}
            joined = [
                taken(
                    without_validation(image, kept_back.get(image.name), setup.gap(image)),
                    self.config,
                )
                for image in fresh
            ]
            if any(image.annotated.any() for image in joined):
                self._source = self._prepare(joined, self._source.slices)
            setup.painting.learnt = fresh
        except (TrainingError, *MISHAPS) as error:
            if not setup.should_stop():
                yield self.clock.report(message=cannot_join_message(error))

    def _refuse_late_classes(self, fresh: Sequence[AnnotatedImage]) -> Iterator[TrainingReport]:
        """Say once of each class that it came too late: the network has no output for it."""
        if self.config.task != "classes":
            return
        setup, told = self.setup, self.setup.painting.late
        late = painted_values(fresh) - {label.value for label in setup.classes} - told
        if late:
            told.update(late)
            names = [setup.class_names.get(value, f"class {value}") for value in sorted(late)]
            yield self.clock.report(message=late_classes_message(names))


def _load_encoder(network: EncoderUNet, config: TrainingConfig) -> None:
    """Let an encoder begin with what it learnt elsewhere, if anything."""
    if config.encoder_weights is not None:
        network.load_pretrained(config.encoder_weights)
    elif config.freeze_encoder:
        raise TrainingError(
            "the encoder is frozen but its weights are random, so that it never learns anything; "
            "choose encoder weights, or do not freeze it"
        )
