"""What layers of ours carry with them, and how they are known again; nobody else reads it.

A small mapping in ``layer.metadata["napari_unet"]``: a layer's ``role``, in ``image`` the
identities of the Image layers it belongs to, in ``layer`` its own, and facts such as what the
labels mean. A duplicate of a layer, to which napari gives the same mapping, plays no role.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = [
    "CLASSES",
    "COMPLETE",
    "CORRECTED",
    "IGNORED",
    "LABELS",
    "OUTPUT",
    "PAINTED",
    "PREDICTED",
    "PREDICTION",
    "REGIONS",
    "TARGETS",
    "TASK",
    "VALUES",
    "WARPED",
    "annotation_role",
    "assign",
    "fact",
    "identity",
    "image_keys",
    "link",
    "own_image",
    "role_of",
    "set_aside",
    "set_fact",
]

LABELS, REGIONS, IGNORED = "labels", "regions", "ignored"
"""Roles of the layers of an annotation: what is painted, where all is painted, what is left out."""
PREDICTION = "prediction"
"""Role of the Labels layer with what was predicted."""
CORRECTED = "corrected"
"""Role of the Labels layer that keeps slices of a prediction on which a person has painted."""
VALUES = "values"
"""Role of the layers with what a regression predicted; behind it stands the output's number."""
WARPED = "warped"
"""Role of the layers of an elastic warp's preview; behind it stands what each shows."""
TASK, CLASSES, COMPLETE, OUTPUT = "task", "classes", "complete", "output"
"""Facts: what labels mean, names of painted values, complete slices, what values are called.

An image may have a task too: "regression" where it learns values instead of its labels."""
TARGETS = "targets"
"""Fact of an image: the identities of the layers that hold the values to learn for it."""
PAINTED = "painted"
"""Fact: the slices of a prediction on which a person has painted."""
PREDICTED = "predicted"
"""Fact: the slices that are predicted, and the fingerprint of the model that made each."""
_METADATA = "napari_unet"
_FORMER = "former role"  # what a layer was until another one took its place


def identity(layer: Layer) -> str:
    """Return what stays the same when a layer is renamed, moved or edited."""
    return str(layer.unique_id)


def role_of(layer: Layer) -> str | None:
    """Return what a layer is to the plugin; None for one that it has nothing to do with."""
    role: str | None = _own_tag(layer).get("role")
    return role


def annotation_role(layer: Layer) -> str | None:
    """Return the role of a layer, or the one that it had until another layer took its place."""
    role: str | None = fact(layer, "role", fact(layer, _FORMER))
    return role


def image_keys(layer: Layer) -> tuple[str, ...]:
    """Return the identities of the Image layers that a layer belongs to."""
    return tuple(fact(layer, "image", ()))


def own_image(viewer: ViewerModel, layer: Layer) -> str | None:
    """Return the identity of the image that a layer belongs to; None for others' layers.

    It is the first of its channels or, once that was removed, the first that is still there: what
    is a further channel of an image may be annotated by itself, too.
    """
    keys = image_keys(layer)
    present = {identity(other) for other in viewer.layers}
    return next(chain((key for key in keys if key in present), keys), None)


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


def assign(layer: Layer, role: str, images: Sequence[Image]) -> None:
    """Remember that `layer` plays `role` for these channels."""
    _tag(layer).pop(_FORMER, None)
    _tag(layer).update(role=role, image=[identity(image) for image in images])


def link(viewer: ViewerModel, layer: Layer, role: str, images: Sequence[Image]) -> None:
    """Remember that `layer`, and no other one any more, plays `role` for the first of `images`.

    The others are its further channels, each of which may have a layer of that role for itself.
    """
    image = identity(images[0])
    for other in viewer.layers:
        if other is not layer and role_of(other) == role and own_image(viewer, other) == image:
            set_aside(other)
    assign(layer, role, images)


def set_aside(layer: Layer) -> None:
    """Let a layer play its role no more; what it was stays known."""
    _tag(layer)[_FORMER] = _tag(layer).pop("role")
