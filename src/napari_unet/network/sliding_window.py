"""The sliding window: one window per pixel, and a classifier that names its centre.

This is what the U-Net replaced. Source: Ciresan, Giusti, Gambardella, Schmidhuber 2012, "Deep
Neural Networks Segment Neuronal Membranes in Electron Microscopy Images" (network N4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_unet.network.geometry import Padding, TileArithmetic
from napari_unet.network.initialisation import Initialisation, initialise
from napari_unet.network.network import Network, check_positive
from napari_unet.network.normalisation import Normalisation, normalisation_layers
from napari_unet.network.steps import Level, Step, map_sizes, receptive_field

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SlidingWindow", "WindowGeometry"]

_SMALLEST = 9
_MOST_STAGES = 4
_POOLING = Step(kernel=2, stride=2)
_HIDDEN = 200 / 48  # fully connected values per channel of the convolutions
_SIDE = 8  # neighbouring windows per side that are trained on together
# Values in the largest maps of the windows that are classified at a time. On a CPU they should fit
# into its cache: windows of 65 pixels go about three times faster by 16 than by 256.
_MOST_VALUES = {"cpu": 1 << 20}
_MOST_VALUES_ELSEWHERE = 1 << 27


@dataclass(frozen=True)
class WindowGeometry(TileArithmetic):
    """The arithmetic of a window that slides pixel by pixel: it loses its side but one pixel.

    Parameters
    ----------
    window : int
        Side of the window in pixels; odd, so that it has a centre.

    Raises
    ------
    ValueError
        If the window is even or too small to convolve and pool.
    """

    window: int = 65
    padding: Padding = field(default="valid", init=False)

    def __post_init__(self) -> None:
        if self.window % 2 == 0 or self.window < _SMALLEST:
            raise ValueError(
                f"window is {self.window}; choose an odd number of pixels, so that it has a "
                f"centre, from {_SMALLEST} on"
            )

    @property
    def stride(self) -> int:
        """One pixel: every window is classified by itself."""
        return 1

    @property
    def context(self) -> int:
        """Pixels of the window on each side of its centre."""
        return self.window // 2

    def try_output_size(self, size: int) -> int | None:
        """Return how many windows fit into `size` pixels, or None."""
        return size - self.window + 1 if size >= self.window else None

    def _refusal(self, size: int) -> str:
        return f"an input of {size} pixels is smaller than the window of {self.window} pixels"

    def offset(self, size: int) -> int:
        """Return where the centre of the first window lies."""
        self.output_size(size)
        return self.context

    def patch_size(self, wanted: int) -> int:
        """Return `wanted` pixels, but at least one window and at most 8x8 neighbouring ones.

        Neighbours share most of their pixels and teach little that is new.
        """
        return min(max(wanted, self.window), self.window + _SIDE - 1)

    @property
    def stages(self) -> tuple[tuple[Step, Step], ...]:
        """Convolutions, each with its pooling.

        The convolution is 4 wide on a map with an odd side and 5 on an even one, so that what is
        pooled is even. There are four where the window is large enough; for 95 pixels they are
        4, 5, 4 and 4 wide, as in 2012.
        """
        stages: list[tuple[Step, Step]] = []
        size = self.window
        while len(stages) < _MOST_STAGES:
            convolution = Step(kernel=4 if size % 2 else 5)
            convolved = convolution.size(size)
            if convolved < _POOLING.kernel:
                break
            stages.append((convolution, _POOLING))
            size = _POOLING.size(convolved)
        return tuple(stages)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the window, and of its map behind each convolution and each pooling."""
        return map_sizes(chain.from_iterable(self.stages), self.window)


class SlidingWindow(Network):
    """Classifies every pixel by the window around it: convolutions, max pooling, fully connected.

    Behind each convolution stand a ReLU and a 2x2 max pooling; then come one hidden fully
    connected layer and one value per class. With 48 channels and windows of 95 pixels the layers
    are those of network N4 of the paper. Not taken over from there: sampling that is finer at the
    centre (foveation), the average of four networks, and the smoothing of their results.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the image; classes, background included.
    window : int
        Side of the window in pixels, odd. A large one sees more surroundings and pools more, so
        it knows less well where an outline runs.
    width : int
        Channels of every convolution.
    normalisation : {"none", "batch", "group", "instance"}
        Between convolution and ReLU; none in 2012. Group and instance normalisation are taken
        over one window, so the result does not depend on tiles.
    dropout : float
        Probability of dropping a hidden value; 0 in 2012.
    init : {"he", "xavier"}
        How the weights are drawn.

    Notes
    -----
    `forward` takes (N, C, Y, X) and returns logits (N, classes, Y - window + 1, X - window + 1).
    When predicting, windows are classified in groups of bounded memory.
    """

    geometry: WindowGeometry
    last_layer = "fully_connected.4"

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        window: int = 65,
        width: int = 48,
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
        init: Initialisation = "he",
    ) -> None:
        super().__init__()
        check_positive(width=width, in_channels=in_channels, out_channels=out_channels)
        self.architecture: dict[str, Any] = {
            "kind": "sliding_window",
            "in_channels": in_channels,
            "out_channels": out_channels,
            "window": window,
            "width": width,
            "normalisation": normalisation,
            "dropout": dropout,
            "init": init,
        }
        self.geometry = self.geometry_for(self.architecture)
        self.hidden = max(1, round(_HIDDEN * width))
        channels = [in_channels, *[width] * len(self.geometry.stages)]
        self.stages = nn.Sequential(
            *(
                _stage(before, width, convolution.kernel, normalisation)
                for before, (convolution, _) in zip(channels, self.geometry.stages, strict=False)
            )
        )
        self.fully_connected = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * self.geometry.sizes[-1] ** 2, self.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(self.hidden, out_channels),
        )
        initialise(self, init)

    @staticmethod
    def geometry_for(architecture: Mapping[str, Any]) -> WindowGeometry:
        """Return the tile arithmetic of a sliding window of this architecture."""
        return WindowGeometry(architecture["window"])

    @property
    def usual_tile(self) -> int:
        """64 pixels: a tile costs as much as its pixels, whatever its size."""
        return 64

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, classes, Y', X') for images (N, C, Y, X)."""
        side = self.geometry.window
        for size in image.shape[-2:]:
            self.geometry.output_size(size)
        windows = image.unfold(2, side, 1).unfold(3, side, 1)
        n, _, y, x = windows.shape[:4]
        positions = torch.arange(n * y * x, device=image.device)
        logits = [
            self.classify(windows[where // (y * x), :, where // x % y, where % x])
            for where in positions.split(self.at_a_time(image.device))
        ]
        return torch.cat(logits).reshape(n, y, x, -1).permute(0, 3, 1, 2)

    def part(self, image: Tensor, keep: tuple[slice, slice]) -> Tensor:
        """Return `forward(image)[..., keep]`, classifying no other window."""
        more = self.geometry.window - 1
        rows, columns = (slice(kept.start, kept.stop + more) for kept in keep)
        logits: Tensor = self(image[..., rows, columns])
        return logits

    def classify(self, windows: Tensor) -> Tensor:
        """Return logits (N, classes) for the centres of windows (N, C, window, window)."""
        logits: Tensor = self.fully_connected(self.stages(windows))
        return logits

    def at_a_time(self, device: torch.device) -> int:
        """Return how many windows are classified together: when training, all of a batch."""
        if self.training:
            return 1 << 62
        most = _MOST_VALUES.get(device.type, _MOST_VALUES_ELSEWHERE)
        width: int = self.architecture["width"]
        return max(1, most // (width * self.geometry.window**2))

    def levels(self, size: int) -> tuple[Level, ...]:
        """Return the stages of one window, then its fully connected layer."""
        self.geometry.output_size(size)
        sizes = self.geometry.sizes
        stages = self.geometry.stages
        before = [tuple(chain.from_iterable(stages[:index])) for index in range(len(stages))]
        convolutions = [
            Level(
                path="contracting",
                number=index + 1,
                sizes=sizes[2 * index : 2 * index + 2],
                channels=self.architecture["width"],
                receptive_field=receptive_field((*before[index], stages[index][0])),
                stride=1 << index,
            )
            for index in range(len(stages))
        ]
        fully_connected = Level(
            path="classifying",
            number=len(stages) + 1,
            sizes=(sizes[-1], 1),
            channels=self.hidden,
            receptive_field=self.geometry.window,
            stride=1 << len(stages),
        )
        return (*convolutions, fully_connected)


def _stage(before: int, width: int, kernel: int, normalisation: Normalisation) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, bias=normalisation == "none"),
        *normalisation_layers(normalisation, width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )
