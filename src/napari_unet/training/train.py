"""The training: a generator of reports that ends with a trained model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from napari_unet.network import (
    PERCENTILES,
    Ensemble,
    TrainedModel,
    choose_device,
    fast_dtype,
)
from napari_unet.prediction import (
    PredictionError,
    contrast,
    measure_range,
    never,
    out_of_memory,
)
from napari_unet.training.checks import check_annotations, painted_values, refuse_pictures
from napari_unet.training.effects import chosen_without_effect
from napari_unet.training.errors import TrainingError
from napari_unet.training.messages import (
    encoder_message,
    hardly_learnt_message,
    kept_back_message,
    network_ended_message,
    network_message,
    no_validation_message,
    not_measured_message,
    pixel_message,
    scale_message,
    start_message,
    stopped_early,
    trained_message,
    unpainted_message,
    without_effect_message,
)
from napari_unet.training.provenance import cells_learnt, provenance
from napari_unet.training.regression import alike, measure_standardisation
from napari_unet.training.reports import Clock, TrainingReport, soon
from napari_unet.training.run import MISHAPS, TrainingRun
from napari_unet.training.selection import only_others
from napari_unet.training.setup import Division, Painting, Setup, taken
from napari_unet.training.sizes import choose_scale, common_pixel_size
from napari_unet.training.transfer import (
    ancestry,
    continued,
    learnt_classes,
    members_of,
    network_changes,
)
from napari_unet.training.tuning import as_mapping, tune
from napari_unet.training.validation_parts import score_of, score_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import ClassLabel, Network, Standardisation
    from napari_unet.network.ensemble import Averaged
    from napari_unet.training.configuration import TrainingConfig
    from napari_unet.training.preparation import PreparedSlice
    from napari_unet.training.validation_parts import PredictedPart

__all__ = ["train"]


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
        ).reports()


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


@dataclass(frozen=True, eq=False)
class _Trained:
    """A network that has learnt, from what, and what it says of what was kept back from it."""

    division: Division
    network: Network
    predicted: Sequence[PredictedPart]

    @property
    def kept_back(self) -> Sequence[AnnotatedImage]:
        """The images, or parts of them, that were kept back."""
        return self.division.validation_images


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
        if config.task == "instances":
            refuse_pictures([*images, *old_images])
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
        self.setup = self._setup(images, old_images, class_names, Painting(updates))
        self.starts = members_of(start) if start else ()
        self.trained: list[_Trained] = []
        self.mishaps: list[str] = []
        self.shown: Sequence[PreparedSlice] = ()  # what the network before was shown

    def _setup(
        self,
        images: Sequence[AnnotatedImage],
        old_images: Sequence[AnnotatedImage],
        class_names: Mapping[int, str] | None,
        painting: Painting,
    ) -> Setup:
        config, start = self.config, self.start
        taught = [taken(image, config) for image in images]
        old = [taken(image, config) for image in only_others(old_images, images)]
        classes, goes_on = learnt_classes([*taught, *old], config.task, class_names, start)
        standardisation = None
        if config.task == "regression":
            standardisation, goes_on = _units([*taught, *old], classes, start if goes_on else None)
        pixel_size = common_pixel_size(taught, old)
        return Setup(
            images=taught,
            old=old,
            config=config,
            classes=classes,
            goes_on=goes_on,
            pixel_size=pixel_size,
            scale=choose_scale(taught, config, pixel_size, start),
            standardisation=standardisation,
            class_names=dict(class_names or {}),
            device=choose_device(config.device),
            should_stop=self.should_stop,
            painting=painting,
            contrast=_contrast([*taught, *old]),
        )

    def reports(self) -> Iterator[TrainingReport]:
        stopped = False
        for turn in range(self.clock.networks):
            self.clock.network = turn + 1
            division = Division.of(self.setup, turn)
            yield from self._introduction(division)
            try:
                stopped = yield from self._teach(self._network_run(division))
            except (TrainingError, *MISHAPS) as error:
                if not self.trained:
                    raise
                stopped = self.should_stop()
                if not self._ended:
                    self._note(error)
            if self._ended:
                break
        yield from self._finish(stopped=stopped)

    def _teach(self, run: TrainingRun) -> Generator[TrainingReport, None, bool]:
        """Let one network learn, and ask what it says of what was kept back from it.

        Returns whether it was stopped before it was asked.
        """
        for report in run.learn():
            yield from self._joined(report, run)
        if run.mishap:
            self._note(run.mishap)
        stopped, last = self.should_stop(), self.clock.network == self.clock.networks
        if self.trained and not run.ripe:
            return stopped
        yield self.clock.report(message=self._what_comes)
        predicted: Sequence[PredictedPart] = ()
        try:
            predicted = run.predict_kept_back(stopped=stopped)
            if not last and not stopped and self.should_stop():
                stopped, predicted = True, run.predict_kept_back(stopped=True)
        except MISHAPS as error:
            yield self.clock.report(message=not_measured_message(error))
        self.trained.append(_Trained(run.division, run.best_network(), predicted))
        self.shown = run.shown
        return stopped

    def _note(self, error: Exception) -> None:
        """Remember what ended a network before its time, to tell it at the end."""
        several = self.clock.networks > 1
        told = network_ended_message(self.clock.network, error) if several else stopped_early(error)
        self.mishaps.append(told)

    @property
    def _ended(self) -> bool:
        return self.clock.over or self.should_stop()

    @property
    def _what_comes(self) -> str:
        if self.clock.network < self.clock.networks and not self._ended:
            return f"Measuring the quality of network {self.clock.network}"
        return "Choosing how probabilities become cells" if self.cells else "Measuring the quality"

    def _network_run(self, division: Division) -> TrainingRun:
        """Return the run of a network, ready for its first step."""
        starts = self.starts or (None,)
        return TrainingRun(
            self.setup,
            self.clock,
            division,
            start=starts[division.turn % len(starts)],
            known=self.shown,
        )

    def _introduction(self, division: Division) -> Iterator[TrainingReport]:
        """Say what a person should know before the first step."""
        if division.turn == 0:
            for message in self._messages(division):
                yield self.clock.report(phase="preparing", message=message)
        else:
            self.setup.painting.next_network()
        if self.clock.networks > 1:
            yield self.clock.report(message=network_message(division.turn + 1, self.clock.networks))

    def _messages(self, first: Division) -> list[str]:
        """Return what is to be said before the first network."""
        setup, start = self.setup, self.start
        sizes = [image.pixel_size for image in [*setup.images, *setup.old]]
        messages = [scale_message(setup.scale), pixel_message(sizes, setup.pixel_size)]
        if start is not None:
            channels = setup.images[0].image.shape[1]
            changes = network_changes(start, channels=channels, fresh_last_layer=not setup.goes_on)
            messages.append(start_message(self.start_name, changes))
            messages.append(unpainted_message(self._unpainted()))
        elif self.config.encoder is not None:
            messages.append(encoder_message(self.config.encoder, self.config.encoder_weights))
        messages.append(without_effect_message(self.in_vain))
        if self.clock.networks == 1:
            messages.append(kept_back_message(first.kept_whole))
        if not first.validation_images:
            messages.append(no_validation_message(self.config.validation, self.config.task))
        return [message for message in messages if message]

    def _unpainted(self) -> list[str]:
        """Name the classes of the model that is gone on from that are painted nowhere."""
        if self.config.task != "classes" or not self.setup.goes_on:
            return []
        painted = painted_values([*self.setup.images, *self.setup.old])
        return [label.name for label in self.setup.classes if label.value not in painted]

    @property
    def cells(self) -> bool:
        """Whether the network finds single cells, not classes."""
        return self.config.task == "instances"

    def _joined(self, report: TrainingReport, run: TrainingRun) -> Iterator[TrainingReport]:
        """Add the networks before to what would be lost in a crash.

        They are not given up for the mean with one that knows little yet.
        """
        if report.checkpoint is None:
            yield report
        elif not self.trained or run.ripe:
            model = self._model({run.division.turn: report.checkpoint.network})
            yield replace(report, checkpoint=replace(model, provenance=self._provenance({})))

    def _model(self, more: Mapping[int, Network] = MappingProxyType({})) -> TrainedModel:
        """Return the networks so far as one model; how cells are cut is not tuned yet."""
        networks = list(
            {
                **self._begun,
                **{each.division.turn: each.network for each in self.trained},
                **more,
            }.values()
        )
        average: Averaged = "values" if self.config.task == "regression" else "probabilities"
        together = networks[0] if len(networks) == 1 else Ensemble(networks, average=average)
        return self.setup.model(together.eval())

    @property
    def _begun(self) -> dict[int, Network]:
        """The networks that are gone on from, by turn: what a stop leaves out stays as it was."""
        fits = self.starts and self.starts[0].channels == self.setup.images[0].image.shape[1]
        if not fits or not self.setup.goes_on:
            return {}
        return {turn: start.network for turn, start in enumerate(self.starts)}

    def _finish(self, *, stopped: bool) -> Iterator[TrainingReport]:
        """Tune how cells are cut, and write down where the model is from.

        Every network speaks of what was kept back from it, so the tuning sees the parts of all.
        After a stop it takes some seconds at most; a stop in the middle of it ends it.
        """
        model, scores = self._model(), None
        should_stop = soon() if stopped else self.should_stop
        predicted = [part for each in self.trained for part in each.predicted]
        try:
            if self.cells and predicted:
                options = tune(predicted, self.setup.scale, should_stop)
                model = replace(model, instances=as_mapping(options))
            scores = score_parts(model, predicted) if predicted else None
        except MISHAPS as error:
            yield self.clock.report(message=not_measured_message(error))
        facts = self._provenance(scores.to_dict() if scores else {})
        kept_back = any(each.kept_back for each in self.trained)
        score = score_of(scores) if scores and kept_back else None
        yield self.clock.report(
            phase="finished",
            progress=1.0,
            validation=score,
            model=replace(model, provenance=facts),
            message=self._last_words(score),
        )

    def _last_words(self, score: float | None) -> str:
        told = trained_message(
            self.clock.step,
            self.clock.seconds,
            networks=len(self.trained),
            of=max(self.clock.networks, len(self._begun)),
            others_stay=len(self._begun) > len(self.trained),
        )
        hardly = hardly_learnt_message(score)
        return ". ".join([told, *self.mishaps, *([hardly] if hardly else [])])

    @property
    def _taught(self) -> Sequence[AnnotatedImage]:
        """The images with what was painted while networks learnt."""
        joined = self.setup.painting.learnt
        return [taken(image, self.config) for image in joined] if joined else self.setup.images

    def _provenance(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        setup, start = self.setup, self.start
        cells: Mapping[str, float] = {}
        if self.cells:
            cells = cells_learnt(self._taught, setup.old, setup.scale, setup.pixel_size, start)
        kept_back = {image.name: image for each in self.trained for image in each.kept_back}
        return provenance(
            [*self._taught, *setup.old],
            device=setup.device,
            dtype=fast_dtype(setup.device),
            steps=self.clock.step,
            seconds=self.clock.seconds,
            cells=cells,
            parent=ancestry(start, self.start_name) if start else None,
            scores=scores,
            scored_on=list(kept_back.values()),
            contrast=setup.contrast,
        )


def _contrast(images: Sequence[AnnotatedImage]) -> dict[str, Any]:
    """Return the least contrast of all images."""
    ranges = [measure_range(image.image, PERCENTILES) for image in images]
    return contrast(ranges, [image.image.dtype for image in images])


def _units(
    images: Sequence[AnnotatedImage],
    outputs: Sequence[ClassLabel],
    start: TrainedModel | None,
) -> tuple[Standardisation, bool]:
    """Return in which units values are learnt, and whether they are those that a model knows."""
    known = start.standardisation if start else None
    if known is not None and alike(known, images):
        return known, True
    return measure_standardisation(images, outputs), False
