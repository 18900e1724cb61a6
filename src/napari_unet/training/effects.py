"""Which options of a training do nothing, because others were chosen as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unet.training.configuration import PRESETS, TrainingConfig
from napari_unet.training.transfer import network_options

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["chosen_without_effect", "depending_options", "without_effect"]


@dataclass(frozen=True)
class _Rule:
    """Options that have no effect while another one is as it is.

    Attributes
    ----------
    options
        Their names.
    decided_by
        The option that decides.
    idle
        Whether they have no effect.
    because
        Why, as the end of a sentence.
    """

    options: tuple[str, ...]
    decided_by: str
    idle: Callable[[TrainingConfig], bool]
    because: str


_RULES = (
    _Rule(
        ("depth", "padding", "up", "skips", "encoder"),
        "network",
        lambda config: config.network != "unet",
        "the network is no U-Net",
    ),
    _Rule(
        ("window",),
        "network",
        lambda config: config.network != "sliding_window",
        "the network is no sliding window",
    ),
    _Rule(
        ("padding", "up", "skips", "normalisation", "init"),
        "encoder",
        lambda config: config.encoder is not None,
        "a network with an encoder has its own",
    ),
    _Rule(
        ("encoder_weights", "freeze_encoder", "encoder_rate"),
        "encoder",
        lambda config: config.encoder is None,
        "the network has no encoder",
    ),
    _Rule(
        ("encoder_rate",),
        "freeze_encoder",
        lambda config: config.freeze_encoder,
        "the encoder is frozen",
    ),
    _Rule(
        ("encoder_rate",),
        "encoder_weights",
        lambda config: config.encoder_weights is None,
        "there are no encoder weights",
    ),
    _Rule(
        ("momentum",),
        "optimiser",
        lambda config: config.optimiser != "sgd",
        "the optimiser is not SGD",
    ),
    _Rule(
        ("elastic_sigma",),
        "elastic",
        lambda config: not config.elastic,
        "the elastic warp is off",
    ),
    _Rule(
        ("views",),
        "rotate",
        lambda config: not config.rotate,
        "patches are not turned",
    ),
    _Rule(
        ("sigma",),
        "w0",
        lambda config: config.w0 == 0,
        "the border weight is 0",
    ),
    _Rule(
        ("networks",),
        "until_stopped",
        lambda config: config.until_stopped,
        "nobody knows the time that they would share",
    ),
    _Rule(
        ("cell_diameter",),
        "working_scale",
        lambda config: config.working_scale is not None,
        "the working scale is given",
    ),
    _Rule(
        ("w0", "sigma", "cell_diameter"),
        "task",
        lambda config: config.task != "instances",
        "there are no single cells",
    ),
    _Rule(
        ("dice", "focal", "balance"),
        "task",
        lambda config: config.task == "regression",
        "a regression has no classes",
    ),
    _Rule(
        ("regression_loss",),
        "task",
        lambda config: config.task != "regression",
        "the task is no regression",
    ),
)
"""The first that holds for an option says why."""

_PROMISED = ("networks",)
"""What a preset is chosen for."""

_OF_MODEL = "the model that the training goes on from decides"


def depending_options() -> frozenset[str]:
    """Return the names of all options that may have no effect."""
    named = {name for rule in _RULES for name in rule.options}
    return frozenset(named | network_options() | {"fine_tuning"})


def without_effect(
    config: TrainingConfig, *, goes_on: bool = False, unknown: Collection[str] = ()
) -> Mapping[str, str]:
    """Return the options that do nothing in this configuration.

    Parameters
    ----------
    config : TrainingConfig
        How is trained.
    goes_on : bool
        Whether the training goes on from a model, whose network takes the place of the one that
        `config` describes.
    unknown : collection of str
        Options that are decided elsewhere; what depends on them may have an effect.

    Returns
    -------
    mapping
        The name of each, and why, as the end of a sentence.
    """
    found = {}
    if goes_on:
        found.update(dict.fromkeys(network_options(), _OF_MODEL))
        if config.encoder_weights is not None:
            found["encoder_weights"] = _OF_MODEL
    else:
        found["fine_tuning"] = "the training goes on from no model"
    for rule in _RULES:
        if rule.decided_by not in unknown and rule.idle(config):
            found |= {name: rule.because for name in rule.options if name not in found}
    return found


def chosen_without_effect(
    asked: TrainingConfig, used: TrainingConfig, *, goes_on: bool = False
) -> Mapping[str, str]:
    """Return what a person chose that does nothing.

    Parameters
    ----------
    asked : TrainingConfig
        As it was given. What its preset has, nobody chose, but for several networks: a preset that
        has them is chosen for them.
    used : TrainingConfig
        The same, or what became of it because the training goes on from a model.
    goes_on : bool
        Whether it does.

    Returns
    -------
    mapping
        As `without_effect`.
    """
    usual = PRESETS.get(asked.preset, TrainingConfig())
    found = {}
    for name, because in without_effect(used, goes_on=goes_on).items():
        value = getattr(asked, name)
        as_the_model = goes_on and name in network_options() and value == getattr(used, name)
        chosen = value != getattr(usual, name) or (name in _PROMISED and value > 1)
        if chosen and not as_the_model:
            found[name] = because
    return found
