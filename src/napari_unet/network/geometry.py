"""Tile arithmetic: which sizes a U-Net takes, what it returns, and how far it looks.

Everything here is plain integer arithmetic on one axis; nothing needs torch.
Source: Ronneberger, Fischer, Brox 2015, figure 1 and section 2 (572 -> 388 at depth 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Geometry", "Padding", "UpConvolution", "context", "output_size", "valid_input_sizes"]

Padding = Literal["valid", "same"]
UpConvolution = Literal["transposed", "upsample"]


@dataclass(frozen=True)
class Geometry:
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

    def output_size(self, size: int) -> int:
        """Return the output size for an input of `size` pixels.

        Raises
        ------
        ValueError
            If a pooling would meet an odd size or nothing is left; names the nearest sizes.
        """
        out = self.try_output_size(size)
        if out is None:
            nearest = " and ".join(str(n) for n in self._neighbours(size))
            raise ValueError(
                f"an input of {size} pixels cannot be pooled {self.depth} times by a U-Net with "
                f"{self.padding} padding; the nearest sizes that work are {nearest}"
            )
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

        Rounded up to a multiple of `stride`; 96 at depth 4.
        """
        reach = max(self._reach(phase) for phase in range(self.stride))
        return -(-reach // self.stride) * self.stride

    def _reach(self, position: int) -> int:
        """Return the farthest input pixel that output `position` of a same-padded net sees."""
        low = high = position
        for _ in range(self.depth):
            low, high = low - 2, high + 2
            low, high = low // 2, (high + self._up_loss) // 2
        low, high = low - 2, high + 2
        for _ in range(self.depth):
            low, high = 2 * low - 2, 2 * high + 1 + 2
        same = Geometry(self.depth, "same", self.up)
        position += same.offset(same.input_size_for(1))
        return max(position - low, high - position)


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
    """Return the surroundings in pixels per side that decide an output pixel (96 at depth 4)."""
    return Geometry(depth, "same", up).context
