"""Which files are images, and which labels belong to which image."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_unet.files.errors import FileError, reason
from napari_unet.files.ome_zarr import is_zarr

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = [
    "LABEL_ENDINGS",
    "SUFFIXES",
    "ImagePair",
    "image_paths",
    "listed_names",
    "match_labels",
    "stem",
    "unread_pictures",
    "without_labels",
]

SUFFIXES = (".ome.tiff", ".ome.tif", ".ome.zarr", ".tiff", ".tif", ".png", ".zarr")
LABEL_ENDINGS = ("_cp_masks", "_masks", "_labels")
"""What the names of labels end in beside the name of their image, longer ones first."""

_UNREAD = (
    *(".bmp", ".czi", ".gif", ".ims", ".jp2", ".jpeg", ".jpg", ".lif", ".lsm", ".nd2", ".ndpi"),
    *(".oib", ".oif", ".stk", ".svs", ".vsi", ".webp"),
)
"""Endings of pictures that cannot be read."""

_SHOWN = 3


class ImagePair(NamedTuple):
    """An image file and the label file that belongs to it."""

    image: Path
    labels: Path


def stem(path: str | os.PathLike[str]) -> str:
    """Return a file's name without its ending; ``.ome.tif`` is one ending.

    Letters with accents are composed, as most systems write them; macOS takes them apart.
    """
    name = unicodedata.normalize("NFC", Path(path).name)
    ending = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] or name


def image_paths(path: str | os.PathLike[str]) -> list[Path]:
    """List the images of a folder by name, or the one file given.

    Names that start with a dot and files of other kinds are left out; an OME-Zarr folder is one
    image.

    Raises
    ------
    FileError
        If `path` does not exist, is no image, or holds none.
    """
    given = Path(path)
    if given.is_file() or is_zarr(given):
        if _is_image(given):
            return [given]
        raise FileError(f"{given} is not an image that can be read; use {_endings()}")
    try:
        found = sorted(entry for entry in given.iterdir() if _is_image(entry))
    except OSError as error:
        raise FileError(f"{given} cannot be read: {reason(error)}") from error
    if not found:
        raise FileError(f"{given} holds no image; use files that end in {_endings()}")
    return found


def unread_pictures(path: str | os.PathLike[str], read: Sequence[Path]) -> list[Path]:
    """List the pictures of a folder that cannot be read, for a person to know of.

    Parameters
    ----------
    path
        The folder; a file, or an OME-Zarr, has none.
    read
        The images that are read. A picture with the name of one of them is its preview.
    """
    folder = Path(path)
    if _single(folder):
        return []
    known = {stem(image) for image in read}
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.lower().endswith(_UNREAD)
        and not entry.name.startswith(".")
        and stem(entry.stem) not in known
    )


def match_labels(images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> list[ImagePair]:
    """Find the labels of every image.

    To the image STEM belong the labels STEM, STEM_masks, STEM_cp_masks or STEM_labels, whatever
    the file ending; if an image's own name ends so, labels named like the rest of it are its
    labels too. Two single files belong together whatever their names. Images and labels may lie
    in one folder. Labels without an image are left out.

    Parameters
    ----------
    images, labels
        Folders or single files.

    Returns
    -------
    list of ImagePair
        In the order of the images' names.

    Raises
    ------
    FileError
        If an image lacks its labels, has two, or two images share a stem.
    """
    one_folder = _same(Path(images), Path(labels)) and not _single(Path(images))
    pictures, targets = image_paths(images), image_paths(labels)
    if _single(Path(images)) and _single(Path(labels)):
        return [ImagePair(pictures[0], targets[0])]
    if one_folder:
        pictures, targets = without_labels(pictures)
    targets = [path for path in targets if not any(_same(path, other) for other in pictures)]
    _refuse_equal_stems(pictures)
    by_stem: dict[str, list[Path]] = {}
    for target in targets:
        by_stem.setdefault(stem(target), []).append(target)
    found = [(picture, _candidates(stem(picture), by_stem)) for picture in pictures]
    _refuse_missing([picture for picture, candidates in found if not candidates], labels)
    return [ImagePair(picture, _only(picture, candidates)) for picture, candidates in found]


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    ending = path.name.lower().endswith(SUFFIXES)
    if path.is_dir():
        return is_zarr(path)
    return ending and not path.name.lower().endswith(".zarr")


def _single(path: Path) -> bool:
    return path.is_file() or is_zarr(path)


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def listed_names(paths: Sequence[Path]) -> str:
    """Name some files, the first of them if they are many."""
    more = len(paths) - _SHOWN
    return ", ".join(path.name for path in paths[:_SHOWN]) + (
        f" and {more} more" if more > 0 else ""
    )


def without_labels(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Divide one folder's files into images and the labels that are named after them."""
    stems = {stem(path) for path in paths}
    targets = [path for path in paths if any(base in stems for base in _bases(stem(path)))]
    return [path for path in paths if path not in targets], targets


def _bases(name: str) -> list[str]:
    """Return what is left of a name without the endings of labels, longest ending first."""
    return [name.removesuffix(ending) for ending in LABEL_ENDINGS if name.endswith(ending)]


def _candidates(name: str, by_stem: dict[str, list[Path]]) -> list[Path]:
    own = [path for e in ("", *LABEL_ENDINGS) for path in by_stem.get(name + e, [])]
    return own or [path for base in _bases(name)[:1] for path in by_stem.get(base, [])]


def _refuse_equal_stems(paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(stem(path), path)
        if other != path:
            raise FileError(f"{other.name} and {path.name} share a name; rename or remove one")


def _refuse_missing(missing: list[Path], labels: str | os.PathLike[str]) -> None:
    if not missing:
        return
    example = stem(missing[0])
    raise FileError(
        f"no labels in {labels} for {listed_names(missing)}; name them {example}, {example}_masks, "
        f"{example}_cp_masks or {example}_labels"
    )


def _only(picture: Path, candidates: list[Path]) -> Path:
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise FileError(f"{picture.name} has several labels ({names}); keep one of them")
    return candidates[0]


def _endings() -> str:
    return ", ".join(sorted(suffix for suffix in SUFFIXES if not suffix.startswith(".ome")))
