"""The only reading and writing of napari layers; everything here runs in the GUI thread.

Arrays leave as copies in the engine's axes: images (Z, C, Y, X), labels and masks (Z, Y, X), where
a 2D picture has Z == 1. What comes back becomes a layer that lies exactly on its image. Only an
`ImageStack` may be read in another thread.

Layers of ours carry a small mapping in ``layer.metadata["napari_unet"]``, which nobody else reads
or writes: its ``role``, in ``image`` the identities of the Image layers it belongs to, in ``layer``
its own, and facts such as what the labels mean. It is how they are found again after a dock was
closed or a layer renamed. A duplicate of a layer, to which napari gives the same mapping, plays no
role.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from napari_unet.gui.marks import Outline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

__all__ = [
    "CLASSES",
    "COMPLETE",
    "IGNORED",
    "LABELS",
    "OUTPUT",
    "PREDICTION",
    "REGIONS",
    "TASK",
    "VALUES",
    "ImageStack",
    "LayerError",
    "add_image",
    "add_labels",
    "add_outlines",
    "add_regions",
    "all_labels",
    "annotation_layers",
    "annotations_of",
    "assign",
    "channel_looks",
    "channel_names",
    "check_image",
    "check_labels",
    "check_room",
    "check_same_size",
    "companion",
    "current_slice",
    "fact",
    "fill_slice",
    "find",
    "find_image",
    "fingerprint",
    "fits",
    "hide",
    "identity",
    "image_layers",
    "image_stack",
    "labels_layers",
    "link",
    "linked_images",
    "newest_result",
    "outlines",
    "pixel_size",
    "placement",
    "put_image",
    "put_labels",
    "read_image",
    "read_labels",
    "read_labels_slice",
    "read_slice",
    "remove_roles",
    "replace_labels",
    "role_of",
    "select",
    "set_contrast",
    "set_fact",
    "source_path",
    "unwrap",
    "value_layers",
    "view_labels",
    "volume_shape",
    "widen_contrast",
    "write_slice",
]

LABELS, REGIONS, IGNORED = "labels", "regions", "ignored"
"""Roles of the layers of an annotation: what is painted, where all is painted, what is left out."""
PREDICTION = "prediction"
"""Role of the Labels layer with what was predicted."""
VALUES = "values"
"""Role of the layers with what a regression predicted; behind it stands the output's number."""
TASK, CLASSES, COMPLETE, OUTPUT = "task", "classes", "complete", "output"
"""Facts: what labels mean, names of painted values, complete slices, what values are called."""
_METADATA = "napari_unet"
_FORMER = "former role"  # in a layer's tag: what it was until another layer took its place
_CONTRAST = "contrast"  # in a layer's tag: the contrast that we chose
_ENOUGH = 200_000  # pixels that tell the range of a slice
Placed: TypeAlias = Image | Labels
"""A layer of pixels."""


class LayerError(ValueError):
    """A layer that cannot be used, in one sentence for the user."""


def unwrap(viewer: Any) -> ViewerModel:
    """Return the viewer itself; napari hands plugins a proxy that is slow and warns."""
    inner: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return inner


# --------------------------------------------------------------------------------- finding layers


def identity(layer: Layer) -> str:
    """Return what stays the same when a layer is renamed, moved or edited."""
    return str(layer.unique_id)


def role_of(layer: Layer) -> str | None:
    """Return what a layer is to the plugin; None for one that it has nothing to do with."""
    role: str | None = _own_tag(layer).get("role")
    return role


def fact(layer: Layer, name: str, default: Any = None) -> Any:
    """Return what `set_fact` has kept with a layer, `default` where nothing is."""
    return _own_tag(layer).get(name, default)


def set_fact(layer: Layer, name: str, value: Any) -> None:
    """Keep something with a layer, such as its `TASK`, as long as the layer lives."""
    _tag(layer)[name] = value


def _tag(layer: Layer) -> dict[str, Any]:
    """Return the mapping that a layer carries, live; next to empty for others' layers."""
    if not _own_tag(layer):
        layer.metadata[_METADATA] = {"layer": identity(layer)}
    found: dict[str, Any] = layer.metadata[_METADATA]
    return found


def _own_tag(layer: Layer) -> dict[str, Any]:
    """Return what a layer carries, empty when that came from the layer it is a duplicate of."""
    found: dict[str, Any] = layer.metadata.get(_METADATA, {})
    return found if found.get("layer") == identity(layer) else {}


def image_layers(viewer: ViewerModel) -> list[Image]:
    """List the Image layers that a person could annotate, not our results; topmost last."""
    return [layer for layer in viewer.layers if isinstance(layer, Image) and role_of(layer) is None]


def labels_layers(viewer: ViewerModel, like: Image) -> list[Labels]:
    """List the Labels layers that could annotate `like`: of its size, predictions among them."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels)
        and role_of(layer) in (None, LABELS, PREDICTION)
        and fits(layer, like)
    ]


def find(viewer: ViewerModel, role: str, images: Sequence[Image]) -> Layer | None:
    """Return the layer of `role` that belongs to any of `images`, the topmost of several."""
    wanted = {identity(image) for image in images}
    for layer in reversed(viewer.layers):
        if role_of(layer) == role and wanted & set(fact(layer, "image", ())):
            return layer
    return None


def annotation_layers(viewer: ViewerModel) -> list[Labels | Shapes]:
    """List what was painted or drawn on any image, also labels that others took the place of."""
    roles = (LABELS, REGIONS, IGNORED)
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels | Shapes) and fact(layer, "role", fact(layer, _FORMER)) in roles
    ]


def annotations_of(viewer: ViewerModel, layer: Labels | Shapes) -> list[Labels]:
    """List the Labels layers that an annotation layer belongs to; a Labels layer is its own."""
    if isinstance(layer, Labels):
        return [layer]
    wanted = set(fact(layer, "image", ()))
    painted = [other for other in annotation_layers(viewer) if isinstance(other, Labels)]
    return [other for other in painted if wanted & set(fact(other, "image", ()))]


def companion(viewer: ViewerModel, labels: Labels, role: str) -> Shapes | None:
    """Return the regions of `role` that belong to the image of `labels`, the topmost of several."""
    wanted = set(fact(labels, "image", ()))
    for layer in reversed(viewer.layers):
        mine = isinstance(layer, Shapes) and role_of(layer) == role
        if mine and wanted & set(fact(layer, "image", ())):
            return layer
    return None


def linked_images(viewer: ViewerModel, layer: Layer) -> list[Image]:
    """List the channels that a layer belongs to, in their order, those that are still there."""
    by_id = {identity(image): image for image in image_layers(viewer)}
    return [by_id[key] for key in fact(layer, "image", ()) if key in by_id]


# ---------------------------------------------------------------------------------------- reading


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
    """List what each channel of `read_image(images)` is called."""
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


def read_image(images: Sequence[Image]) -> NDArray[Any]:
    """Copy the layers into one (Z, C, Y, X) array; an RGB layer gives three channels.

    Raises
    ------
    LayerError
        If there is none, one cannot be used, or their sizes differ.
    """
    stack = image_stack(images)
    copy = np.empty(stack.shape, stack.dtype)
    for z in range(len(copy)):
        copy[z] = stack[z]
    return copy


def read_slice(images: Sequence[Image], z: int) -> NDArray[Any]:
    """Copy one slice into a (C, Y, X) array; only this slice is loaded. Errors as `read_image`."""
    return image_stack(images)[z]


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


def image_stack(images: Sequence[Image]) -> ImageStack:
    """Return what reads the layers slice by slice, in any thread. Errors as `read_image`."""
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


def check_labels(labels: Labels, images: Sequence[Image]) -> None:
    """Refuse a Labels layer that is not of the image's size, with a LayerError."""
    check_image(labels)
    check_same_size(images)
    if volume_shape(labels) != volume_shape(images[0]):
        raise LayerError(
            f"“{labels.name}” {volume_shape(labels)} and “{images[0].name}” "
            f"{volume_shape(images[0])} differ in size (z, y, x); labels must match their image."
        )


def read_labels(layer: Placed) -> NDArray[Any]:
    """Copy a Labels layer as (Z, Y, X) integers, or a layer of values as (Z, Y, X) numbers."""
    return np.array(layer.data).reshape(volume_shape(layer))


def fingerprint(image: Image) -> str:
    """Return what tells one image from another: its size and some of its pixels.

    Only every eighth row and column of the first and the middle slice are read.
    """
    stack, z = image_stack([image]), volume_shape(image)[0]
    digest = hashlib.sha256(repr((volume_shape(image), image.rgb, str(image.dtype))).encode())
    for at in sorted({0, z // 2}):
        digest.update(np.ascontiguousarray(stack[at][:, ::8, ::8]).tobytes())
    return digest.hexdigest()[:16]


def source_path(layer: Layer) -> str:
    """Return the file that a layer was opened from; empty when there is none."""
    return str(layer.source.path or "")


def view_labels(layer: Labels) -> NDArray[Any]:
    """Return a Labels layer as (Z, Y, X) integers without copying it, where that is possible."""
    return np.asarray(layer.data).reshape(volume_shape(layer))


def fits(labels: Labels, image: Image) -> bool:
    """Tell whether labels are of the image's size."""
    plain = not labels.multiscale and labels.ndim in (2, 3)
    return plain and volume_shape(labels) == volume_shape(image)


def read_labels_slice(layer: Labels, z: int) -> NDArray[Any]:
    """Copy one slice of a Labels layer as (Y, X) integers."""
    return np.array(layer.data[z] if layer.ndim == 3 else layer.data)


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


def pixel_size(layer: Layer) -> float | None:
    """Return micrometres per pixel in y and x; None where the layer has no unit of length."""
    unit = layer.units[-1]
    if not unit.is_compatible_with("micrometer"):
        return None
    metres = float((1 * unit).to("micrometer").magnitude)
    return float(layer.scale[-1]) * metres


# ---------------------------------------------------------------------------------------- writing


def placement(layer: Layer) -> dict[str, Any]:
    """Return the arguments that put a new layer of equal dimensions exactly where `layer` lies."""
    return {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "rotate": np.array(layer.rotate),
        "shear": np.array(layer.shear),
        "affine": np.array(layer.affine.affine_matrix),
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def assign(layer: Layer, role: str, images: Sequence[Image]) -> None:
    """Remember that `layer` plays `role` for these channels."""
    _tag(layer).pop(_FORMER, None)
    _tag(layer).update(role=role, image=[identity(image) for image in images])


def link(viewer: ViewerModel, layer: Layer, role: str, images: Sequence[Image]) -> None:
    """Remember that `layer`, and no other one any more, plays `role` for these channels."""
    wanted = {identity(image) for image in images}
    for other in viewer.layers:
        known = other is not layer and role_of(other) == role
        if known and wanted & set(fact(other, "image", ())):
            _tag(other)[_FORMER] = _tag(other).pop("role")
    assign(layer, role, images)


def add_labels(
    viewer: ViewerModel,
    images: Sequence[Image],
    data: NDArray[Any] | None = None,
    *,
    role: str,
    name: str,
    **options: Any,
) -> Labels:
    """Add a Labels layer that lies on its image.

    Parameters
    ----------
    images
        The channels it belongs to; the first gives place, scale, units.
    data
        (Z, Y, X) integers, or None for an empty layer.
    role, name
        What the layer is to the plugin, and what it is called.
    **options
        Further arguments of ``Labels``.
    """
    like = images[0]
    shape = volume_shape(like)[3 - like.ndim :]
    pixels = np.zeros(shape, np.int32) if data is None else np.asarray(data).reshape(shape)
    layer = Labels(pixels, name=name, **placement(like), **options)
    assign(layer, role, images)
    _add(viewer, layer)
    return layer


def add_regions(
    viewer: ViewerModel, images: Sequence[Image], *, role: str, name: str, colour: str
) -> Shapes:
    """Add an empty Shapes layer that lies on its image; `colour` is that of its outlines."""
    like = images[0]
    layer = Shapes(
        ndim=like.ndim,
        name=name,
        edge_color=colour,
        face_color="transparent",
        edge_width=_line_width(like),
        opacity=0.9,
        **placement(like),
    )
    assign(layer, role, images)
    layer.current_edge_color = colour
    layer.current_face_color = "#00000000"
    _add(viewer, layer)
    return layer


def add_outlines(regions: Shapes, outlines: Iterable[Outline], like: Placed) -> None:
    """Draw outlines, given in pixels of `like`, as polygons."""
    for outline in outlines:
        z = np.full((len(outline.points), 1), outline.z)
        points = np.hstack([z, outline.points]) if like.ndim == 3 else outline.points
        world = [like.data_to_world(p) for p in points]
        corners = np.array([regions.world_to_data(p) for p in world])
        regions.add_polygons([corners])


def _line_width(like: Placed) -> float:
    """Return about two screen pixels on a canvas of 600, in data pixels."""
    return max(1.0, max(volume_shape(like)[1:]) / 300)


def add_image(
    viewer: ViewerModel,
    images: Sequence[Image],
    data: NDArray[Any],
    *,
    role: str,
    name: str,
    **options: Any,
) -> Image:
    """Add an Image layer of (Z, Y, X) values that lies on its image; see `add_labels`."""
    like = images[0]
    pixels = np.asarray(data).reshape(volume_shape(like)[3 - like.ndim :])
    layer = Image(pixels, name=name, rgb=False, **placement(like), **options)
    assign(layer, role, images)
    _add(viewer, layer)
    return layer


def _add(viewer: ViewerModel, layer: Layer, *, below: Layer | None = None) -> None:
    """Add without moving the user's choice of layer: the one in hand stays in hand."""
    selected, active = set(viewer.layers.selection), viewer.layers.selection.active
    if below is not None and below in viewer.layers:
        viewer.layers.insert(viewer.layers.index(below), layer)
    else:
        viewer.add_layer(layer)
    if selected:
        viewer.layers.selection = selected
        viewer.layers.selection.active = active


def put_image(
    viewer: ViewerModel,
    images: Sequence[Image],
    data: NDArray[Any],
    *,
    role: str,
    name: str,
    z: int | None = None,
    below: Layer | None = None,
    **options: Any,
) -> Image:
    """Show an image under a role: in the layer that has the role already, else in a new one.

    Parameters
    ----------
    data
        (Z, Y, X); with `z` one slice (Y, X), which is then seen on this slice only.
    z
        The slice that `data` belongs to.
    below
        A new layer goes under this one, else to the top.
    **options
        Arguments of ``Image`` for a new layer; an existing one keeps what the user has set.
    """
    found = find(viewer, role, images)
    pixels, place = _placed(images[0], data, z)
    if isinstance(found, Image):
        _replace(found, pixels, place)
        return found
    layer = Image(pixels, name=name, rgb=False, **place, **options)
    assign(layer, role, images)
    _add(viewer, layer, below=below)
    return layer


def put_labels(
    viewer: ViewerModel,
    images: Sequence[Image],
    data: NDArray[Any],
    *,
    role: str,
    name: str,
    z: int | None = None,
    **options: Any,
) -> Labels:
    """Show labels under a role; as `put_image`."""
    found = find(viewer, role, images)
    pixels, place = _placed(images[0], data, z)
    if isinstance(found, Labels):
        _replace(found, pixels, place)
        return found
    layer = Labels(pixels, name=name, **place, **options)
    assign(layer, role, images)
    _add(viewer, layer)
    return layer


def _placed(like: Placed, data: NDArray[Any], z: int | None) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return pixels and placement for a whole layer or, with `z`, for one slice of it."""
    place = placement(like)
    if z is None:
        return np.asarray(data).reshape(volume_shape(like)[3 - like.ndim :]), place
    pixels = np.asarray(data).reshape((1,) * (like.ndim - 2) + np.asarray(data).shape[-2:])
    if like.ndim == 3:
        place["translate"] = (like.translate[0] + z * like.scale[0], *like.translate[1:])
    return pixels, place


def _replace(layer: Layer, pixels: NDArray[Any], place: dict[str, Any]) -> None:
    layer.data = pixels
    layer.translate = place["translate"]
    layer.scale = place["scale"]


def replace_labels(layer: Labels, labels: NDArray[Any]) -> None:
    """Put (Z, Y, X) labels in place of all that a layer holds; cannot be undone."""
    layer.data = np.asarray(labels).reshape(layer.data.shape)


def write_slice(layer: Labels, z: int, values: NDArray[Any]) -> None:
    """Replace one slice of a Labels layer so that the user can undo it.

    Parameters
    ----------
    z
        Slice; 0 for a 2D layer.
    values
        (Y, X) integers; only pixels that differ are written.
    """
    changed = np.nonzero(read_labels_slice(layer, z) != values)
    if changed[0].size == 0:
        return
    where = (np.full_like(changed[0], z), *changed) if layer.ndim == 3 else changed
    layer.data_setitem(where, values[changed])


def fill_slice(layer: Placed, z: int, values: NDArray[Any]) -> None:
    """Write one slice (Y, X) of a result layer; labels that were there can be brought back.

    Into an empty slice the values go directly: napari's history keeps the place of every changed
    pixel, which a large slice would pay for in memory.
    """
    if isinstance(layer, Labels) and read_labels_slice(layer, z).any():
        write_slice(layer, z, values)
        return
    layer.data[z if layer.ndim == 3 else slice(None)] = values
    layer.refresh()


def check_room(labels: Labels, highest: int) -> None:
    """Refuse a Labels layer whose type cannot hold a number that is needed, with a LayerError."""
    top = int(np.iinfo(labels.dtype).max) if labels.dtype.kind in "iu" else 1
    if highest > top:
        raise LayerError(
            f"“{labels.name}” can only hold numbers up to {top}, and {highest} is needed; "
            "right-click the layer, then “Convert data type” and “Convert to int32”."
        )


def all_labels(viewer: ViewerModel) -> list[Labels]:
    """List the Labels layers that can be written to a file, top of the list first."""
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Labels) and not layer.multiscale and layer.ndim in (2, 3)
    ]


def value_layers(viewer: ViewerModel) -> list[Image]:
    """List the Image layers with predicted values, top of the list first."""
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Image) and (role_of(layer) or "").startswith(VALUES)
    ]


def newest_result(viewer: ViewerModel) -> Labels | Image | None:
    """Return the topmost layer with a prediction; None before there is one."""
    predicted = [layer for layer in all_labels(viewer) if role_of(layer) == PREDICTION]
    found: list[Labels | Image] = [*predicted, *value_layers(viewer)]
    return max(found, key=viewer.layers.index, default=None)


def remove_roles(viewer: ViewerModel, roles: Sequence[str]) -> None:
    """Take the layers of these roles away, whichever image they belong to."""
    for layer in [layer for layer in viewer.layers if role_of(layer) in roles]:
        viewer.layers.remove(layer)


def find_image(viewer: ViewerModel, role: str, images: Sequence[Image]) -> Image | None:
    """Return the Image layer of `role` that belongs to any of `images`; None without one."""
    found = find(viewer, role, images)
    return found if isinstance(found, Image) else None


def set_contrast(layer: Image, low: float, high: float) -> None:
    """Show values from `low` to `high`, and let the user choose among these."""
    layer.contrast_limits_range = (low, high)
    layer.contrast_limits = (low, high)


def widen_contrast(layer: Image, values: NDArray[Any], *, anew: bool) -> None:
    """Show values (Y, X) that were just written, unless the user has chosen a contrast.

    Parameters
    ----------
    values
        Their range, without the outermost thousandths, is what is shown.
    anew
        Forget what was there before; else its range is widened.
    """
    before = fact(layer, _CONTRAST)
    if before is not None and tuple(layer.contrast_limits) != before:
        return
    sample = values.ravel()[:: max(1, values.size // _ENOUGH)]
    low, high = (float(limit) for limit in np.percentile(sample, (0.1, 99.9)))
    if before is not None and not anew:
        low, high = min(low, before[0]), max(high, before[1])
    set_contrast(layer, low, high if high > low else low + 1)
    set_fact(layer, _CONTRAST, tuple(layer.contrast_limits))


def hide(layer: Layer) -> None:
    """Do not show a layer for now."""
    layer.visible = False


def select(viewer: ViewerModel, layer: Layer, mode: str | None = None) -> None:
    """Make `layer` the one in hand, seen, and in `mode` ("paint", "add_polygon", ...)."""
    layer.visible = True
    viewer.layers.selection.active = layer
    if mode is not None:
        layer.mode = mode
