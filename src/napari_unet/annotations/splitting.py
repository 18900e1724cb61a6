"""Which annotation teaches and which one tests: never patches of one region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.annotations.cells import count_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations.annotated_image import AnnotatedImage, Task

__all__ = ["FEWEST_CELLS", "split"]

FEWEST_CELLS = 8
"""With fewer annotated cells all of them teach and none is kept for validation."""

_LEFT_FOR_TRAINING = 0.5
_ONE_PICTURE = 0.98  # 5 x 0.2 and 3 x 0.33 are one

Split = tuple[list["AnnotatedImage"], list["AnnotatedImage"]]


def split(
    images: Sequence[AnnotatedImage],
    *,
    fraction: float,
    gap: int,
    rng: np.random.Generator,
    task: Task = "instances",
    turn: float = 0.0,
) -> Split:
    """Keep a part of the annotation for validation.

    Whole pictures are kept back where one is no more than the fraction of those that can measure
    anything: an empty one has no cell to find. Of fewer pictures, so that each of them teaches,
    slices of each stack, and of a single slice a contiguous quarter behind a gap; or one of them
    after all, where they are too small for a gap. Pictures and slices are kept in one run,
    because neighbours in a stack or sequence resemble each other. Pixels that are not in a part
    are blanked in its `annotated`; nothing is cropped or copied, so positions and the
    normalisation of a whole stack stay.

    Parameters
    ----------
    images
        All that is annotated; the order of a sequence matters.
    fraction
        How much to keep back, from 0 (nothing) to 0.5.
    gap
        Pixels between the two parts of a single slice that belong to neither: one receptive
        field of the network, in pixels of the picture.
    rng
        Decides which part is kept back.
    task
        For "instances", fewer than 8 annotated cells are not split. For "classes", every class
        that is annotated stays in the training part.
    turn
        From 0 to 1: how far the choice moves on, in a ring of all that are possible. With the
        same random numbers, 0 and 1/3 and 2/3 keep other parts back.

    Returns
    -------
    tuple
        The images to train on and those to validate on. The second is empty where a split would
        leave too little in either.
    """
    _check(fraction, gap)
    chance = _Chance(rng, turn)
    used = [image for image in images if image.annotated.any()]
    if not used or fraction == 0:
        return used, []
    worth = [_worth(image, task) for image in used]
    if task == "instances" and sum(worth) < FEWEST_CELLS:
        return used, []
    if np.count_nonzero(worth) * fraction > _ONE_PICTURE:
        training, validation = _by_image(used, fraction, chance, task)
        if validation:
            return training, validation
    each = [_within_one(image, fraction, gap, chance, task) for image in used]
    training, validation = ([part for parts in each for part in parts[n]] for n in (0, 1))
    if len(used) > 1 and not validation:
        return _by_image(used, fraction, chance, task)
    return training, validation


@dataclass(frozen=True)
class _Chance:
    """Random choices that `turn` moves on in a ring."""

    rng: np.random.Generator
    turn: float

    def pick(self, number: int) -> int:
        """Choose one of so many."""
        return (int(self.rng.integers(number)) + self._moved(number)) % number

    def order(self, number: int) -> NDArray[np.intp]:
        """Put so many into an order."""
        return np.roll(self.rng.permutation(number), -self._moved(number))

    def _moved(self, number: int) -> int:
        return round(self.turn * number)


def _within_one(
    image: AnnotatedImage, fraction: float, gap: int, chance: _Chance, task: Task
) -> Split:
    if np.count_nonzero(image.annotated.any(axis=(1, 2))) > 1:
        return _by_slice(image, fraction, chance, task)
    return _by_quarter(image, gap, chance, task)


def _check(fraction: float, gap: int) -> None:
    if not 0 <= fraction <= 0.5:
        raise ValueError(f"the validation fraction must be from 0 to 0.5, got {fraction}")
    if gap < 0:
        raise ValueError(f"the gap must be at least 0 pixels, got {gap}")


def _worth(image: AnnotatedImage, task: Task) -> int:
    """Say how much an image can teach: its annotated cells, or its annotated pixels."""
    if task == "instances":
        return count_cells(np.where(image.annotated, image.labels, 0))
    return int(np.count_nonzero(image.annotated))


def _classes(image: AnnotatedImage, task: Task) -> frozenset[int]:
    """List the classes that an image can teach."""
    return frozenset(np.unique(image.labels[image.annotated]).tolist() if task == "classes" else ())


def _within(image: AnnotatedImage, mask: NDArray[np.bool_]) -> AnnotatedImage:
    return replace(image, annotated=image.annotated & mask)


def _slice(image: AnnotatedImage, z: int) -> AnnotatedImage:
    """Return one slice, as views."""
    only = slice(z, z + 1)
    return replace(
        image,
        image=image.image[only],
        labels=image.labels[only],
        annotated=image.annotated[only],
        weights=None if image.weights is None else image.weights[only],
    )


def _by_image(images: list[AnnotatedImage], fraction: float, chance: _Chance, task: Task) -> Split:
    worth = [_worth(image, task) for image in images]
    run = _choose_run(worth, [_classes(image, task) for image in images], fraction, chance)
    if run is None:
        return images, []
    kept = range(len(images))[run]
    return [image for n, image in enumerate(images) if n not in kept], images[run]


def _by_slice(image: AnnotatedImage, fraction: float, chance: _Chance, task: Task) -> Split:
    slices = np.flatnonzero(image.annotated.any(axis=(1, 2)))
    single = [_slice(image, int(z)) for z in slices]
    worth = [_worth(each, task) for each in single]
    run = _choose_run(worth, [_classes(each, task) for each in single], fraction, chance)
    if run is None:
        return [image], []
    kept = np.isin(np.arange(len(image.labels)), slices[run])[:, np.newaxis, np.newaxis]
    return [_within(image, ~kept)], [_within(image, kept)]


def _choose_run(
    worth: Sequence[int],
    classes: Sequence[frozenset[int]],
    fraction: float,
    chance: _Chance,
) -> slice | None:
    """Choose a run of neighbours that holds about its fraction of what can be learnt.

    No class may be in that run alone: it would never be learnt.
    """
    count = max(1, min(round(fraction * len(worth)), len(worth) // 2))
    starting = np.arange(len(worth) - count + 1)
    before = np.concatenate([[0], np.cumsum(worth)])
    shares = (before[starting + count] - before[starting]) / max(sum(worth), 1)
    possible = (shares > 0) & (shares <= 1 - _LEFT_FOR_TRAINING)
    for first, last in _extents(classes):
        possible &= (starting > first) | (starting + count <= last)
    good = possible & (shares >= fraction / 2) & (shares <= 2 * fraction)
    starts = np.flatnonzero(good if good.any() else possible)
    if not len(starts):
        return None
    start = int(starts[chance.pick(len(starts))])
    return slice(start, start + count)


def _extents(classes: Sequence[frozenset[int]]) -> list[tuple[int, int]]:
    """Return for each class the first and the last place where it is."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, here in enumerate(classes):
        for value in here:
            first.setdefault(value, place)
            last[value] = place
    return [(first[value], last[value]) for value in first]


def _by_quarter(image: AnnotatedImage, gap: int, chance: _Chance, task: Task) -> Split:
    """Keep back a quarter of the annotated pixels at one side of the slice."""
    everything, classes = _worth(image, task), _classes(image, task)
    sides = [(axis, flip) for axis in (1, 2) for flip in (False, True)]
    for number in chance.order(len(sides)):
        training, validation = _cut(image, gap, *sides[number])
        enough = _worth(training[0], task) >= _LEFT_FOR_TRAINING * everything
        if enough and _worth(validation[0], task) > 0 and _classes(training[0], task) == classes:
            return training, validation
    return [image], []


def _cut(image: AnnotatedImage, gap: int, axis: int, flip: bool) -> Split:
    """Cut at a line across `axis`, a quarter of the annotated pixels before it."""
    profile = image.annotated.sum(axis=(0, 3 - axis))
    if flip:
        profile = profile[::-1]
    line = int(np.searchsorted(np.cumsum(profile), profile.sum() / 4)) + 1
    positions = np.arange(len(profile))
    before, behind = positions < line, positions >= line + gap
    if flip:
        before, behind = before[::-1], behind[::-1]
    shape = [1, 1, 1]
    shape[axis] = -1
    training, validation = behind.reshape(shape), before.reshape(shape)
    return [_within(image, training)], [_within(image, validation)]
