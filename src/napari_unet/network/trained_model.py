"""A trained network with everything needed to use it on another image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_unet.network.instance_options import InstanceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network.network import Network
    from napari_unet.network.standardisation import Standardisation

__all__ = ["PERCENTILES", "ClassLabel", "TrainedModel"]

PERCENTILES: Mapping[str, float] = MappingProxyType({"low": 1.0, "high": 99.8})
"""Of an image: what becomes 0 and 1 for the network, where a model does not say otherwise."""


@dataclass(frozen=True)
class ClassLabel:
    """The value that was painted for a class, and its name; for regression an output's number."""

    value: int
    name: str


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedModel:
    """What a training leaves behind, and all that a prediction needs.

    Parameters
    ----------
    network : Network
        In evaluation mode, float32, on the CPU.
    task : {"instances", "classes", "regression"}
        What the outputs mean.
    classes : tuple of ClassLabel
        One per output channel, in channel order; the background first. For regression the outputs
        by their numbers 0, 1 ..., and what their values are called.
    scale : float
        The working scale: pixels that the network sees per pixel of the image.
    pixel_size : float or None
        Micrometres per pixel of the images trained on, where known.
    normalisation : mapping
        ``low`` and ``high``: the percentiles of the whole image that become 0 and 1.
    instances : mapping
        Keyword arguments of `InstanceOptions`.
    standardisation : Standardisation or None
        For regression: what brings the network's outputs to the values' own units. None: they
        are in it.
    configuration : mapping
        The training configuration, plain values only.
    provenance : mapping
        Versions, date, data fingerprint, steps, scores; plain values only.
    """

    network: Network
    task: str
    classes: tuple[ClassLabel, ...]
    scale: float = 1.0
    pixel_size: float | None = None
    normalisation: Mapping[str, float] = field(default_factory=lambda: dict(PERCENTILES))
    instances: Mapping[str, Any] = field(default_factory=dict)
    standardisation: Standardisation | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outputs = self.architecture["out_channels"]
        if len(self.classes) != outputs:
            raise ValueError(
                f"{len(self.classes)} classes are named but the network has {outputs} outputs"
            )
        if self.standardisation and len(self.standardisation.mean) != outputs:
            raise ValueError(
                f"{len(self.standardisation.mean)} outputs are standardised but the network has "
                f"{outputs}"
            )
        if not 0 < self.scale <= 16:
            raise ValueError(f"the working scale is {self.scale}; it must lie in (0, 16]")
        try:
            InstanceOptions(**self.instances)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"how its cells are cut is not understood: {error}; a newer napari-unet may know it"
            ) from error

    @property
    def fingerprint(self) -> str:
        """A short hash of the weights, by which a model is known again."""
        digest = hashlib.sha256()
        for name, values in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The keyword arguments that build the network again."""
        return self.network.architecture

    @property
    def channels(self) -> int:
        """Image channels that the network expects."""
        return int(self.architecture["in_channels"])
