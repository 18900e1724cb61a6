"""What training, prediction and files need of a network, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network.geometry import Geometry

__all__ = ["Network", "activate"]


class Network(nn.Module):
    """A network that turns (N, C, Y, X) images into (N, outputs, Y', X').

    Attributes
    ----------
    geometry : Geometry
        Which sizes it takes, what it returns, how far it looks.
    architecture : dict
        Plain values from which `build_network` builds it again: ``kind``, ``in_channels``,
        ``out_channels`` and what else that kind needs.

    Notes
    -----
    `forward` returns what the last layer says, without softmax: see `activate`.
    """

    geometry: Geometry
    architecture: dict[str, Any]

    @staticmethod
    def geometry_for(architecture: Mapping[str, Any]) -> Geometry:
        """Return the `geometry` that a network of this `architecture` has, without building it."""
        raise NotImplementedError


@torch.no_grad()
def activate(output: Tensor, task: str) -> Tensor:
    """Turn a network's output (N, C, Y, X) into what its task means, in float32.

    Parameters
    ----------
    output : tensor
        What `Network.forward` returned.
    task : {"instances", "classes", "regression"}
        Regression keeps the values; the others become probabilities, by a softmax over C.
    """
    values = output.float()
    return values if task == "regression" else torch.softmax(values, dim=1)
