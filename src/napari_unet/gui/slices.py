"""Which slices of a prediction are predicted, by which model, and how that is told."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from napari_unet.gui import layers
from napari_unet.gui.layers import PAINTED, PREDICTED, PREDICTION, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image, Labels

__all__ = ["by_other_models", "in_words", "shortcomings", "sign"]


def sign(layer: Image | Labels, z: int, model: str) -> None:
    """Keep with a prediction that a model, given by its fingerprint, has just made a slice."""
    known = layers.fact(layer, PREDICTED, {})
    others = {other: by for other, by in known.items() if other != z}
    layers.set_fact(layer, PREDICTED, {**others, z: model})  # the newest comes last


def by_other_models(layer: Image | Labels) -> list[int]:
    """List the slices that were not made by the model that made the newest one."""
    known: dict[int, str] = layers.fact(layer, PREDICTED, {})
    newest = next(reversed(known.values()), None)
    return sorted(z for z, model in known.items() if model != newest)


def shortcomings(layer: Image | Labels) -> str:
    """Say what a file of a prediction does not hold, or not from one model; mostly empty."""
    role, known = layers.annotation_role(layer) or "", layers.fact(layer, PREDICTED, {})
    if not known or not (role == PREDICTION or role.startswith(VALUES)):
        return ""
    drawn = layers.fact(layer, PAINTED, [])
    missing = {*range(layers.volume_shape(layer)[0])} - {*known, *drawn}
    sentences = []
    if missing:
        holds = "NaN" if role.startswith(VALUES) else "0"
        sentences.append(f"Not predicted, and {holds} in the file: {in_words(missing)}.")
    if by_other_models(layer):
        sentences.append(f"From another model than the rest: {in_words(by_other_models(layer))}.")
    return " ".join(sentences)


def in_words(slices: Iterable[int]) -> str:
    """``in_words([0, 1, 2, 5])`` is "slices 0–2 and 5"."""
    numbers = sorted(slices)
    runs = [
        [z for _, z in run] for _, run in groupby(enumerate(numbers), key=lambda at: at[1] - at[0])
    ]
    spans = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    listed = " and ".join(filter(None, (", ".join(spans[:-1]), spans[-1])))
    return f"slice{'s' if len(numbers) > 1 else ''} {listed}"
