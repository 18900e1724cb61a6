"""What the choices of a training are called on the screen; files and programs keep the values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHOICE_NAMES"]

CHOICE_NAMES: Mapping[str, Mapping[Any, str]] = MappingProxyType(
    {
        "network": {"unet": "U-Net", "sliding_window": "Sliding window"},
        "padding": {"valid": "Valid", "same": "Same"},
        "up": {"transposed": "Transposed", "upsample": "Upsampling"},
        "skips": {"concat": "Concatenated", "add": "Added", "none": "None"},
        "normalisation": {
            "none": "None",
            "batch": "Batch",
            "group": "Group",
            "instance": "Instance",
        },
        "init": {"he": "He", "xavier": "Xavier"},
        "encoder": {
            None: "U-Net",
            "resnet18": "ResNet-18",
            "resnet34": "ResNet-34",
            "resnet50": "ResNet-50",
            "resnet101": "ResNet-101",
            "resnext50_32x4d": "ResNeXt-50 (32×4d)",
            "efficientnet_lite0": "EfficientNet-Lite0",
            "efficientnet_b0": "EfficientNet-B0",
            "efficientnet_b1": "EfficientNet-B1",
            "efficientnet_b2": "EfficientNet-B2",
            "efficientnet_b3": "EfficientNet-B3",
            "densenet121": "DenseNet-121",
            "densenet169": "DenseNet-169",
            "densenet201": "DenseNet-201",
        },
        "optimiser": {"adamw": "AdamW", "sgd": "SGD"},
        "energy": {"mean": "Mean", "sum": "Sum"},
        "regression_loss": {"mse": "Squares (MSE)", "mae": "Absolute (MAE)"},
    }
)
"""By option: value -> text, in the order in which the option declares its values."""
