"""The U-Net of Ronneberger, Fischer and Brox (2015), exact, with the everyday options beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from napari_unet.network.geometry import Geometry, Padding, UpConvolution
from napari_unet.network.initialisation import Initialisation, initialise
from napari_unet.network.network import Network, check_positive
from napari_unet.network.normalisation import Normalisation, normalisation_layers
from napari_unet.network.strips import in_strips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_unet.network.steps import Level

__all__ = ["Skips", "UNet"]

Skips = Literal["concat", "add", "none"]
_REACH = 2  # pixels: how far two 3x3 convolutions look


class DoubleConvolution(nn.Sequential):
    """Two 3x3 convolutions, each followed by (normalisation and) ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, padding: Padding, norm: Normalisation
    ) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers.append(
                nn.Conv2d(
                    channels,
                    out_channels,
                    kernel_size=3,
                    padding=1 if padding == "same" else 0,
                    bias=norm == "none",
                )
            )
            layers += [*normalisation_layers(norm, out_channels), nn.ReLU(inplace=True)]
        super().__init__(*layers)


def up_convolution(in_channels: int, out_channels: int, up: UpConvolution) -> nn.Module:
    """Double the size and halve the channels, by one of the two readings of the paper."""
    if up == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(in_channels, out_channels, kernel_size=2),
    )


def centre_crop(skip: Tensor, size: torch.Size) -> Tensor:
    """Cut the centre of `size` (Y, X) out of a skip connection (N, C, Y, X)."""
    y = (skip.shape[-2] - size[-2]) // 2
    x = (skip.shape[-1] - size[-1]) // 2
    return skip[..., y : y + size[-2], x : x + size[-1]]


def _convolved(block: nn.Module, x: Tensor) -> Tensor:
    """Return what a pair of convolutions makes of a map."""
    result: Tensor = block(x)
    return result


def _convolved_in_strips(block: nn.Module, x: Tensor) -> Tensor:
    """Return the same, where the convolutions keep the size, in less time."""
    return in_strips(
        lambda rows: _convolved(block, x[..., rows, :]),
        slice(0, x.shape[-2]),
        margin=_REACH,
        device=x.device,
    )


class UNet(Network):
    """The U-Net: contract to read the image, expand to label every pixel.

    With the defaults this is the network of the paper: valid 3x3 convolutions, 64 to 1024
    channels in four poolings, 31,030,658 parameters; 572x572 becomes 388x388.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    out_channels : int
        Classes, background included.
    depth : int
        Number of 2x2 max poolings, 0 to 6.
    width : int
        Channels of the first level; doubled at every level.
    padding : {"valid", "same"}
        Valid (2015) loses a border; same keeps the size.
    up : {"transposed", "upsample"}
        The up-convolution: strided transposed (the authors' release), or nearest upsampling
        followed by a 2x2 convolution (the text of the paper).
    skips : {"concat", "add", "none"}
        What happens to the cropped map of the contracting path: put before the up-convolved map
        as further channels (2015), added to it (FCN: Long, Shelhamer, Darrell 2015), or left out.
    normalisation : {"none", "batch", "group", "instance"}
        None (2015), or a normalisation after every 3x3 convolution. Group and instance
        normalisation take mean and deviation from the tile at hand, so a prediction then depends
        on the tiles.
    dropout : float
        Probability of dropping a value at the end of the contracting path.
    init : {"he", "xavier"}
        How the weights are drawn: see `napari_unet.network.initialisation.initialise`.

    Notes
    -----
    `forward` takes (N, C, Y, X) and returns logits (N, classes, Y', X'); the softmax belongs to
    loss and prediction.

    Source: Ronneberger, Fischer, Brox 2015, section 2.
    """

    geometry: Geometry

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        depth: int = 4,
        width: int = 64,
        padding: Padding = "valid",
        up: UpConvolution = "transposed",
        skips: Skips = "concat",
        normalisation: Normalisation = "none",
        dropout: float = 0.5,
        init: Initialisation = "he",
    ) -> None:
        super().__init__()
        check_positive(width=width, in_channels=in_channels, out_channels=out_channels)
        if not 0 <= depth <= 6:
            raise ValueError(f"depth is {depth}; choose 0 to 6 poolings")
        if skips not in get_args(Skips):
            raise ValueError(f"skips is {skips!r}; choose {', '.join(get_args(Skips))}")
        self.architecture: dict[str, Any] = {
            "kind": "unet",
            "in_channels": in_channels,
            "out_channels": out_channels,
            "depth": depth,
            "width": width,
            "padding": padding,
            "up": up,
            "skips": skips,
            "normalisation": normalisation,
            "dropout": dropout,
            "init": init,
        }
        self.geometry = self.geometry_for(self.architecture)
        self.skips = skips
        channels = [width << level for level in range(depth + 1)]
        self.contracting = nn.ModuleList(
            DoubleConvolution(a, b, padding, normalisation)
            for a, b in zip([in_channels, *channels[:-1]], channels, strict=True)
        )
        self.up_convolutions = nn.ModuleList(
            up_convolution(2 * c, c, up) for c in reversed(channels[:-1])
        )
        self.expanding = nn.ModuleList(
            DoubleConvolution(2 * c if skips == "concat" else c, c, padding, normalisation)
            for c in reversed(channels[:-1])
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv2d(width, out_channels, kernel_size=1)
        initialise(self, init)

    @staticmethod
    def geometry_for(architecture: Mapping[str, Any]) -> Geometry:
        """Return the tile arithmetic of a U-Net of this architecture."""
        return Geometry(architecture["depth"], architecture["padding"], architecture["up"])

    def levels(self, size: int) -> tuple[Level, ...]:
        """Return the levels of the contracting path, then those of the expanding path."""
        return self.geometry.levels(size, self.architecture["width"], skips=self.skips != "none")

    @property
    def usual_tile(self) -> int:
        """Pixels that are kept of one tile per side, where nobody asks for another size.

        The larger, the less is read twice; but a wide network needs a gigabyte for a large tile.
        """
        return 1024 if self.architecture["width"] <= 32 else super().usual_tile

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, classes, Y', X') for images (N, C, Y, X)."""
        skips, x = self._contract(image)
        for up, block in zip(self.up_convolutions, self.expanding, strict=True):
            x = block(self._joined(skips.pop(), up(x)))
        logits: Tensor = self.classify(x)
        return logits

    def part(self, image: Tensor, keep: tuple[slice, slice]) -> Tensor:
        """Return `forward(image)[..., keep]`, expanding only what that part is made of.

        The contracting path has to read the surroundings of a tile; the expanding path, two
        thirds of the work, does not have to draw them.
        """
        if self.training or not self._expands_in_place:
            return super().part(image, keep)
        levels = range(self.geometry.depth)
        rows, columns = (
            _needed(kept, size, levels) for kept, size in zip(keep, image.shape[-2:], strict=True)
        )
        skips, x = self._contract(image, _convolved_in_strips)
        y0 = x0 = 0
        for level in reversed(levels):
            expand = partial(self._expanded, level, skips.pop(), x, (y0, x0), columns[level])
            x = in_strips(expand, rows[level], margin=_REACH, device=image.device)
            y0, x0 = rows[level].start, columns[level].start
        logits = x if levels else self.classify(x)
        return logits[
            ..., keep[0].start - y0 : keep[0].stop - y0, keep[1].start - x0 : keep[1].stop - x0
        ]

    def _expanded(
        self,
        level: int,
        skip: Tensor,
        below: Tensor,
        origin: tuple[int, int],
        columns: slice,
        rows: slice,
    ) -> Tensor:
        """Return some rows and columns of an expanding level; of the topmost the logits.

        Those at the border of what is asked for do not see all that they should. `origin` is
        where in its level the map below begins.
        """
        y0, x0 = origin
        x = self.up_convolutions[-1 - level](
            below[..., rows.start // 2 - y0 : -(-rows.stop // 2) - y0, :]
        )
        top, left = rows.start % 2, columns.start - 2 * x0
        x = x[..., top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
        x = self.expanding[-1 - level](self._joined(skip[..., rows, columns], x))
        result: Tensor = x if level else self.classify(x)
        return result

    @property
    def _expands_in_place(self) -> bool:
        """Whether every pixel of the expanding path stands over its pixels of the level below.

        And depends on near ones alone: group and instance normalisation look at the whole map.
        """
        return (self.geometry.padding, self.geometry.up) == ("same", "transposed") and (
            self.architecture["normalisation"] in ("none", "batch")
        )

    def _contract(
        self, image: Tensor, convolved: Callable[[nn.Module, Tensor], Tensor] = _convolved
    ) -> tuple[list[Tensor], Tensor]:
        """Return the maps for the skip connections, the topmost first, and the bottom one."""
        self.geometry.output_size(image.shape[-2])
        self.geometry.output_size(image.shape[-1])
        skips = []
        x = image
        for block in self.contracting[:-1]:
            skips.append(convolved(block, x))
            x = self.pool(skips[-1])
        return skips, self.dropout(self.contracting[-1](x))

    def _joined(self, skip: Tensor, x: Tensor) -> Tensor:
        """Bring a map (N, C, Y, X) of the contracting path to the up-convolved one."""
        if self.skips == "none":
            return x
        cropped = centre_crop(skip, x.shape)
        return cropped + x if self.skips == "add" else torch.cat([cropped, x], dim=1)


def _needed(keep: slice, size: int, levels: Sequence[int]) -> list[slice]:
    """Return what each level has to expand, on one axis, so that the top one yields `keep`.

    The convolutions of a level look `_REACH` far; a pixel stands over half a pixel of the next.
    """
    needed = []
    start, stop = keep.start, keep.stop
    for level in levels:
        start, stop = max(start - _REACH, 0), min(stop + _REACH, size >> level)
        needed.append(slice(start, stop))
        start, stop = start // 2, -(-stop // 2)
    return needed
