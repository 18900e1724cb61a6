"""A network on its device, ready to predict tiles."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unet.network import Network, TrainedModel, activate, fast_dtype
from napari_unet.prediction.views import Part, average_views, usable_views

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Runner", "make_ready"]


class _Unrounded(nn.Module):
    """A last layer that computes in float32, so that values do not come in bfloat16's steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = self.layer(features.float())
        return values


class Runner:
    """A network on its device, ready for one tile at a time.

    Parameters
    ----------
    model : TrainedModel
        Its network is copied.
    device : torch.device
        Where to compute.
    views : int
        How many mirrored and turned views of a tile are averaged, where they fit onto each other.
    """

    def __init__(self, model: TrainedModel, device: torch.device, views: int) -> None:
        self.device = device
        self.views = views
        self.task = model.task
        self.standardisation = model.standardisation
        self.dtype = fast_dtype(device)
        self.network = make_ready(
            model.network, device, self.dtype, exact=self.task == "regression"
        )

    def __call__(self, tile: NDArray[np.float32], keep: tuple[slice, slice]) -> NDArray[np.float32]:
        """Return the rows and columns to `keep` of what the network says of a (C, Y, X) tile."""
        image = torch.from_numpy(tile)[None].to(self.device)
        geometry = self.network.geometry
        views = usable_views(self.views, geometry, image.shape[-2:])
        height, width = (geometry.output_size(size) for size in image.shape[-2:])
        found = average_views(self._look, image, Part(*keep, height, width), views)
        result: NDArray[np.float32] = found[0].cpu().numpy()
        return self.standardisation.undo(result) if self.standardisation else result

    def _look(self, image: torch.Tensor, keep: tuple[slice, slice]) -> torch.Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None),
        ):
            output = self.network.part(image, keep)
        return activate(output, self.task)


def make_ready(
    network: Network, device: torch.device, dtype: torch.dtype | None, *, exact: bool
) -> Network:
    """Copy a network to its device, its convolutions already in the dtype of autocast.

    Autocast alone would convert them again for every tile.

    Parameters
    ----------
    network : Network
        Stays as it is.
    device, dtype
        Where, and in which precision, its convolutions compute; None: as they are.
    exact : bool
        Whether the last layer (of each network) computes in float32.
    """
    network = _folded(network)
    copied: dict[int, object] = {}
    last = [network.get_submodule(name) for name in network.last_layers if exact]
    for layer in network.modules():
        convolves = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        for values in layer.parameters(recurse=False):
            layout = torch.channels_last if values.ndim == 4 else torch.preserve_format
            fast = convolves and layer not in last and dtype is not None
            wanted = dtype if fast else values.dtype
            moved = values.detach().to(device, wanted, copy=True, memory_format=layout)
            copied[id(values)] = nn.Parameter(moved, requires_grad=False)
    made = copy.deepcopy(network, copied).eval().to(device)
    for name in made.last_layers if exact else ():
        made.set_submodule(name, _Unrounded(made.get_submodule(name)))
    return made


def _folded(network: Network) -> Network:
    """Return a network whose convolutions do what the batch normalisation after them would do.

    Once trained, that is a factor and an offset per channel, and to apply them is a twentieth of
    the time of a small network.
    """
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()):
        return network
    network = copy.deepcopy(network).eval()
    for chain in [layer for layer in network.modules() if isinstance(layer, nn.Sequential)]:
        for index, (first, second) in enumerate(pairwise(list(chain))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                chain[index] = fuse_conv_bn_eval(first, second)
                chain[index + 1] = nn.Identity()
    return network
