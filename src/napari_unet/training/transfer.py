"""Going on from a trained model: its network, the size at which it knows cells, its ancestry."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_unet.network import Ensemble, build_network
from napari_unet.training.checks import find_classes
from napari_unet.training.configuration import PRESETS, TrainingConfig
from napari_unet.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from napari_unet.annotations import AnnotatedImage
    from napari_unet.network import ClassLabel, Network, TrainedModel

__all__ = [
    "adapted_network",
    "ancestry",
    "continued",
    "known_classes",
    "learnt_classes",
    "members_of",
    "network_changes",
    "network_options",
]

_KIND = ("network", "encoder")  # options that choose the kind of network, where there are any

_CLOSE = 1.5  # ratio of diameters that a network bridges by itself


def network_options() -> frozenset[str]:
    """Return the names of the options that a training takes from the model it goes on from."""
    known = {field.name: field for field in fields(TrainingConfig)}
    described: set[str] = set(_KIND)
    for kind in known["network"].metadata["choices"]:
        described |= TrainingConfig(network=kind).architecture(in_channels=1, out_channels=2).keys()
    return frozenset(described & known.keys()) | {"cell_diameter", "networks"}


def members_of(start: TrainedModel) -> tuple[TrainedModel, ...]:
    """Return a model of each network of an ensemble; a model of one network as it is."""
    if not isinstance(start.network, Ensemble):
        return (start,)
    return tuple(replace(start, network=network) for network in start.network.networks)


def continued(config: TrainingConfig, start: TrainedModel) -> TrainingConfig:
    """Return the configuration of a training that goes on from a model.

    The network is that of the model, and of an ensemble there are as many, whatever the
    configuration says. Cells come to the usual diameter, or to that at which the network knows them
    where it differs by more than half: a network trained on cells somewhat smaller than usual does
    better with the usual size. All other options stay.

    Raises
    ------
    TrainingError
        If the model's network cannot be described by a configuration.
    """
    members = members_of(start)
    architecture = members[0].architecture
    kind = architecture.get("kind")
    known = {field.name: field for field in fields(config)}
    taken = {
        name: architecture.get(name, start.configuration.get(name, known[name].default))
        for name in network_options() - {"cell_diameter"}
    }
    if config.preset in PRESETS and config.working_scale == PRESETS[config.preset].working_scale:
        taken["working_scale"] = None  # what suits a new network of the preset, not this one
    taken["networks"] = len(members)
    kinds = known["network"].metadata["choices"]
    taken["network"] = kind if kind in kinds else known["network"].default
    diameter = start.provenance.get("cell_diameter")
    if diameter and not 1 / _CLOSE <= diameter / config.cell_diameter <= _CLOSE:
        limits = known["cell_diameter"].metadata
        taken["cell_diameter"] = min(max(float(diameter), limits["min"]), limits["max"])
    changed = replace(config, **taken)
    if changed.geometry != start.network.geometry:
        raise TrainingError(
            f"a network of the kind {kind!r} with these options cannot be trained further by this "
            "version; train a new one"
        )
    return changed


def known_classes(
    start: TrainedModel, task: str, found: Sequence[ClassLabel], names: Mapping[int, str] | None
) -> tuple[ClassLabel, ...] | None:
    """Return the model's classes if its last layer can go on, else None.

    It can for the same task with the same outputs. Of painted classes the new images may have
    fewer. The model's names stay, but for those in `names`.
    """
    values, wanted = ([label.value for label in labels] for labels in (start.classes, found))
    fits = values == wanted or (task == "classes" and set(wanted) <= set(values))
    if start.task != task or not fits:
        return None
    given = names or {}
    return tuple(replace(label, name=given.get(label.value, label.name)) for label in start.classes)


def learnt_classes(
    images: Sequence[AnnotatedImage],
    task: str,
    names: Mapping[int, str] | None,
    start: TrainedModel | None = None,
) -> tuple[tuple[ClassLabel, ...], bool]:
    """Return the classes or outputs that a training learns.

    Parameters
    ----------
    images
        All that is learnt from, the old images too.
    task
        What their labels mean.
    names
        By painted value, or by the number of an output from 0.
    start
        The model that the training goes on from.

    Returns
    -------
    tuple of ClassLabel
        In channel order.
    bool
        Whether they are those of `start`, so that its last layer goes on.

    Raises
    ------
    TrainingError
        As `find_classes`.
    """
    before = start.classes if start is not None and start.task == task else ()
    found = find_classes(images, task, names, known=before)
    known = None if start is None else known_classes(start, task, found, names)
    return known or found, known is not None


def adapted_network(
    start: TrainedModel, *, channels: int, outputs: int, fresh_last_layer: bool
) -> Network:
    """Build the model's network with its weights, for other channels and outputs where need be.

    A fresh last layer is drawn from torch's random numbers. With other channels, the first layer
    looks at each of them with the mean of what it looked at the old ones with, and as strongly
    in all: an image with equal channels gives what it gave before.

    Parameters
    ----------
    start : TrainedModel
        Its weights are copied, never changed.
    channels, outputs : int
        Of the new network.
    fresh_last_layer : bool
        Whether the last layer starts anew even where it would fit.
    """
    architecture = {**start.architecture, "in_channels": channels, "out_channels": outputs}
    network = build_network(architecture)
    state = network.state_dict()
    for name, values in start.network.state_dict().items():
        if not (fresh_last_layer and name.startswith(f"{network.last_layer}.")):
            state[name] = _for_channels(values, state[name].shape)
    network.load_state_dict(state)
    return network


def _for_channels(values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if values.shape == shape:
        return values.clone()
    mean = values.sum(dim=1, keepdim=True) / shape[1]
    return mean.expand(shape).clone()


def network_changes(start: TrainedModel, *, channels: int, fresh_last_layer: bool) -> str:
    """Say what of the model's network is new; empty where nothing is."""
    changes = []
    if fresh_last_layer:
        changes.append("a new last layer, because what it predicts is new")
    if channels != start.channels:
        changes.append(f"a first layer spread from {start.channels} to {channels} channels")
    return " and ".join(changes)


def ancestry(start: TrainedModel, name: str) -> Mapping[str, Any]:
    """Return what a model's provenance says of the model that it goes on from."""
    facts = {
        key: start.provenance[key] for key in ("date", "data", "parent") if key in start.provenance
    }
    return {"name": name, "fingerprint": start.fingerprint, **facts}
