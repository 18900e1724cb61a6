"""Which other images of the window teach the same network, and which contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.gui import layers
from napari_unet.gui.class_names import given_names
from napari_unet.gui.layers import LABELS, TASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from napari_unet.gui.session import Session

__all__ = ["other_annotations"]


def other_annotations(session: Session) -> list[Labels]:
    """List what is painted on the other images of a viewer that can be learnt from as well.

    It means the same as what is painted on the chosen image, on as many channels; no class has
    another name there.
    """
    own = session.labels_layer
    if own is None or session.task != session.painted_task:
        return []
    found: list[Labels] = []
    for labels in layers.painted_labels(session.viewer):
        if _teaches_too(session, labels) and _named_alike(labels, [*found, own]):
            found.append(labels)
    return found


def _teaches_too(session: Session, labels: Labels) -> bool:
    images = layers.linked_images(session.viewer, labels)
    chosen = session.image_layers
    if images[0] in chosen or layers.find(session.viewer, LABELS, images) is not labels:
        return False
    same = [image.rgb for image in images] == [image.rgb for image in chosen]
    means = layers.fact(labels, TASK, "instances") == session.task
    alike = same and means and layers.fits(labels, images[0])
    return alike and layers.says_something(session.viewer, labels)


def _named_alike(labels: Labels, before: Sequence[Labels]) -> bool:
    """Whether an annotation calls no class otherwise than those before it, the last above all."""
    known, names = given_names(*before), given_names(labels)
    return all(known.get(value, name) == name for value, name in names.items())
