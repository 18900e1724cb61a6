"""Prediction by overlap tiles: the stitched result does not depend on the tile size."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unet.annotations import to_stack
from napari_unet.network import Network, TrainedModel, activate, choose_device, fast_dtype
from napari_unet.prediction.errors import PredictionError
from napari_unet.prediction.instances import InstanceOptions, instances
from napari_unet.prediction.normalisation import IntensityRange, measure_range
from napari_unet.prediction.pixel_size import at_pixel_size, rescaling
from napari_unet.prediction.tiles import Tile, mirrored, plan_tiles
from napari_unet.prediction.views import Part, average_views, check_views, usable_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "PredictionReport",
    "check_image",
    "labels_from",
    "never",
    "out_of_memory",
    "predict",
    "predict_slices",
    "resize",
]

_STRIP = 4_000_000  # pixels of an image that are converted at a time


@dataclass(frozen=True, eq=False)
class PredictionReport:
    """How far a prediction has come.

    Parameters
    ----------
    done, total : int
        Tiles.
    index : int or None
        The slice that this report completes.
    probabilities : (C, Y, X) float32 array or None
        The probabilities of that slice; for regression the values of each output, in their own
        units.
    message : str
        Something a person should know; mostly empty.
    """

    done: int
    total: int
    index: int | None = None
    probabilities: NDArray[np.float32] | None = None
    message: str = ""


def never() -> bool:
    """Return False: the `should_stop` of work that nobody can stop."""
    return False


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch or numpy means that the memory is used up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def resize(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (C, Y, X) smoothly to `shape` (Y, X); averaged when it shrinks."""
    if image.shape[-2:] == shape:
        return image
    resized = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(image))[None],
        size=shape,
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    result: NDArray[np.float32] = resized[0].numpy()
    return result


def check_image(model: TrainedModel, image: NDArray[np.generic]) -> None:
    """Refuse an image (Z, C, Y, X) that this model cannot read.

    Raises
    ------
    PredictionError
        With what is wrong and what to do.
    """
    if image.ndim != 4 or image.size == 0:
        raise PredictionError(f"the image has shape {image.shape}; expected (Z, C, Y, X)")
    if image.shape[1] != model.channels:
        raise PredictionError(
            f"the image has {_channels(image.shape[1])}, but the model was trained on images "
            f"with {_channels(model.channels)}; choose a matching image or train a new model"
        )
    if image.dtype.kind not in "buif":
        raise PredictionError(f"the image holds values of type {image.dtype}, not numbers")
    # The extremes of an image with NaN are NaN; asking every pixel would take an image of memory.
    if image.dtype.kind == "f" and not np.isfinite([image.min(), image.max()]).all():
        bad = int(image.size - np.isfinite(image).sum())
        raise PredictionError(
            f"the image has {bad} pixels that are NaN or infinite; replace them first"
        )


def _channels(count: int) -> str:
    return {1: "1 channel", 3: "3 channels (such as RGB)"}.get(count, f"{count} channels")


class _Unrounded(nn.Module):
    """A last layer that computes in float32, so that values do not come in bfloat16's steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = self.layer(features.float())
        return values


class _Runner:
    """A network on its device, ready for one (C, Y, X) tile at a time."""

    def __init__(self, model: TrainedModel, device: torch.device, views: int) -> None:
        self.device = device
        self.views = views
        self.task = model.task
        self.standardisation = model.standardisation
        self.dtype = fast_dtype(device)
        self.network = _ready(model.network, device, self.dtype, exact=self.task == "regression")

    def __call__(self, tile: NDArray[np.float32], keep: tuple[slice, slice]) -> NDArray[np.float32]:
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


def _ready(
    network: Network, device: torch.device, dtype: torch.dtype | None, *, exact: bool
) -> Network:
    """Copy a network to its device, its convolutions already in the dtype of autocast.

    Autocast alone would convert them again for every tile. An exact network computes its last
    layer in float32.
    """
    network = _folded(network)
    copied: dict[int, object] = {}
    last = network.get_submodule(network.last_layer) if exact else None
    for layer in network.modules():
        convolves = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        for values in layer.parameters(recurse=False):
            layout = torch.channels_last if values.ndim == 4 else torch.preserve_format
            fast = convolves and layer is not last and dtype is not None
            wanted = dtype if fast else values.dtype
            moved = values.detach().to(device, wanted, copy=True, memory_format=layout)
            copied[id(values)] = nn.Parameter(moved, requires_grad=False)
    made = copy.deepcopy(network, copied).eval().to(device)
    if exact:
        made.set_submodule(made.last_layer, _Unrounded(made.get_submodule(made.last_layer)))
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


@dataclass(frozen=True)
class _Plan:
    """The sizes of one prediction: the image, the image that the network sees, the tiles."""

    shape: tuple[int, int]
    working: tuple[int, int]
    tile: int

    @classmethod
    def of(cls, model: TrainedModel, shape: tuple[int, int], tile: int | None) -> _Plan:
        scale = model.scale
        working = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
        smallest = int(np.ceil(model.network.geometry.stride / scale))
        if tile is not None and tile < smallest:
            raise PredictionError(
                f"a tile of {tile} pixels is too small for this model; choose at least {smallest}"
            )
        usual = model.network.usual_tile
        return cls(shape, working, usual if tile is None else int(tile * scale))


def predict_slices(
    model: TrainedModel,
    image: NDArray[np.generic],
    *,
    slices: Sequence[int] | None = None,
    tile: int | None = None,
    device: str = "auto",
    views: int | None = None,
    normalisation: IntensityRange | None = None,
    pixel_size: float | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[PredictionReport]:
    """Predict the slices of a stack, tile by tile, reporting after each tile.

    Parameters
    ----------
    model : TrainedModel
        The network, its working scale and its normalisation.
    image : (Z, C, Y, X) array
        Any numeric dtype. A 2D image has Z = 1.
    slices : sequence of int, optional
        Which slices; all by default. The intensities are measured on the whole stack either way.
    tile : int, optional
        At most this many pixels of the image per side are predicted at a time: smaller needs
        less memory and gives the same result.
    device : str
        As in `napari_unet.network.choose_device`.
    views : {1, 2, 4, 8}, optional
        Average so many mirrored and turned views of the image: better, and as much slower. As
        many as the model was trained for by default.
    normalisation : IntensityRange, optional
        Use this range instead of measuring it on `image`.
    pixel_size : float, optional
        Micrometres per pixel of `image`. Where it is not that of the training images, the network
        sees the image enlarged or shrunk accordingly, and the first report says so; the
        probabilities come back at the image's own resolution. None: as the training images.
    should_stop : callable
        Asked before every tile; the iteration ends early when it returns True.

    Yields
    ------
    PredictionReport
        One per tile; the one that completes a slice carries its probabilities.

    Raises
    ------
    PredictionError
        If the image does not fit the model, its pixels are more than 8 times larger or smaller
        than those trained on, the tile is too small or the memory is used up.
    """
    check_image(model, image)
    message = rescaling(model, pixel_size)
    model = at_pixel_size(model, pixel_size)
    plan = _Plan.of(model, (image.shape[-2], image.shape[-1]), tile)
    runner = _Runner(model, choose_device(device), _chosen_views(model, views))
    ranged = normalisation or measure_range(image, model.normalisation)
    chosen = range(image.shape[0]) if slices is None else slices
    done = 0
    for position, index in enumerate(chosen):
        read = _reader(image[index], ranged, plan.working)
        for report in _predict_slice(runner, read, plan, should_stop):
            total = report.total * len(chosen)
            done = position * report.total + report.done
            finished = index if report.probabilities is not None else None
            yield PredictionReport(done, total, finished, report.probabilities, message)
            message = ""
        if should_stop():
            return


def _reader(
    image: NDArray[np.generic], ranged: IntensityRange, working: tuple[int, int]
) -> Callable[[Tile], NDArray[np.float32]]:
    """Return what reads a tile of a (C, Y, X) slice as the network sees it.

    At full resolution only the tile is converted, so that memory does not grow with the slice.
    """
    if image.shape[-2:] == working:
        return lambda part: ranged.apply(mirrored(image, part.read, part.size))
    scaled = _scaled(image, ranged, working)
    return lambda part: mirrored(scaled, part.read, part.size)


def _scaled(
    image: NDArray[np.generic], ranged: IntensityRange, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring a (C, Y, X) slice to its intensities and to `shape`: strips of rows, then columns."""
    channels, height, width = image.shape
    narrowed = np.empty((channels, height, shape[1]), np.float32)
    rows = max(1, _STRIP // width)
    for first in range(0, height, rows):
        strip = ranged.apply(image[:, first : first + rows])
        narrowed[:, first : first + rows] = resize(strip, (strip.shape[1], shape[1]))
    return resize(narrowed, shape)


def _chosen_views(model: TrainedModel, views: int | None) -> int:
    chosen = int(model.configuration.get("views", 1)) if views is None else views
    check_views(chosen)
    return chosen


def _predict_slice(
    runner: _Runner,
    read: Callable[[Tile], NDArray[np.float32]],
    plan: _Plan,
    should_stop: Callable[[], bool],
) -> Iterator[PredictionReport]:
    """Predict one slice, with smaller tiles when the memory is used up."""
    out = _room(runner, plan)
    tile = plan.tile
    while True:
        tiles = plan_tiles(plan.working, tile, runner.network.geometry)
        try:
            for number, part in enumerate(tiles, start=1):
                if should_stop():
                    return
                out[(slice(None), *part.write)] = runner(read(part), part.keep)
                if number < len(tiles):
                    yield PredictionReport(number, len(tiles))
            break
        except (RuntimeError, MemoryError) as error:
            tile = _smaller(tile, runner, error)
    with _told_when_full():
        finished = resize(out, plan.shape)
    yield PredictionReport(len(tiles), len(tiles), None, finished)


def _room(runner: _Runner, plan: _Plan) -> NDArray[np.float32]:
    """Make room for what comes out of a slice, at the working scale."""
    with _told_when_full():
        return np.empty((runner.network.architecture["out_channels"], *plan.working), np.float32)


@contextmanager
def _told_when_full() -> Iterator[None]:
    """Say in words that a whole slice does not fit, which smaller tiles would not help."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise PredictionError(
            "there is not enough memory for the result of one slice; close other programs, or cut "
            "the image into parts"
        ) from error


def _smaller(tile: int, runner: _Runner, error: RuntimeError | MemoryError) -> int:
    """Return half the tile after an out-of-memory error; raise what else went wrong."""
    if not out_of_memory(error):
        raise PredictionError(f"the prediction failed: {error}") from error
    if tile // 2 < runner.network.geometry.stride:
        raise PredictionError(
            f"there is not enough memory on {runner.device} even for the smallest tile; "
            "close other programs or choose the CPU"
        ) from error
    return tile // 2


def predict(
    model: TrainedModel,
    image: NDArray[np.generic],
    *,
    channel_axis: int | None = None,
    tile: int | None = None,
    device: str = "auto",
    views: int | None = None,
    normalisation: IntensityRange | None = None,
    pixel_size: float | None = None,
) -> NDArray[np.float32]:
    """Return the class probabilities of an image or a stack, or the values of a regression.

    Parameters
    ----------
    model : TrainedModel
        What to predict with.
    image, channel_axis
        As `napari_unet.annotations.annotate` takes them: (Y, X), a stack (Z, Y, X), or
        (Z, C, Y, X); with `channel_axis` also (C, Y, X), (Y, X, C) and the like.
    tile, device, views, normalisation, pixel_size
        As in `predict_slices`. The result does not depend on `tile`.

    Returns
    -------
    (C, Y, X) or, for a stack, (Z, C, Y, X) float32 array
        C classes, channel 0 the background; they sum to 1 at every pixel. For regression C
        outputs, in the units that were trained on.

    Raises
    ------
    PredictionError
        If the image does not fit the model.
    """
    try:
        stack = to_stack(np.asarray(image), channel_axis)
    except ValueError as error:
        raise PredictionError(str(error)) from error
    if np.ndim(image) == 3 and channel_axis is None and model.channels > 1:
        raise PredictionError(
            f"an image of shape {np.shape(image)} is a stack (Z, Y, X) with 1 channel, but the "
            f"model needs {model.channels}; say with channel_axis which axis holds them"
        )
    reports = predict_slices(
        model,
        stack,
        tile=tile,
        device=device,
        views=views,
        normalisation=normalisation,
        pixel_size=pixel_size,
    )
    found = [report.probabilities for report in reports if report.probabilities is not None]
    one_picture = np.ndim(image) == (2 if channel_axis is None else 3)
    return found[0] if one_picture else np.stack(found)


def labels_from(
    model: TrainedModel,
    probabilities: NDArray[np.floating],
    *,
    options: InstanceOptions | None = None,
    pixel_size: float | None = None,
) -> NDArray[np.int32]:
    """Turn probabilities (C, Y, X) into what a person paints.

    Parameters
    ----------
    model : TrainedModel
        What the probabilities were predicted with.
    probabilities : (C, Y, X) array
        At the image's resolution.
    options : InstanceOptions, optional
        Take these, in pixels of this image, instead of the model's own.
    pixel_size : float, optional
        Micrometres per pixel of the image, as it was predicted: the model's own options, such as
        the smallest cell, are given in pixels of the training images.

    Returns
    -------
    (Y, X) int32 array
        Task instances: cells numbered from 1, by `options` or the model's own. Task classes: the
        painted value of the most probable class.

    Raises
    ------
    PredictionError
        If the model predicts values (task regression), which are no labels.
    """
    if model.task == "regression":
        raise PredictionError(
            "a regression model predicts values, not labels; use what predict() returns as it is"
        )
    if model.task == "instances":
        own = at_pixel_size(model, pixel_size).instances
        return instances(probabilities, options=options or InstanceOptions(**own))
    values = np.array([label.value for label in model.classes], dtype=np.int32)
    result: NDArray[np.int32] = values[np.argmax(probabilities, axis=0)]
    return result
