"""U-Nets whose contracting path is a classification network that may have learnt from photographs.

The networks come from segmentation-models-pytorch (decoder) and timm (encoders), an optional part
of the installation, imported only when such a network is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_unet.network.compilers import keep_compilers_apart
from napari_unet.network.encoder_weights import EncoderError, pretrained_tensors
from napari_unet.network.geometry import Geometry, Padding
from napari_unet.network.network import Network, check_positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["ENCODERS", "Encoder", "EncoderGeometry", "EncoderUNet", "encoder_advice"]

_NEEDED = ("segmentation_models_pytorch", "timm")
_INSTALL = "pip install segmentation-models-pytorch timm"
_MOST_CONTEXT = 224  # pixels; what lies farther away decides little and costs much: docs/method.md
# Of the photographs of ImageNet. One value for all channels: each channel of our images has been
# brought to 0..1 by itself, so red, green and blue no longer differ as they do there.
_MEAN, _DEVIATION = 0.449, 0.226


@dataclass(frozen=True)
class Encoder:
    """What has to be known of an encoder before its library is there.

    Parameters
    ----------
    title : str
        As a person reads it.
    weights : str
        Which of timm's weights learnt on ImageNet are meant.
    reach : tuple of int
        Per depth from 1 to 5, how many pixels away the U-Net around it sees, in the worst case.
        Of an EfficientNet this is the reach of its convolutions: its squeeze-and-excitation
        layers also take the mean over the whole tile. Of a reach above `_MOST_CONTEXT` nothing
        but that it is above decides anything.
    """

    title: str
    weights: str
    reach: tuple[int, int, int, int, int]


ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "resnet18": Encoder("ResNet-18", "tv_in1k", (7, 31, 71, 151, 311)),
        "resnet34": Encoder("ResNet-34", "tv_in1k", (7, 39, 111, 319, 543)),
        "resnet50": Encoder("ResNet-50", "tv_in1k", (7, 27, 67, 179, 307)),
        "resnet101": Encoder("ResNet-101", "tv_in1k", (7, 27, 67, 451, 579)),
        "resnext50_32x4d": Encoder("ResNeXt-50 (32×4d)", "tv_in1k", (7, 27, 67, 179, 307)),
        "efficientnet_lite0": Encoder("EfficientNet-Lite0", "ra_in1k", (7, 19, 55, 215, 519)),
        "efficientnet_b0": Encoder("EfficientNet-B0", "ra_in1k", (7, 19, 55, 215, 519)),
        "efficientnet_b1": Encoder("EfficientNet-B1", "ft_in1k", (9, 25, 77, 285, 685)),
        "efficientnet_b2": Encoder("EfficientNet-B2", "ra_in1k", (9, 25, 77, 285, 685)),
        "efficientnet_b3": Encoder("EfficientNet-B3", "ra2_in1k", (9, 25, 77, 333, 797)),
        "densenet121": Encoder("DenseNet-121", "tv_in1k", (7, 39, 147, 555, 1115)),
        "densenet169": Encoder("DenseNet-169", "tv_in1k", (7, 39, 147, 683, 1755)),
        "densenet201": Encoder("DenseNet-201", "tv_in1k", (7, 39, 147, 939, 2011)),
    }
)
"""The encoders to choose from, by timm's names, small ones of each family first."""


@dataclass(frozen=True)
class EncoderGeometry(Geometry):
    """The arithmetic of a U-Net with an encoder: that of same padding, but it looks farther.

    Parameters
    ----------
    reach : int
        Pixels away that can influence an output pixel.
    """

    padding: Padding = "same"
    reach: int = 0

    @property
    def context(self) -> int:
        """Pixels of surroundings per side that a tile is read with, a multiple of `stride`.

        They cover `reach` up to a limit: what lies beyond is seen, but decides little.
        """
        return -(-min(self.reach, _MOST_CONTEXT) // self.stride) * self.stride


class EncoderUNet(Network):
    """A U-Net around an encoder by name, with upsampling, skips and 3x3 convolutions after it.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    out_channels : int
        Classes, background included.
    encoder : str
        One of `ENCODERS`.
    depth : int
        How often the encoder halves the map, 1 to 5; what lies deeper in it is left out.
    width : int
        Channels of the decoder's last level; doubled at every level below.
    dropout : float
        Probability of dropping a value at the end of the encoder.

    Notes
    -----
    Weights are random until `load_pretrained`. Building it downloads nothing.

    `forward` takes images whose values lie around 0 to 1 and brings them to the mean and deviation
    that the encoders were trained with.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        encoder: str = "resnet18",
        depth: int = 4,
        width: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {
            "kind": "encoder",
            "in_channels": in_channels,
            "out_channels": out_channels,
            "encoder": encoder,
            "depth": depth,
            "width": width,
            "dropout": dropout,
        }
        self.geometry = self.geometry_for(self.architecture)
        check_positive(width=width, in_channels=in_channels)
        unet = _library().Unet(
            f"tu-{encoder}",
            encoder_depth=depth,
            encoder_weights=None,
            decoder_channels=[width << level for level in reversed(range(depth))],
            in_channels=in_channels,
            classes=out_channels,
        )
        self.encoder: nn.Module = unet.encoder
        self.decoder: nn.Module = unet.decoder
        self.classify: nn.Module = unet.segmentation_head[0]
        self.dropout = nn.Dropout(dropout)
        self._frozen = False

    @staticmethod
    def geometry_for(architecture: Mapping[str, Any]) -> EncoderGeometry:
        """Return the tile arithmetic of a network of this architecture.

        Raises
        ------
        EncoderError
            If there is no such encoder, or it is not that deep.
        """
        name, depth = architecture["encoder"], architecture["depth"]
        if name not in ENCODERS:
            raise EncoderError(f"there is no encoder {name!r}; choose {', '.join(ENCODERS)}")
        deepest = len(ENCODERS[name].reach)
        if not 1 <= depth <= deepest:
            raise EncoderError(f"depth is {depth}; with an encoder choose 1 to {deepest}")
        return EncoderGeometry(depth, reach=ENCODERS[name].reach[depth - 1])

    def load_pretrained(self, source: str) -> None:
        """Give the encoder weights that it learnt elsewhere; the decoder keeps its own.

        Parameters
        ----------
        source : str
            ``"imagenet"`` for those on the Hugging Face hub, which are downloaded once; or a
            safetensors file, or a file of tensors that torch saved, of the encoder itself or of
            the whole classification network.

        Raises
        ------
        EncoderError
            If they cannot be had or do not fit.
        """
        name = self.architecture["encoder"]
        hub = f"timm/{name}.{ENCODERS[name].weights}"
        self.encoder.load_state_dict(pretrained_tensors(self.encoder, name, source, hub))

    def freeze_encoder(self, frozen: bool = True) -> None:
        """Keep the encoder as it is in a training, its running means included, or thaw it."""
        self.encoder.requires_grad_(not frozen)
        self._frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> EncoderUNet:
        """Enter training mode, or leave it; a frozen encoder never enters it."""
        super().train(mode)
        self.encoder.train(mode and not self._frozen)
        return self

    @property
    def usual_tile(self) -> int:
        """Pixels that are kept of one tile per side, where nobody asks for another size.

        Large, because every tile is read with far surroundings.
        """
        return 1024 if self.architecture["width"] <= 32 else super().usual_tile

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, classes, Y, X) for images (N, C, Y, X)."""
        return self._decode(self._encode(image))

    def part(self, image: Tensor, keep: tuple[slice, slice]) -> Tensor:
        """Return `forward(image)[..., keep]`, decoding only what that part is made of.

        The encoder has to read the far surroundings of a tile; the decoder, most of the work, does
        not have to draw them: its convolutions look less than two strides far.
        """
        stride = self.geometry.stride
        rows, columns = (
            slice(
                max(kept.start // stride - 2, 0) * stride,
                min(-(-kept.stop // stride) + 2, size // stride) * stride,
            )
            for kept, size in zip(keep, image.shape[-2:], strict=True)
        )
        maps = self._encode(image)
        logits = self._decode(
            [_window(each, rows, columns, level) for level, each in enumerate(maps)]
        )
        y, x = (
            slice(kept.start - drawn.start, kept.stop - drawn.start)
            for kept, drawn in zip(keep, (rows, columns), strict=True)
        )
        return logits[..., y, x]

    def _encode(self, image: Tensor) -> list[Tensor]:
        """Return the encoder's maps of the image, each half as large as the one before."""
        self.geometry.output_size(image.shape[-2])
        self.geometry.output_size(image.shape[-1])
        *maps, deepest = self.encoder((image - _MEAN) / _DEVIATION)
        return [*maps, self.dropout(deepest)]

    def _decode(self, maps: list[Tensor]) -> Tensor:
        """Return logits (N, classes, Y, X) from the encoder's maps."""
        logits: Tensor = self.classify(self.decoder(maps))
        return logits


def _window(of: Tensor, rows: slice, columns: slice, level: int) -> Tensor:
    """Cut pixels of the image out of a map that has been halved `level` times."""
    y, x = (slice(part.start >> level, part.stop >> level) for part in (rows, columns))
    return of[..., y, x]


def encoder_advice() -> str:
    """Say what a network with an encoder lacks on this computer; empty where nothing is missing.

    Of what it needs only torchvision is imported, which soon tells whether it fits torch.
    """
    if not all(find_spec(name) for name in _NEEDED):
        return f"Encoders need two packages more; close napari and install them: {_INSTALL}"
    keep_compilers_apart()
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        return f"Encoders cannot be used: {_misfit(error)}"
    return ""


def _misfit(error: Exception) -> str:
    """Say that torchvision does not fit torch, and what to do."""
    return (
        f"the installed torchvision does not fit torch {torch.__version__} ({error}); install "
        "both anew from one place, as pytorch.org says, for example: pip install "
        "--force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu"
    )


def _library() -> Any:
    """Import segmentation-models-pytorch, or say in a sentence why it cannot be.

    Raises
    ------
    EncoderError
        Without the extra, or with a torchvision that does not fit torch.
    """
    keep_compilers_apart()
    try:
        import segmentation_models_pytorch
        import timm  # noqa: F401 - an older segmentation-models-pytorch loads it later
    except ImportError as error:
        raise EncoderError(
            "networks with an encoder need the extra napari-unet[encoders], and "
            f"{error.name or 'a part of it'} is not installed; get it with: {_INSTALL}"
        ) from error
    except (RuntimeError, OSError) as error:
        raise EncoderError(_misfit(error)) from error
    return segmentation_models_pytorch
