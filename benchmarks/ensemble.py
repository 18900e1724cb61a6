"""What the mean of several networks brings: all together, and each alone, on the same images.

    python -m benchmarks.ensemble nuclei --minutes 10
    python -m benchmarks.ensemble em --steps 2100 --networks 3
    python -m benchmarks.ensemble em --fold 3 --steps 1200

Without a fold it learns from and scores the images of the tables in docs/benchmarks.md; with one,
images that no table scores. Steps make busy and slow machines comparable.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures.images import training_images, truths
from benchmarks.figures.measuring import scores_of
from benchmarks.figures.plan import DATASETS, Run
from benchmarks.measuring import machine
from benchmarks.recipe import folded
from napari_unet.network import Ensemble
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

_SHOWN = ("ap50", "seg", "rand_error", "pixel_error", "n_split", "n_merged", "n_missed", "n_extra")

Pair = tuple["NDArray[Any]", "NDArray[Any]"]


def taught_and_scored(name: str, fold: int | None) -> tuple[Sequence[AnnotatedImage], list[Pair]]:
    """Return what is learnt from, and images with true labels to score."""
    images = training_images(Run(dataset=name))
    if fold is None:
        return images, [(truth.image, truth.labels) for truth in truths(DATASETS[name])]
    learnt, scored = folded(images, fold, 4, neighbours=name != "nuclei")
    return learnt, [(image.image, image.labels) for image in scored]


def score(name: str, model: TrainedModel, pairs: Sequence[Pair]) -> str:
    """Return the scores of a model as a line."""
    found = [
        np.stack([labels_from(model, plane) for plane in predict(model, image, device="cpu")])
        for image, _ in pairs
    ]
    scores = scores_of(DATASETS[name], [truth for _, truth in pairs], found)
    return ", ".join(
        f"{key} {scores[key]:.3f}" if isinstance(scores[key], float) else f"{key} {scores[key]}"
        for key in _SHOWN
        if scores.get(key) is not None
    )


def main() -> None:
    """Read the command line, train, print a line for the mean and one for each network."""
    parser = argparse.ArgumentParser(description="Several networks and their mean.")
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("--fold", type=int, help="of four; none: the images of the tables")
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--minutes", type=float, default=10.0)
    ends.add_argument("--steps", type=int)
    chosen = parser.parse_args()
    end = {"steps": chosen.steps} if chosen.steps else {"minutes": chosen.minutes}
    config = TrainingConfig.from_preset(
        "quick",
        task=DATASETS[chosen.dataset].task,
        networks=chosen.networks,
        seed=chosen.seed,
        device="cpu",
        **end,
    )
    learnt, pairs = taught_and_scored(chosen.dataset, chosen.fold)
    *_, last = train(learnt, config)
    model = last.model
    assert model is not None
    print(machine())
    print(f"{chosen.dataset}, {chosen.networks} networks, {last.step} steps, {last.seconds:.0f} s")
    print(f"  cut by {dict(model.instances)} at scale {model.scale:.2g}")
    print(f"  together: {score(chosen.dataset, model, pairs)}")
    if isinstance(model.network, Ensemble):
        for number, network in enumerate(model.network.networks, start=1):
            alone = replace(model, network=network)
            print(f"  network {number} alone: {score(chosen.dataset, alone, pairs)}")


if __name__ == "__main__":
    main()
