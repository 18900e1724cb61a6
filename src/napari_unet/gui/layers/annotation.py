"""Takes the whole annotation of an image out of its layers: what is painted, drawn and complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.gui.layers.finding import as_channels, companion
from napari_unet.gui.layers.reading import (
    check_labels,
    image_stack,
    outlines,
    pixel_size,
    read_labels,
    view_labels,
    volume_shape,
)
from napari_unet.gui.layers.tags import COMPLETE, IGNORED, REGIONS, TASK, fact
from napari_unet.gui.marks import Marks, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["marks_of", "says_something", "snapshot_of"]

_LOOKED_AT = 1 << 24  # pixels; more of them would hold up the window


def marks_of(viewer: ViewerModel, labels: Labels) -> Marks:
    """Return the annotation of an image, by its Labels layer, without copying what is painted.

    Somebody may paint meanwhile, so use it only for what is computed again after a change.
    """
    return Marks(labels=view_labels(labels), **_drawn(viewer, labels))


def snapshot_of(
    viewer: ViewerModel,
    labels: Labels,
    images: Sequence[Image],
    before: Snapshot | None = None,
) -> Snapshot:
    """Copy what is painted and drawn on an image, for a job that reads the image itself.

    Parameters
    ----------
    viewer
        Where the layers are.
    labels
        What is painted.
    images
        The channels that it is painted on, the one first that the image is called after.
    before
        An earlier snapshot of this image, so that pixels are read once; by default anew.

    Raises
    ------
    LayerError
        If the layers no longer fit each other.
    """
    check_labels(labels, images)
    return Snapshot(
        image=image_stack(as_channels(viewer, images)) if before is None else before.image,
        labels=read_labels(labels),
        **_drawn(viewer, labels),
        name=images[0].name,
        # That of the image, as a prediction takes it: labels may have come without one.
        pixel_size=pixel_size(images[0]),
    )


def says_something(viewer: ViewerModel, labels: Labels) -> bool:
    """Tell whether a network can learn from what belongs to labels; see `Marks.says_something`.

    A stack that is too large to look at counts as painted.
    """
    return labels.data.size > _LOOKED_AT or marks_of(viewer, labels).says_something()


def _drawn(viewer: ViewerModel, labels: Labels) -> dict[str, Any]:
    """Everything of `Marks` but the painted labels."""
    regions, ignored = (companion(viewer, labels, role) for role in (REGIONS, IGNORED))
    slices = volume_shape(labels)[0]
    complete = np.zeros(slices, dtype=bool)
    complete[[z for z in fact(labels, COMPLETE, ()) if z < slices]] = True
    return {
        "region_outlines": outlines(regions, labels),
        "ignored_outlines": outlines(ignored, labels),
        "complete": complete,
        "task": fact(labels, TASK, "instances"),
    }
