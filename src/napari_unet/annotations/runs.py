"""A label image kept small: as runs of equal numbers, row after row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Runs"]


@dataclass(frozen=True, eq=False)
class Runs:
    """A label image as runs of equal numbers; ``numpy.asarray`` gives it back.

    A row of pixels crosses few cells, so that thousands of them on a large slice take a twentieth
    of its memory or less: enough to keep what a slice was like, and bring it back.

    Attributes
    ----------
    numbers
        (runs,) the label of each run, in the image's type.
    lengths
        (runs,) how many pixels each run has.
    shape
        The image's shape.
    """

    numbers: NDArray[Any]
    lengths: NDArray[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, labels: NDArray[Any]) -> Runs:
        """Return the runs of a label image of any shape."""
        flat = labels.ravel()
        ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        starts = np.concatenate([[0], ends]) if flat.size else ends
        lengths = np.diff(starts, append=flat.size)
        # The narrowest type that holds a length, and with a sign: numpy.repeat takes no uint64.
        narrow = lengths.astype(np.min_scalar_type(-flat.size), copy=False)
        return cls(flat[starts], narrow, labels.shape)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.numbers.nbytes + self.lengths.nbytes

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the label image, which numpy asks for."""
        image = np.repeat(self.numbers, self.lengths).reshape(self.shape)
        return image if dtype is None else image.astype(dtype, copy=False)
