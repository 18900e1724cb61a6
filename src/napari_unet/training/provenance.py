"""Where a trained model comes from, as plain values that are stored with it."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from napari_unet.annotations import count_cells, typical_diameter
from napari_unet.training.fingerprints import fingerprint
from napari_unet.training.sizes import FEWEST_SIZES, lengths_of_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import TrainedModel

__all__ = ["cells_learnt", "provenance"]


def provenance(
    images: Sequence[AnnotatedImage],
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    steps: int,
    seconds: float,
    cells: Mapping[str, float],
    parent: Mapping[str, Any] | None,
    scores: Mapping[str, Any],
    scored_on: Sequence[AnnotatedImage],
    contrast: Mapping[str, Any],
) -> dict[str, Any]:
    """Return when, with what and from what a network was trained, and how good it is.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        All that were given, with those that were kept back.
    device, dtype
        Where and in which precision the steps were computed; None: float32.
    steps, seconds
        How long the training was.
    cells
        What `cells_learnt` says, or nothing.
    parent : mapping or None
        The `ancestry` of the model that was gone on from.
    scores
        How good the model is.
    scored_on : sequence of AnnotatedImage
        What was kept back for that; where nothing was, it was scored on what it was trained on.
    contrast
        The least contrast of the images, which tells an image of nothing.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "napari-unet": _version("napari-unet"),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "device": str(device),
        "precision": str(dtype or torch.float32).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "steps": steps,
        "seconds": round(seconds, 1),
        "data": fingerprint(images),
        "images": [image.name for image in images],
        "contrast": dict(contrast),
        **cells,
        **({"parent": parent} if parent else {}),
        "scores": dict(scores),
        "scored_on": [image.name for image in scored_on] or "the training images",
    }


def cells_learnt(
    images: Sequence[AnnotatedImage],
    old: Sequence[AnnotatedImage],
    scale: float,
    reference: float | None,
    start: TrainedModel | None,
) -> dict[str, float]:
    """Return how many cells were learnt from, and their diameter in pixels as the network saw them.

    Parameters
    ----------
    images, old : sequence of AnnotatedImage
        All count; the diameter is that of the cells in `images`.
    scale : float
        The working scale, for pixels of the size `reference`.
    reference : float or None
        Micrometres per pixel.
    start : TrainedModel or None
        The model that was gone on from. It knows the diameter where there are fewer than three
        cells.
    """
    count = sum(count_cells(image.labels) for image in [*images, *old])
    fewest = 1 if start is None else FEWEST_SIZES
    ratios = lengths_of_pixels(images, reference)
    diameter = typical_diameter(images, fewest=fewest, ratios=ratios)
    if diameter is not None:
        return {"cells": count, "cell_diameter": round(diameter * scale, 1)}
    known = start and start.provenance.get("cell_diameter")
    return {"cells": count, **({"cell_diameter": known} if known else {})}


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return "not installed"
