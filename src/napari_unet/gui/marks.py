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
        (Z, Y, X) as painted; where values are learnt only the shape says something.
    region_outlines, ignored_outlines
        What was drawn; their `z` counts within `labels`.
    complete
        (Z,); the slices that the user called complete.
    task
        What the labels mean; "regression" where `values` are learnt instead of them.
    values
        (Z, K, Y, X); what each pixel should become, NaN where nobody knows. Not read yet.
    confined
        Whether a region is drawn on any slice: of values only what lies in one counts then.
    """

    labels: NDArray[Any]
    region_outlines: tuple[Outline, ...]
    ignored_outlines: tuple[Outline, ...]
    complete: NDArray[Any]
    task: Task
    values: ImageStack | NDArray[Any] | None = None
    confined: bool = False

    def says_something(self) -> bool:
        """Tell whether there is anything to learn from: paint, values, a complete slice, a region.

        What is complete, or a region, and empty shows what is no cell, but says nothing of
        scribbled classes. Whether values are numbers is seen when they are read.
        """
        looked_at = self.complete.any() or bool(self.region_outlines)
        return bool(self.task != "classes" and looked_at) or self.is_painted()

    def is_painted(self) -> bool:
        """Tell whether there is paint, or values in its place: without, all is background."""
        return self.values is not None or bool(self.labels.any())

    def annotated(self) -> NDArray[Any]:
        """Compute the (Z, Y, X) mask of what counts; slow on stacks, so ask in a worker thread.

        Of scribbled classes only what is painted counts, whatever the regions say; of values all
        that are known, or those inside of the regions where there are any.
        """
        if self.values is not None:
            counts: NDArray[Any] = self._where_values_count()
            counts &= _known(self.values, len(counts))
            return counts
        ignored = rasterise(self.ignored_outlines, self.labels.shape)
        if self.task == "classes":
            painted: NDArray[Any] = self.labels > 0
            return painted if ignored is None else painted & ~ignored
        from napari_unet.annotations import coverage

        regions = rasterise(self.region_outlines, self.labels.shape)
        return coverage(
            self.labels, regions=regions, ignored=ignored, complete=self.complete, rim=RIM
        )

    def _where_values_count(self) -> NDArray[Any]:
        """Compute the (Z, Y, X) mask of where values count if they are known."""
        inside = rasterise(self.region_outlines, self.labels.shape)
        if inside is None:
            inside = np.full(self.labels.shape, not self.confined)
        ignored = rasterise(self.ignored_outlines, self.labels.shape)
        return inside if ignored is None else inside & ~ignored

    def slice(self, z: int) -> Marks:
        """Return the marks of one slice, as views; of values that slice is read."""
        return Marks(
            labels=self.labels[z : z + 1],
            region_outlines=_on_slice(self.region_outlines, z),
            ignored_outlines=_on_slice(self.ignored_outlines, z),
            complete=self.complete[z : z + 1],
            task=self.task,
            values=None if self.values is None else self.values[z][np.newaxis],
            confined=self.confined,
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
    values
        As in `Marks`.
    outputs
        What each of the values is called.
    """

    image: ImageStack
    name: str
    pixel_size: float | None
    values: ImageStack | None = None
    outputs: tuple[str, ...] = ()

    def annotated_image(self) -> AnnotatedImage:
        """Read the image, and values, and make what the engine learns from, in a worker thread.

        Raises ValueError with a sentence for bad input.
        """
        from napari_unet.annotations import annotate, annotate_values

        if self.values is not None:
            values, where = self.values.whole, self._where_values_count()
            _refuse_values(values, where, self.outputs)
            return annotate_values(
                self.image.whole,
                values,
                annotated=where,
                name=self.name,
                pixel_size=self.pixel_size,
            )

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


def _known(values: ImageStack | NDArray[Any], slices: int) -> NDArray[Any]:
    """Tell, (Z, Y, X), where each of the values is a number."""
    return np.stack([~np.isnan(values[z]).any(axis=0) for z in range(slices)])


def _refuse_values(values: NDArray[Any], where: NDArray[Any], outputs: tuple[str, ...]) -> None:
    """Say of which layer nothing can be learnt where values (Z, K, Y, X) count.

    Raises
    ------
    ValueError
        If no pixel has all values, or one is infinite.
    """
    known = _known(values, len(values))
    if not (known & where).any():
        for k, output in enumerate(outputs):
            if np.isnan(values[:, k]).all():
                raise ValueError(
                    f"“{output}” is NaN everywhere, which says nothing; choose a layer that holds "
                    "numbers"
                )
        if where.all():
            raise ValueError(f"no pixel has a number in {_all_of(outputs)}; choose other layers")
        raise ValueError(
            f"no pixel has a number in {_all_of(outputs)} where the regions let it count; draw "
            "other regions, or choose other layers"
        )
    for k, output in enumerate(outputs):
        with np.errstate(over="ignore"):
            counted = values[:, k][known & where].astype(np.float32)
        infinite = int(np.count_nonzero(np.isinf(counted)))
        if infinite:
            raise ValueError(
                f"“{output}” is infinite, or too large, at {infinite} of the pixels that count; "
                "put NaN there, which says nothing, or leave them out with “Ignore region”"
            )


def _all_of(outputs: tuple[str, ...]) -> str:
    quoted = [f"“{output}”" for output in outputs]
    return quoted[0] if len(quoted) == 1 else f"all of {', '.join(quoted)}"


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
