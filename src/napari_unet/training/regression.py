"""What regression needs besides: units that suit a network, and the error of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_unet.network import ClassLabel, Standardisation
from napari_unet.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_unet.annotations import AnnotatedImage

__all__ = ["alike", "check_values", "measure_standardisation", "name_outputs", "value_error"]

_FAR = 5.0  # times the spread of the values that a network knows


def value_error(
    values: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    loss: Literal["mse", "mae"] = "mse",
    reduction: str = "mean",
) -> Tensor:
    """Return the weighted error of predicted values.

    Parameters
    ----------
    values : (N, K, Y, X) tensor
        The network's output.
    target : (N, K, Y, X) float tensor
        The true values, finite everywhere.
    weight : (N, Y, X) float tensor
        0 where nothing is annotated: the gradient is exactly zero there.
    loss : {"mse", "mae"}
        Squares, which large errors dominate, or absolute differences.
    reduction : {"mean", "sum"}
        Weighted mean over the pixels that count, or their weighted sum.

    Returns
    -------
    scalar tensor
        float32; the outputs of a pixel are averaged.
    """
    difference = values.float() - target.float()
    each = difference.square() if loss == "mse" else difference.abs()
    total = (weight * each.mean(dim=1)).sum()
    if reduction == "sum":
        return total
    return total / weight.sum().clamp(min=torch.finfo(torch.float32).tiny)


def check_values(images: Sequence[AnnotatedImage]) -> None:
    """Refuse labels that are no values, or not of as many outputs in every image.

    Raises
    ------
    TrainingError
        With what is wrong and what to do.
    """
    for image in images:
        if not image.holds_values:
            raise TrainingError(
                f"the labels of {image.name or 'an image'} are numbers of cells or classes; "
                "regression learns values, which annotate_values() makes of any numbers"
            )
    outputs = sorted({image.labels.shape[1] for image in images})
    if len(outputs) > 1:
        counts = " and ".join(str(count) for count in outputs)
        raise TrainingError(
            f"some labels have {counts} outputs; train on labels with equally many in every image"
        )


def measure_standardisation(
    images: Sequence[AnnotatedImage], outputs: Sequence[ClassLabel] | None = None
) -> Standardisation:
    """Measure mean and standard deviation of each output over all annotated pixels.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        With values.
    outputs : sequence of ClassLabel, optional
        What an error calls the outputs; by default they are numbered from 1.

    Raises
    ------
    TrainingError
        If an output has one value everywhere: nothing can be learnt from it.
    """
    values = _known_values(images)
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    flat = np.flatnonzero(np.ptp(values, axis=0) == 0)
    if flat.size:
        called = f"{flat[0] + 1}" if outputs is None else f"“{outputs[flat[0]].name}”"
        raise TrainingError(
            f"output {called} is {values[0, flat[0]]:g} wherever it is annotated for training; "
            "choose images with values that differ"
        )
    return Standardisation(tuple(mean.tolist()), tuple(std.tolist()))


def alike(known: Standardisation, images: Sequence[AnnotatedImage]) -> bool:
    """Whether annotated values lie where a network knows values, and not much more widely."""
    values = _known_values(images)
    means, spreads = np.asarray(known.mean), np.asarray(known.std)
    near = np.abs(values.mean(axis=0, dtype=np.float64) - means) <= _FAR * spreads
    return bool(near.all() and (values.std(axis=0, dtype=np.float64) <= _FAR * spreads).all())


def _known_values(images: Sequence[AnnotatedImage]) -> NDArray[np.float32]:
    """Return the annotated values of all images, (pixels, outputs)."""
    return np.concatenate([np.moveaxis(i.labels, 1, -1)[i.annotated] for i in images])


def name_outputs(outputs: int, names: Mapping[int, str] | None) -> tuple[ClassLabel, ...]:
    """Return the outputs in channel order, named by their numbers from 0 where names are given."""
    names = names or {}
    usual = ["value"] if outputs == 1 else [f"value {k + 1}" for k in range(outputs)]
    return tuple(ClassLabel(k, names.get(k, usual[k])) for k in range(outputs))
