"""What stands between a convolution and its ReLU."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import nn

__all__ = ["Normalisation", "normalisation_layers"]

Normalisation = Literal["none", "batch", "group", "instance"]

_GROUPS = 8  # of group normalisation, or as many as divide the channels


def normalisation_layers(norm: Normalisation, channels: int) -> list[nn.Module]:
    """Return the layer that brings each channel to mean 0 and deviation 1, in a list, or none.

    Parameters
    ----------
    norm : {"none", "batch", "group", "instance"}
        Over what mean and deviation are taken: the batch, and when predicting what was found in
        training; the channels of one map in groups, eight or as many as divide them; or each
        channel of one map.
    channels : int
        Of the map.

    Raises
    ------
    ValueError
        If there is no such normalisation.
    """
    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "group":
        return [nn.GroupNorm(math.gcd(channels, _GROUPS), channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    raise ValueError(f"normalisation is {norm!r}; choose {', '.join(get_args(Normalisation))}")
