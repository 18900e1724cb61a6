"""Images and labels as folders or files become what the engine learns from and compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.annotations import (
    AnnotatedImage,
    Task,
    annotate,
    annotate_values,
    binary_to_instances,
    looks_like_picture,
)
from napari_unet.cli.failures import CommandError, UsageError
from napari_unet.files import (
    LABEL_ENDINGS,
    FileError,
    image_paths,
    listed_names,
    match_labels,
    read_image,
    read_labels,
    read_values,
    stem,
    unread_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_unet.cli.failures import Failures
    from napari_unet.files import ImageFile, ImagePair

__all__ = [
    "BAD_FILE",
    "Compared",
    "Counted",
    "annotated_images",
    "compared_pairs",
    "matching_masks",
    "warn_of_unread",
]

BAD_FILE = (FileError, ValueError, OSError, MemoryError)
"""What one bad file among many may raise without stopping the others."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Labels (Z, Y, X), or values (Z, K, Y, X), and where they count."""

    labels: NDArray[Any]
    annotated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Compared:
    """True and predicted labels (Z, Y, X) of one image, and where they count."""

    name: str
    truth: NDArray[Any]
    predicted: NDArray[Any]
    annotated: NDArray[np.bool_]


def annotated_images(
    images: Path,
    labels: Path,
    *,
    task: Task,
    regions: Path | None,
    unlabelled: float | None,
    failures: Failures,
    weights: Path | None = None,
    use_pixel_size: bool = True,
) -> list[AnnotatedImage]:
    """Read every image with its labels; what is wrong with one is reported, the rest returned.

    Of pixel sizes that are not used nothing is said.

    Raises
    ------
    UsageError
        If `unlabelled` is a fraction, which no label is, or there are weights of labels.
    """
    if weights is not None and task != "regression":
        raise UsageError("--weights belong to --task regression; those of labels are computed")
    silent = None if task == "regression" else _whole(unlabelled, task)
    pairs = match_labels(images, labels)
    warn_of_unread(images, [pair.image for pair in pairs], failures)
    names = {pair.image: {stem(pair.image)} for pair in pairs}
    masks = matching_masks(names, regions)
    if task == "regression":
        heavy = matching_masks(names, weights, called="weights")
        return _images_with_values(pairs, masks, heavy, unlabelled, failures, use_pixel_size)
    read = []
    for pair in pairs:
        try:
            image = _read_picture(pair.image, failures, use_pixel_size)
            counted = _read_counted(pair.labels, masks.get(pair.image), silent)
            _doubt(counted.labels, pair.labels, task, failures)
            read.append((image, _fitting(counted, image.data, pair.labels)))
        except BAD_FILE as error:
            failures.add(error, pair.image.name)
    split = _as_task([counted for _, counted in read], task)
    annotated = []
    for (image, _), counted in zip(read, split, strict=True):
        try:
            annotated.append(
                annotate(
                    image.data,
                    counted.labels,
                    annotated=counted.annotated,
                    name=image.name,
                    pixel_size=image.pixel_size,
                )
            )
        except ValueError as error:
            failures.add(error, image.path.name)
    return annotated


def warn_of_unread(images: Path, read: Sequence[Path], failures: Failures) -> None:
    """Tell which pictures of a folder are of a kind that cannot be read."""
    if unread := unread_pictures(images, read):
        doubt = "left out, for this kind of file cannot be read; save it as TIFF"
        failures.warn(doubt, listed_names(unread))


def _read_picture(path: Path, failures: Failures, use_pixel_size: bool) -> ImageFile:
    """Read an image, and say why its pixel size is not known where that matters."""
    image = read_image(path)
    if image.note and use_pixel_size:
        failures.warn(image.note, path.name)
    return image


def _images_with_values(
    pairs: Sequence[ImagePair],
    masks: Mapping[Path, Path],
    weights: Mapping[Path, Path],
    unlabelled: float | None,
    failures: Failures,
    use_pixel_size: bool,
) -> list[AnnotatedImage]:
    """Read every image with the values to predict for it; as `annotated_images`."""
    annotated = []
    for pair in pairs:
        try:
            image = _read_picture(pair.image, failures, use_pixel_size)
            slices = len(image.data)
            values = _read_values(pair.labels, masks.get(pair.image), unlabelled, slices=slices)
            annotated.append(
                annotate_values(
                    image.data,
                    _fitting(values, image.data, pair.labels).labels,
                    annotated=values.annotated,
                    weights=_read_weights(weights.get(pair.image), slices),
                    name=image.name,
                    pixel_size=image.pixel_size,
                )
            )
        except BAD_FILE as error:
            failures.add(error, pair.image.name)
    return annotated


def compared_pairs(
    truth: Path,
    predicted: Path,
    *,
    task: Task,
    regions: Path | None,
    unlabelled: float | None,
    failures: Failures,
) -> list[Compared]:
    """Read true and predicted labels that belong together, and where they count.

    (Z, Y, X) each; for regression values (Z, K, Y, X).
    """
    silent = None if task == "regression" else _whole(unlabelled, task)
    pairs = _match_predictions(truth, predicted, failures)
    masks = matching_masks({found: {stem(found), stem(true)} for true, found in pairs}, regions)
    names, true, found = [], [], []
    for truth_path, predicted_path in pairs:
        try:
            mask = masks.get(predicted_path)
            if task == "regression":
                labels = read_values(predicted_path)
                counted = _read_values(truth_path, mask, unlabelled, slices=len(labels))
            else:
                labels = read_labels(predicted_path)
                counted = _read_counted(truth_path, mask, silent)
            if labels.shape != counted.labels.shape:
                raise CommandError(
                    f"{predicted_path.name} has shape {_shape(labels)}, but the truth "
                    f"{truth_path.name} has {_shape(counted.labels)}"
                )
            _doubt(counted.labels, truth_path, task, failures)
            _doubt(labels, predicted_path, task, failures)
            if task == "regression":
                _refuse_unknown(counted.labels, counted.annotated, truth_path, "correct it")
                _refuse_unknown(labels, counted.annotated, predicted_path, "predict it again")
        except (*BAD_FILE, CommandError) as error:
            failures.add(error, predicted_path.name)
            continue
        names.append(stem(predicted_path))
        true.append(counted)
        found.append(Counted(labels, counted.annotated))
    return [
        Compared(name, t.labels, p.labels, t.annotated)
        for name, t, p in zip(names, _as_task(true, task), _as_task(found, task), strict=True)
    ]


def matching_masks(
    names: Mapping[Path, set[str]], regions: Path | None, called: str = "mask"
) -> Mapping[Path, Path]:
    """Find the mask of each image that has one.

    Parameters
    ----------
    names
        For every image the names that its mask may have, with or without an ending of labels.
    regions
        Folder of masks, or one; None: there is none.
    called
        What messages call a mask.

    Raises
    ------
    CommandError
        If an image has several masks, no mask belongs to any image, or one belongs to none while
        an image has none: that image would count as a whole.
    """
    if regions is None:
        return {}
    masks = image_paths(regions)
    exact = {mask for mask in masks if any(stem(mask) in own for own in names.values())}
    found, used = {}, set(exact)
    for path, own in names.items():
        named = [mask for mask in masks if mask in exact and stem(mask) in own]
        alike = [mask for mask in masks if mask not in exact and _bases(stem(mask)) & _all(own)]
        candidates = named or alike
        used.update(alike)
        if len(candidates) > 1:
            raise CommandError(
                f"{path.name} has several {called.removesuffix('s')}s in {regions} "
                f"({', '.join(mask.name for mask in candidates)}); keep one of them"
            )
        if candidates:
            found[path] = candidates[0]
    if not found:
        raise CommandError(
            f"no {called} in {regions} has the name of an image such as "
            f"{stem(next(iter(names)))}; name each {called} like the image that it belongs to"
        )
    stray = [mask.name for mask in masks if mask not in used]
    if stray and len(found) < len(names):
        raise CommandError(
            f"the {called} {stray[0]} in {regions} belongs to no image; name each {called} like "
            "the image that it belongs to"
        )
    return found


def _match_predictions(truth: Path, predicted: Path, failures: Failures) -> list[tuple[Path, Path]]:
    """Pair every true label image with its prediction; what else lies there is left alone."""
    if truth.is_file() and predicted.is_file():
        return [(truth, predicted)]
    there = image_paths(predicted)
    labels = _without_pictures(there)
    by_stem = {stem(path): path for path in labels}
    if pictures := [path for path in there if path not in labels]:
        doubt = "taken for pictures and left out, because labels named after them lie beside them"
        failures.warn(doubt, listed_names(pictures))
    pairs: dict[Path, Path] = {}
    for path in _without_pictures(image_paths(truth)):
        match = next((by_stem[name] for name in _names(stem(path)) if name in by_stem), None)
        if match is None:
            raise CommandError(f"{predicted} holds no prediction for {path.name}")
        if match in pairs:
            raise CommandError(
                f"{match.name} has two truths, {pairs[match].name} and {path.name}; "
                "keep one of them"
            )
        pairs[match] = path
    return [(path, match) for match, path in pairs.items()]


def _without_pictures(paths: Sequence[Path]) -> list[Path]:
    """Leave out the pictures beside which their labels lie: STEM where there is STEM_masks."""
    pictured = {base for path in paths for base in _bases(stem(path)) - {stem(path)}}
    return [path for path in paths if stem(path) not in pictured]


def _names(name: str) -> list[str]:
    """Return the names that the prediction for true labels of this name may have."""
    shorter = [name.removesuffix(ending) for ending in LABEL_ENDINGS if name.endswith(ending)]
    return [name, *shorter, *(name + ending for ending in LABEL_ENDINGS)]


def _bases(name: str) -> set[str]:
    """Return a name and what is left of it without an ending of labels."""
    return {name, *(name.removesuffix(ending) for ending in LABEL_ENDINGS)}


def _all(names: set[str]) -> set[str]:
    return {base for name in names for base in _bases(name)}


def _whole(unlabelled: float | None, task: Task) -> int | None:
    """Return the label that says nothing as the whole number that labels are."""
    if isinstance(unlabelled, float) and not unlabelled.is_integer():
        raise UsageError(
            f"--unlabelled {unlabelled:g}: labels of the task {task} are whole numbers; give one "
            "of them, or choose --task regression"
        )
    return None if unlabelled is None else int(unlabelled)


def _read_counted(path: Path, mask: Path | None, unlabelled: int | None) -> Counted:
    """Read labels and where they count: inside the mask, and where they say something."""
    labels = read_labels(path, unlabelled=unlabelled)
    annotated = _inside(mask, labels, path)
    if unlabelled is not None:
        silent = labels == unlabelled
        annotated &= ~silent
        labels = np.where(silent, 0, labels)
    return Counted(labels, annotated)


def _read_values(
    path: Path, mask: Path | None, unlabelled: float | None, *, slices: int
) -> Counted:
    """Read values (Z, K, Y, X) and where they count: inside the mask, and where all are known."""
    values = read_values(path, slices=slices)
    annotated = _inside(mask, values[:, 0], path) & ~np.isnan(values).any(axis=1)
    if unlabelled is not None:
        annotated &= (values != unlabelled).all(axis=1)
    return Counted(values, annotated)


def _read_weights(path: Path | None, slices: int) -> NDArray[Any] | None:
    """Read how much each pixel counts: (Z, Y, X); weights of one picture hold for all slices."""
    if path is None:
        return None
    given = read_values(path, slices=slices)
    if given.shape[1] != 1:
        raise ValueError(f"{path.name} has {given.shape[1]} channels; weights have one")
    return np.broadcast_to(given[:, 0], (slices, *given.shape[2:]))


def _doubt(labels: NDArray[Any], path: Path, task: Task, failures: Failures) -> None:
    """Warn of a picture, or of classes, where labels of cells are expected."""
    if task == "instances" and looks_like_picture(labels):
        failures.warn(
            "does not look like labels of cells: its values lie scattered instead of one for each "
            "cell; check that it is no picture, and give --task classes if they are classes",
            str(path),
        )


def _refuse_unknown(
    values: NDArray[Any], annotated: NDArray[np.bool_], path: Path, remedy: str
) -> None:
    """Refuse values that are none where they count; a truth does not count where it is NaN."""
    wrong = int(np.count_nonzero(~np.isfinite(np.moveaxis(values, 1, -1)[annotated])))
    if wrong:
        raise CommandError(
            f"{path.name} holds {wrong} values that are NaN or infinite; {remedy}, or leave it out"
        )


def _inside(mask: Path | None, labels: NDArray[Any], path: Path) -> NDArray[np.bool_]:
    """Read where the labels (Z, Y, X) of a file count; without a mask everywhere."""
    annotated = np.ones(labels.shape, dtype=bool)
    if mask is not None:
        region = read_labels(mask) != 0
        if region.shape[1:] != labels.shape[1:] or region.shape[0] not in (1, labels.shape[0]):
            raise ValueError(
                f"{mask.name} has shape {_shape(region)}, but {path.name} has {_shape(labels)}"
            )
        annotated &= region
    return annotated


def _fitting(counted: Counted, image: NDArray[Any], path: Path) -> Counted:
    planes = (image.shape[0], *image.shape[2:])
    if counted.annotated.shape != planes:
        raise ValueError(
            f"{path.name} has shape {_shape(counted.annotated)}, but its image has "
            f"{_shape(np.empty(planes, dtype=bool))}; choose the labels of this image"
        )
    return counted


def _as_task(counted: list[Counted], task: Task) -> list[Counted]:
    """Split masks into cells where cells are asked for; what counts in the whole set decides."""
    if task != "instances":
        return counted
    # Cells stay whole: how much of one lies outside decides whether it is scored.
    split = binary_to_instances(
        [each.labels for each in counted], [each.annotated for each in counted]
    )
    return [Counted(labels, each.annotated) for labels, each in zip(split, counted, strict=True)]


def _shape(labels: NDArray[Any]) -> str:
    shape = labels.shape if labels.shape[0] > 1 else labels.shape[1:]
    return " x ".join(map(str, shape))
