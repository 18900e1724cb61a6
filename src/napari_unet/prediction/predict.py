"""Prediction by overlap tiles: the stitched result does not depend on the tile size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import to_stack
from napari_unet.network import InstanceOptions, TrainedModel, choose_device
from napari_unet.prediction.contrast import faintness
from napari_unet.prediction.errors import PredictionError
from napari_unet.prediction.instances import instances
from napari_unet.prediction.memory import out_of_memory, told_when_full
from napari_unet.prediction.normalisation import IntensityRange, SliceStack, measure_range
from napari_unet.prediction.pixel_size import at_pixel_size, rescaling
from napari_unet.prediction.reading import resize, tile_reader
from napari_unet.prediction.runner import Runner
from napari_unet.prediction.tiles import Tile, plan_tiles
from napari_unet.prediction.views import check_views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "PredictionReport",
    "check_image",
    "labels_from",
    "never",
    "predict",
    "predict_slices",
]


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


def check_image(
    model: TrainedModel,
    image: SliceStack,
    slices: Iterable[int] | None = None,
    should_stop: Callable[[], bool] = never,
) -> None:
    """Refuse an image (Z, C, Y, X) that this model cannot read.

    All its slices are looked at, or those in `slices`, until it should stop.

    Raises
    ------
    PredictionError
        With what is wrong and what to do.
    """
    _check_kind(model, image)
    watched = _Watched(image)
    if image.dtype.kind == "f":
        for index in range(image.shape[0]) if slices is None else slices:
            if should_stop():
                break
            watched[index % image.shape[0]]
    watched.refuse_no_numbers()


def _check_kind(model: TrainedModel, image: SliceStack) -> None:
    """Refuse an image with axes, channels or a type that this model cannot read."""
    if len(image.shape) != 4 or 0 in image.shape:
        raise PredictionError(f"the image has shape {image.shape}; expected (Z, C, Y, X)")
    if image.shape[1] != model.channels:
        raise PredictionError(
            f"the image has {_channels(image.shape[1])}, but the model was trained on images "
            f"with {_channels(model.channels)}; choose a matching image or train a new model"
        )
    if image.dtype.kind not in "buif":
        raise PredictionError(f"the image holds values of type {image.dtype}, not numbers")


class _Watched:
    """A stack that counts the pixels that are no numbers in the slices that are read of it.

    Of those in `slices`, where some are given.
    """

    def __init__(self, stack: SliceStack, slices: Iterable[int] | None = None) -> None:
        self._stack, self._bad = stack, 0
        self.shape, self.dtype = stack.shape, stack.dtype
        depth = stack.shape[0]
        self._chosen = range(depth) if slices is None else {index % depth for index in slices}

    def __getitem__(self, index: int) -> NDArray[Any]:
        pixels = np.asarray(self._stack[index])
        if self.dtype.kind == "f" and index in self._chosen:
            self._bad += _not_finite(pixels)
        return pixels

    def refuse_no_numbers(self) -> None:
        """Raise `PredictionError` if there was any."""
        if self._bad:
            raise PredictionError(
                f"the image has {self._bad} pixels that are NaN or infinite; replace them first"
            )


def _not_finite(pixels: NDArray[np.floating]) -> int:
    """Count the pixels that are NaN or infinite."""
    # The extremes of pixels with NaN are NaN; asking each would take as much memory again.
    if np.isfinite([pixels.min(), pixels.max()]).all():
        return 0
    return int(pixels.size - np.isfinite(pixels).sum())


def _channels(count: int) -> str:
    return {1: "1 channel", 3: "3 channels (such as RGB)"}.get(count, f"{count} channels")


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
    image: SliceStack,
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
    image : (Z, C, Y, X) array, or SliceStack
        Any numeric dtype. A 2D image has Z = 1. What is no array is read slice by slice.
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
    _check_kind(model, image)
    messages = [rescaling(model, pixel_size)]
    model = at_pixel_size(model, pixel_size)
    plan = _Plan.of(model, (image.shape[-2], image.shape[-1]), tile)
    with told_when_full():
        runner = Runner(model, choose_device(device), _chosen_views(model, views))
        ranged = _range(model, image, slices, normalisation, should_stop)
    messages.append(faintness(model, ranged, image.dtype))
    message = ". ".join(filter(None, messages))
    chosen = range(image.shape[0]) if slices is None else slices
    done = 0
    for position, index in enumerate(chosen):
        with told_when_full():
            read = tile_reader(np.asarray(image[index]), ranged, plan.working)
        for report in _predict_slice(runner, read, plan, should_stop):
            total = report.total * len(chosen)
            done = position * report.total + report.done
            finished = index if report.probabilities is not None else None
            yield PredictionReport(done, total, finished, report.probabilities, message)
            message = ""
        if should_stop():
            return


def _range(
    model: TrainedModel,
    image: SliceStack,
    slices: Sequence[int] | None,
    known: IntensityRange | None,
    should_stop: Callable[[], bool],
) -> IntensityRange:
    """Measure the range where it is not known, and refuse pixels that are no numbers.

    Both in one go: to read a slice may take long.
    """
    if known:
        check_image(model, image, slices, should_stop)
        return known
    watched = _Watched(image, slices)
    ranged = measure_range(watched, model.normalisation, should_stop)
    watched.refuse_no_numbers()
    return ranged


def _chosen_views(model: TrainedModel, views: int | None) -> int:
    chosen = views
    if chosen is None:
        # A network that was never shown a turned image knows nothing of one.
        turned = model.configuration.get("rotate", True)
        chosen = model.configuration.get("views", 1) if turned else 1
    check_views(chosen)
    return chosen


def _predict_slice(
    runner: Runner,
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
    with told_when_full():
        finished = resize(out, plan.shape)
    yield PredictionReport(len(tiles), len(tiles), None, finished)


def _room(runner: Runner, plan: _Plan) -> NDArray[np.float32]:
    """Make room for what comes out of a slice, at the working scale."""
    with told_when_full():
        return np.empty((runner.network.architecture["out_channels"], *plan.working), np.float32)


def _smaller(tile: int, runner: Runner, error: RuntimeError | MemoryError) -> int:
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
