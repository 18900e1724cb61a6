"""The training: a generator of reports that ends with a trained model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_unet.annotations import AnnotatedImage, split
from napari_unet.augmentation import Patch, apply, draw, source_shape
from napari_unet.network import EncoderUNet, Network, TrainedModel, build_network, choose_device
from napari_unet.prediction import PredictionError, never, out_of_memory
from napari_unet.training.batches import Batches
from napari_unet.training.checks import check_annotations, painted_values
from napari_unet.training.effects import chosen_without_effect
from napari_unet.training.errors import TrainingError
from napari_unet.training.exams import score_of, sit
from napari_unet.training.fingerprints import fingerprint
from napari_unet.training.messages import (
    encoder_message,
    kept_back_message,
    late_classes_message,
    no_step_message,
    no_validation_message,
    pixel_message,
    scale_message,
    start_message,
    stopped_early,
    trained_message,
    unpainted_message,
    without_effect_message,
)
from napari_unet.training.optimisation import Learner
from napari_unet.training.patches import PatchSource
from napari_unet.training.preparation import prepare
from napari_unet.training.provenance import cells_learnt, provenance
from napari_unet.training.regression import alike, measure_standardisation
from napari_unet.training.reports import Clock, TrainingReport
from napari_unet.training.selection import counted_only, only_others, share_of_old, without_exam
from napari_unet.training.sizes import choose_scale, common_pixel_size, gap_in_pixels
from napari_unet.training.transfer import (
    adapted_network,
    ancestry,
    continued,
    learnt_classes,
    network_changes,
)
from napari_unet.training.tuning import as_mapping, tune, usual_options
from napari_unet.training.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_unet.network import Standardisation
    from napari_unet.training.configuration import TrainingConfig
    from napari_unet.training.preparation import Lesson

__all__ = ["train"]

_PATCH_THREADS = 4  # prepare the next batch while a GPU takes a step


def train(
    images: Sequence[AnnotatedImage],
    config: TrainingConfig,
    *,
    start: TrainedModel | None = None,
    start_name: str = "",
    old_images: Sequence[AnnotatedImage] = (),
    class_names: Mapping[int, str] | None = None,
    should_stop: Callable[[], bool] = never,
    updates: Callable[[], Sequence[AnnotatedImage] | None] | None = None,
) -> Iterator[TrainingReport]:
    """Train a network on annotated images, reporting after every step.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        What a person painted; pixels that are not annotated never count.
    config : TrainingConfig
        Everything that decides how; see `TrainingConfig.from_preset`.
    start : TrainedModel, optional
        Go on from this model, which stays as it is. Its network takes the place of the one that
        `config` describes; the last layer begins anew where task or classes differ, the first is
        spread over the channels where their number does. Cells come to a size at which it knows
        them; with too few cells to tell, or none, its working scale holds.
    start_name : str
        What the new model's provenance calls it.
    old_images : sequence of AnnotatedImage
        Trained on as well, never validated on: what `start` has learnt from, so that it is not
        forgotten. At least half of the patches come from `images`.
    class_names : mapping, optional
        Names of painted values, or of a regression's outputs from 0; kept in the model.
    should_stop : callable
        Asked before every step, and often while images are prepared and predicted; once True,
        the best model so far is finished and reported.
    updates : callable, optional
        Asked between steps: None, or the annotated images anew. So painting goes on while a
        network learns. Images that joined later are trained on, never validated on. They are told
        apart by their names.

    Yields
    ------
    TrainingReport
        The last one carries the model.

    Raises
    ------
    TrainingError
        If nothing can be learnt from the images, the memory does not suffice even for one small
        patch, or it was stopped, or the time was over, before the first step.
    """
    with _threads(config.threads), _sentences():
        yield from _Training(
            images, config, class_names, should_stop, updates, start, start_name, old_images
        ).run()


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Compute on this many CPU threads for a while."""
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what torch and numpy raise into a TrainingError: a RuntimeError hangs Qt workers."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise TrainingError(
                "there is not enough memory for training; choose the preset quick, a smaller "
                "patch, or close other programs"
            ) from error
        raise TrainingError(f"the training failed: {error}") from error
    except (PredictionError, ValueError, ArithmeticError) as error:
        raise TrainingError(str(error)) from error


# What may go wrong while one learns and must not cost what was learnt.
_MISHAPS = (RuntimeError, MemoryError, ValueError, ArithmeticError, PredictionError)


def _threads_for_patches(device: torch.device) -> int:
    """Return how many threads make patches beside the steps; on a CPU the steps need all cores."""
    return 0 if device.type == "cpu" else _PATCH_THREADS


class _Training:
    """One training from its images to its model; a fresh object for each."""

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        config: TrainingConfig,
        class_names: Mapping[int, str] | None,
        should_stop: Callable[[], bool],
        updates: Callable[[], Sequence[AnnotatedImage] | None] | None,
        start: TrainedModel | None,
        start_name: str,
        old_images: Sequence[AnnotatedImage],
    ) -> None:
        check_annotations(images, config)
        check_annotations([*images, *old_images], config)
        asked, config = config, config if start is None else continued(config, start)
        self.config = config
        self.in_vain = chosen_without_effect(asked, config, goes_on=start is not None)
        self.start = start
        self.start_name = start_name or "a model without a name"
        self.clock = Clock(config)
        self.should_stop = should_stop
        if updates is not None and len({image.name for image in images}) < len(images):
            raise TrainingError(
                "images that are painted further are told apart by their names; give each its own"
            )
        self.updates = updates
        self.device = choose_device(config.device)
        self.rng = np.random.default_rng(config.seed)
        self.images = [self._taken(image) for image in images]
        self.old = [self._taken(image) for image in only_others(old_images, images)]
        self.classes, self.goes_on = learnt_classes(
            [*self.images, *self.old], config.task, class_names, start
        )
        self.pixel_size = common_pixel_size(self.images, self.old)
        self.scale = choose_scale(self.images, config, self.pixel_size, start)
        self.class_names = class_names or {}
        self.late: set[int] = set()  # classes that were first painted during the training
        self.standardisation: Standardisation | None = None
        self.batch = config.batch

    def run(self) -> Iterator[TrainingReport]:
        self.lessons, self.exams = self._split()
        self.validation = Validation(self.exams, self.config, self.clock, self.device)
        if self.config.task == "regression":
            self.standardisation = self._units()
        for message in self._messages():
            yield self.clock.report(phase="preparing", message=message)
        self.source = self._prepare(self.lessons)
        self.old_source = self._prepare(self.old) if self.old else None
        with self.clock.paused():
            network = self._new_network()
        self.learner = Learner(network, self.config, self.device, self._rate_share)
        with Batches(self._draw_patch, threads=_threads_for_patches(self.device)) as self.batches:
            yield from self._learn()
        if self.clock.step == 0:
            stopped = self.should_stop()
            raise TrainingError(no_step_message(self.clock.seconds, stopped=stopped))
        yield self.clock.report(
            message="Choosing how probabilities become cells"
            if self.cells
            else "Measuring the quality"
        )
        yield from self._finish()

    def _units(self) -> Standardisation:
        """Return in which units values are learnt: the model's, if it knows such values."""
        images = [*self.lessons, *self.old]
        known = self.start.standardisation if self.start and self.goes_on else None
        if known is not None and alike(known, images):
            return known
        self.goes_on = False
        return measure_standardisation(images, self.classes)

    def _messages(self) -> list[str]:
        """Return what a person should know before the first step."""
        sizes = [image.pixel_size for image in [*self.images, *self.old]]
        messages = [scale_message(self.scale), pixel_message(sizes, self.pixel_size)]
        if self.start is not None:
            changes = network_changes(
                self.start, channels=self._channels, fresh_last_layer=not self.goes_on
            )
            messages.append(start_message(self.start_name, changes))
            messages.append(unpainted_message(self._unpainted()))
        elif self.config.encoder is not None:
            messages.append(encoder_message(self.config.encoder, self.config.encoder_weights))
        messages.append(without_effect_message(self.in_vain))
        messages.append(kept_back_message(self._kept_whole()))
        if not self.exams:
            messages.append(no_validation_message(self.config.validation, self.config.task))
        return [message for message in messages if message]

    def _kept_whole(self) -> list[str]:
        """Name the images of which nothing is trained on."""
        taught = {image.name for image in self.lessons}
        return [image.name for image in self.exams if image.name not in taught]

    def _unpainted(self) -> list[str]:
        """Name the classes of the model that is gone on from that are painted nowhere."""
        if self.config.task != "classes" or not self.goes_on:
            return []
        painted = painted_values([*self.images, *self.old])
        return [label.name for label in self.classes if label.value not in painted]

    @property
    def cells(self) -> bool:
        """Whether the network finds single cells, not classes."""
        return self.config.task == "instances"

    @property
    def _channels(self) -> int:
        return int(self.images[0].image.shape[1])

    def _taken(self, image: AnnotatedImage) -> AnnotatedImage:
        """Return an image with nothing in it that must not decide anything."""
        image = counted_only(image)
        return image if self.config.use_pixel_size else replace(image, pixel_size=None)

    def _gap(self, image: AnnotatedImage) -> int:
        context = self.config.geometry.context
        return gap_in_pixels(context, self.scale, image.pixel_size, self.pixel_size)

    def _split(self) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
        return split(
            self.images,
            fraction=self.config.validation,
            gap=max(self._gap(image) for image in self.images),
            rng=np.random.default_rng(self.config.seed),
            task=self.config.task,
        )

    def _prepare(
        self, images: Sequence[AnnotatedImage], known: Sequence[Lesson] = ()
    ) -> PatchSource:
        lessons = prepare(
            images,
            self.config,
            self.scale,
            self.classes,
            self.rng,
            reference=self.pixel_size,
            standardisation=self.standardisation,
            known=known,
            should_stop=self.should_stop,
        )
        size = self.config.input_size
        kept = self.config.geometry.output_size(size)
        return PatchSource(lessons, jitter=min(size // 4, kept // 2))

    @property
    def _rate_share(self) -> float:
        """Share of the learning rate that this training takes."""
        return 1.0 if self.start is None else self.config.fine_tuning

    def _new_network(self) -> Network:
        channels, outputs = self._channels, len(self.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            if self.start is not None:
                return adapted_network(
                    self.start,
                    channels=channels,
                    outputs=outputs,
                    fresh_last_layer=not self.goes_on,
                )
            network = build_network(
                self.config.architecture(in_channels=channels, out_channels=outputs)
            )
        if isinstance(network, EncoderUNet):
            _load_encoder(network, self.config)
        return network

    def _learn(self) -> Iterator[TrainingReport]:
        """Take steps until the end; whatever goes wrong after the first, what is learnt stays."""
        self.validation.plan(0.0, 0.0)  # preparing took time
        if self.goes_on and self.exams:  # so that a good model never becomes a worse one
            yield from self._validate()
        while not self.clock.over and not self.should_stop():
            yield from self._join_updates()
            try:
                loss = self._step()
                self.clock.step += 1
                yield self.clock.report(loss=loss)
                if self.validation.due and not self.clock.over:
                    yield from self._validate()
            except _MISHAPS as error:
                if self.clock.step == 0:
                    raise
                yield self.clock.report(message=stopped_early(error))
                return

    def _validate(self) -> Iterator[TrainingReport]:
        """Validate, hand out the best network so far, and say when the next time is."""
        used, seconds, before = self.clock.used, self.clock.seconds, self.validation.best
        if self.exams:  # or a snapshot is in vain
            model = self._model(self.learner.snapshot())
            score = self.validation.score(model, self.should_stop)
            if score is not None:
                yield self.clock.report(validation=score)
        if self.clock.step > 0 and (self.validation.best is not before or not self.exams):
            yield self.clock.report(checkpoint=self._checkpoint())
        self.validation.plan(self.clock.used - used, self.clock.seconds - seconds)

    def _checkpoint(self) -> TrainedModel:
        """Return what would be lost in a crash; how cells are cut is not tuned yet."""
        return replace(self._model(self._best_network()), provenance=self._provenance({}))

    def _step(self) -> float:
        """Take one step, with a smaller batch when the memory is used up."""
        while True:
            try:
                patches = self.batches.take(self.batch)
                return self.learner.learn(patches, self.clock.progress)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self.batch == 1:
                    raise
                self.batch //= 2

    def _draw_patch(self) -> Callable[[], Patch]:
        """Draw a change, then a patch with just the surroundings that it reads; change it later."""
        shape = (self.config.input_size, self.config.input_size)
        drawn = draw(self.config.augmentation, shape, self.rng)
        whole = self._next_source().draw(source_shape(drawn, shape), self.rng)
        return partial(apply, drawn, whole, output_shape=shape)

    def _next_source(self) -> PatchSource:
        """Return the new images, or the old ones in their turn: at most every second time."""
        if self.old_source is None:
            return self.source
        share = share_of_old(len(self.source.lessons), len(self.old_source.lessons))
        return self.old_source if self.rng.random() < share else self.source

    def _join_updates(self) -> Iterator[TrainingReport]:
        """Take over what was painted since the training began, except on validation."""
        try:
            fresh = self.updates() if self.updates else None
            if not fresh:
                return
            check_annotations([*self.images[:1], *fresh], self.config)
            yield from self._refuse_late_classes(fresh)
            exams = {exam.name: exam for exam in self.exams}
            joined = [
                self._taken(without_exam(image, exams.get(image.name), self._gap(image)))
                for image in fresh
            ]
            if any(image.annotated.any() for image in joined):
                self.source = self._prepare(joined, self.source.lessons)
        except (TrainingError, PredictionError, ValueError, MemoryError) as error:
            if not self.should_stop():
                yield self.clock.report(message=f"The newest painting cannot join yet: {error}")

    def _refuse_late_classes(self, fresh: Sequence[AnnotatedImage]) -> Iterator[TrainingReport]:
        """Say once of each class that it came too late: the network has no output for it."""
        if self.config.task != "classes":
            return
        late = painted_values(fresh) - {label.value for label in self.classes} - self.late
        if late:
            self.late |= late
            names = [self.class_names.get(value, f"class {value}") for value in sorted(late)]
            yield self.clock.report(message=late_classes_message(names))

    def _model(self, network: Network) -> TrainedModel:
        return TrainedModel(
            network=network,
            task=self.config.task,
            classes=self.classes,
            scale=self.scale,
            pixel_size=self.pixel_size,
            instances=as_mapping(usual_options(self.scale)) if self.cells else {},
            standardisation=self.standardisation,
            configuration=self.config.to_dict(),
        )

    def _finish(self) -> Iterator[TrainingReport]:
        """Choose the best network, tune how it draws cells, and write down where it is from.

        After a stop, all this is done on two parts; a stop in the middle of it ends it.
        """
        model, scores = None, None
        stopped = self.should_stop()
        should_stop = never if stopped else self.should_stop
        try:
            if self.exams and self.validation.step < self.clock.step:
                newest = self._model(self.learner.snapshot())
                self.validation.score(newest, should_stop, hurried=stopped)
            model = self._model(self._best_network())
            exams = self.validation.last(model, self.lessons, should_stop, hurried=stopped)
            if self.cells and exams:
                options = tune(exams, self.scale, should_stop)
                model = replace(model, instances=as_mapping(options))
            scores = sit(model, exams) if exams else None
        except _MISHAPS as error:
            model = model or self._model(self._best_network())
            yield self.clock.report(message=f"The quality could not be measured: {error}")
        facts = self._provenance(scores.to_dict() if scores else {})
        yield self.clock.report(
            phase="finished",
            progress=1.0,
            validation=score_of(scores) if scores and self.exams else None,
            model=replace(model, provenance=facts),
            message=trained_message(self.clock.step, self.clock.seconds),
        )

    def _best_network(self) -> Network:
        """Return the network that did best, or the newest where nothing was kept back.

        Raises
        ------
        FloatingPointError
            If there is none that still holds numbers.
        """
        return self.validation.best or self.learner.snapshot()

    @cached_property
    def _data(self) -> str:
        return fingerprint([*self.images, *self.old])

    def _provenance(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        cells: Mapping[str, float] = {}
        if self.cells:
            cells = cells_learnt(self.images, self.old, self.scale, self.pixel_size, self.start)
        return provenance(
            [*self.images, *self.old],
            data=self._data,
            device=self.device,
            dtype=self.learner.dtype,
            steps=self.clock.step,
            seconds=self.clock.seconds,
            cells=cells,
            parent=ancestry(self.start, self.start_name) if self.start else None,
            scores=scores,
            scored_on=self.exams,
        )


def _load_encoder(network: EncoderUNet, config: TrainingConfig) -> None:
    """Let an encoder begin with what it learnt elsewhere, if anything."""
    if config.encoder_weights is not None:
        network.load_pretrained(config.encoder_weights)
    elif config.freeze_encoder:
        raise TrainingError(
            "the encoder is frozen but its weights are random, so that it never learns anything; "
            "choose encoder weights, or do not freeze it"
        )
