"""Small models with random but lively weights, for tests."""

from __future__ import annotations

import torch

from napari_unet.network import ClassLabel, TrainedModel, UNet

TWO = (ClassLabel(0, "background"), ClassLabel(1, "cell"))


def lively_model(*, scale=1.0, channels=1, task="instances", classes=TWO, seed=0, **architecture):
    """Return a model whose probabilities differ from pixel to pixel."""
    options = {"depth": 4, "width": 4, "padding": "same", "dropout": 0.0, **architecture}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = UNet(channels, len(classes), **options)
        if options.get("normalisation") == "batch":
            size = network.geometry.input_size_for(32)
            for _ in range(3):
                network.train()(torch.randn(2, channels, size, size))
    with torch.no_grad():
        network.classify.weight *= 3
    return TrainedModel(network=network.eval(), task=task, classes=classes, scale=scale)
