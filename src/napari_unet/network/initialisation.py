"""How the weights of a fresh network are drawn."""

from __future__ import annotations

import math
from typing import Literal, cast

from torch import nn

__all__ = ["Initialisation", "initialise"]

Initialisation = Literal["he", "xavier"]


def initialise(network: nn.Module, init: Initialisation = "he") -> None:
    """Draw the weights of all convolutions and linear layers, and set biases to zero, in place.

    Parameters
    ----------
    network : Module
        Changed in place, from torch's random numbers.
    init : {"he", "xavier"}
        He: N(0, sqrt(2 / N)), which keeps the mean square of activations behind ReLUs at any
        depth. Xavier: N(0, sqrt(2 / (N + M))), made for layers without ReLU; behind a ReLU it
        leaves N / (N + M) of the mean square. N is the number of inputs of one output value:
        k * k * in for a convolution, in for a 2x2 transposed convolution of stride 2 (each output
        value sees one input position). M is the number of outputs of one input value.

    Raises
    ------
    ValueError
        If there is no such initialisation.

    Source: He et al. 2015 and Ronneberger et al. 2015, section 3; Glorot and Bengio 2010.
    """
    if init not in ("he", "xavier"):
        raise ValueError(f"init is {init!r}; choose he or xavier")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            inputs, outputs = _fans(layer)
            total = inputs if init == "he" else inputs + outputs
            nn.init.normal_(layer.weight, std=math.sqrt(2 / total))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _fans(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> tuple[int, int]:
    """Return how many inputs an output value has, and how many outputs an input value."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    area = math.prod(cast("tuple[int, int]", layer.kernel_size))
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels, layer.out_channels * area
    return layer.in_channels * area, layer.out_channels * area
