"""Tile arithmetic: which sizes a network takes, what it returns, and how far it looks.

Everything here is plain integer arithmetic on one axis; nothing needs torch.
Source: Ronneberger, Fischer, Brox 2015, figure 1 and section 2 (572 -> 388 at depth 4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from napari_unet.network.steps import Level, Step, map_sizes, receptive_field, seen

__all__ = [
    "Geometry",
    "Padding",
    "TileArithmetic",
    "UpConvolution",
    "context",
    "output_size",
    "valid_input_sizes",
]

Padding = Literal["valid", "same"]
UpConvolution = Literal["transposed", "upsample"]


class TileArithmetic(ABC):
    """What prediction and training ask of a network's sizes, whichever network it is.

    Attributes
    ----------
    padding : {"valid", "same"}
        Whether the output is smaller than the input by a border.
    """

    padding: Padding

    @property
    @abstractmethod
    def stride(self) -> int:
        """Pixels between two positions that the network treats alike."""

    @property
    @abstractmethod
    def context(self) -> int:
        """Pixels of surroundings, per side, that can influence an output pixel."""

    def patch_size(self, wanted: int) -> int:
        """Return the side of a patch to train on, where one of `wanted` pixels is asked for."""
        return self.input_size_at_least(wanted)

    @abstractmethod
    def try_output_size(self, size: int) -> int | None:
        """Return the output size for an input of `size` pixels, or None where it cannot be."""

    @abstractmethod
    def offset(self, size: int) -> int:
        """Return where output pixel 0 lies in an input of `size` pixels."""

    @abstractmethod
    def _refusal(self, size: int) -> str:
        """Say why an input of `size` pixels cannot be."""

    def output_size(self, size: int) -> int:
        """Return the output size for an input of `size` pixels.

        Raises
        ------
        ValueError
            If the network does not take this size; names the nearest sizes that it takes.
        """
        out = self.try_output_size(size)
        if out is None:
            nearest = " and ".join(str(n) for n in self._neighbours(size))
            raise ValueError(f"{self._refusal(size)}; the nearest sizes that work are {nearest}")
        return out

    def _neighbours(self, size: int) -> list[int]:
        below = (n for n in range(size - 1, 0, -1) if self.try_output_size(n))
        first = next(below, None)
        return [n for n in (first, self.input_size_at_least(size)) if n is not None]

    def input_size_at_least(self, size: int) -> int:
        """Return the smallest valid input size that is not below `size`."""
        size = max(size, 1)
        while self.try_output_size(size) is None:
            size += 1
        return size

    def input_size_for(self, output: int) -> int:
        """Return the smallest valid input whose output is at least `output` pixels."""
        size = self.input_size_at_least(output)
        while self.output_size(size) < output:
            size = self.input_size_at_least(size + 1)
        return size


@dataclass(frozen=True)
class Geometry(TileArithmetic):
    """The arithmetic of one U-Net configuration.

    Parameters
    ----------
    depth : int
        Number of 2x2 poolings.
    padding : {"valid", "same"}
        Whether each pair of 3x3 convolutions loses 4 pixels per axis or none.
    up : {"transposed", "upsample"}
        The up-convolution. ``upsample`` ends in a 2x2 convolution and so loses one row and one
        column at every level; the loss is counted here, never filled.
    """

    depth: int = 4
    padding: Padding = "valid"
    up: UpConvolution = "transposed"

    @property
    def stride(self) -> int:
        """Pixels between two positions that pooling treats alike (2 to the power of depth)."""
        return 1 << self.depth

    @property
    def _block_loss(self) -> int:
        return 4 if self.padding == "valid" else 0

    @property
    def _up_loss(self) -> int:
        return 1 if self.up == "upsample" else 0

    def _skip_sizes(self, size: int) -> list[int] | None:
        """Sizes after each contracting block, the bottom last; None where a pooling is odd."""
        sizes = []
        for level in range(self.depth + 1):
            size -= self._block_loss
            sizes.append(size)
            if level < self.depth:
                if size % 2 or size < 2:
                    return None
                size //= 2
        return sizes if size >= 1 else None

    def _expand(self, size: int) -> int:
        return 2 * size - self._up_loss

    def try_output_size(self, size: int) -> int | None:
        """Return the output size for an input of `size` pixels, or None where it cannot be."""
        sizes = self._skip_sizes(size)
        if sizes is None:
            return None
        out = sizes[-1]
        for _ in range(self.depth):
            out = self._expand(out) - self._block_loss
        return out if out >= 1 else None

    def _refusal(self, size: int) -> str:
        return (
            f"an input of {size} pixels cannot be pooled {self.depth} times by a U-Net with "
            f"{self.padding} padding"
        )

    def offset(self, size: int) -> int:
        """Return where output pixel 0 lies in an input of `size` pixels.

        The output is aligned with the topmost skip connection, whose crop decides it.
        """
        sizes = self._skip_sizes(size)
        if sizes is None:
            self.output_size(size)
            raise AssertionError("unreachable")
        if self.depth == 0:
            return self._block_loss // 2
        out = sizes[-1]
        for _ in range(self.depth - 1):
            out = self._expand(out) - self._block_loss
        crop = (sizes[0] - self._expand(out)) // 2
        return self._block_loss // 2 + crop + self._block_loss // 2

    @property
    def context(self) -> int:
        """Pixels of surroundings, per side, that can influence an output pixel.

        Rounded up to a multiple of `stride`; 112 at depth 4.
        """
        reach = max(self._reach(phase) for phase in range(self.stride))
        return -(-reach // self.stride) * self.stride

    def _reach(self, position: int) -> int:
        """Return the farthest input pixel that output `position` of a same-padded net sees."""
        same = Geometry(self.depth, "same", self.up)
        low, high = seen(same.steps, position)
        position += same.offset(same.input_size_for(1))
        return max(position - low, high - position)

    @property
    def _blocks(self) -> list[tuple[Step, ...]]:
        """The layers of every level, down and up again, each with what leads to it."""
        convolution = Step(kernel=3, padding=1 if self.padding == "same" else 0)
        pooling = Step(kernel=2, stride=2)
        up = Step(factor=2, kernel=1 + self._up_loss)
        two = (convolution, convolution)
        return [two, *[(pooling, *two)] * self.depth, *[(up, *two)] * self.depth]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The layers from the input down to the bottom and up to the output."""
        return tuple(chain.from_iterable(self._blocks))

    def levels(self, size: int, width: int = 64, *, skips: bool = True) -> tuple[Level, ...]:
        """Return a table of the levels: maps, channels and receptive fields.

        Parameters
        ----------
        size : int
            Side of the input in pixels.
        width : int
            Channels of the first level; doubled at every level.
        skips : bool
            Whether there are skip connections.

        Returns
        -------
        tuple of Level
            The contracting path from the top to the bottom, then the expanding path up again.

        Raises
        ------
        ValueError
            If the network does not take this size.
        """
        self.output_size(size)
        blocks = self._blocks
        table: list[Level] = []
        for index, block in enumerate(blocks):
            below = self.depth - abs(index - self.depth)
            expanding = index > self.depth
            sizes = map_sizes(block, size)[min(index, 1) :]
            size = sizes[-1]
            until = tuple(chain.from_iterable(blocks[: index + 1]))
            table.append(
                Level(
                    path="expanding" if expanding else "contracting",
                    number=below + 1,
                    sizes=sizes,
                    channels=width << below,
                    skip=table[below].sizes[-1] if expanding and skips else None,
                    receptive_field=receptive_field(until, self.stride),
                    stride=1 << below,
                )
            )
        return tuple(table)


def output_size(
    n: int, depth: int = 4, *, padding: Padding = "valid", up: UpConvolution = "transposed"
) -> int:
    """Return the side of the output for an input of side `n`.

    Parameters
    ----------
    n : int
        Input side in pixels.
    depth : int
        Number of poolings.
    padding, up
        As in `Geometry`.

    Returns
    -------
    int
        Output side in pixels: 388 for 572 at depth 4 with valid padding.

    Raises
    ------
    ValueError
        If `n` cannot be pooled `depth` times; the message names the nearest valid sizes.
    """
    return Geometry(depth, padding, up).output_size(n)


def valid_input_sizes(
    start: int,
    stop: int,
    depth: int = 4,
    *,
    padding: Padding = "valid",
    up: UpConvolution = "transposed",
) -> tuple[int, ...]:
    """Return every input side in ``[start, stop)`` that a U-Net of this depth accepts."""
    geometry = Geometry(depth, padding, up)
    return tuple(n for n in range(start, stop) if geometry.try_output_size(n) is not None)


def context(depth: int = 4, *, up: UpConvolution = "transposed") -> int:
    """Return the surroundings in pixels per side that decide an output pixel (112 at depth 4)."""
    return Geometry(depth, "same", up).context
