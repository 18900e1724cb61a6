"""Annotated images become what a network is shown: working scale, intensities, target, weight."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from napari_unet.annotations import (
    AnnotatedImage,
    class_balance,
    class_target,
    count_cells,
    listed,
    separate,
    weight_map,
)
from napari_unet.augmentation import Patch
from napari_unet.network import PERCENTILES, ClassLabel, Standardisation
from napari_unet.prediction import measure_range, never, pixel_ratio, resize
from napari_unet.training.errors import StoppedError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import Task
    from napari_unet.prediction import IntensityRange
    from napari_unet.training.configuration import TrainingConfig

__all__ = ["PreparedSlice", "nearest", "prepare"]

_KNOWN = 0.5  # a value counts where more than this share of it comes from annotated pixels
_REACH = 2  # times the side of a patch: farther from what is annotated nothing is read
_POSITIONS = 20_000  # annotated pixels kept per slice as centres of patches


@dataclass(frozen=True, eq=False)
class PreparedSlice:
    """One annotated slice at the working scale, ready to cut patches from.

    Parameters
    ----------
    whole : Patch
        The whole slice, or as much of it as patches can read.
    centres : (N, 2) int array
        Annotated pixels around which patches are cut.
    balance : tuple of float
        The share of each class in the weights.
    key : bytes
        What slice and which annotation it was made from.
    cells : int or None
        How many are annotated; None where the network finds no single cells.
    """

    whole: Patch
    centres: NDArray[np.intp]
    balance: tuple[float, ...] = ()
    key: bytes = b""
    cells: int | None = None

    def balanced(self, balance: tuple[float, ...]) -> PreparedSlice:
        """Return the slice with other shares of the classes in its weights."""
        if balance == self.balance or self.whole.holds_values:
            return self
        weight, target = self.whole.weight, self.whole.target
        change = np.asarray(balance, np.float32) - np.asarray(self.balance, np.float32)
        weight = np.where(weight > 0, weight + change[target], np.float32(0))
        return replace(self, whole=replace(self.whole, weight=weight), balance=balance)


def _size(image: AnnotatedImage, scale: float) -> tuple[int, int]:
    rows, columns = (max(1, round(n * scale)) for n in image.image.shape[-2:])
    return rows, columns


def nearest(array: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Resize (Y, X) to `shape` by picking the nearest pixel."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        for new, old in zip(shape, array.shape, strict=True)
    )
    picked: NDArray[Any] = array[rows[:, None], columns]
    return picked


@dataclass(frozen=True, eq=False)
class _Scaled:
    """One slice at the working scale, before it is weighted; `labels` are cells or classes."""

    image: NDArray[np.float32]
    labels: NDArray[Any]
    target: NDArray[np.uint8 | np.float32]
    annotated: NDArray[np.bool_]
    weights: NDArray[np.float32] | None = None
    key: bytes = b""


def _key(image: AnnotatedImage, index: int) -> bytes:
    """Return what is equal for equal slices with equal annotations only."""
    digest = hashlib.blake2b(str((image.name, index, image.labels.dtype)).encode())
    for plane in (image.image[index], image.labels[index], image.annotated[index]):
        digest.update(plane.tobytes())
    if image.weights is not None:
        digest.update(image.weights[index].tobytes())
    return digest.digest()


def _scaled_slices(
    image: AnnotatedImage,
    scale: float,
    config: TrainingConfig,
    classes: Sequence[ClassLabel],
    standardisation: Standardisation | None,
    known: Mapping[bytes, PreparedSlice],
) -> Iterator[_Scaled | PreparedSlice]:
    """Bring slices to the working scale, but for those that are known."""
    ranged = measure_range(image.image, PERCENTILES)
    for index in np.flatnonzero(image.annotated.any(axis=(1, 2))):
        key = _key(image, int(index))
        if key in known:
            yield known[key]
            continue
        taught = _taught_part(image, int(index), math.ceil(_REACH * config.input_size / scale))
        scaled = _scaled_slice(taught, ranged, scale, config, classes, standardisation)
        yield replace(scaled, key=key)


def _taught_part(image: AnnotatedImage, index: int, reach: int) -> AnnotatedImage:
    """Return a slice, of it what is annotated and `reach` pixels around: no patch reads farther.

    A corner that is painted in a huge picture then costs no more than a small picture.
    """
    found = (np.flatnonzero(image.annotated[index].any(axis=axis)) for axis in (1, 0))
    rows, columns = (slice(max(0, at[0] - reach), at[-1] + reach + 1) for at in found)
    here = (slice(index, index + 1), ..., rows, columns)
    weights = None if image.weights is None else image.weights[here]
    return replace(
        image,
        image=image.image[here],
        labels=image.labels[here],
        annotated=image.annotated[here],
        weights=weights,
    )


def _scaled_slice(
    image: AnnotatedImage,
    ranged: IntensityRange,
    scale: float,
    config: TrainingConfig,
    classes: Sequence[ClassLabel],
    standardisation: Standardisation | None,
) -> _Scaled:
    shown = resize(ranged.apply(image.image[0]), _size(image, scale))
    if standardisation is not None:
        scaled = _with_values(shown, image.labels[0], image.annotated[0], standardisation)
        if image.weights is None:
            return scaled
        size = (shown.shape[1], shown.shape[2])
        return replace(scaled, weights=nearest(image.weights[0], size))
    values = [label.value for label in classes]
    size = (shown.shape[1], shown.shape[2])
    if config.task != "instances":
        ranks = class_target(image.labels[0], values)
        annotated = image.annotated[0] & listed(image.labels[0], values)
        target, annotated = _most_painted(ranks, annotated, size)
        return _Scaled(shown, target, target, annotated)
    labels = separate(nearest(image.labels[0], size))
    annotated = nearest(image.annotated[0], size)
    return _Scaled(shown, labels, (labels > 0).astype(np.uint8), annotated)


def _most_painted(
    target: NDArray[np.uint8], annotated: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bring classes (Y, X) to a size: what is annotated of most of a pixel's area counts.

    A pixel of a smaller picture is annotated where at least half of what a stroke one pixel wide
    covers of it is: no stroke is too narrow to teach.
    """
    scale = size[0] / target.shape[0]
    if scale >= 1:
        return nearest(target, size), nearest(annotated, size)
    painted, most = np.zeros(size, np.float32), np.zeros(size, np.float32)
    scaled = np.zeros(size, np.uint8)
    for rank in np.unique(target[annotated]):
        covered = torch.from_numpy((annotated & (target == rank)).astype(np.float32))
        share = functional.adaptive_avg_pool2d(covered[None], size)[0].numpy()
        larger = share > most
        scaled[larger], most[larger] = rank, share[larger]
        painted += share
    return scaled, painted >= scale / 2


def _with_values(
    shown: NDArray[np.float32],
    values: NDArray[Any],
    annotated: NDArray[np.bool_],
    standardisation: Standardisation,
) -> _Scaled:
    """Standardise values and bring them to the size of what is shown.

    They are means over the annotated pixels, and count where these are the larger part.
    """
    size = (shown.shape[1], shown.shape[2])
    target = resize(np.where(annotated, standardisation.apply(values), np.float32(0)), size)
    share = resize(annotated[np.newaxis].astype(np.float32), size)[0]
    counts = share > _KNOWN
    target = np.where(counts, target / np.where(counts, share, np.float32(1)), np.float32(0))
    return _Scaled(shown, target, target, counts)


def _weights(
    part: _Scaled, balance: Sequence[float], scale: float, config: TrainingConfig
) -> NDArray[np.float32]:
    """Return the weight of each pixel in the loss; 0 where nothing is annotated."""
    if config.task == "regression":
        return np.where(part.annotated, 1 if part.weights is None else part.weights, np.float32(0))
    weight = np.asarray(balance, np.float32)[part.target]
    if config.task == "instances" and config.w0 > 0:
        border = weight_map(part.labels, w0=config.w0, sigma=config.sigma * scale)
        weight = weight + (border - 1)
    return np.where(part.annotated, weight, 0).astype(np.float32)


def prepare(
    images: Sequence[AnnotatedImage],
    config: TrainingConfig,
    scale: float,
    classes: Sequence[ClassLabel],
    rng: np.random.Generator,
    *,
    reference: float | None = None,
    standardisation: Standardisation | None = None,
    known: Sequence[PreparedSlice] = (),
    should_stop: Callable[[], bool] = never,
) -> list[PreparedSlice]:
    """Bring every annotated slice to the working scale, with target and weight.

    Of a large slice only what is annotated and what patches see around it.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        Only slices with something annotated are used.
    config, scale, classes
        What is learnt, and how large the network sees it. The border width sigma is given in
        pixels of the image and shrinks with it.
    rng : numpy.random.Generator
        Draws the centres of patches.
    reference : float or None
        Micrometres per pixel for which `scale` and sigma hold; images with other pixels are
        brought to it.
    standardisation : Standardisation, optional
        For regression: in which units the network learns the values.
    known : sequence of PreparedSlice
        Made before with the same arguments; slices that did not change are not made again.
    should_stop : callable
        Asked after every slice.

    Raises
    ------
    TrainingError
        If nothing is left of what is annotated, or it was stopped.
    """
    kept = {each.key: each for each in known}
    parts: list[_Scaled | PreparedSlice] = []
    for image in images:
        at = scale * pixel_ratio(image.pixel_size, reference)
        for part in _scaled_slices(image, at, config, classes, standardisation, kept):
            if should_stop():
                raise StoppedError("stopped before the first step; there is no new model")
            if isinstance(part, PreparedSlice) or part.annotated.any():
                parts.append(part)
    if not parts:
        raise TrainingError(
            "the annotated parts vanish at the working scale "
            f"{scale:.2g}; annotate larger parts or set the scale by hand"
        )
    balance = (1.0,) * len(classes)
    if config.balance and config.task != "regression":
        seen = [_taught(part) for part in parts]
        balance = class_balance(
            [target for target, _ in seen],
            [annotated for _, annotated in seen],
            classes=len(classes),
        )
    return [
        part.balanced(balance)
        if isinstance(part, PreparedSlice)
        else _prepared_slice(
            part, config.task, _weights(part, balance, scale, config), balance, rng
        )
        for part in parts
    ]


def _taught(part: _Scaled | PreparedSlice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the class of each pixel, and which of them count."""
    if isinstance(part, PreparedSlice):
        return part.whole.target, part.whole.weight > 0
    return part.target, part.annotated


def _prepared_slice(
    part: _Scaled,
    task: Task,
    weight: NDArray[np.float32],
    balance: tuple[float, ...],
    rng: np.random.Generator,
) -> PreparedSlice:
    places = np.flatnonzero(part.annotated)
    if len(places) > _POSITIONS:
        places = rng.choice(places, _POSITIONS, replace=False)
    centres = np.stack(np.unravel_index(places, part.annotated.shape), axis=1)
    cells = count_cells(part.labels * part.annotated) if task == "instances" else None
    return PreparedSlice(Patch(part.image, part.target, weight), centres, balance, part.key, cells)
