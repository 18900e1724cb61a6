"""Which images, and which parts of them, are trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.training.fingerprints import picture_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.annotations import AnnotatedImage

__all__ = ["counted_only", "only_others", "share_of_old", "without_validation"]


def counted_only(image: AnnotatedImage) -> AnnotatedImage:
    """Return the image without what was painted where nothing counts.

    What is not annotated must not decide anything: not the weights, not the working scale.
    """
    counts = image.annotated[:, np.newaxis] if image.holds_values else image.annotated
    return replace(image, labels=np.where(counts, image.labels, 0))


def without_validation(
    image: AnnotatedImage, kept_back: AnnotatedImage | None, gap: int
) -> AnnotatedImage:
    """Return an image that was painted further, without the parts kept back for validation.

    Per slice, the box around what is kept back, grown by `gap` pixels, does not count.
    """
    if kept_back is None or kept_back.annotated.shape != image.annotated.shape:
        return image
    annotated = image.annotated.copy()
    for index in np.flatnonzero(kept_back.annotated.any(axis=(1, 2))):
        rows, columns = np.nonzero(kept_back.annotated[index])
        annotated[
            index,
            max(rows.min() - gap, 0) : rows.max() + gap + 1,
            max(columns.min() - gap, 0) : columns.max() + gap + 1,
        ] = False
    return replace(image, annotated=annotated)


def share_of_old(new: int, old: int) -> float:
    """Return how much is learnt from `old` slices beside `new` ones: at most half of it."""
    return min(0.5, old / (new + old))


def only_others(
    images: Sequence[AnnotatedImage], known: Sequence[AnnotatedImage]
) -> list[AnnotatedImage]:
    """Return the images with something annotated whose pictures are none of the known ones."""
    if not images:
        return []
    pictures = {picture_of(image) for image in known}
    return [
        image for image in images if image.annotated.any() and picture_of(image) not in pictures
    ]
