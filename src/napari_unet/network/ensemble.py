"""Several networks of one architecture, asked alike and averaged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from napari_unet.network.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.network.steps import Level

__all__ = ["MOST_MEMBERS", "Averaged", "Ensemble"]

MOST_MEMBERS = 10
"""Networks in an ensemble; every prediction takes as many times as long."""

Averaged = Literal["probabilities", "values"]


class Ensemble(Network):
    """Networks that saw different examples make different mistakes; their mean makes fewer.

    It takes the tiles that one of them takes, and keeps the law of the tiles if one of them does.

    Parameters
    ----------
    networks : sequence of Network
        2 to `MOST_MEMBERS`, all of one architecture; none of them an ensemble.
    average : {"probabilities", "values"}
        Probabilities: `forward` returns the logarithm of their mean, which a softmax turns into
        that mean. Values, for regression: the mean of what the networks return.

    Raises
    ------
    ValueError
        If there are too few or too many, or they differ.

    Source: Lakshminarayanan, Pritzel, Blundell 2017 (deep ensembles).
    """

    def __init__(self, networks: Sequence[Network], *, average: Averaged = "probabilities") -> None:
        super().__init__()
        check_members(len(networks))
        each = networks[0].architecture
        if any(network.architecture != each for network in networks):
            raise ValueError("the networks of an ensemble must have the same architecture")
        if isinstance(networks[0], Ensemble):
            raise ValueError("a network of an ensemble cannot be an ensemble itself")
        if average not in get_args(Averaged):
            raise ValueError(f"average is {average!r}; choose {', '.join(get_args(Averaged))}")
        self.average = average
        self.members = nn.ModuleList(networks)
        self.geometry = networks[0].geometry
        self.architecture: dict[str, Any] = {
            "kind": "ensemble",
            "in_channels": each["in_channels"],
            "out_channels": each["out_channels"],
            "members": len(networks),
            "average": average,
            "each": dict(each),
        }

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that are averaged."""
        return tuple(cast("Network", member) for member in self.members)

    @property
    def last_layers(self) -> tuple[str, ...]:
        """The last layer of each."""
        return tuple(
            f"members.{number}.{name}"
            for number, network in enumerate(self.networks)
            for name in network.last_layers
        )

    def levels(self, size: int) -> tuple[Level, ...]:
        """Return the table of levels of one network, as all have the same."""
        return self.networks[0].levels(size)

    @property
    def usual_tile(self) -> int:
        """That of one network: they work one after the other, in the same memory."""
        return self.networks[0].usual_tile

    def forward(self, image: Tensor) -> Tensor:
        """Return what the networks say on average, (N, outputs, Y', X') in float32."""
        return self._mean([network(image) for network in self.networks])

    def part(self, image: Tensor, keep: tuple[slice, slice]) -> Tensor:
        """Return `forward(image)[..., keep]`, each network by its own quick way."""
        return self._mean([network.part(image, keep) for network in self.networks])

    def _mean(self, outputs: Sequence[Tensor]) -> Tensor:
        if self.average == "values":
            return torch.stack([output.float() for output in outputs]).mean(dim=0)
        each = torch.stack([torch.log_softmax(output.float(), dim=1) for output in outputs])
        return torch.logsumexp(each, dim=0) - math.log(len(outputs))


def check_members(number: int) -> None:
    """Refuse an ensemble of too few or too many networks."""
    if not 2 <= number <= MOST_MEMBERS:
        raise ValueError(f"an ensemble has 2 to {MOST_MEMBERS} networks, not {number}")
