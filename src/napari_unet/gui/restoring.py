"""Turns what a recovery file holds into layers again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unet.gui import layers
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.copies import unpack
from napari_unet.gui.values import Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

    from napari_unet.files.recovery import Recovery
    from napari_unet.gui.marks import Outline
    from napari_unet.gui.session import Session

__all__ = ["draw", "restore"]


def restore(session: Session, recovery: Recovery) -> Labels:
    """Turn a recovery file into layers; what is painted already stays as a layer of its own."""
    known = session.labels_layer
    images = session.image_layers
    facts, arrays = recovery.facts, recovery.arrays
    task = facts.get("task", "instances")
    classes = {int(v): n for v, n in facts.get("classes", {}).items()}
    if facts.get("corrected"):
        return layers.add_corrected(
            session.viewer, images, recovery.labels, task=task, classes=classes
        )
    if known is not None and layers.view_labels(known).any():
        name = f"{session.name} labels restored"
        restored = layers.add_labels(
            session.viewer, images, recovery.labels, role="restored", name=name
        )
        session.adopt(restored)
    else:
        layers.replace_labels(session.create_annotation(), recovery.labels)
    for other in layers.labels_layers(session.viewer, images[0]):
        if other is not session.labels_layer:  # what is restored is seen on the image
            layers.hide(other)
    session.task = task
    if classes:
        session.part(ClassNames).choose(classes)
    for z in arrays.get("complete", ()):
        session.set_complete(int(z), True)
    for role in (layers.REGIONS, layers.IGNORED):
        draw(session, role, unpack(arrays.get(role, np.zeros((0, 4)))))
    if facts.get("values") is not None:
        session.task = "regression"
        there = {image.name: image for image in layers.image_layers(session.viewer)}
        named = [there[name] for name in facts["values"] if name in there]
        session.part(Values).choose([i for i in named if not layers.target_problem(i, images)])
    return session.create_annotation()


def draw(session: Session, role: str, outlines: Sequence[Outline]) -> None:
    """Draw those regions of the chosen image, of `role`, that are not there."""
    if outlines:
        image, regions = session.image_layers[0], session.region_layer(role)
        drawn = layers.outlines(regions, image)
        new = [o for o in outlines if not any(_same(o, other) for other in drawn)]
        layers.add_outlines(regions, new, image)


def _same(one: Outline, other: Outline) -> bool:
    alike = one.z == other.z and one.points.shape == other.points.shape
    return alike and bool(np.allclose(one.points, other.points))
