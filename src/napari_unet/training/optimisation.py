"""The energy, the optimiser, its schedule, and the running average of the weights."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from napari_unet.network import EncoderUNet, Network, fast_dtype, keep_compilers_apart
from napari_unet.training.overlap import dice_loss, focus
from napari_unet.training.regression import value_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_unet.augmentation import Patch
    from napari_unet.training.configuration import TrainingConfig

Tensors = tuple[Tensor, ...] | list[Tensor]

__all__ = ["Learner", "energy", "rate_at"]

_WARM_UP = 0.1  # share of a one-cycle training in which the learning rate rises
_DIVERGED = "the training diverged: its loss is no number any more; lower the learning rate"
_WARM_UP_STEPS = 50  # where the end is not known
_FULL_RATE_STEPS = 200  # until the rate begins to fall there
_ENDLESS_DECAY = 0.9995  # of the running average there, after as many steps as that takes
_LAST_RATE = 0.01  # share of the largest rate that is left at the end


def energy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    reduction: str = "mean",
    focal: float = 0.0,
) -> Tensor:
    """Return the weighted cross-entropy of the softmax over the classes.

    Parameters
    ----------
    logits : (N, C, Y, X) tensor
        The network's output.
    target : (N, Y, X) integer tensor
        The true class of each pixel.
    weight : (N, Y, X) float tensor
        0 where nothing is annotated: the gradient is exactly zero there.
    reduction : {"mean", "sum"}
        Mean over the pixels that count, or the sum (2015).
    focal : float
        How much less a pixel counts that is right already; see `focus`.

    Returns
    -------
    scalar tensor
        float32.

    Source: Ronneberger, Fischer, Brox 2015, equation 1, with the minus sign it lost in print.
    """
    entropy = focus(F.cross_entropy(logits.float(), target.long(), reduction="none"), focal)
    total = (weight * entropy).sum()
    if reduction == "sum":
        return total
    return total / (weight > 0).sum().clamp(min=1)


def rate_at(progress: float | None, config: TrainingConfig, step: int = 0) -> float:
    """Return the learning rate when `progress` (0 to 1) of the training is done.

    SGD stays constant (2015). AdamW rises to the largest rate and falls along a cosine, so that
    a training of any length ends with small steps. Where nobody knows the end (`progress` is
    None), it falls with the root of the `step` instead, and the running average, which then
    spans a tenth of all steps, stands for the small ones.
    """
    if config.optimiser == "sgd":
        return config.learning_rate
    if progress is None:
        rising = min(1.0, (step + 1) / _WARM_UP_STEPS)
        falling = math.sqrt(min(1.0, _FULL_RATE_STEPS / (step + 1)))
        return config.learning_rate * rising * falling
    if progress < _WARM_UP:
        return config.learning_rate * max(progress / _WARM_UP, 0.04)
    fallen = (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2
    return config.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * fallen)


class Learner:
    """A network on its device that is shown batches of patches.

    Parameters
    ----------
    network : Network
        Trained in place.
    config : TrainingConfig
        Optimiser, energy, averaging.
    device : torch.device
        Where to compute.
    share : float
        Of the learning rate that `config` names.
    """

    def __init__(
        self, network: Network, config: TrainingConfig, device: torch.device, share: float = 1.0
    ) -> None:
        self.config = config
        self.device = device
        self.share = share
        self.network = network.to(device)
        if isinstance(network, EncoderUNet):
            network.freeze_encoder(config.freeze_encoder)
        self.network.train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = _optimiser(self.network, config)
        self.dtype = fast_dtype(device)
        self._average = _average(self.network, config)
        self._steps = 0

    def learn(self, patches: Sequence[Patch], progress: float | None) -> float:
        """Take one step on a batch and return the energy before it.

        Parameters
        ----------
        patches : sequence of Patch
            All of the size that the network takes.
        progress : float or None
            Share of the training that is done; None if its end is not known.

        Raises
        ------
        FloatingPointError
            If the energy is no number; the step is then not taken.
        """
        image = torch.from_numpy(np.stack([patch.image for patch in patches]))
        target = self._kept([patch.target for patch in patches])
        weight = self._kept([patch.weight for patch in patches])
        rate = rate_at(progress, self.config, self._steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.share * group["share"] * rate
        self.optimiser.zero_grad(set_to_none=True)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None),
        ):
            torch.manual_seed(self.config.seed + self._steps)  # dropout, repeatable
            output = self.network(image)
        loss = self._energy(output, target, weight)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(_DIVERGED)
        loss.backward()
        if self.config.optimiser == "adamw":
            nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self._steps += 1
        if self._average is not None:
            self._average.update_parameters(self.network)
        return value

    def _energy(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        config = self.config
        if config.task == "regression":
            return value_error(
                output, target, weight, loss=config.regression_loss, reduction=config.energy
            )
        loss = energy(output, target, weight, reduction=config.energy, focal=config.focal)
        return loss + config.dice * dice_loss(output, target, weight) if config.dice else loss

    def _kept(self, planes: Sequence[NDArray[Any]]) -> Tensor:
        """Stack (..., Y, X) planes, cut to what the network returns of them."""
        geometry, size = self.network.geometry, self.config.input_size
        first = geometry.offset(size)
        kept = slice(first, first + geometry.output_size(size))
        return torch.from_numpy(np.stack([plane[..., kept, kept] for plane in planes])).to(
            self.device
        )

    def snapshot(self) -> Network:
        """Return a copy of the (averaged) network on the CPU, in evaluation mode.

        Raises
        ------
        FloatingPointError
            If its weights are no numbers any more.
        """
        source = self.network
        if self._average is not None and self._steps:
            source = cast("Network", self._average.module)
        copied = copy.deepcopy(source).cpu().eval()
        for values in (*copied.parameters(), *copied.buffers()):
            values.requires_grad_(False)
            values.data = values.data.contiguous()
            if not values.isfinite().all():
                raise FloatingPointError(_DIVERGED)
        return copied


def _optimiser(network: Network, config: TrainingConfig) -> torch.optim.Optimizer:
    keep_compilers_apart()
    groups = _parameter_groups(network, config)
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _parameter_groups(network: Network, config: TrainingConfig) -> list[dict[str, Any]]:
    """Return what learns, each group with its share of the learning rate."""
    careful: list[nn.Parameter] = []
    if isinstance(network, EncoderUNet) and config.encoder_weights is not None:
        careful = list(network.encoder.parameters())
    known = {id(parameter) for parameter in careful}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [{"params": others, "share": 1.0}]
    if careful:
        groups.append({"params": careful, "share": config.encoder_rate})
    return groups


def _average(network: nn.Module, config: TrainingConfig) -> AveragedModel | None:
    if config.averaging == 0:
        return None
    decay = max(config.averaging, _ENDLESS_DECAY) if config.until_stopped else config.averaging
    return AveragedModel(network, multi_avg_fn=_running_average(decay), use_buffers=True)


def _running_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Return an exponential average that first forgets fast: early weights are far off."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        steps = int(count)
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), share)
            else:
                mean.copy_(value)

    return update
