"""napari-unet: train a U-Net on your own images without leaving napari.

The names below are the engine; they are loaded when first used, and none of them imports Qt or
napari.
"""

# No "from __future__ import annotations" here: it would hide the package of that name.
import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("napari-unet")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

# Linux hands out memory in pages of 4 kB unless it is asked for large ones. A network writes
# gigabytes a second: with large pages, steps and predictions take up to a tenth less time. Torch
# reads this when it is imported.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_HOMES = {
    "AnnotatedImage": "annotations",
    "weight_map": "annotations",
    "draw_displacement": "augmentation",
    "warp": "augmentation",
    "TrainedModel": "network",
    "UNet": "network",
    "output_size": "network",
    "valid_input_sizes": "network",
    "TrainingConfig": "training",
    "train": "training",
    "instances": "prediction",
    "labels_from": "prediction",
    "predict": "prediction",
    "cell_properties": "evaluation",
    "cell_report": "evaluation",
    "evaluate": "evaluation",
    "load_model": "files",
    "read_image": "files",
    "save_model": "files",
    "write_labels": "files",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"napari_unet.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_unet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
