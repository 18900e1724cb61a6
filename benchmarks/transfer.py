"""Measure whether going on from a model of other cells beats a fresh network, on real images.

    python -m benchmarks.transfer                      # both sets, a table of AP50 and SEG

A network learns nuclei (the small pictures) for some steps. Then two new pictures of other cells
(larger nuclei of another microscope, or DIC cells) are learnt from it at several shares of the
learning rate, and by a fresh network with the same steps. Scored on pictures that none has seen.
The images are looked for in ``../shared/data`` or in the folder named by ``NAPARI_UNET_DATA``.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures.plan import DATASETS
from napari_unet.annotations import AnnotatedImage, annotate
from napari_unet.evaluation import Scores, evaluate
from napari_unet.files import load_model, read_image, read_labels, save_model
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from napari_unet.network import TrainedModel

DATA = Path(
    os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[2] / "shared" / "data")
).resolve()
SMALL, LARGE = (256, 256), (360, 360)


@dataclass(frozen=True)
class Task:
    """New pictures to learn from, and others to be judged on."""

    name: str
    train: list[AnnotatedImage]
    test: list[AnnotatedImage]


def read(folder: str) -> list[AnnotatedImage]:
    """Read a data set, sorted by name."""
    images = sorted((DATA / folder / "images").iterdir())
    labels = sorted((DATA / folder / "labels").iterdir())
    return [
        annotate(read_image(image).data, read_labels(label), name=image.stem)
        for image, label in zip(images, labels, strict=True)
    ]


def nuclei() -> list[AnnotatedImage]:
    """Return the nuclei that no table of the documentation scores."""
    return read("dsb2018_nuclei")[DATASETS["nuclei"].train]


def last_model(
    images: list[AnnotatedImage], config: TrainingConfig, **more: object
) -> TrainedModel:
    """Train, and return the model."""
    *_, last = train(images, config, **more)  # type: ignore[arg-type]
    assert last.model is not None
    return last.model


def score(model: TrainedModel, images: list[AnnotatedImage]) -> Scores:
    """Compare predictions with the truth."""
    found = [labels_from(model, predict(model, image.image)[0]) for image in images]
    return evaluate([(i.labels[0], labels) for i, labels in zip(images, found, strict=True)])


def tasks() -> list[Task]:
    """Return what is learnt after the nuclei."""
    large = [image for image in nuclei() if image.image.shape[2:] == LARGE]
    complete = [image for image in read("dic_hela") if image.name != "01_t067"]
    return [
        Task("large nuclei", large[:2], large[2:]),
        Task("DIC cells", complete[:2], complete[-3:]),
    ]


def main() -> None:
    """Train what is asked for and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base-steps", type=int, default=200)
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 120])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--base", type=Path, help="Keep the model of the nuclei in this file.")
    chosen = parser.parse_args()
    usual = {"device": "cpu", "preset": "quick"}
    base = TrainingConfig(**usual, minutes=None, steps=chosen.base_steps)  # type: ignore[arg-type]
    if chosen.base and chosen.base.exists():
        start = load_model(chosen.base)
    else:
        small = [image for image in nuclei() if image.image.shape[2:] == SMALL]
        start = last_model(small, base)
        if chosen.base:
            save_model(start, chosen.base)
    print("| new cells | steps | seed | from | AP50 | SEG |\n|---|---|---|---|---|---|")
    for task in tasks():
        found = score(start, task.test)
        print(f"| {task.name} | 0 | - | nuclei | {found.ap50:.3f} | {found.seg:.3f} |", flush=True)
        for steps in chosen.steps:
            for seed in range(chosen.seeds):
                config = TrainingConfig(minutes=None, steps=steps, seed=seed, device="cpu")
                runs = {"nothing": last_model(task.train, config)}
                for rate in chosen.rates:
                    gentle = TrainingConfig(
                        minutes=None, steps=steps, seed=seed, device="cpu", fine_tuning=rate
                    )
                    runs[f"nuclei, rate x {rate:g}"] = last_model(task.train, gentle, start=start)
                for name, model in runs.items():
                    found = score(model, task.test)
                    print(
                        f"| {task.name} | {steps} | {seed} | {name} | {found.ap50:.3f} "
                        f"| {found.seg:.3f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    sys.exit(main())
