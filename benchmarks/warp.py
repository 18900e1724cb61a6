"""Time the elastic warp of an image and its labels against scipy.ndimage.map_coordinates.

    python benchmarks/warp.py [SIZE]

It prints the time of each, on one thread and on all, and the largest difference; and what a patch
of a training takes.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from measuring import fastest, machine, show
from scipy import ndimage

from napari_unet.augmentation import AugmentationConfig, Patch, apply, draw, draw_displacement, warp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SIZE, PATCH, MARGIN, ROUNDS = 512, 288, 80, 30
Order = Literal[0, 1, 3]


def slow_warp(array: NDArray[Any], displacement: NDArray[Any], order: Order) -> NDArray[Any]:
    """Warp as it is defined."""
    read = np.indices(array.shape, dtype=np.float32) + displacement
    return np.asarray(ndimage.map_coordinates(array, read, order=order, mode="mirror"))


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute on so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


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
    rows = []
    for name, array, order in cases:

        def ours(a: NDArray[Any] = array, o: Order = order) -> NDArray[Any]:
            return warp(a, displacement, order=o)

        def scipys(a: NDArray[Any] = array, o: Order = order) -> NDArray[Any]:
            return slow_warp(a, displacement, o)

        slow, several = (fastest({"": work}, ROUNDS)[""] for work in (scipys, ours))
        with threads(1):
            one = fastest({"": ours}, ROUNDS)[""]
        rows.append(
            (
                name,
                f"{slow * 1e3:.1f} ms",
                f"{one * 1e3:.1f} ms",
                f"{several * 1e3:.1f} ms",
                f"{slow / several:.1f}",
                f"{np.abs(scipys() - ours()).max():.0e}",
            )
        )
    print(f"Warp of {size}x{size}; values are within 0 and 1")
    threads_used = f"{torch.get_num_threads()} threads"
    show(("what", "scipy", "1 thread", threads_used, "times faster", "largest difference"), rows)


def time_augmentation(rng: np.random.Generator) -> None:
    """Print how long a patch of training takes to draw and augment."""
    size = (PATCH + MARGIN, PATCH + MARGIN)
    config = AugmentationConfig()
    rows = []
    for channels in (1, 3):
        patch = Patch(
            rng.random((channels, *size), dtype=np.float32),
            rng.integers(0, 2, size, dtype=np.uint8),
            np.ones(size, dtype=np.float32),
        )

        def augment(patch: Patch = patch) -> Patch:
            return apply(draw(config, (PATCH, PATCH), rng), patch, output_shape=(PATCH, PATCH))

        rows.append((f"{channels}", f"{fastest({'': augment}, ROUNDS)[''] * 1e3:.1f} ms"))
    print(f"All augmentations of a patch of {PATCH}x{PATCH}")
    show(("channels", "time"), rows)


def main() -> None:
    rng = np.random.default_rng(0)
    print(machine(), "\n")
    compare_warps(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE, rng)
    time_augmentation(rng)


if __name__ == "__main__":
    main()
