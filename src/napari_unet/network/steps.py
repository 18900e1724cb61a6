"""What one layer does to the positions on one axis, and the table that a network's layers make.

Plain integer arithmetic; nothing needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LEVEL_HEAD", "Level", "Step", "level_rows", "receptive_field"]


@dataclass(frozen=True)
class Step:
    """A layer on one axis: first each position `factor` times, then a window that slides.

    Parameters
    ----------
    kernel : int
        Positions that one output sees.
    stride : int
        Positions from one output to the next: 2 for a pooling.
    padding : int
        Positions that are added at each end.
    factor : int
        2 for an up-convolution.
    """

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    factor: int = 1

    def size(self, size: int) -> int:
        """Return how many outputs `size` inputs give."""
        return (size * self.factor + 2 * self.padding - self.kernel) // self.stride + 1

    def seen(self, low: int, high: int) -> tuple[int, int]:
        """Return the first and the last input that the outputs `low` to `high` see."""
        first = low * self.stride - self.padding
        last = high * self.stride - self.padding + self.kernel - 1
        return first // self.factor, last // self.factor


def seen(steps: Sequence[Step], position: int) -> tuple[int, int]:
    """Return the first and the last input that one output of a chain of layers sees."""
    low = high = position
    for step in reversed(steps):
        low, high = step.seen(low, high)
    return low, high


def receptive_field(steps: Sequence[Step], phases: int = 1) -> int:
    """Return how many inputs an output of a chain of layers sees.

    Parameters
    ----------
    steps : sequence of Step
        From the input to the output.
    phases : int
        Behind an up-convolution the number changes from position to position and comes again
        after this many: the largest is returned.
    """
    ends = (seen(steps, position) for position in range(phases))
    return max(last - first + 1 for first, last in ends)


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a network: what its maps are, and how far one of their values looks.

    Parameters
    ----------
    path : {"contracting", "expanding", "classifying"}
        The side of the U; "classifying" is a fully connected layer.
    number : int
        1 is at full resolution.
    sizes : tuple of int
        Side of the map that comes in and after each convolution, in values of that map.
    channels : int
        Channels behind the convolutions.
    skip : int or None
        Side of the map of the contracting path from which the centre is cut to ``sizes[0]``;
        None where there is no skip connection.
    receptive_field : int
        Side of the part of the input that decides one value behind the convolutions, in pixels;
        at most, where that depends on the position.
    stride : int
        Pixels of the input between two neighbouring values.
    """

    path: Literal["contracting", "expanding", "classifying"]
    number: int
    sizes: tuple[int, ...]
    channels: int
    skip: int | None = None
    receptive_field: int
    stride: int


def map_sizes(steps: Iterable[Step], size: int) -> tuple[int, ...]:
    """Return `size` and the size after each step."""
    return tuple(accumulate(steps, lambda side, step: step.size(side), initial=size))


LEVEL_HEAD = ("path", "level", "maps", "skip", "channels", "receptive field", "stride")


def level_rows(levels: Iterable[Level]) -> list[tuple[str, ...]]:
    """Return levels as rows of text under `LEVEL_HEAD`, for a person to read."""
    return [
        (
            level.path,
            str(level.number),
            " → ".join(map(str, level.sizes)),
            "" if level.skip is None else f"{level.skip} → {level.sizes[0]}",
            str(level.channels),
            f"{level.receptive_field} px",
            f"{level.stride} px",
        )
        for level in levels
    ]
