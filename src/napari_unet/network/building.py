"""Networks by name, built from the plain values that a model file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.network.encoders import EncoderUNet
from napari_unet.network.ensemble import Ensemble, check_members
from napari_unet.network.sliding_window import SlidingWindow
from napari_unet.network.unet import UNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network.geometry import TileArithmetic
    from napari_unet.network.network import Network

__all__ = ["build_network", "geometry_of"]

_KINDS: Mapping[str, type[Network]] = {
    "unet": UNet,
    "encoder": EncoderUNet,
    "sliding_window": SlidingWindow,
}
_ENSEMBLE = "ensemble"  # of networks of one of these kinds


def build_network(architecture: Mapping[str, Any]) -> Network:
    """Build a network with fresh weights.

    Parameters
    ----------
    architecture : mapping
        As in `Network.architecture`; without a ``kind`` it is a U-Net.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    options = dict(architecture)
    kind = options.pop("kind", "unet")
    if kind == _ENSEMBLE:
        check_members(options["members"])
        networks = [_single(options["each"]) for _ in range(options["members"])]
        return Ensemble(networks, average=options["average"])
    return _kind(kind)(**options)


def _single(architecture: Mapping[str, Any]) -> Network:
    """Build a network of an ensemble."""
    if architecture.get("kind") == _ENSEMBLE:
        raise ValueError("a network of an ensemble cannot be an ensemble itself")
    return build_network(architecture)


def geometry_of(architecture: Mapping[str, Any]) -> TileArithmetic:
    """Return a network's tile arithmetic without building it.

    Parameters
    ----------
    architecture : mapping
        Complete, as in `Network.architecture`.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if architecture["kind"] == _ENSEMBLE:
        architecture = architecture["each"]
    return _kind(architecture["kind"]).geometry_for(architecture)


def _kind(name: str) -> type[Network]:
    if name not in _KINDS:
        raise ValueError(
            f"there is no network of the kind {name!r}; choose {', '.join((*_KINDS, _ENSEMBLE))}"
        )
    return _KINDS[name]
