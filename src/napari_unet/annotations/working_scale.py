"""How much to shrink images so that a small network sees whole cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from napari_unet.annotations.cells import count_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations.annotated_image import AnnotatedImage, Task

__all__ = ["cell_diameter", "is_crowded", "typical_diameter", "working_scale"]


_SPECK = 0.2
"""A piece with less than this share of the diameter where most of the painted area lies is a slip
of the brush."""

_CROWDED = 0.6
_MEMBRANE_SPREAD = 1.8
"""Interiors between membranes fill more than this share of what is annotated, and their quartiles
of diameter are more than this ratio apart. Measured: neurites of isbi2012_em 0.77 and 2.2; cells
of dic_hela 0.41 and 1.2, and never above 1.3 in one picture; nuclei of dsb2018 0.12 and 2.1."""

_IN_CELLS = 0.3
_NEIGHBOURS = 3
"""A region drawn between membranes ends in cells along more than this share of its outline. Where
it does not, it holds cells and a rim around each, and fewer cells than this in each of its pieces
stand apart: how much they fill is then a matter of the rim."""


def cell_diameter(labels: NDArray[Any], annotated: NDArray[np.bool_] | None = None) -> float | None:
    """Measure how large the cells typically are.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X), integers >= 0, each value one cell.
    annotated
        Where they count, as `labels`. None: everywhere.

    Returns
    -------
    float or None
        The median diameter of circles of the cells' areas, in pixels; None without cells. Specks
        are left out, and so are cells cut by the border of the picture or of what is annotated,
        unless these are most of all.
    """
    counted = np.ones(labels.shape, dtype=bool) if annotated is None else annotated
    diameters = _diameters([(labels, counted)])
    return float(np.median(diameters)) if len(diameters) else None


def typical_diameter(
    images: Sequence[AnnotatedImage],
    *,
    fewest: int = 1,
    ratios: Sequence[float] | None = None,
) -> float | None:
    """Measure how large cells typically are, where their size says at which scale to see them.

    Parameters
    ----------
    images
        What is annotated.
    fewest
        With fewer cells than this it is not known.
    ratios
        How long a pixel of each image is, in pixels of the result; None: all alike.

    Returns
    -------
    float or None
        As `cell_diameter`, in pixels; None without cells, and where cells fill the picture and
        are of any size, as between membranes.
    """
    annotations = [(image.labels, image.annotated) for image in images]
    diameters = _diameters(annotations, ratios)
    if len(diameters) < fewest or (is_crowded(annotations) and _of_any_size(diameters)):
        return None
    return float(np.median(diameters))


def is_crowded(annotations: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]) -> bool:
    """Tell whether cells fill most of what is annotated, from labels and where they count.

    Slices of which only single cells and their rims are annotated say nothing about it.
    """
    counted = filled = 0
    for labels, annotated in annotations:
        planes = (-1, *labels.shape[-2:])
        for plane, mask in zip(labels.reshape(planes), annotated.reshape(planes), strict=True):
            if not _stand_apart(plane, mask):
                counted += int(np.count_nonzero(mask))
                filled += int(np.count_nonzero(plane[mask]))
    return filled > _CROWDED * counted


def _stand_apart(labels: NDArray[Any], annotated: NDArray[np.bool_]) -> bool:
    """Tell whether nothing but single cells and a rim around each is annotated in a slice."""
    ends = _edge(annotated, beyond="edge")
    if not ends.any() or np.count_nonzero(labels[ends]) > _IN_CELLS * np.count_nonzero(ends):
        return False
    cells = count_cells(np.where(annotated, labels, 0))
    return cells < _NEIGHBOURS * ndimage.label(annotated)[1]


def working_scale(
    images: Sequence[AnnotatedImage],
    *,
    task: Task,
    target_diameter: float = 32.0,
    smallest: float = 0.125,
    largest: float = 2.0,
    tolerance: float = 0.25,
    ratios: Sequence[float] | None = None,
) -> float:
    """Choose the factor that brings cells to the size that a network learns fastest.

    Parameters
    ----------
    images
        What is annotated.
    task
        "classes" have no cells and stay at full resolution.
    target_diameter
        Size that cells should have for the network, in pixels.
    smallest, largest
        Limits of the factor.
    tolerance
        A factor this close to 1, as a share, is 1.
    ratios
        As in `typical_diameter`.

    Returns
    -------
    float
        Working pixels per original pixel, or per pixel that the ratios count in. 1 without
        cells, and where cells fill the picture and are of any size: there the thin membranes
        between them are what must be seen.

    Raises
    ------
    ValueError
        If the target diameter is not positive.
    """
    if not target_diameter > 0:
        raise ValueError(f"the target diameter must be above 0 pixels, got {target_diameter}")
    if task != "instances":
        return 1.0
    diameter = typical_diameter(images, ratios=ratios)
    if diameter is None:
        return 1.0
    factor = float(np.clip(target_diameter / diameter, smallest, largest))
    return 1.0 if 1 / (1 + tolerance) <= factor <= 1 + tolerance else factor


def _of_any_size(diameters: NDArray[np.float64]) -> bool:
    low, high = np.percentile(diameters, (25, 75))
    return bool(high > _MEMBRANE_SPREAD * low)


def _diameters(
    annotations: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]],
    ratios: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Measure the cells of all pictures that say how large cells are."""
    lengths = (1.0,) * len(annotations) if ratios is None else ratios
    found = [
        (areas * length**2, cut)
        for (labels, annotated), length in zip(annotations, lengths, strict=True)
        for areas, cut in map(
            _areas,
            labels.reshape(-1, *labels.shape[-2:]),
            annotated.reshape(-1, *labels.shape[-2:]),
        )
    ]
    areas = np.concatenate([np.zeros(0), *(areas for areas, _ in found)])
    cut = np.concatenate([np.zeros(0, dtype=bool), *(cut for _, cut in found)])
    diameters = np.sqrt(4 * areas / np.pi)
    real = _above_specks(diameters)
    whole = real & ~cut
    return diameters[whole if 2 * whole.sum() >= real.sum() else real]


def _above_specks(diameters: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not len(diameters):
        return np.zeros(0, dtype=bool)
    ordered = np.sort(diameters)
    painted = np.cumsum(ordered**2)
    common = ordered[np.searchsorted(painted, painted[-1] / 2)]
    above: NDArray[np.bool_] = diameters >= _SPECK * common
    return above


def _areas(
    labels: NDArray[Any], annotated: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Measure each cell of a slice, and tell which are cut off."""
    values, compact = np.unique(np.where(annotated, labels, 0), return_inverse=True)
    compact = compact.reshape(labels.shape)
    areas = np.bincount(compact.ravel(), minlength=len(values)).astype(np.float64)
    cut = np.zeros(len(values), dtype=bool)
    cut[compact[_edge(annotated)]] = True
    cells = values != 0
    return areas[cells], cut[cells]


def _edge(
    annotated: NDArray[np.bool_], beyond: Literal["constant", "edge"] = "constant"
) -> NDArray[np.bool_]:
    """Find the pixels at the border of what is annotated.

    Beyond the picture nothing counts, or what counts at its edge.
    """
    inner = np.pad(annotated, 1, mode=beyond)
    surrounded = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return annotated & ~surrounded
