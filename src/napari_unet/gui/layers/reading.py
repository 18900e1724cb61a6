"""Reads layers into arrays of the engine: images (Z, C, Y, X), labels and masks (Z, Y, X).

A 2D picture has Z == 1. What leaves is a copy, and is read in the GUI thread; only an `ImageStack`
may be read in another one.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from napari_unet.files import FileError
from napari_unet.files.errors import reading
from napari_unet.files.stored import believable
from napari_unet.gui.marks import Outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

__all__ = [
    "Fingerprint",
    "Fingerprints",
    "ImageStack",
    "LayerError",
    "Placed",
    "channel_looks",
    "channel_names",
    "check_fit",
    "check_image",
    "check_labels",
    "check_room",
    "check_same_size",
    "check_slice_seen",
    "check_target",
    "current_slice",
    "fits",
    "image_stack",
    "outlines",
    "painted_slices",
    "pixel_note",
    "pixel_size",
    "read_labels",
    "read_labels_slice",
    "source_path",
    "steps_undone",
    "target_problem",
    "target_stack",
    "view_labels",
    "view_labels_slice",
    "volume_shape",
]

Placed: TypeAlias = Image | Labels
"""A layer of pixels."""


class LayerError(ValueError):
    """A layer that cannot be used, in one sentence for the user."""


def check_image(layer: Placed) -> None:
    """Refuse a layer that the network cannot take.

    Raises
    ------
    LayerError
        For multiscale layers and for more than three dimensions (colour not counted).
    """
    if layer.multiscale:
        raise LayerError(
            f"“{layer.name}” is a multiscale image; open one of its resolution levels as a "
            "layer of its own."
        )
    if layer.ndim not in (2, 3):
        raise LayerError(
            f"“{layer.name}” has {layer.ndim} dimensions; only 2D images and stacks of 2D "
            "slices work. Split it first: right-click the layer, then “Split stack”."
        )


def volume_shape(layer: Placed) -> tuple[int, int, int]:
    """Return (Z, Y, X) of an image or labels layer; Z == 1 for a 2D picture."""
    shape = tuple(int(n) for n in layer.data.shape[: layer.ndim])
    z, y, x = (1, *shape) if layer.ndim == 2 else shape
    return z, y, x


def channel_names(images: Sequence[Image]) -> list[str]:
    """List what each channel of `image_stack(images)` is called."""
    names = []
    for layer in images:
        names += [f"{layer.name} {c}" for c in "RGB"] if layer.rgb else [layer.name]
    return names


def channel_looks(images: Sequence[Image]) -> list[dict[str, Any]]:
    """Return the arguments of ``Image`` that make each channel of `images` look as it does."""
    looks: list[dict[str, Any]] = []
    for layer in images:
        if layer.rgb:
            limits = (0, 255) if layer.dtype == np.uint8 else (0, 1)
            first, *others = ("red", "green", "blue")
            looks.append({"colormap": first, "contrast_limits": limits, "blending": "opaque"})
            looks += [
                {"colormap": other, "contrast_limits": limits, "blending": "additive"}
                for other in others
            ]
        else:
            limits = tuple(layer.contrast_limits)
            looks.append(
                {
                    "colormap": layer.colormap.name,
                    "contrast_limits": limits,
                    "blending": layer.blending,
                }
            )
    return looks


@dataclass(frozen=True, eq=False)
class ImageStack:
    """An image (Z, C, Y, X) of which a slice is read, as a copy, only when it is asked for.

    Made in the GUI thread by `image_stack`, it may be read in any thread: it holds the arrays that
    the layers had, not the layers. Only for Image layers. No brush writes into their arrays: who
    opens or computes another image gives the layer another array. Labels are painted in place, so
    what a job needs of them is copied in the GUI thread, by `read_labels`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sources: tuple[tuple[Any, bool, bool], ...]
    """Array, whether its first axis is Z, whether its last one is colour, of each layer."""

    def __getitem__(self, z: int) -> NDArray[Any]:
        """Copy one slice into a (C, Y, X) array."""
        channels: list[NDArray[Any]] = []
        for data, stacked, rgb in self.sources:
            pixels = np.asarray(data[z] if stacked else data)
            channels += [pixels[..., c] for c in range(3)] if rgb else [pixels]
        return np.stack(channels)

    @cached_property
    def whole(self) -> NDArray[Any]:
        """A copy of all slices (Z, C, Y, X): read when first asked for, and kept."""
        copy = np.empty(self.shape, self.dtype)
        for z in range(len(copy)):
            copy[z] = self[z]
        return copy

    def reads_as(self, other: ImageStack) -> bool:
        """Tell whether another one reads the very same arrays."""
        same = [one[0] is two[0] for one, two in zip(self.sources, other.sources, strict=False)]
        return self.shape == other.shape and all(same)


def image_stack(images: Sequence[Image]) -> ImageStack:
    """Return what reads the layers slice by slice, in any thread; an RGB layer is three channels.

    Raises
    ------
    LayerError
        If there is none, one cannot be used, or their sizes differ.
    """
    check_same_size(images)
    z, y, x = volume_shape(images[0])
    sources = tuple((layer.data, layer.ndim == 3, bool(layer.rgb)) for layer in images)
    shape = (z, len(channel_names(images)), y, x)
    return ImageStack(shape, np.result_type(*(layer.dtype for layer in images)), sources)


def check_same_size(images: Sequence[Image]) -> None:
    """Refuse layers that cannot be the channels of one image, with a LayerError."""
    if not images:
        raise LayerError("There is no image yet; open one, then choose it under “Image”.")
    for layer in images:
        check_image(layer)
    first = images[0]
    for layer in images[1:]:
        if volume_shape(layer) != volume_shape(first):
            raise LayerError(
                f"“{layer.name}” {volume_shape(layer)} and “{first.name}” {volume_shape(first)} "
                "differ in size (z, y, x), so they cannot be channels of one image."
            )


def check_target(target: Image, images: Sequence[Image]) -> None:
    """Refuse an Image layer that cannot hold values to learn for these images.

    Raises
    ------
    LayerError
        For other sizes, multiscale and colour images.
    """
    check_image(target)
    if target.rgb:
        raise LayerError(
            f"“{target.name}” is a colour image; split it into layers of one value each: "
            "right-click the layer, then “Split RGB”."
        )
    check_same_size(images)
    if volume_shape(target) != volume_shape(images[0]):
        raise LayerError(
            f"“{target.name}” {volume_shape(target)} and “{images[0].name}” "
            f"{volume_shape(images[0])} differ in size (z, y, x); values must match their image."
        )


def target_problem(target: Image, images: Sequence[Image]) -> str:
    """Say why a layer cannot hold values to learn for these images; empty where it can."""
    try:
        check_target(target, images)
    except LayerError as problem:
        return str(problem)
    return ""


def target_stack(targets: Sequence[Image], images: Sequence[Image]) -> ImageStack:
    """Return what reads the values (Z, K, Y, X) of K layers, in any thread.

    Raises
    ------
    LayerError
        If there is none, or one does not fit the images; see `check_target`.
    """
    if not targets:
        raise LayerError(
            "No values are chosen yet; tick the layers that hold them under “Values” in “Annotate”."
        )
    for target in targets:
        check_target(target, images)
    return image_stack(targets)


def check_labels(labels: Labels, images: Sequence[Image]) -> None:
    """Refuse a Labels layer that is not of the image's size, with a LayerError."""
    check_image(labels)
    check_same_size(images)
    if volume_shape(labels) != volume_shape(images[0]):
        raise LayerError(
            f"“{labels.name}” {volume_shape(labels)} and “{images[0].name}” "
            f"{volume_shape(images[0])} differ in size (z, y, x); labels must match their image."
        )


def check_fit(labels: Labels, image: Image) -> None:
    """Refuse labels that fitted an image until one of them was given another array.

    Raises
    ------
    LayerError
        With a sentence that says what to do.
    """
    if not fits(labels, image):
        raise LayerError(
            f"“{image.name}” {tuple(image.data.shape)} and “{labels.name}” "
            f"{tuple(labels.data.shape)} no longer have the same size, so nothing is learnt from "
            f"them. Bring back the image that was painted on, or export “{labels.name}”, remove "
            "it, and start new labels."
        )


def check_room(labels: Labels, highest: int) -> None:
    """Refuse a Labels layer whose type cannot hold a number that is needed, with a LayerError."""
    top = int(np.iinfo(labels.dtype).max) if labels.dtype.kind in "iu" else 1
    if highest > top:
        raise LayerError(
            f"“{labels.name}” can only hold numbers up to {top}, and {highest} is needed; "
            "right-click the layer, then “Convert data type” and “Convert to int32”."
        )


def read_labels(layer: Placed) -> NDArray[Any]:
    """Copy a Labels layer as (Z, Y, X) integers, or a layer of values as (Z, Y, X) numbers."""
    return np.array(layer.data).reshape(volume_shape(layer))


def read_labels_slice(layer: Labels, z: int) -> NDArray[Any]:
    """Copy one slice of a Labels layer as (Y, X) integers."""
    return np.array(view_labels_slice(layer, z))


def view_labels_slice(layer: Labels, z: int) -> NDArray[Any]:
    """Return one slice of a Labels layer as (Y, X) integers; not a copy, where that is possible."""
    return np.asarray(layer.data[z] if layer.ndim == 3 else layer.data)


def view_labels(layer: Labels) -> NDArray[Any]:
    """Return a Labels layer as (Z, Y, X) integers without copying it, where that is possible."""
    return np.asarray(layer.data).reshape(volume_shape(layer))


class Fingerprint:
    """What tells one image from another: its size and some of its pixels.

    Made in the GUI thread; the pixels are read, in any thread, when it is first asked for. It holds
    the array no longer than that.

    Raises
    ------
    LayerError
        If the image cannot be used.
    """

    def __init__(self, image: Image) -> None:
        check_image(image)
        self._shape, self._kind = volume_shape(image), (image.rgb, str(image.dtype))
        self._unread: tuple[Any, bool] | None = (image.data, image.ndim == 3)
        self._known = ""
        self._failed = False

    @property
    def look(self) -> str:
        """What is known of the image without its pixels: size and kind of numbers, in one word."""
        return hashlib.sha256(self._kept).hexdigest()[:16]

    @property
    def failed(self) -> bool:
        """Whether the pixels could not be read when they were asked for last."""
        return self._failed

    @property
    def _kept(self) -> bytes:
        return repr((self._shape, *self._kind)).encode()

    @property
    def known(self) -> str:
        """The fingerprint, empty before it was read."""
        return self._known

    def read(self) -> str:
        """Return the fingerprint, empty where the pixels cannot be read now.

        Only every eighth row and column of the first and the middle slice are read, once.
        """
        unread = self._unread  # another thread may come first
        if unread is not None:
            with suppress(FileError), reading(Path("the image"), "an image"):
                self._known = self._read(*unread)
                self._unread = None
            self._failed = self._unread is not None
        return self._known

    def _read(self, data: Any, stacked: bool) -> str:
        z, (rgb, _) = self._shape[0], self._kind
        digest = hashlib.sha256(self._kept)
        some = (slice(None, None, 8), slice(None, None, 8))
        for at in sorted({0, z // 2}):
            # In one step, so that an array on disk or yet to be computed gives no more than these.
            pixels = np.asarray(data[(at, *some) if stacked else some])
            colours = [pixels[..., c] for c in range(3)] if rgb else [pixels]
            digest.update(np.stack(colours).tobytes())
        return digest.hexdigest()[:16]


class Fingerprints:
    """The fingerprints of images, each read once for as long as its layer holds the same array."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Image, tuple[ref[Any], Fingerprint]] = WeakKeyDictionary()

    def of(self, image: Image) -> Fingerprint:
        """Return the fingerprint of an image; nothing is read."""
        data = image.data
        known = self._known.get(image)
        if known is not None and known[0]() is data:
            return known[1]
        made = Fingerprint(image)
        with suppress(TypeError):  # an array that cannot be watched is read every time
            self._known[image] = ref(data), made
        return made


def source_path(layer: Layer) -> str:
    """Return the file that a layer was opened from; empty when there is none."""
    return str(layer.source.path or "")


def fits(labels: Labels, image: Image) -> bool:
    """Tell whether labels are of the image's size."""
    plain = all(not one.multiscale and one.ndim in (2, 3) for one in (labels, image))
    return plain and volume_shape(labels) == volume_shape(image)


def outlines(regions: Shapes | None, like: Placed) -> tuple[Outline, ...]:
    """Copy the shapes that have an inside: rectangles, polygons and ellipses.

    Parameters
    ----------
    regions
        The Shapes layer; its lines and paths have no inside and are left out.
    like
        The layer in whose pixels the outlines are given; the two may differ in scale and place.
    """
    if regions is None:
        return ()
    shapes = zip(regions.data, regions.shape_type, strict=True)
    to_pixels = _affine(regions, like)
    return tuple(
        _outline(np.asarray(corners), kind, to_pixels, like.ndim)
        for corners, kind in shapes
        if kind not in ("line", "path")
    )


def _affine(regions: Shapes, like: Placed) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return matrix and offset that take points of `regions` to pixels of `like`, as rows."""
    corners = np.vstack([np.zeros(regions.ndim), np.eye(regions.ndim)])
    moved = np.array([like.world_to_data(regions.data_to_world(p)) for p in corners])
    return moved[1:] - moved[0], moved[0]


def _outline(
    corners: NDArray[Any], kind: str, to_pixels: tuple[NDArray[Any], NDArray[Any]], ndim: int
) -> Outline:
    points = _ellipse(corners) if kind == "ellipse" else corners
    matrix, offset = to_pixels
    pixels = points @ matrix + offset
    z = int(np.round(pixels[:, -3].mean())) if ndim == 3 else 0
    return Outline(z, pixels[:, -2:])


def _ellipse(corners: NDArray[Any]) -> NDArray[Any]:
    """Turn an ellipse, which napari stores as its four corners, into a polygon."""
    centre = corners.mean(axis=0)
    a, b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    outline: NDArray[Any] = centre + np.cos(angle) * a + np.sin(angle) * b
    return outline


def current_slice(viewer: ViewerModel, layer: Placed) -> int:
    """Return the slice that the viewer shows, kept within the stack; 0 for a 2D picture."""
    if layer.ndim < 3:
        return 0
    at = layer.world_to_data(viewer.dims.point)
    return int(np.clip(np.round(at[-3]), 0, volume_shape(layer)[0] - 1))


def painted_slices(viewer: ViewerModel, layer: Labels) -> list[int]:
    """List the slices that the brush paints on: the one that is shown, mostly.

    All of them where the brush is a ball, or where the stack is seen from a side.
    """
    if _displayed(viewer) == {-2, -1} and layer.n_edit_dimensions == 2:
        return [current_slice(viewer, layer)]
    return list(range(volume_shape(layer)[0]))


def check_slice_seen(viewer: ViewerModel) -> None:
    """Refuse a view in which no slice (Y, X) is seen, with a LayerError that says what to do."""
    if viewer.dims.ndisplay == 3:
        raise LayerError(
            "In the 3D view no slice is seen; switch to the 2D view of slices first (Ctrl+Y, or "
            "its button below the layer list)."
        )
    if _displayed(viewer) != {-2, -1}:
        raise LayerError(
            "The stack is seen from a side; switch to the 2D view of slices first (Ctrl+E, or the "
            "button below the layer list that changes the order of axes, until y and x are shown)."
        )


def _displayed(viewer: ViewerModel) -> set[int]:
    """Return the axes that are seen, counted from the last one, which is -1."""
    return {axis - viewer.dims.ndim for axis in viewer.dims.displayed}


def steps_undone(labels: Labels) -> int:
    """Return how many strokes have been undone and can be redone; napari has no event for it."""
    return len(getattr(labels, "_redo_history", ()))


def pixel_size(layer: Layer) -> float | None:
    """Return micrometres per pixel in y and x.

    None where the layer has no unit of length, and as in files where pixels are not square.
    """
    return _pixel_size(layer)[0]


def pixel_note(layer: Layer) -> str:
    """Say why there is no pixel size although the layer has one; mostly empty."""
    return _pixel_size(layer)[1]


def _pixel_size(layer: Layer) -> tuple[float | None, str]:
    sides = []
    for unit, scale in zip(layer.units[-2:], layer.scale[-2:], strict=True):
        if not unit.is_compatible_with("micrometer"):
            return None, ""
        sides.append(float((float(scale) * unit).to("micrometer").magnitude))
    return believable(*sides)
