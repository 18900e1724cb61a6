"""How much to shrink images so that a small network sees whole cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations.annotated_image import AnnotatedImage, Task

__all__ = ["cell_diameter", "working_scale"]


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
        The median diameter of circles of the cells' areas, in pixels; None without cells. Cells
        cut by the border of the picture or of what is annotated are left out as long as others
        remain.
    """
    counted = np.ones(labels.shape, dtype=bool) if annotated is None else annotated
    diameters = _diameters(labels, counted)
    return float(np.median(diameters)) if len(diameters) else None


def _diameters(labels: NDArray[Any], annotated: NDArray[np.bool_]) -> NDArray[np.float64]:
    planes = (-1, *labels.shape[-2:])
    found = [
        _areas(*plane)
        for plane in zip(labels.reshape(planes), annotated.reshape(planes), strict=True)
    ]
    areas = np.concatenate([areas for areas, _ in found])
    cut = np.concatenate([cut for _, cut in found])
    if len(areas) > np.count_nonzero(cut):
        areas = areas[~cut]
    return np.sqrt(4 * areas / np.pi)


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


def _edge(annotated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels at the border of the picture or of what is annotated."""
    inner = np.pad(annotated, 1)
    surrounded = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return annotated & ~surrounded


def working_scale(
    images: Sequence[AnnotatedImage],
    *,
    task: Task,
    target_diameter: float = 32.0,
    smallest: float = 0.125,
    largest: float = 2.0,
    tolerance: float = 0.25,
) -> float:
    """Choose the factor that brings cells to the size a network learns fastest.

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
        A factor this close to 1 is 1.

    Returns
    -------
    float
        Working pixels per original pixel.
    """
    if task != "instances":
        return 1.0
    found = [_diameters(image.labels, image.annotated) for image in images]
    diameters = np.concatenate([*found, np.zeros(0)])
    if not len(diameters):
        return 1.0
    factor = float(np.clip(target_diameter / np.median(diameters), smallest, largest))
    return 1.0 if 1 / (1 + tolerance) <= factor <= 1 + tolerance else factor
