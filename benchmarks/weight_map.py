"""Time the weight map against its definition: one full-image distance transform per cell.

Run ``python benchmarks/weight_map.py [CELLS] [SIZE]``. It prints both times, their ratio and the
largest difference, and fails if the ratio is below 20 at 60 cells in 512x512.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unet.annotations import weight_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CELLS, SIZE, RATIO = 60, 512, 20.0


def draw_cells(cells: int, size: int) -> NDArray[np.int32]:
    """Draw ellipses of 10 to 50 px at random places, none over another."""
    rng = np.random.default_rng(0)
    labels = np.zeros((size, size), dtype=np.int32)
    grid = np.mgrid[:size, :size]
    mean = size / np.sqrt(cells) / 2.5
    drawn = 0
    while drawn < cells:
        centre = rng.uniform(0, size, 2)
        radii = mean * rng.uniform(0.4, 1.0, 2)
        inside = (((grid - centre[:, None, None]) / radii[:, None, None]) ** 2).sum(axis=0) < 1
        if inside.any() and not labels[inside].any():
            drawn += 1
            labels[inside] = drawn
    return labels


def slow_weight_map(labels: NDArray[Any], w0: float = 10.0, sigma: float = 5.0) -> NDArray[Any]:
    """Compute the weight map as it is defined."""
    cells = np.unique(labels[labels > 0])
    nearest = np.full((2, *labels.shape), np.inf)
    for cell in cells:
        distance = ndimage.distance_transform_edt(labels != cell)
        nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], distance))
        nearest[0] = np.minimum(nearest[0], distance)
    border = w0 * np.exp(-(nearest.sum(axis=0) ** 2) / (2 * sigma**2))
    return np.where(labels == 0, 1 + border, 1.0)


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Time the fastest of some repeats, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    given = [int(text) for text in sys.argv[1:3]]
    cells, size = given + [CELLS, SIZE][len(given) :]
    labels = draw_cells(cells, size)
    fast = best_time(lambda: weight_map(labels), 10)
    slow = best_time(lambda: slow_weight_map(labels), 2)
    difference = np.abs(weight_map(labels) / slow_weight_map(labels) - 1).max()
    print(f"{cells} cells in {size}x{size}")
    print(f"definition, one full-image distance transform per cell: {slow * 1e3:8.1f} ms")
    print(f"weight_map:                                             {fast * 1e3:8.1f} ms")
    print(f"ratio {slow / fast:.1f}, largest relative difference {difference:.1e}")
    return 0 if slow / fast >= RATIO or (cells, size) != (CELLS, SIZE) else 1


if __name__ == "__main__":
    sys.exit(main())
