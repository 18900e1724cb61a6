"""Training: configuration and presets, the energy, and the generator of reports."""

from napari_unet.network.device import Device, choose_device, devices, gpu_advice
from napari_unet.network.encoders import encoder_advice
from napari_unet.training.configuration import PRESETS, TrainingConfig
from napari_unet.training.effects import depending_options, without_effect
from napari_unet.training.errors import StoppedError, TrainingError
from napari_unet.training.optimisation import energy
from napari_unet.training.reports import TrainingReport
from napari_unet.training.train import train
from napari_unet.training.transfer import learnt_classes, network_options

__all__ = [
    "PRESETS",
    "Device",
    "StoppedError",
    "TrainingConfig",
    "TrainingError",
    "TrainingReport",
    "choose_device",
    "depending_options",
    "devices",
    "encoder_advice",
    "energy",
    "gpu_advice",
    "learnt_classes",
    "network_options",
    "train",
    "without_effect",
]
