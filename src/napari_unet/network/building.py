"""Networks by name, built from the plain values that a model file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.network.unet import UNet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_unet.network.network import Network

__all__ = ["build_network"]

_KINDS: Mapping[str, Callable[..., Network]] = {"unet": UNet}


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
    if kind not in _KINDS:
        raise ValueError(f"there is no network of the kind {kind!r}; choose {', '.join(_KINDS)}")
    return _KINDS[kind](**options)
