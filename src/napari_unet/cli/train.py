"""`napari-unet train`: images and labels in, a model file out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.cli.failures import CommandError, Failures, UsageError, sentence
from napari_unet.cli.inputs import annotated_images
from napari_unet.cli.interrupt import stop_on_interrupt
from napari_unet.cli.outputs import prepare_folder, refuse_existing, refuse_inputs
from napari_unet.cli.progress import TrainingProgress
from napari_unet.files import FileError, image_paths, save_model
from napari_unet.training import TrainingConfig, TrainingReport, choose_device, train

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

__all__ = ["TrainCommand", "configure"]

_KEEPING = "Stopping: the best model so far is kept. Ctrl-C again aborts without it."


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """What was asked for on the command line."""

    images: Path
    labels: Path
    model: Path
    regions: Path | None
    unlabelled: int | None
    config: TrainingConfig
    overwrite: bool
    debug: bool

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
        refuse_inputs([self.model], self._inputs())
        prepare_folder(self.model.parent)
        model = self._train(self._read())
        self.save(model)

    def _inputs(self) -> list[Path]:
        folders = [self.images, self.labels, *([self.regions] if self.regions else [])]
        return [path for folder in folders for path in image_paths(folder)]

    def _read(self) -> list[AnnotatedImage]:
        failures = Failures(debug=self.debug)
        images = annotated_images(
            self.images,
            self.labels,
            task=self.config.task,
            regions=self.regions,
            unlabelled=self.unlabelled,
            failures=failures,
        )
        failures.finish()
        return images

    def _train(self, images: Sequence[AnnotatedImage]) -> TrainedModel:
        report: TrainingReport | None = None
        with stop_on_interrupt(_KEEPING) as should_stop, TrainingProgress() as progress:
            for report in train(images, self.config, should_stop=should_stop):
                progress.show(report)
        if report is None or report.model is None or report.step == 0:
            raise CommandError("stopped before the first step; no model was written")
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


def configure(preset: str | None, changes: Mapping[str, Any]) -> TrainingConfig:
    """Return the preset with what was given on the command line.

    Raises
    ------
    UsageError
        If a value is impossible, or there is no such preset or device.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if {"minutes", "steps"} <= given.keys():
        raise UsageError("--minutes and --steps exclude each other; give one of them")
    try:
        config = TrainingConfig.from_preset(preset or TrainingConfig().preset, **given)
        choose_device(config.device)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return config


def _score(provenance: Mapping[str, Any]) -> str:
    scores = provenance.get("scores", {})
    named = [
        f"{name} {scores[name]:.3f}"
        for name in ("ap50", "pixel_error", "r2", "rmse")
        if scores.get(name)
    ]
    if not named:
        return ""
    trained = isinstance(provenance.get("scored_on"), str)
    return f" ({', '.join(named)} on {'the training' if trained else 'validation'} images)"
