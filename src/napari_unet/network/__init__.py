"""The networks: tile arithmetic, the U-Net and its variants, and the trained model."""

from napari_unet.network.building import build_network, geometry_of
from napari_unet.network.compilers import keep_compilers_apart
from napari_unet.network.device import (
    Device,
    choose_device,
    devices,
    fast_dtype,
    gpu_advice,
)
from napari_unet.network.encoder_weights import EncoderError
from napari_unet.network.encoders import ENCODERS, EncoderUNet
from napari_unet.network.ensemble import MOST_MEMBERS, Ensemble
from napari_unet.network.geometry import (
    Geometry,
    TileArithmetic,
    context,
    output_size,
    valid_input_sizes,
)
from napari_unet.network.instance_options import InstanceOptions
from napari_unet.network.network import Network, activate
from napari_unet.network.sliding_window import SlidingWindow
from napari_unet.network.standardisation import Standardisation
from napari_unet.network.steps import LEVEL_HEAD, Level, level_rows
from napari_unet.network.trained_model import PERCENTILES, ClassLabel, TrainedModel
from napari_unet.network.unet import UNet

__all__ = [
    "ENCODERS",
    "LEVEL_HEAD",
    "MOST_MEMBERS",
    "PERCENTILES",
    "ClassLabel",
    "Device",
    "EncoderError",
    "EncoderUNet",
    "Ensemble",
    "Geometry",
    "InstanceOptions",
    "Level",
    "Network",
    "SlidingWindow",
    "Standardisation",
    "TileArithmetic",
    "TrainedModel",
    "UNet",
    "activate",
    "build_network",
    "choose_device",
    "context",
    "devices",
    "fast_dtype",
    "geometry_of",
    "gpu_advice",
    "keep_compilers_apart",
    "level_rows",
    "output_size",
    "valid_input_sizes",
]
