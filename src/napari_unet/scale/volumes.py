"""Stacks that do not fit in memory: one slice at a time, from and to arrays on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import zarr

from napari_unet.prediction import (
    IntensityRange,
    PredictionError,
    at_pixel_size,
    check_image,
    labels_from,
    measure_range,
    never,
    number_on,
    predict_slices,
    rescaling,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_unet.network import TrainedModel

__all__ = ["LazyStack", "VolumeReport", "predict_volume", "sample_range"]

_SLICES = 16
_CHUNK = 1024


class LazyStack(Protocol):
    """Anything with axes (Z, C, Y, X) that reads what it is asked for: zarr, dask, memmap, h5py."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (Z, C, Y, X)."""

    def __getitem__(self, index: Any) -> Any:
        """Read a part of the stack."""


class _Sample:
    """At most 16 evenly spread slices of a stack, each read when it is asked for.

    A hash of every slice that was read is kept, by which a stack is known again.
    """

    def __init__(self, stack: LazyStack) -> None:
        count = stack.shape[0]
        self._stack = stack
        self._chosen = np.unique(np.linspace(0, count - 1, min(count, _SLICES)).astype(int))
        self._digests: dict[int, bytes] = {}
        self.shape = (len(self._chosen), *stack.shape[1:])
        self.dtype: np.dtype[Any] = self[0].dtype

    def __getitem__(self, index: int) -> NDArray[Any]:
        pixels = np.asarray(self._stack[int(self._chosen[index])])
        if index not in self._digests:
            self._digests[index] = hashlib.sha256(pixels.tobytes()).digest()
        return pixels

    @property
    def fingerprint(self) -> bytes:
        """The hashes of the slices that were read, in their order."""
        return b"".join(digest for _, digest in sorted(self._digests.items()))

    def range(self, model: TrainedModel) -> IntensityRange:
        """Measure the intensities, where the model can read the stack."""
        check_image(model, self)
        return measure_range(self, model.normalisation)


@dataclass(frozen=True)
class VolumeReport:
    """How far a volume has come.

    Attributes
    ----------
    done, total
        Slices that are written, of how many.
    cells
        Found so far.
    message
        In the first report, something a person should know; mostly empty.
    """

    done: int
    total: int
    cells: int
    message: str = ""


def sample_range(stack: LazyStack, model: TrainedModel) -> IntensityRange:
    """Measure the intensities on at most 16 evenly spread slices.

    For stacks of up to 16 slices this is what `predict` measures on the whole stack.
    """
    return _Sample(stack).range(model)


def predict_volume(
    model: TrainedModel,
    stack: LazyStack,
    path: str | os.PathLike[str],
    *,
    tile: int | None = None,
    device: str = "auto",
    pixel_size: float | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[VolumeReport]:
    """Segment a stack slice by slice into a zarr array, with one slice in memory.

    A second call with the same path goes on where the first one ended, after a stop or a crash.

    Parameters
    ----------
    model : TrainedModel
        What to predict with.
    stack : LazyStack
        (Z, C, Y, X); only one slice is read at a time.
    path : path
        A zarr array (Z, Y, X) uint32, made when it is not there. Instances are numbered from 1,
        unique in the whole stack; classes keep their painted values.
    tile, device, pixel_size, should_stop
        As in `napari_unet.prediction.predict_slices`.

    Yields
    ------
    VolumeReport
        One per slice, after the slice is on disk.

    Raises
    ------
    PredictionError
        If the stack does not fit the model, the model predicts values (task regression), or
        `path` holds something else: another volume, or labels of another model.
    """
    if len(stack.shape) != 4 or 0 in stack.shape:
        raise PredictionError(f"the stack has shape {stack.shape}; expected (Z, C, Y, X)")
    message = rescaling(model, pixel_size)
    model = at_pixel_size(model, pixel_size)
    if model.task == "regression":
        raise PredictionError(
            "a regression model predicts values, not labels; predict slice by slice with "
            "predict_slices() and write each as it comes"
        )
    sample = _Sample(stack)
    ranged = sample.range(model)
    fingerprint = _fingerprint(model, ranged, sample)
    out = _open(Path(path), (stack.shape[0], *stack.shape[2:]), fingerprint)
    first, last = (int(str(out.attrs[key])) for key in ("slices_done", "last_label"))
    for index in range(first, stack.shape[0]):
        try:
            labels = _slice(model, np.asarray(stack[index]), ranged, tile, device, should_stop)
        except PredictionError as error:
            raise PredictionError(f"slice {index} of the stack: {error}") from error
        if labels is None:
            return
        if model.task == "instances":
            labels, last = number_on(labels, last)
        out[index] = labels.astype(np.uint32)
        out.attrs.update({"slices_done": index + 1, "last_label": last})
        yield VolumeReport(index + 1, stack.shape[0], last, message)
        message = ""


def _slice(
    model: TrainedModel,
    image: NDArray[Any],
    ranged: IntensityRange,
    tile: int | None,
    device: str,
    should_stop: Callable[[], bool],
) -> NDArray[np.integer] | None:
    """Return the labels of one (C, Y, X) slice, or None when stopped before its end."""
    for report in predict_slices(
        model, image[None], tile=tile, device=device, normalisation=ranged, should_stop=should_stop
    ):
        if report.probabilities is not None:
            return labels_from(model, report.probabilities)
    return None


def _fingerprint(model: TrainedModel, ranged: IntensityRange, sample: _Sample) -> str:
    """Return a short hash of what decides the labels: the weights and the sampled slices."""
    intensities = ranged.low.tobytes(), ranged.high.tobytes()
    options = model.scale, model.configuration.get("views"), dict(model.instances)
    facts = repr((model.fingerprint, intensities, sample.fingerprint, options))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _open(path: Path, shape: tuple[int, ...], fingerprint: str) -> zarr.Array[Any]:
    """Open an unfinished volume of this shape, model and stack, or make a new one."""
    if _never_begun(path):
        return zarr.create_array(
            path,
            shape=shape,
            dtype=np.uint32,
            chunks=(1, min(_CHUNK, shape[1]), min(_CHUNK, shape[2])),
            attributes={"slices_done": 0, "last_label": 0, "fingerprint": fingerprint},
        )
    try:
        found = zarr.open_array(path, mode="r+")
    except (OSError, ValueError, KeyError) as error:
        raise PredictionError(f"{path} is no zarr array; choose another place") from error
    if found.shape != shape or found.attrs.get("fingerprint") != fingerprint:
        raise PredictionError(
            f"{path} holds another volume, or the labels of another model; choose another place"
        )
    return found


def _never_begun(path: Path) -> bool:
    """Tell whether nothing is there, or what an end before zarr's first file leaves."""
    return not path.exists() or (
        path.is_dir() and all(each.suffix == ".partial" for each in path.iterdir())
    )
