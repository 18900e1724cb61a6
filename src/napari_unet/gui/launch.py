"""napari with the workbench, as the command `napari-unet` opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["open_workbench", "viewer_with_workbench"]


def viewer_with_workbench() -> Viewer:
    """Return a new viewer with the workbench docked at its right side."""
    from napari_unet.gui.workbench import Workbench

    viewer = napari.Viewer(title="napari-unet")
    viewer.window.add_dock_widget(Workbench(viewer), name="U-Net workbench", area="right")
    return viewer


def open_workbench() -> None:
    """Open napari with the workbench and return when its window is closed."""
    viewer_with_workbench()
    napari.run()
