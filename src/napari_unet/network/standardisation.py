"""Values of any unit become numbers that a network learns well, and come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Standardisation"]


@dataclass(frozen=True)
class Standardisation:
    """Per output of a regression, what becomes 0 and how much becomes 1.

    Parameters
    ----------
    mean, std : tuple of float
        One per output, in the unit of its values; `std` above 0.

    Raises
    ------
    ValueError
        If there is not one of each per output, or one cannot be used.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what would turn values into no numbers."""
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations are given; "
                "each output needs one of both"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and min(self.std) > 0):
            raise ValueError(
                f"means {self.mean} and standard deviations {self.std} must be finite, and the "
                "latter above 0"
            )

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Bring values (..., K, Y, X) to mean 0 and standard deviation 1."""
        mean, std = self._columns()
        return ((values - mean) / std).astype(np.float32)

    def undo(self, standardised: NDArray[Any]) -> NDArray[np.float32]:
        """Bring what a network says, (..., K, Y, X), to the values' own units."""
        mean, std = self._columns()
        return (standardised * std + mean).astype(np.float32)

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.mean)[:, None, None], np.array(self.std)[:, None, None]
