"""Small models with random but lively weights, for tests."""

from __future__ import annotations

import torch

from napari_unet.network import ClassLabel, EncoderUNet, SlidingWindow, TrainedModel, UNet

TWO = (ClassLabel(0, "background"), ClassLabel(1, "cell"))


def lively_windows(*, window=17, scale=1.0, seed=0, **architecture):
    """Return a model that classifies windows, with lively weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SlidingWindow(window=window, width=4, **architecture)
    with torch.no_grad():
        network.fully_connected[-1].weight *= 3
    return TrainedModel(network=network.eval(), task="instances", classes=TWO, scale=scale)


def lively_model(
    *,
    scale=1.0,
    channels=1,
    task="instances",
    classes=TWO,
    seed=0,
    pixel_size=None,
    **architecture,
):
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
    return TrainedModel(
        network=network.eval(), task=task, classes=classes, scale=scale, pixel_size=pixel_size
    )


def lively_encoder(encoder, *, depth=2, seed=0):
    """Return a model around an encoder, with lively weights and statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EncoderUNet(encoder=encoder, depth=depth, width=4)
        for _ in range(20):
            network.train()(torch.rand(2, 1, 64, 64))
    with torch.no_grad():
        network.classify.weight *= 3
    return TrainedModel(network=network.eval(), task="instances", classes=TWO)


def brightness_model(*, low=0.3, **values):
    """Return a model that calls cell what is brighter than `low` of the image's range."""
    network = UNet(depth=0, width=1, padding="same", dropout=0.0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for layer in network.contracting[0]:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight[0, 0, 1, 1] = 1
        network.classify.weight[1] = 40
        network.classify.bias[1] = -40 * low
    return TrainedModel(network=network.eval(), task="instances", classes=TWO, **values)
