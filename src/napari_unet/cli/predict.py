"""`napari-unet predict`: a model and images in, label files out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.cli.failures import Failures, UsageError
from napari_unet.cli.inputs import BAD_FILE, warn_of_unread
from napari_unet.cli.outputs import prepare_folder, refuse_existing, refuse_inputs
from napari_unet.cli.progress import ImagesProgress
from napari_unet.cli.settings import read_settings
from napari_unet.files import (
    image_paths,
    label_file,
    listed_names,
    load_model,
    probability_file,
    read_image,
    stem,
    without_labels,
    write_labels,
    write_probabilities,
    write_values,
)
from napari_unet.network import choose_device
from napari_unet.prediction import (
    InstanceOptions,
    PredictionError,
    check_views,
    labels_from,
    number_uniquely,
    predict_slices,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_unet.files import ImageFile
    from napari_unet.network import TrainedModel

__all__ = ["PredictCommand"]


@dataclass(frozen=True, kw_only=True)
class PredictCommand:
    """What was asked for on the command line."""

    model: Path
    images: Path
    out: Path
    tile: int | None
    views: int | None
    settings: Sequence[str]
    device: str
    probabilities: bool
    use_pixel_size: bool
    overwrite: bool
    debug: bool

    def run(self) -> None:
        """Check, load, predict every image, write its labels.

        Raises
        ------
        Reported
            If an image could not be predicted; the others were.
        """
        try:
            choose_device(self.device)
            check_views(self.views)
        except (ValueError, PredictionError) as error:
            raise UsageError(str(error)) from error
        paths, labels = without_labels(image_paths(self.images))
        outputs = [output for path in paths for output in self._outputs(path)]
        refuse_inputs(outputs, [*paths, *labels])
        refuse_existing(outputs, overwrite=self.overwrite)
        model = load_model(self.model)
        if self.probabilities and model.task == "regression":
            raise UsageError(
                f"{self.model} predicts values, which have no probabilities; "
                "leave --probabilities away"
            )
        model = self._with_settings(model)
        prepare_folder(self.out)
        failures = Failures(debug=self.debug)
        if labels:
            doubt = "named like labels of the images beside them, and left out"
            failures.warn(doubt, listed_names(labels))
        warn_of_unread(self.images, paths, failures)
        with ImagesProgress("Predicting", len(paths)) as progress:
            for path in paths:
                self._try(model, path, progress, failures)
        failures.finish()

    def _with_settings(self, model: TrainedModel) -> TrainedModel:
        """Return the model with what was asked for in place of what it was tuned to."""
        settings = read_settings(InstanceOptions, self.settings)
        if settings and model.task != "instances":
            raise UsageError(
                f"{self.model} does not find cells (its task is {model.task}); leave --set away"
            )
        return replace(model, instances={**model.instances, **settings})

    def _outputs(self, path: Path) -> list[Path]:
        labels = [label_file(self.out, stem(path))]
        return labels + ([probability_file(self.out, stem(path))] if self.probabilities else [])

    def _try(
        self, model: TrainedModel, path: Path, progress: ImagesProgress, failures: Failures
    ) -> None:
        try:
            line = self._predict(model, read_image(path), progress)
        except (PredictionError, *BAD_FILE) as error:
            line = f"{path.name}: failed"
            failures.add(error, path.name)
        progress.finish(line)

    def _predict(self, model: TrainedModel, image: ImageFile, progress: ImagesProgress) -> str:
        slices = []
        maps: NDArray[np.float32] | None = None
        pixel_size = image.pixel_size if self.use_pixel_size else None
        notes = [image.note] if self.use_pixel_size and model.pixel_size and image.note else []
        for report in predict_slices(
            model,
            image.data,
            tile=self.tile,
            device=self.device,
            views=self.views,
            pixel_size=pixel_size,
        ):
            progress.show(image.name, report.done / report.total)
            notes += [report.message] if report.message else []
            if report.probabilities is not None:
                if self.probabilities or model.task == "regression":
                    if maps is None:  # one array from the start: a list would be copied into one
                        maps = np.empty((len(image.data), *report.probabilities.shape), np.float32)
                    maps[report.index] = report.probabilities
                if model.task != "regression":
                    slices.append(labels_from(model, report.probabilities, pixel_size=pixel_size))
        if maps is not None and model.task == "regression":
            found = self._write_values(image, maps if image.is_stack else maps[0])
        else:
            cells = model.task == "instances"
            labels = number_uniquely(slices) if cells else np.stack(slices)
            found = f"{labels.max()} cells" if cells else "classes"
            self._write(image, labels if image.is_stack else labels[0])
            if maps is not None:
                self._write_probabilities(image, maps if image.is_stack else maps[0])
        return ". ".join([f"{image.path.name}: {found}", *notes])

    def _write_values(self, image: ImageFile, values: NDArray[np.float32]) -> str:
        write_values(label_file(self.out, image.name), values, **self._how(image))
        return f"values from {values.min():.4g} to {values.max():.4g}"

    def _write(self, image: ImageFile, labels: NDArray[Any]) -> None:
        write_labels(label_file(self.out, image.name), labels, **self._how(image))

    def _write_probabilities(self, image: ImageFile, maps: NDArray[np.float32]) -> None:
        write_probabilities(probability_file(self.out, image.name), maps, **self._how(image))

    def _how(self, image: ImageFile) -> dict[str, Any]:
        return {"pixel_size": image.pixel_size, "overwrite": self.overwrite}
