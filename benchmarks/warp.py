"""Time the elastic warp of an image and its labels against scipy.ndimage.map_coordinates.

Run ``python benchmarks/warp.py [SIZE]``. It prints the time of each and the largest difference.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from napari_unet.augmentation import AugmentationConfig, Patch, apply, draw, draw_displacement, warp

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIZE, PATCH, MARGIN = 512, 288, 80
Order = Literal[0, 1, 3]


def slow_warp(array: NDArray[Any], displacement: NDArray[Any], order: Order) -> NDArray[Any]:
    """Warp as it is defined."""
    read = np.indices(array.shape) + displacement
    return np.asarray(ndimage.map_coordinates(array, read, order=order, mode="mirror"))


def best_time(work: Callable[[], object], repeats: int = 10) -> float:
    """Time the fastest of some repeats, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def compare_warps(size: int, rng: np.random.Generator) -> None:
    """Print both times for an image, read smoothly and linearly, and for labels."""
    image = ndimage.gaussian_filter(rng.random((size, size)), 2).astype(np.float32)
    labels = (image > 0.5).astype(np.int32)
    displacement = draw_displacement((size, size), rng=rng)
    cases: list[tuple[str, NDArray[Any], Order]] = [
        ("image, cubic spline", image, 3),
        ("image, linear", image, 1),
        ("labels, nearest", labels, 0),
    ]
    print(f"{size}x{size}, best of 10           scipy      warp   ratio   largest difference")
    for name, array, order in cases:
        slow = best_time(lambda a=array, o=order: slow_warp(a, displacement, o))
        fast = best_time(lambda a=array, o=order: warp(a, displacement, order=o))
        difference = np.abs(
            slow_warp(array, displacement, order) - warp(array, displacement, order=order)
        ).max()
        print(f"{name:24s} {slow:8.1f} ms {fast:6.1f} ms {slow / fast:7.1f} {difference:20.1e}")


def time_augmentation(channels: int, rng: np.random.Generator) -> None:
    """Print how long a patch of training takes to draw and augment."""
    size = (PATCH + MARGIN, PATCH + MARGIN)
    patch = Patch(
        rng.random((channels, *size), dtype=np.float32),
        rng.integers(0, 2, size, dtype=np.uint8),
        np.ones(size, dtype=np.float32),
    )
    config = AugmentationConfig()

    def augment() -> Patch:
        return apply(draw(config, (PATCH, PATCH), rng), patch, output_shape=(PATCH, PATCH))

    print(f"augmented patch {PATCH}x{PATCH}, {channels} channels: {best_time(augment):.1f} ms")


def main() -> int:
    rng = np.random.default_rng(0)
    compare_warps(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE, rng)
    for channels in (1, 3):
        time_augmentation(channels, rng)
    return 0


if __name__ == "__main__":
    sys.exit(main())
