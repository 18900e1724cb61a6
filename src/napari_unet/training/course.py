"""One network of a training: from its first weights to the slices it is judged on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_unet.annotations import split
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
from napari_unet.training.selection import counted_only, share_of_old, without_exam
from napari_unet.training.sizes import gap_in_pixels
from napari_unet.training.transfer import adapted_network
from napari_unet.training.tuning import as_mapping, usual_options
from napari_unet.training.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import ClassLabel, Standardisation
    from napari_unet.training.configuration import TrainingConfig
    from napari_unet.training.exams import Exam
    from napari_unet.training.preparation import Lesson
    from napari_unet.training.reports import Clock, TrainingReport

__all__ = ["MISHAPS", "Course", "Painting", "Subject"]

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


class Painting:
    """What is painted while networks learn, heard of by each of them in its turn.

    Parameters
    ----------
    ask : callable or None
        Returns the annotated images anew, or None where nothing has changed since it was asked.

    Attributes
    ----------
    late : set of int
        Classes that were first painted meanwhile, and told of.
    learnt : sequence of AnnotatedImage or None
        All images as they were when something joined last; None before.
    """

    def __init__(self, ask: Callable[[], Sequence[AnnotatedImage] | None] | None) -> None:
        self._ask = ask
        self._newest: Sequence[AnnotatedImage] | None = None
        self._unheard = False
        self.late: set[int] = set()
        self.learnt: Sequence[AnnotatedImage] | None = None

    def next_network(self) -> None:
        """Tell what was painted so far once more: another network listens now."""
        self._unheard = True

    def news(self) -> Sequence[AnnotatedImage] | None:
        """Return all images as they are now, where this network does not know them yet."""
        fresh = self._ask() if self._ask else None
        self._newest = fresh or self._newest
        told = fresh or (self._newest if self._unheard else None)
        self._unheard = False
        return told


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """What all networks of one training learn, and from what.

    Parameters
    ----------
    images, old : sequence of AnnotatedImage
        What is annotated, with nothing in it that must not decide anything; and what is only
        trained on.
    config : TrainingConfig
        Of the whole training.
    classes : tuple of ClassLabel
        The outputs.
    goes_on : bool
        Whether the last layer of the model that is gone on from goes on, too.
    pixel_size : float or None
        Micrometres per pixel for which the scale holds.
    scale : float
        The working scale.
    standardisation : Standardisation or None
        In which units values are learnt.
    class_names : mapping
        By painted value.
    device : torch.device
        Where to compute.
    should_stop : callable
        Whether somebody has asked for the end.
    painting : Painting
        What is painted meanwhile.
    """

    images: Sequence[AnnotatedImage]
    old: Sequence[AnnotatedImage]
    config: TrainingConfig
    classes: tuple[ClassLabel, ...]
    goes_on: bool
    pixel_size: float | None
    scale: float
    standardisation: Standardisation | None
    class_names: dict[int, str]
    device: torch.device
    should_stop: Callable[[], bool]
    painting: Painting

    def gap(self, image: AnnotatedImage) -> int:
        """Return how far apart training and validation stay, in pixels of an image."""
        context = self.config.geometry.context
        return gap_in_pixels(context, self.scale, image.pixel_size, self.pixel_size)

    def model(self, network: Network) -> TrainedModel:
        """Return a network as a model whose cutting is not tuned yet."""
        cells = self.config.task == "instances"
        return TrainedModel(
            network=network,
            task=self.config.task,
            classes=self.classes,
            scale=self.scale,
            pixel_size=self.pixel_size,
            instances=as_mapping(usual_options(self.scale)) if cells else {},
            standardisation=self.standardisation,
            configuration=self.config.to_dict(),
        )


def taken(image: AnnotatedImage, config: TrainingConfig) -> AnnotatedImage:
    """Return an image with nothing in it that must not decide anything."""
    image = counted_only(image)
    return image if config.use_pixel_size else replace(image, pixel_size=None)


class Course:
    """One network of a training, from its first weights to its exams; a fresh object for each.

    Parameters
    ----------
    subject : Subject
        What is learnt.
    clock : Clock
        Of the whole training.
    turn : int
        Which network of the training it is, from 0; each keeps back another part.
    start : TrainedModel or None
        Begin with its network.
    known : sequence of Lesson
        What the network before was shown, and need not be prepared again.

    Attributes
    ----------
    lessons, exams : list of AnnotatedImage
        What is trained on, and what was kept back.
    mishap : Exception or None
        What ended it before its time.
    """

    def __init__(
        self,
        subject: Subject,
        clock: Clock,
        *,
        turn: int,
        start: TrainedModel | None,
        known: Sequence[Lesson] = (),
    ) -> None:
        config = subject.config
        self.subject = subject
        self.config = replace(config, seed=(config.seed + turn * _SEEDS_APART) % _SEEDS)
        self.clock = clock
        self.turn = turn
        self.mishap: Exception | None = None
        self.lessons, self.exams = split(
            subject.images,
            fraction=config.validation,
            gap=max(subject.gap(image) for image in subject.images),
            rng=np.random.default_rng(config.seed),
            task=config.task,
            turn=turn / config.networks,
        )
        self._start = start
        self._known = known
        self._next_join = 0.0  # of the monotonic clock
        self._rng = np.random.default_rng(self.config.seed)
        self._batch = config.batch

    @property
    def shown(self) -> Sequence[Lesson]:
        """What the network was shown, for the next network."""
        old = self._old_source.lessons if self._old_source else []
        return [*self._source.lessons, *old]

    @property
    def ripe(self) -> bool:
        """Whether what it knows by now is worth being averaged with other networks."""
        return (self.lap.progress or 0.0) >= _RIPE

    @property
    def kept_whole(self) -> list[str]:
        """Names of the images of which nothing is trained on."""
        taught = {image.name for image in self.lessons}
        return [image.name for image in self.exams if image.name not in taught]

    def learn(self) -> Iterator[TrainingReport]:
        """Train the network, reporting after every step.

        Raises
        ------
        TrainingError
            If it never took a step.
        """
        old = self.subject.old
        self._source = self._prepare(self.lessons, self._known)
        self._old_source = self._prepare(old, self._known) if old else None
        self.lap = self.clock.lap()
        self.validation = Validation(
            self.exams, self.config, self.lap, self.subject.device, self.lessons
        )
        with self.clock.paused():
            network = self._new_network()
        self._learner = Learner(network, self.config, self.subject.device, self._rate_share)
        threads = _threads_for_patches(self.subject.device)
        # Not kept: it knows this object, which would live on with all its memory.
        with Batches(self._draw_patch, threads=threads) as batches:
            yield from self._take_steps(batches)
        if self.lap.step == 0:
            stopped = self.subject.should_stop()
            kind = StoppedError if stopped else TrainingError
            raise kind(no_step_message(self.clock.seconds, stopped=stopped))

    def examine(self, *, stopped: bool) -> list[Exam]:
        """Predict as a person will: what was kept back, or else what was trained on.

        After a stop this is done on two parts, and nothing stops it any more.
        """
        should_stop = never if stopped else self.subject.should_stop
        if self.exams and self.validation.step < self.lap.step:
            newest = self.subject.model(self._learner.snapshot())
            self.validation.score(newest, should_stop, hurried=stopped)
        model = self.subject.model(self.best_network())
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
        self, images: Sequence[AnnotatedImage], known: Sequence[Lesson] = ()
    ) -> PatchSource:
        subject = self.subject
        lessons = prepare(
            images,
            self.config,
            subject.scale,
            subject.classes,
            self._rng,
            reference=subject.pixel_size,
            standardisation=subject.standardisation,
            known=known,
            should_stop=subject.should_stop,
        )
        size = self.config.input_size
        kept = self.config.geometry.output_size(size)
        return PatchSource(lessons, jitter=min(size // 4, kept // 2))

    @property
    def _rate_share(self) -> float:
        """Share of the learning rate that this training takes."""
        return 1.0 if self._start is None else self.config.fine_tuning

    def _new_network(self) -> Network:
        channels, outputs = self.subject.images[0].image.shape[1], len(self.subject.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            if self._start is not None:
                return adapted_network(
                    self._start,
                    channels=channels,
                    outputs=outputs,
                    fresh_last_layer=not self.subject.goes_on,
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
        if self.subject.goes_on and self.exams:  # so that a good model never becomes a worse one
            yield from self._validate()
        while not self.lap.over and not self.subject.should_stop():
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
        if self.exams:  # or a snapshot is in vain
            model = self.subject.model(self._learner.snapshot())
            score = self.validation.score(model, self.subject.should_stop)
            if score is not None:
                yield self.clock.report(validation=score)
        if self.lap.step > 0 and (self.validation.best is not before or not self.exams):
            yield self.clock.report(checkpoint=self.subject.model(self.best_network()))
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
        share = share_of_old(len(self._source.lessons), len(self._old_source.lessons))
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
        subject = self.subject
        try:
            fresh = subject.painting.news()
            if not fresh:
                return
            check_annotations([*subject.images[:1], *fresh], self.config)
            yield from self._refuse_late_classes(fresh)
            exams = {exam.name: exam for exam in self.exams}
            joined = [
                taken(without_exam(image, exams.get(image.name), subject.gap(image)), self.config)
                for image in fresh
            ]
            if any(image.annotated.any() for image in joined):
                self._source = self._prepare(joined, self._source.lessons)
            subject.painting.learnt = fresh
        except (TrainingError, *MISHAPS) as error:
            if not subject.should_stop():
                yield self.clock.report(message=cannot_join_message(error))

    def _refuse_late_classes(self, fresh: Sequence[AnnotatedImage]) -> Iterator[TrainingReport]:
        """Say once of each class that it came too late: the network has no output for it."""
        if self.config.task != "classes":
            return
        subject, told = self.subject, self.subject.painting.late
        late = painted_values(fresh) - {label.value for label in subject.classes} - told
        if late:
            told.update(late)
            names = [subject.class_names.get(value, f"class {value}") for value in sorted(late)]
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
