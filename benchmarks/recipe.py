"""Try a change of the recipe on images that no table scores: one fold of the training images.

    python -m benchmarks.recipe nuclei --fold 0 --steps 560 scaling=0.6
    python -m benchmarks.recipe em --fold 1 --steps 900 views=8
    python -m benchmarks.recipe nuclei --fold 2 --minutes 3 --images 2 encoder=resnet18

Steps instead of minutes, so that a busy machine gives the same result, unless the change is one of
speed too. docs/recipe.md holds what came out.
"""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures.images import training_images
from benchmarks.figures.plan import DATASETS, Run
from benchmarks.peers import import_smp
from napari_unet.evaluation import evaluate
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.evaluation import Scores
    from napari_unet.network import TrainedModel

_SHOWN = ("ap50", "ap", "seg", "rand_error", "pixel_error")


def folded(
    images: Sequence[AnnotatedImage], fold: int, folds: int, *, neighbours: bool
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Return the images to learn from and those to score.

    Neighbours (slices of a stack, frames of a sequence) stay together: what lies beside a scored
    image is nearly that image.
    """
    places = np.arange(len(images))
    scored = np.array_split(places, folds)[fold] if neighbours else places[fold::folds]
    return (
        [image for place, image in enumerate(images) if place not in scored],
        [images[place] for place in scored],
    )


def few(images: Sequence[AnnotatedImage], number: int | None) -> Sequence[AnnotatedImage]:
    """Return so many of the images, taken at equal distances; None: all."""
    if number is None or number >= len(images):
        return images
    return images[:: len(images) // number][:number]


def learn(images: Sequence[AnnotatedImage], config: TrainingConfig) -> TrainedModel:
    """Train without a word."""
    *_, last = train(images, config)
    assert last.model is not None
    return last.model


def score(model: TrainedModel, images: Sequence[AnnotatedImage]) -> Scores:
    """Score a model where the images are annotated."""
    pairs = []
    for image in images:
        found = [labels_from(model, plane) for plane in predict(model, image.image)]
        pairs.append((image.labels, np.stack(found), image.annotated))
    return evaluate(pairs, task="classes" if model.task == "classes" else "instances")


def _value(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> None:
    """Read the command line, train, print one line."""
    parser = argparse.ArgumentParser(description="Try a change of the recipe on one fold.")
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("changes", nargs="*", type=_value, metavar="OPTION=VALUE")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--folds", type=int, default=4)
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--steps", type=int, default=560)
    ends.add_argument("--minutes", type=float)
    parser.add_argument("--images", type=int, help="how many are learnt from")
    parser.add_argument("--preset", default="quick")
    chosen = parser.parse_intermixed_args()
    dataset = DATASETS[chosen.dataset]
    changes = {"task": dataset.task, **dict(chosen.changes)}
    if chosen.minutes is None:
        changes["steps"], length = chosen.steps, f"{chosen.steps} steps"
    else:
        changes["minutes"], length = chosen.minutes, f"{chosen.minutes:g} minutes"
    if "encoder" in changes:
        import_smp()
    config = TrainingConfig.from_preset(chosen.preset, **changes)
    learnt, scored = folded(
        training_images(Run(dataset=chosen.dataset)),
        chosen.fold,
        chosen.folds,
        neighbours=chosen.dataset != "nuclei",
    )
    model = learn(few(learnt, chosen.images), config)
    scores = score(model, scored).to_dict()
    shown = ", ".join(f"{name} {scores[name]:.3f}" for name in _SHOWN if scores[name] is not None)
    changed = " ".join(f"{name}={value}" for name, value in chosen.changes) or "as it is"
    print(f"{chosen.dataset} fold {chosen.fold}, {length}, {changed}: {shown}")
    print(f"  cut by {dict(model.instances)} at scale {model.scale:.2g}")


if __name__ == "__main__":
    main()
