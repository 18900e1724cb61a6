"""Time the weight map: against its definition, with more cells, and with more pixels.

    python benchmarks/weight_map.py

It fails if the map is not 20 times faster than one full-image distance transform per cell, for 60
cells in 512x512, or is another map.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import fastest, machine, seconds, show
from scipy import ndimage

from napari_unet.annotations import weight_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS, SIZE, RATIO, TOLERANCE = 60, 512, 20.0, 1e-5
SIZES = ((512, 156), (1024, 625), (2048, 2500), (4096, 10_000), (4096, 1000), (4096, 100))


def draw_cells(cells: int, size: int) -> NDArray[np.int32]:
    """Draw discs, one near the centre of each square of a grid; many nearly touch."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(cells)))
    step = size / side
    radii = rng.uniform(0.3, 0.49, (side, side)) * step
    centres = (np.indices((side, side)) + 0.5) * step
    centres += rng.uniform(-1, 1, centres.shape) * (step / 2 - radii)
    square = np.minimum((np.arange(size) / step).astype(int), side - 1)
    at = np.ix_(square, square)
    away = np.hypot(
        np.arange(size)[:, None] - centres[0][at], np.arange(size)[None] - centres[1][at]
    )
    number = np.arange(1, side**2 + 1).reshape(side, side)[at]
    return np.where((away < radii[at]) & (number <= cells), number, 0).astype(np.int32)


def slow_weight_map(labels: NDArray[Any], w0: float = 10.0, sigma: float = 5.0) -> NDArray[Any]:
    """Compute the weight map as it is defined."""
    nearest = np.full((2, *labels.shape), np.inf)
    for cell in np.unique(labels[labels > 0]):
        distance = ndimage.distance_transform_edt(labels != cell)
        nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], distance))
        nearest[0] = np.minimum(nearest[0], distance)
    border = w0 * np.exp(-(nearest.sum(axis=0) ** 2) / (2 * sigma**2))
    return np.where(labels == 0, 1 + border, 1.0)


def extra_images(labels: NDArray[Any]) -> float:
    """Return how many float32 images of memory a weight map takes, its result among them."""
    tracemalloc.start()
    weight_map(labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * labels.size)


def main() -> int:
    print(machine(), "\n")
    labels = draw_cells(CELLS, SIZE)
    best = fastest({"fast": lambda: weight_map(labels)}, 10)["fast"]
    slow = seconds(lambda: slow_weight_map(labels))
    difference = np.abs(weight_map(labels) / slow_weight_map(labels) - 1).max()
    print(f"Weight map of {CELLS} cells in {SIZE}x{SIZE}")
    show(
        ("weight map", "definition", "ratio", "largest relative difference"),
        [
            (
                f"{best * 1e3:.1f} ms",
                f"{slow * 1e3:.0f} ms",
                f"{slow / best:.0f}",
                f"{difference:.0e}",
            )
        ],
    )
    rows = []
    for size, cells in SIZES:
        drawn = draw_cells(cells, size)
        time = fastest({"fast": lambda drawn=drawn: weight_map(drawn)}, 2)["fast"]
        per_pixel = f"{time / size**2 * 1e9:.0f} ns"
        rows.append(
            (f"{size}x{size}", str(cells), f"{time:.2f} s", per_pixel, f"{extra_images(drawn):.1f}")
        )
    print("Weight map by size and number of cells")
    show(("image", "cells", "time", "per pixel", "float32 images of memory"), rows)
    return 0 if slow / best >= RATIO and difference < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
