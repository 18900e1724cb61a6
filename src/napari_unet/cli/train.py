"""`napari-unet train`: images and labels in, a model file out."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.cli.class_names import refuse_unknown_names
from napari_unet.cli.failures import CommandError, Failures, UsageError, sentence
from napari_unet.cli.inputs import annotated_images
from napari_unet.cli.interrupt import stop_on_interrupt
from napari_unet.cli.outputs import prepare_folder, refuse_existing, refuse_inputs
from napari_unet.cli.progress import TrainingProgress
from napari_unet.cli.settings import read_settings
from napari_unet.files import FileError, image_paths, load_model, save_model
from napari_unet.training import (
    TrainingConfig,
    TrainingReport,
    choose_device,
    learnt_classes,
    train,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

__all__ = ["Annotations", "TrainCommand", "configure", "read_start", "train_settings"]

_OWN_OPTIONS = (
    "preset",
    "task",
    "minutes",
    "steps",
    "until_stopped",
    "device",
    "seed",
    "validation",
    "regression_loss",
)

_KEEPING = "Stopping: the best model so far is kept. Ctrl-C again aborts without it."


@dataclass(frozen=True)
class Annotations:
    """Where images, their labels, masks of what counts and how much it counts lie."""

    images: Path
    labels: Path
    regions: Path | None = None
    weights: Path | None = None

    def paths(self) -> list[Path]:
        """List every file that is read."""
        folders = [self.images, self.labels, self.regions, self.weights]
        return [path for folder in folders if folder for path in image_paths(folder)]


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """What was asked for on the command line."""

    images: Path
    labels: Path
    model: Path
    regions: Path | None
    weights: Path | None = None
    unlabelled: float | None
    config: TrainingConfig
    overwrite: bool
    debug: bool
    names: Mapping[int, str] = field(default_factory=dict)
    start: TrainedModel | None = None
    start_path: Path | None = None
    old: Annotations | None = None

    def run(self) -> None:
        """Check, read, train, save.

        Raises
        ------
        CommandError
            If something cannot be written; it is checked before the training, as far as it can.
        Reported
            If an image or its labels cannot be used: a training on the rest could go unnoticed.
        """
        if self.model.is_dir():
            raise CommandError(f"{self.model} is a folder; name a file to write")
        refuse_existing([self.model], overwrite=self.overwrite)
        self._refuse_unfinished()
        new = Annotations(self.images, self.labels, self.regions, self.weights)
        old = [self.old] if self.old else []
        refuse_inputs([self.model], [path for each in (new, *old) for path in each.paths()])
        prepare_folder(self.model.parent)
        model = self._train(self._read(new), [image for each in old for image in self._read(each)])
        self.save(model)
        with suppress(OSError):
            self._unfinished.unlink()

    def _refuse_unfinished(self) -> None:
        """Refuse to lose the best network of a training that was cut short."""
        left = self._unfinished.exists()
        goes_on = left and self.start_path and self._unfinished.samefile(self.start_path)
        if goes_on or (left and not self.overwrite):
            raise CommandError(
                f"{self._unfinished} is what an earlier training left and would be replaced; give "
                "it or --model another name"
            )

    @property
    def _unfinished(self) -> Path:
        """Where the best model so far lies during a training, and after a crash."""
        return self.model.with_stem(f"{self.model.stem}.unfinished")

    def _read(self, annotations: Annotations) -> list[AnnotatedImage]:
        failures = Failures(debug=self.debug)
        images = annotated_images(
            annotations.images,
            annotations.labels,
            task=self.config.task,
            regions=annotations.regions,
            weights=annotations.weights,
            unlabelled=self.unlabelled,
            failures=failures,
            use_pixel_size=self.config.use_pixel_size,
        )
        failures.finish()
        return images

    def _train(
        self, images: Sequence[AnnotatedImage], old_images: Sequence[AnnotatedImage]
    ) -> TrainedModel:
        if self.names:
            everything = [*images, *old_images]
            classes, _ = learnt_classes(everything, self.config.task, self.names, self.start)
            refuse_unknown_names(self.names, classes, self.config.task)
        report: TrainingReport | None = None
        with stop_on_interrupt(_KEEPING) as should_stop, TrainingProgress() as progress:
            for report in train(
                images,
                self.config,
                start=self.start,
                start_name="" if self.start_path is None else self.start_path.stem,
                old_images=old_images,
                class_names=self.names,
                should_stop=should_stop,
            ):
                progress.show(report)
                if report.checkpoint is not None:
                    _keep(report.checkpoint, self._unfinished)
        assert report is not None
        assert report.model is not None
        return report.model

    def save(self, model: TrainedModel) -> None:
        """Save the model, elsewhere if its place has become unusable meanwhile."""
        try:
            save_model(model, self.model, overwrite=self.overwrite)
        except FileError as error:
            spare = Path(tempfile.mkdtemp(prefix="napari-unet-")) / self.model.name
            save_model(model, spare)
            raise CommandError(f"{sentence(error)}; the model is at {spare}") from error
        print(f"Wrote {self.model}{_score(model.provenance)}")


def _keep(model: TrainedModel, path: Path) -> None:
    """Write the best model so far; a training does not end because that fails."""
    with suppress(FileError):
        save_model(model, path, overwrite=True)


def read_start(path: Path) -> TrainedModel:
    """Read the model that a training goes on from.

    Raises
    ------
    CommandError
        If the file is no model, with what to do.
    """
    try:
        return load_model(path)
    except FileError as error:
        raise CommandError(f"--from: {sentence(error)}") from error


def train_settings(given: Sequence[str]) -> Mapping[str, Any]:
    """Read the options of a training that have no option of their own on the command line.

    Raises
    ------
    UsageError
        As `read_settings`.
    """
    return read_settings(TrainingConfig, given, without=_OWN_OPTIONS)


def configure(
    preset: str | None, changes: Mapping[str, Any], settings: Mapping[str, Any]
) -> TrainingConfig:
    """Return the preset with what was given on the command line.

    Parameters
    ----------
    preset : str or None
        None for the usual one.
    changes : mapping
        Options of the command line; None where one was not given.
    settings : mapping
        As `train_settings` read them; here None is a value.

    Raises
    ------
    UsageError
        If a value is impossible, or there is no such preset or device.
    """
    given = {name: value for name, value in changes.items() if value is not None} | {**settings}
    ends = [name for name in ("minutes", "steps", "until_stopped") if given.get(name)]
    if len(ends) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in ends[:2])
        raise UsageError(f"{first} and {second} exclude each other; give one of them")
    try:
        config = TrainingConfig.from_preset(preset or TrainingConfig().preset, **given)
        choose_device(config.device)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return config


def _score(provenance: Mapping[str, Any]) -> str:
    scores = provenance.get("scores", {})
    one_unit = len(scores.get("each", ())) < 2
    told = ("ap50", "pixel_error", "r2", *(("rmse",) if one_unit else ()))
    named = [f"{name} {scores[name]:.3g}" for name in told if scores.get(name) is not None]
    if not named:
        return ""
    trained = isinstance(provenance.get("scored_on"), str)
    where = "the training images" if trained else "what was kept back"
    return f" ({', '.join(named)} on {where})"
