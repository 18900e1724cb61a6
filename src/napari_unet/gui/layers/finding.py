"""Finds layers again, after a dock was closed or a layer renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer, Shapes

from napari_unet.gui.layers.reading import LayerError, check_image, fits
from napari_unet.gui.layers.tags import (
    CORRECTED,
    IGNORED,
    LABELS,
    PAINTED,
    PREDICTION,
    REGIONS,
    TARGETS,
    TASK,
    VALUES,
    annotation_role,
    fact,
    identity,
    image_keys,
    own_image,
    role_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.components import ViewerModel

__all__ = [
    "all_labels",
    "annotation_layers",
    "annotations_of",
    "as_channels",
    "belonging",
    "channels_of",
    "companion",
    "covering",
    "find",
    "find_all",
    "find_image",
    "first_choice",
    "image_layers",
    "labels_layers",
    "learns_values",
    "linked_images",
    "newest_result",
    "outputs",
    "painted_labels",
    "targets_of",
    "unwrap",
    "usable",
    "value_layers",
]

_OPAQUE = ("opaque", "translucent", "translucent_no_depth")  # napari's ways to blend a layer


def unwrap(viewer: Any) -> ViewerModel:
    """Return the viewer itself; napari hands plugins a proxy that is slow and warns."""
    inner: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return inner


def image_layers(viewer: ViewerModel) -> list[Image]:
    """List the Image layers that a person could annotate, not our results; topmost last."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image) and annotation_role(layer) is None
    ]


def labels_layers(viewer: ViewerModel, like: Image) -> list[Labels]:
    """List the Labels layers that could annotate `like`: of its size, predictions among them."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels)
        and role_of(layer) in (None, LABELS, PREDICTION, CORRECTED)
        and fits(layer, like)
    ]


def find(viewer: ViewerModel, role: str, images: Sequence[Image]) -> Layer | None:
    """Return the layer of `role` that belongs to the first of `images`, the topmost of several.

    One that was made for it comes before those whose own image was removed.
    """
    return next(iter(find_all(viewer, role, images)), None)


def find_all(viewer: ViewerModel, role: str, images: Sequence[Image]) -> list[Layer]:
    """List the layers of `role` that belong to the first of `images`, in the order of `find`."""
    return list(_belonging(viewer, role, identity(images[0]))) if images else []


def belonging(viewer: ViewerModel, image: Image) -> list[Layer]:
    """List every layer of ours that belongs to an image, whatever its role is or was."""
    wanted = identity(image)
    return [layer for layer in viewer.layers if own_image(viewer, layer) == wanted]


def channels_of(viewer: ViewerModel, image: Image) -> list[Image]:
    """List the channels that were annotated together with `image`, or `image` alone."""
    own = find(viewer, LABELS, [image])
    others = (
        layer
        for layer in reversed(viewer.layers)
        if role_of(layer) == LABELS and identity(image) in image_keys(layer)
    )
    labels = own or next(others, None)
    return [image] if labels is None else linked_images(viewer, labels)


def as_channels(viewer: ViewerModel, images: Sequence[Image]) -> tuple[Image, ...]:
    """Return Image layers as a network sees them: in the order of the layer list.

    So the order does not hang on which of them was chosen first.
    """
    return tuple(layer for layer in image_layers(viewer) if layer in images)


def _belonging(viewer: ViewerModel, role: str, image: str) -> Iterator[Layer]:
    """Yield the layers of `role` that belong to an image, the best first."""
    found = [
        layer
        for layer in reversed(viewer.layers)
        if role_of(layer) == role and own_image(viewer, layer) == image
    ]
    yield from sorted(found, key=lambda layer: image_keys(layer)[0] != image)


def find_image(viewer: ViewerModel, role: str, images: Sequence[Image]) -> Image | None:
    """Return the Image layer of `role` that belongs to the first of `images`; None without one."""
    found = find(viewer, role, images)
    return found if isinstance(found, Image) else None


def first_choice(viewer: ViewerModel) -> list[Image]:
    """List the channels to begin with; empty while there is no image that can be used.

    Those that were annotated before, else the image in hand, else the topmost.
    """
    candidates = image_layers(viewer)
    known = [image for image in candidates if find(viewer, LABELS, [image])]
    active = [image for image in candidates if image is viewer.layers.selection.active]
    for image in [*known[-1:], *active, *reversed(candidates)]:
        if usable(image):
            return channels_of(viewer, image)
    return []


def usable(image: Image) -> bool:
    """Tell whether `check_image` accepts an image."""
    try:
        check_image(image)
    except LayerError:
        return False
    return True


def annotation_layers(viewer: ViewerModel) -> list[Labels | Shapes]:
    """List what was painted or drawn on any image, on a prediction of it too.

    Also labels that others took the place of.
    """
    roles = (LABELS, REGIONS, IGNORED, CORRECTED)
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels | Shapes)
        and (annotation_role(layer) in roles or fact(layer, PAINTED))
    ]


def painted_labels(viewer: ViewerModel) -> list[Labels]:
    """List what is painted on images, one layer for each; the topmost last."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels) and role_of(layer) == LABELS and linked_images(viewer, layer)
    ]


def annotations_of(viewer: ViewerModel, layer: Labels | Shapes) -> list[Labels]:
    """List the Labels layers that an annotation layer belongs to; a Labels layer is its own."""
    if isinstance(layer, Labels):
        return [layer]
    painted = [other for other in annotation_layers(viewer) if isinstance(other, Labels)]
    image = own_image(viewer, layer)
    return [other for other in painted if own_image(viewer, other) == image]


def companion(viewer: ViewerModel, labels: Labels, role: str) -> Shapes | None:
    """Return the regions of `role` that belong to the image of `labels`, the topmost of several."""
    image = own_image(viewer, labels)
    belonging = () if image is None else _belonging(viewer, role, image)
    return next((layer for layer in belonging if isinstance(layer, Shapes)), None)


def linked_images(viewer: ViewerModel, layer: Layer) -> list[Image]:
    """List the channels that a layer belongs to, in their order, those that are still there."""
    by_id = {identity(image): image for image in image_layers(viewer)}
    return [by_id[key] for key in image_keys(layer) if key in by_id]


def all_labels(viewer: ViewerModel) -> list[Labels]:
    """List the Labels layers that can be written to a file, top of the list first."""
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Labels) and not layer.multiscale and layer.ndim in (2, 3)
    ]


def covering(viewer: ViewerModel, images: Sequence[Image]) -> list[Image]:
    """List the Image layers that are seen in place of the first of `images`.

    They are opaque and lie over its middle; where it is not shown itself, it need not be above it.
    None of `images`, and none of our results, is among them.
    """
    if viewer.canvas.grid.enabled or images[0] not in viewer.layers:
        return []
    lowest = viewer.layers.index(images[0]) if images[0].visible else 0
    return [
        layer
        for layer in viewer.layers[lowest:]
        if isinstance(layer, Image)
        and layer not in images
        and annotation_role(layer) is None
        and layer.visible
        and layer.opacity == 1
        and layer.blending in _OPAQUE
        and _lies_over(layer, images[0])
    ]


def _lies_over(layer: Image, image: Image) -> bool:
    """Tell whether a layer lies over the middle of an image, as far as it reaches in Y and X."""
    middle = image.extent.world[:, -2:].mean(axis=0)
    low, high = layer.extent.world[:, -2:]
    return bool((low <= middle).all() and (middle <= high).all())


def value_layers(viewer: ViewerModel) -> list[Image]:
    """List the Image layers with predicted values, top of the list first.

    Also those that the values of another model took the place of.
    """
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Image) and (annotation_role(layer) or "").startswith(VALUES)
    ]


def learns_values(images: Sequence[Image]) -> bool:
    """Tell whether values are learnt for an image, by its channels, instead of its labels."""
    return bool(images) and fact(images[0], TASK) == "regression"


def targets_of(viewer: ViewerModel, images: Sequence[Image]) -> tuple[Image, ...]:
    """Return the layers with the values learnt for an image; empty for another task.

    Those that are still there and no channel of it.
    """
    if not learns_values(images):
        return ()
    there = {identity(image): image for image in image_layers(viewer)}
    chosen = [there.get(key) for key in fact(images[0], TARGETS) or ()]
    return tuple(image for image in chosen if image is not None and image not in images)


def outputs(viewer: ViewerModel, kind: str, images: Sequence[Image]) -> list[Image]:
    """List the Image layers of the roles `kind` 0, `kind` 1 ... of the first of `images`."""
    wanted = identity(images[0])
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image)
        and (role_of(layer) or "").startswith(kind)
        and own_image(viewer, layer) == wanted
    ]


def newest_result(viewer: ViewerModel) -> Labels | Image | None:
    """Return the topmost layer with a prediction; None before there is one."""
    predicted = [layer for layer in all_labels(viewer) if role_of(layer) == PREDICTION]
    values = [layer for layer in value_layers(viewer) if role_of(layer) is not None]
    found: list[Labels | Image] = [*predicted, *values]
    return max(found, key=viewer.layers.index, default=None)
