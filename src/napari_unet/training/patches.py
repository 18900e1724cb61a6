"""Where the patches of a training are cut from the annotated slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unet.augmentation import Patch
from napari_unet.prediction import mirrored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.training.preparation import PreparedSlice

__all__ = ["PatchSource"]


class PatchSource:
    """Draws places around annotated pixels, more of them in slices that have more to teach.

    A slice with four times as many cells is drawn twice as often, however large it is: else the
    pictures with the largest cells, of which few fit into a patch, teach the most. Where there
    are no cells to count (classes, values), annotated pixels are counted instead.

    Parameters
    ----------
    slices : sequence of PreparedSlice
        What there is to learn.
    jitter : int
        How far, in pixels, a patch's centre may lie from an annotated pixel.
    """

    def __init__(self, slices: Sequence[PreparedSlice], jitter: int) -> None:
        self.slices = list(slices)
        self.jitter = jitter
        share = np.sqrt([_worth(each) for each in self.slices])
        self._probability = share / share.sum()

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Patch:
        """Cut one patch of `shape` somewhere around an annotated pixel."""
        prepared = self.slices[rng.choice(len(self.slices), p=self._probability)]
        centre = prepared.centres[rng.integers(len(prepared.centres))]
        centre = centre + rng.integers(-self.jitter, self.jitter + 1, size=2)
        return cut(prepared.whole, (int(centre[0]), int(centre[1])), shape)


def _worth(prepared: PreparedSlice) -> int:
    """Return how much there is to learn; a slice that only shows background is worth a cell."""
    if prepared.cells is None:
        return int(np.count_nonzero(prepared.whole.weight))
    return max(1, prepared.cells)


def cut(whole: Patch, centre: tuple[int, int], shape: tuple[int, int]) -> Patch:
    """Cut a window of `shape` around `centre`, mirrored where the slice ends."""
    start = (centre[0] - shape[0] // 2, centre[1] - shape[1] // 2)
    return Patch(
        mirrored(whole.image, start, shape),
        mirrored(whole.target, start, shape),
        mirrored(whole.weight, start, shape),
    )
