"""Mirrored and turned views of a tile: a network that sees all of them is wrong less often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_unet.prediction.errors import PredictionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_unet.network import TileArithmetic

__all__ = ["VIEWS", "average_views", "check_views", "usable_views"]

VIEWS = (1, 2, 4, 8)
"""How many views there can be: as it is; turned by 180 degrees too; all four turns; all four and
their mirror images."""

_ORDER = (0, 2, 1, 3, 4, 5, 6, 7)  # quarter turns; from 4 on of the transposed tile


def check_views(views: int | None) -> None:
    """Refuse a number of views that there is not; None leaves the choice to the model.

    Raises
    ------
    PredictionError
        With the numbers that there are.
    """
    if views is not None and views not in VIEWS:
        raise PredictionError(f"{views} views cannot be averaged; choose 1, 2, 4 or 8")


def usable_views(views: int, geometry: TileArithmetic, shape: Sequence[int]) -> int:
    """Return how many views fit onto each other, at most `views`.

    An up-convolution by upsampling loses its last row and column: seen from the other side, its
    output lies elsewhere. Such a network has one view.
    """
    centred = (size == geometry.output_size(size) + 2 * geometry.offset(size) for size in shape)
    return views if all(centred) else 1


@dataclass(frozen=True)
class Part:
    """The part of a network's output that is wanted.

    Parameters
    ----------
    rows, columns : slice
        With start and stop.
    height, width : int
        The whole output.
    """

    rows: slice
    columns: slice
    height: int
    width: int

    def turned(self, view: int) -> Part:
        """Return where the same part lies in a view."""
        part = self.mirrored() if view >= 4 else self
        for _ in range(view % 4):
            rows = slice(part.width - part.columns.stop, part.width - part.columns.start)
            part = Part(rows, part.rows, part.width, part.height)
        return part

    def mirrored(self) -> Part:
        """Return the part with rows and columns exchanged."""
        return Part(self.columns, self.rows, self.width, self.height)


def average_views(
    look: Callable[[torch.Tensor, tuple[slice, slice]], torch.Tensor],
    image: torch.Tensor,
    part: Part,
    views: int,
) -> torch.Tensor:
    """Return the mean of what `look` says of an image (N, C, Y, X) and of its turned views.

    Parameters
    ----------
    look : callable
        Turns an image into the wanted rows and columns of an output (N, outputs, Y', X') that
        lies around the image's centre.
    image : tensor
        What is looked at.
    part : Part
        What is wanted of the output.
    views : int
        One of `VIEWS`.
    """
    total = look(image, (part.rows, part.columns))
    for view in _ORDER[1:views]:
        wanted = part.turned(view)
        seen = look(_turned(image, view).contiguous(), (wanted.rows, wanted.columns))
        total = total + _back(seen, view)
    return total / views


def _turned(image: torch.Tensor, view: int) -> torch.Tensor:
    return torch.rot90(image.mT if view >= 4 else image, view % 4, (-2, -1))


def _back(image: torch.Tensor, view: int) -> torch.Tensor:
    back = torch.rot90(image, -(view % 4), (-2, -1))
    return back.mT if view >= 4 else back
