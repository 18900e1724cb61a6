"""The demo: learn drawn cells, segment others, and compare with what needs no training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from napari_unet.annotations import AnnotatedImage, annotate
from napari_unet.evaluation import Scores, evaluate, otsu_watershed
from napari_unet.files import label_file, save_model, write_labels
from napari_unet.files.tiff import write_tiff
from napari_unet.prediction import labels_from, predict
from napari_unet.samples import PIXEL_SIZE, SAMPLE_SEED, draw_touching_cells, touching_cells

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_unet.network import TrainedModel

__all__ = [
    "Comparison",
    "compare",
    "draw_picture",
    "held_out_picture",
    "is_free_or_demo",
    "segment",
    "segmented_file",
    "training_image",
    "training_picture",
    "write_comparison",
    "write_inputs",
]

NAME = "touching_cells"
_CELLS = 210
_SHAPE = (512, 512)
_README = "README.txt"
_SIGNATURE = "Written by: napari-unet demo"
_EXPLANATION = f"""\
{_SIGNATURE} (a later demo replaces these files)

training/images, training/labels   what the network was trained on
test/images, test/labels           another picture, and its true cells
test/predicted                     what the trained network found on it
model.safetensors                  the trained network
picture.png                        image, truth and prediction side by side
scores.json                        the scores of U-Net and of Otsu's threshold with a watershed
screenshots                        napari while it worked, if it had a window

Do it yourself, in this folder:
napari-unet train training/images training/labels --model mine.safetensors
napari-unet predict mine.safetensors test/images --out mine
napari-unet evaluate test/labels mine
"""
_GAP = 8
_CAPTION = 30
_COLOURS = np.array(
    [(255, 209, 0), (0, 200, 255), (255, 110, 90), (120, 230, 80), (255, 130, 230), (255, 160, 0)],
    dtype=np.uint8,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """A picture that was not trained on, its truth, and two ways to segment it.

    All arrays are (Y, X); `baseline` is Otsu's threshold with a distance watershed.
    """

    image: NDArray[np.uint16]
    truth: NDArray[np.int32]
    predicted: NDArray[np.int32]
    baseline: NDArray[np.int32]

    @property
    def scores(self) -> Scores:
        """How well the network did."""
        return evaluate([(self.truth, self.predicted)])

    @property
    def baseline_scores(self) -> Scores:
        """How well the untrained method did."""
        return evaluate([(self.truth, self.baseline)])


def training_picture() -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return the picture that the demo learns from, and its labels; it is napari's 2D sample."""
    (image, _, _), (labels, _, _) = touching_cells()
    return image, labels


def training_image() -> AnnotatedImage:
    """Return the picture that the demo learns from, all of it annotated."""
    image, labels = training_picture()
    return annotate(image, labels, name=NAME, pixel_size=PIXEL_SIZE)


def held_out_picture() -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return the picture that the demo segments, and its true labels: other cells."""
    return draw_touching_cells(_SHAPE, _CELLS, SAMPLE_SEED + 1)


def segment(model: TrainedModel) -> NDArray[np.int32]:
    """Return what a network finds in the held-out picture."""
    image, _ = held_out_picture()
    return labels_from(model, predict(model, image))


def compare(predicted: NDArray[np.integer]) -> Comparison:
    """Put labels of the held-out picture beside the truth and the untrained method."""
    image, truth = held_out_picture()
    return Comparison(
        image=image,
        truth=truth,
        predicted=predicted.astype(np.int32),
        baseline=otsu_watershed(image),
    )


def segmented_file(out: Path) -> Path:
    """Return where the labels that were found in the held-out picture go."""
    return label_file(out / "test" / "predicted", NAME)


def is_free_or_demo(out: Path) -> bool:
    """Tell whether a folder may be written to: absent, empty, or left by an earlier demo."""
    return not out.exists() or not any(out.iterdir()) or _is_signed(out / _README)


def _is_signed(readme: Path) -> bool:
    """Tell whether the demo wrote this file: many folders have a README of their own."""
    if not readme.is_file():
        return False
    with readme.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE.encode()


def write_inputs(out: Path) -> None:
    """Write what a user of the command line would bring: images and labels as files."""
    out.mkdir(parents=True, exist_ok=True)
    (out / _README).write_text(_EXPLANATION, encoding="utf-8")
    pictures = {"training": training_picture(), "test": held_out_picture()}
    for part, (image, labels) in pictures.items():
        for kind in ("images", "labels"):
            (out / part / kind).mkdir(parents=True, exist_ok=True)
        write_tiff(out / part / "images" / f"{NAME}.tif", image, "YX", pixel_size=PIXEL_SIZE)
        write_labels(
            out / part / "labels" / f"{NAME}.tif", labels, pixel_size=PIXEL_SIZE, overwrite=True
        )


def write_comparison(comparison: Comparison, model: TrainedModel | None, out: Path) -> None:
    """Write model, predicted labels, picture and scores below `out`."""
    if model is not None:
        save_model(model, out / "model.safetensors", overwrite=True)
    segmented_file(out).parent.mkdir(parents=True, exist_ok=True)
    write_labels(
        segmented_file(out),
        comparison.predicted,
        pixel_size=PIXEL_SIZE,
        overwrite=True,
    )
    Image.fromarray(draw_picture(comparison)).save(out / "picture.png")
    scores = {
        "unet": comparison.scores.to_dict(),
        "otsu_watershed": comparison.baseline_scores.to_dict(),
    }
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


def draw_picture(comparison: Comparison) -> NDArray[np.uint8]:
    """Draw image | truth | prediction beside each other with captions, as (Y, X, 3) uint8."""
    grey = _grey(comparison.image)
    found = comparison.scores
    panels: Mapping[str, NDArray[np.uint8]] = {
        "image, not trained on": grey,
        f"truth: {found.n_true} cells": _outlined(grey, comparison.truth),
        f"U-Net: {found.n_predicted} cells, AP50 {_shown(found.ap50)} (Otsu + watershed "
        f"{_shown(comparison.baseline_scores.ap50)})": _outlined(grey, comparison.predicted),
    }
    height, width = comparison.image.shape
    canvas = Image.new("RGB", (3 * width + 2 * _GAP, height + _CAPTION), "white")
    pen = ImageDraw.Draw(canvas)
    for number, (caption, panel) in enumerate(panels.items()):
        left = number * (width + _GAP)
        canvas.paste(Image.fromarray(panel), (left, _CAPTION))
        pen.text((left + 4, 6), caption, fill="black", font_size=15)
    return np.asarray(canvas)


def _grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(image, (0.1, 99.9))
    stretched = np.clip((image - low) / max(high - low, 1), 0, 1)
    grey = (255 * stretched).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _outlined(grey: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Draw each cell's outline in a colour that its neighbours seldom have."""
    drawn = grey.copy()
    edges = find_boundaries(labels, mode="inner")
    drawn[edges] = _COLOURS[labels[edges] % len(_COLOURS)]
    return drawn


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"
