"""What training, prediction and files need of a network, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network.geometry import TileArithmetic
    from napari_unet.network.steps import Level

__all__ = ["Network", "activate", "check_positive"]


class Network(nn.Module):
    """A network that turns (N, C, Y, X) images into (N, outputs, Y', X').

    Attributes
    ----------
    geometry : TileArithmetic
        Which sizes it takes, what it returns, how far it looks.
    architecture : dict
        Plain values from which `build_network` builds it again: ``kind``, ``in_channels``,
        ``out_channels`` and what else that kind needs.
    last_layer : str
        The name of the layer that gives the outputs: what begins anew when they change.

    Notes
    -----
    `forward` returns what the last layer says, without softmax: see `activate`.
    """

    geometry: TileArithmetic
    architecture: dict[str, Any]
    last_layer: ClassVar[str] = "classify"

    @staticmethod
    def geometry_for(architecture: Mapping[str, Any]) -> TileArithmetic:
        """Return the `geometry` that a network of this `architecture` has, without building it."""
        raise NotImplementedError

    def levels(self, size: int) -> tuple[Level, ...]:
        """Return a table of the levels for an input of `size` pixels; empty where there is none.

        Raises
        ------
        ValueError
            If the network does not take this size.
        """
        self.geometry.output_size(size)
        return ()

    @property
    def last_layers(self) -> tuple[str, ...]:
        """Every layer that gives outputs: one, but in an ensemble."""
        return (self.last_layer,)

    @property
    def usual_tile(self) -> int:
        """Pixels that are kept of one tile per side, where nobody asks for another size."""
        return 512

    def part(self, image: Tensor, keep: tuple[slice, slice]) -> Tensor:
        """Return `forward(image)[..., keep]`, in less time where a network knows how.

        Parameters
        ----------
        image : (N, C, Y, X) tensor
        keep : tuple of slice
            Rows and columns of the output, with start and stop.
        """
        output: Tensor = self(image)[(..., *keep)]
        return output


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


def check_positive(**values: int) -> None:
    """Refuse values below 1, by their names."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
