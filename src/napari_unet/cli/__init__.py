"""The `napari-unet` command: train, predict, evaluate, info, demo; alone it opens napari."""

from napari_unet.cli.program import main

__all__ = ["main"]
