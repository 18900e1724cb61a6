"""What the engine is timed against: the networks and the loops that a person would write today."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["import_smp", "monai_unet", "plain_step", "sliding_window", "smp_unet"]


def plain_step(network: nn.Module, image: Tensor, target: Tensor) -> Callable[[], object]:
    """Return a training step of the usual loop: float32, contiguous, AdamW, cross-entropy."""
    network.train()
    weight = torch.ones(target.shape, device=target.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> float:
        optimiser.zero_grad()
        loss = (F.cross_entropy(network(image), target, reduction="none") * weight).mean()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def monai_unet(width: int) -> nn.Module:
    """Return MONAI's BasicUNet with our channels per level, otherwise as it comes.

    Raises
    ------
    ImportError
        If MONAI is not installed.
    """
    from monai.networks.nets import BasicUNet

    channels = tuple(width << level for level in range(5))
    return BasicUNet(2, in_channels=1, out_channels=2, features=(*channels, width))


def sliding_window(network: nn.Module, image: Tensor, roi: int) -> Tensor:
    """Predict by MONAI's sliding windows, with its usual overlap of a quarter."""
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(image, roi, 1, network)


def smp_unet() -> nn.Module:
    """Return the Unet of segmentation-models-pytorch with a ResNet-18, without weights.

    Raises
    ------
    ImportError
        If segmentation-models-pytorch is not installed.
    """
    return import_smp().Unet("resnet18", encoder_weights=None, in_channels=1, classes=2)


def import_smp() -> ModuleType:
    """Import segmentation-models-pytorch, also beside a torch that torchvision was not built for.

    PyPI's torchvision is built for CUDA. Beside a CPU build of torch its import asks for two
    operators that only its compiled part defines, and that no network here calls.
    """
    try:
        import segmentation_models_pytorch as smp
    except RuntimeError:
        for name in list(sys.modules):
            if name.split(".")[0] in ("torchvision", "timm", "segmentation_models_pytorch"):
                del sys.modules[name]
        _LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import segmentation_models_pytorch as smp
    return smp


_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
