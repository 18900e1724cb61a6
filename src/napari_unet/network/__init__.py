"""The networks: tile arithmetic, the U-Net and its variants, and the trained model."""

from napari_unet.network.geometry import Geometry, context, output_size, valid_input_sizes
from napari_unet.network.trained_model import ClassLabel, TrainedModel
from napari_unet.network.unet import UNet

__all__ = [
    "ClassLabel",
    "Geometry",
    "TrainedModel",
    "UNet",
    "context",
    "output_size",
    "valid_input_sizes",
]
