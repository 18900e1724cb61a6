"""A change of a slice of labels, with all of it that takes long, for a worker; no layers here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.annotations import Runs

__all__ = ["Change", "digest"]


@dataclass(frozen=True, eq=False)
class Change:
    """A slice of labels as it is and as it is to be.

    A worker makes it with `of` and computes all of it with `prepared`; the window then only writes,
    after `since` has seen that the slice is still the same.

    Attributes
    ----------
    before, after
        (Y, X), of one type; `before` is a copy.
    """

    before: NDArray[Any]
    after: NDArray[Any]

    @classmethod
    def of(cls, now: NDArray[Any], values: NDArray[Any]) -> Change:
        """Return the change of a slice to other values, which get its type."""
        return cls(np.array(now), values.astype(now.dtype, copy=False))

    def prepared(self) -> Change:
        """Compute everything, which takes longer than a window should wait."""
        _ = self.undo, self.redo, self.digest_before, self.digest_after, self.highest
        return self

    def since(self, now: NDArray[Any]) -> Change:
        """Return this change, or that of the slice as it is now if somebody has painted on it."""
        same = now.dtype == self.before.dtype and np.array_equal(now, self.before)
        return self if same else Change.of(now, self.after)

    @property
    def is_new(self) -> bool:
        """Whether nothing is on the slice yet."""
        return not self.undo.numbers.any()

    @property
    def is_any(self) -> bool:
        """Whether anything is to be different."""
        same = np.array_equal(self.undo.lengths, self.redo.lengths)
        return not same or not np.array_equal(self.undo.numbers, self.redo.numbers)

    @cached_property
    def undo(self) -> Runs:
        """What the slice was like, kept small."""
        return _runs(self.before)

    @cached_property
    def redo(self) -> Runs:
        """What the slice is to be like, kept small."""
        return _runs(self.after)

    @cached_property
    def digest_before(self) -> bytes:
        """What tells the slice as it was from others."""
        return digest(self.before)

    @cached_property
    def digest_after(self) -> bytes:
        """What tells the slice as it is to be from others."""
        return digest(self.after)

    @cached_property
    def highest(self) -> int:
        """The highest number that the slice is to hold."""
        return int(self.after.max(initial=0))


def _runs(plane: NDArray[Any]) -> Runs:
    from napari_unet.annotations import Runs  # which takes a while, once

    return Runs.of(plane)


def digest(plane: NDArray[Any]) -> bytes:
    """Tell slices apart, whatever type of number they are of: a layer may be converted."""
    numbers = np.ascontiguousarray(plane.astype(np.int32, copy=False))
    return hashlib.blake2b(numbers.data, digest_size=16).digest()
