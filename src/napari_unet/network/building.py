"""Networks by name, built from the plain values that a model file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.network.encoders import EncoderUNet
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
    return _kind(options.pop("kind", "unet"))(**options)


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
    return _kind(architecture["kind"]).geometry_for(architecture)


def _kind(name: str) -> type[Network]:
    if name not in _KINDS:
        raise ValueError(f"there is no network of the kind {name!r}; choose {', '.join(_KINDS)}")
    return _KINDS[name]
