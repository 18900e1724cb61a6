"""Copies of an annotation, safe to hand to a worker thread; no Qt and no layers in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import draw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage, Task
    from napari_unet.gui.layers import ImageStack

__all__ = ["RIM", "Marks", "Outline", "Snapshot", "rasterise"]

RIM = 5
"""Pixels around a painted cell that count as background where nothing else says so."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One region that was drawn: the slice it lies on, and its (n, 2) corners (y, x) in pixels."""

    z: int
    points: NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """What was painted and drawn at one moment, on all slices or on some.

    Attributes
    ----------
    labels
        (Z, Y, X) as painted.
    region_outlines, ignored_outlines
        What was drawn; their `z` counts within `labels`.
    complete
        (Z,); the slices that the user called complete.
    task
        What the labels mean.
    """

    labels: NDArray[Any]
    region_outlines: tuple[Outline, ...]
    ignored_outlines: tuple[Outline, ...]
    complete: NDArray[Any]
    task: Task

    def annotated(self) -> NDArray[Any]:
        """Compute the (Z, Y, X) mask of what counts; slow on stacks, so ask in a worker thread.

        Of scribbled classes only what is painted counts, whatever the regions say.
        """
        ignored = rasterise(self.ignored_outlines, self.labels.shape)
        if self.task == "classes":
            painted: NDArray[Any] = self.labels > 0
            return painted if ignored is None else painted & ~ignored
        from napari_unet.annotations import coverage

        regions = rasterise(self.region_outlines, self.labels.shape)
        return coverage(
            self.labels, regions=regions, ignored=ignored, complete=self.complete, rim=RIM
        )

    def slice(self, z: int) -> Marks:
        """Return the marks of one slice, as views."""
        return Marks(
            labels=self.labels[z : z + 1],
            region_outlines=_on_slice(self.region_outlines, z),
            ignored_outlines=_on_slice(self.ignored_outlines, z),
            complete=self.complete[z : z + 1],
            task=self.task,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot(Marks):
    """A copy of an image and of all that was annotated on it at one moment.

    Attributes
    ----------
    image
        (Z, C, Y, X); not read yet.
    name
        What the image is called.
    pixel_size
        Micrometres per pixel in y and x, or None.
    """

    image: ImageStack
    name: str
    pixel_size: float | None

    def annotated_image(self) -> AnnotatedImage:
        """Read the image and make what the engine learns from, in a worker thread.

        Raises ValueError with a sentence for bad input.
        """
        from napari_unet.annotations import annotate

        self._refuse_negative()
        return annotate(
            self.image.whole,
            self.labels,
            annotated=self.annotated(),
            name=self.name,
            pixel_size=self.pixel_size,
        )

    def _refuse_negative(self) -> None:
        """Say where a number below 0 is painted; napari's key for the previous label leads there.

        What it means nobody can tell: a cell, or nothing yet.
        """
        lowest = int(self.labels.min(initial=0))
        if lowest < 0:
            z = int(np.argmax((self.labels < 0).any(axis=(1, 2))))
            where = f" on slice {z}" if len(self.labels) > 1 else ""
            raise ValueError(
                f"“{self.name}” has pixels painted with {lowest}{where}, but cells and classes "
                "have numbers from 1 on; paint over them with such a number, or with 0 to erase "
                "them: the fill bucket without “contiguous” changes all of a slice at once"
            )


def _on_slice(outlines: Iterable[Outline], z: int) -> tuple[Outline, ...]:
    return tuple(Outline(0, outline.points) for outline in outlines if outline.z == z)


def rasterise(outlines: Iterable[Outline], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Tell which pixels lie inside any of the outlines.

    Returns
    -------
    NDArray of bool, or None
        (Z, Y, X) as `shape`; None without outlines.
    """
    drawn = [outline for outline in outlines if 0 <= outline.z < shape[0]]
    if not drawn:
        return None
    mask = np.zeros(shape, dtype=bool)
    for outline in drawn:
        y, x = outline.points[:, 0], outline.points[:, 1]
        mask[outline.z][draw.polygon(y, x, shape[1:])] = True
    return mask
