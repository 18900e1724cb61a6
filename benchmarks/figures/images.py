"""Real images of a set, as the program learns from them and as they are scored."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures.plan import DATASETS
from napari_unet.annotations import AnnotatedImage, annotate, coverage, split_connected
from napari_unet.files import read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.figures.plan import Dataset, Run

__all__ = ["Truth", "data_folder", "training_images", "truths"]

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, eq=False)
class Truth:
    """An image that nothing was learnt from, and what is right there.

    Parameters
    ----------
    image : (Z, C, Y, X) array
    labels : (Z, Y, X) array
        Cells, or the painted values of two classes.
    """

    image: NDArray[Any]
    labels: NDArray[Any]


def data_folder() -> Path:
    """Return where the sets lie: ``NAPARI_UNET_DATA``, or ``shared/data`` beside the repository."""
    beside = REPOSITORY.parent / "shared" / "data"
    return Path(os.environ.get("NAPARI_UNET_DATA", beside)).resolve()


def names(dataset: Dataset, part: slice | tuple[str, ...]) -> list[str]:
    """Return the names of a part of a set, sorted."""
    folder = data_folder() / dataset.folder / "images"
    if isinstance(part, tuple):
        return sorted(part)
    return sorted(path.stem for path in folder.iterdir())[part]


def training_images(run: Run) -> list[AnnotatedImage]:
    """Return the annotated images of a run; fewer than all are drawn by its seed, nested."""
    dataset = DATASETS[run.dataset]
    found = names(dataset, dataset.train)
    order = np.random.default_rng(run.seed).permutation(len(found))
    kept = sorted(found[index] for index in order[: run.images])
    return [_annotated(dataset, name) for name in kept]


def truths(dataset: Dataset) -> list[Truth]:
    """Return the images that are scored."""
    return [Truth(*_read(dataset, name)) for name in names(dataset, dataset.test)]


def _annotated(dataset: Dataset, name: str) -> AnnotatedImage:
    image, labels = _read(dataset, name)
    if dataset.task == "instances" and not dataset.objects:
        labels = split_connected(labels)
    complete = [name not in dataset.sparse] * len(labels)
    return annotate(image, labels, annotated=coverage(labels, complete=complete), name=name)


def _read(dataset: Dataset, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    folder = data_folder() / dataset.folder
    image = read_image(_file(folder / "images", name)).data
    return image, read_labels(_file(folder / "labels", name))


def _file(folder: Path, name: str) -> Path:
    found: Sequence[Path] = sorted(folder.glob(f"{name}.*"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no file called {name}")
    return found[0]
