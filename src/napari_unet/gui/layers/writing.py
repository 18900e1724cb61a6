"""Turns arrays of the engine into layers that lie exactly on their image, and changes layers."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.transforms import CompositeAffine

from napari_unet.gui.changes import Change
from napari_unet.gui.layers.finding import belonging, companion, find, linked_images
from napari_unet.gui.layers.reading import Placed, outlines, view_labels_slice, volume_shape
from napari_unet.gui.layers.tags import (
    CLASSES,
    CORRECTED,
    IGNORED,
    REGIONS,
    TASK,
    WARPED,
    assign,
    fact,
    link,
    role_of,
    set_aside,
    set_fact,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_unet.gui.marks import Outline

__all__ = [
    "add_corrected",
    "add_image",
    "add_labels",
    "add_outlines",
    "add_regions",
    "adopt",
    "bring_back",
    "fill_slice",
    "follow",
    "forget_history",
    "hide",
    "lie_on",
    "placement",
    "put_away",
    "put_image",
    "put_labels",
    "remove_roles",
    "remove_warp",
    "replace_labels",
    "replace_slice",
    "select",
    "set_contrast",
    "show",
    "show_above",
    "widen_contrast",
    "write_change",
    "write_slice",
]

_CONTRAST = "contrast"  # a fact: the contrast that we chose
_SLICE = "slice"  # a fact: the only slice of its image that a layer shows
_PUT_AWAY = "put away"  # a fact: hidden by us, while another image is worked on
_ENOUGH = 200_000  # pixels that tell the range of a slice


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


def lie_on(layer: Layer, like: Layer, z: int | None = None) -> None:
    """Put a layer where another one lies now; it may have been moved.

    What is as it should be is not set: napari would draw the layer anew each time.

    Parameters
    ----------
    like
        Of as many dimensions, or of more or fewer in front.
    z
        The slice of `like` that is all that `layer` shows; None for a layer of all slices.
    """
    now = placement(layer)
    for name, value in _placement_for(layer, like, z).items():
        same = np.array_equal if isinstance(value, np.ndarray) else eq
        if not same(now[name], value):
            setattr(layer, name, value)


def follow(viewer: ViewerModel, image: Image) -> None:
    """Put every layer of ours that belongs to an image where that image lies now."""
    for layer in belonging(viewer, image):
        lie_on(layer, image, fact(layer, _SLICE))


def _placement_for(layer: Layer, like: Layer, z: int | None) -> dict[str, Any]:
    """Return where `like` lies, in the dimensions of `layer`."""
    place = placement(like) if z is None else _placement_of_slice(like, z)
    more = layer.ndim - like.ndim
    if more:
        within = _in_last_axes(_physical(place), more)
        for name in ("scale", "translate"):
            place[name] = tuple(getattr(within, name))
        for name in ("rotate", "shear"):
            place[name] = np.array(getattr(within, name))
        place["affine"] = np.array(_in_last_axes(like.affine, more).affine_matrix)
        for name in ("units", "axis_labels"):
            place[name] = (*getattr(layer, name)[: max(more, 0)], *place[name][max(-more, 0) :])
    return place


def _placement_of_slice(like: Layer, z: int) -> dict[str, Any]:
    """Return the placement of a layer that shows one slice of `like` only; all of a 2D picture."""
    place = placement(like)
    if like.ndim == 3:
        place["translate"] = tuple(_physical(place)((z, 0, 0)))
    return place


def _physical(place: dict[str, Any]) -> CompositeAffine:
    """Return what takes pixels to where they lie, but for the layer's own affine."""
    return CompositeAffine(**{k: place[k] for k in ("scale", "translate", "rotate", "shear")})


def _in_last_axes(transform: Any, more: int) -> Any:
    """Add `more` axes in front of a transform or, below 0, take as many away."""
    if more > 0:
        return transform.expand_dims(list(range(more)))
    return transform.set_slice(list(range(-more, transform.ndim)))


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


def add_corrected(
    viewer: ViewerModel,
    images: Sequence[Image],
    data: NDArray[Any] | None = None,
    *,
    task: str,
    classes: Mapping[int, str],
    **options: Any,
) -> Labels:
    """Add a layer for what a person painted on predictions; see `add_labels`."""
    name = f"{images[0].name} prediction (corrected)"
    layer = add_labels(viewer, images, data, role=CORRECTED, name=name, **options)
    set_fact(layer, TASK, task)
    if classes:
        set_fact(layer, CLASSES, dict(classes))
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


def adopt(viewer: ViewerModel, labels: Labels, role: str, images: Sequence[Image]) -> None:
    """Let `labels` play `role` for these channels, as `link`, with the regions drawn for them.

    Regions come along where their image was removed, as when it was opened anew; those that were
    drawn on the new one meanwhile are added to them. The image that is still there keeps its own.
    """
    alone = not linked_images(viewer, labels)
    drawn = {kind: companion(viewer, labels, kind) for kind in (REGIONS, IGNORED)}
    link(viewer, labels, role, images)
    for kind, regions in drawn.items():
        if regions is not None and alone:
            _take_regions(viewer, regions, kind, images)


def _take_regions(viewer: ViewerModel, regions: Shapes, role: str, images: Sequence[Image]) -> None:
    meanwhile = find(viewer, role, images)
    assign(regions, role, images)
    if isinstance(meanwhile, Shapes):
        add_outlines(regions, outlines(meanwhile, images[0]), images[0])
        set_aside(meanwhile)
        viewer.layers.remove(meanwhile)


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
        _replace(found, pixels, images[0], z)
        return found
    layer = Image(pixels, name=name, rgb=False, **place, **options)
    assign(layer, role, images)
    set_fact(layer, _SLICE, z)
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
        _replace(found, pixels, images[0], z)
        return found
    layer = Labels(pixels, name=name, **place, **options)
    assign(layer, role, images)
    set_fact(layer, _SLICE, z)
    _add(viewer, layer)
    return layer


def _placed(like: Placed, data: NDArray[Any], z: int | None) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return pixels and placement for a whole layer or, with `z`, for one slice of it."""
    if z is None:
        return np.asarray(data).reshape(volume_shape(like)[3 - like.ndim :]), placement(like)
    pixels = np.asarray(data).reshape((1,) * (like.ndim - 2) + np.asarray(data).shape[-2:])
    return pixels, _placement_of_slice(like, z)


def _replace(layer: Layer, pixels: NDArray[Any], like: Layer, z: int | None) -> None:
    layer.data = pixels
    set_fact(layer, _SLICE, z)
    lie_on(layer, like, z)


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
        (Y, X) integers.
    """
    write_change(layer, z, Change.of(view_labels_slice(layer, z), values))


def write_change(layer: Labels, z: int, change: Change) -> None:
    """Write a change of the slice as it is now, so that the user can undo it.

    napari's ``data_setitem`` would keep the place of every changed pixel, a gigabyte for a large
    slice, and take seconds for it. Its history takes whole slices too, and these are kept as runs.
    """
    if not change.is_any:
        return
    layer._save_history((_slice(layer, z), change.undo, change.redo))
    replace_slice(layer, z, change.after)


def fill_slice(layer: Placed, z: int, values: NDArray[Any]) -> None:
    """Write one slice (Y, X) of a result layer; labels that were there can be brought back.

    Into an empty slice the values go directly: there is nothing to go back to.
    """
    if isinstance(layer, Labels) and np.count_nonzero(view_labels_slice(layer, z)):
        write_slice(layer, z, values)
    else:
        replace_slice(layer, z, values)


def replace_slice(layer: Placed, z: int, values: NDArray[Any]) -> None:
    """Write one slice (Y, X) past napari's history: cheap, and for good."""
    layer.data[_slice(layer, z)] = values
    layer.refresh()


def _slice(layer: Placed, z: int) -> tuple[Any, ...]:
    """Return the index of a slice in the pixels of a layer."""
    return (z, slice(None), slice(None))[3 - layer.ndim :]


def forget_history(layer: Labels) -> None:
    """Let nothing be undone that was done so far; the tool in hand stays.

    What is written past the history would be torn by an undo of what was there before.
    """
    mode, editable = layer.mode, layer.editable
    layer.editable = False  # of a layer that cannot be edited napari forgets the history
    layer.editable = editable
    layer.mode = mode


def remove_roles(viewer: ViewerModel, roles: Sequence[str]) -> None:
    """Take the layers of these roles away, whichever image they belong to."""
    for layer in [layer for layer in viewer.layers if role_of(layer) in roles]:
        viewer.layers.remove(layer)


def remove_warp(viewer: ViewerModel) -> bool:
    """Take the preview of an elastic warp away; return whether there was one."""
    found = {role_of(layer) or "" for layer in viewer.layers}
    warped = [role for role in found if role.startswith(WARPED)]
    remove_roles(viewer, warped)
    return bool(warped)


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


def show(layer: Layer) -> None:
    """Let a layer be seen."""
    if not layer.visible:  # else napari would take the tool out of the user's hand
        layer.visible = True


def put_away(found: Iterable[Layer]) -> None:
    """Hide layers until `bring_back`; it shows only those that are seen now."""
    for layer in found:
        if layer.visible:
            set_fact(layer, _PUT_AWAY, True)
            layer.visible = False


def bring_back(found: Iterable[Layer]) -> None:
    """Show what was put away, and regions in any case: what they say counts, seen or not."""
    for layer in found:
        away = fact(layer, _PUT_AWAY, False)
        if away:
            set_fact(layer, _PUT_AWAY, False)
        if away or role_of(layer) in (REGIONS, IGNORED):
            show(layer)


def show_above(viewer: ViewerModel, layer: Layer, other: Layer | None) -> None:
    """Let a layer be seen, and not through another one that lies upon it."""
    show(layer)
    if other in viewer.layers and viewer.layers.index(layer) < viewer.layers.index(other):
        viewer.layers.move(viewer.layers.index(layer), viewer.layers.index(other) + 1)


def select(viewer: ViewerModel, layer: Layer, mode: str | None = None) -> None:
    """Make `layer` the one in hand, seen, and in `mode` ("paint", "add_polygon", ...)."""
    if not layer.visible:  # napari would draw anew what is seen already
        layer.visible = True
    viewer.layers.selection.active = layer
    if mode is not None:
        layer.mode = mode
