"""Opening napari, where there is one and a display to show it on."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec

from napari_unet.cli.failures import CommandError

__all__ = ["has_display", "open_workbench", "refuse_without_window"]

_INSTALL = "install one with: pip install PyQt6"


def has_display() -> bool:
    """Tell whether windows can be opened: always outside Linux, there with X or Wayland."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def refuse_without_window() -> None:
    """Refuse to go on where no window of napari can be opened.

    Raises
    ------
    CommandError
        With what is missing and how to get it.
    """
    if find_spec("napari") is None or find_spec("qtpy") is None:
        raise CommandError("napari is not installed; install it with: pip install napari[all]")
    try:
        import_module("qtpy.QtWidgets")
    except ImportError as error:
        raise CommandError(f"napari needs a Qt binding and found none; {_INSTALL}") from error
    if not has_display():
        raise CommandError(
            "there is no display to open napari on; train, predict, evaluate, info and "
            "demo --headless work without one"
        )


def open_workbench() -> None:
    """Open napari with the workbench and return when its window is closed."""
    refuse_without_window()
    from napari_unet.gui.launch import open_workbench as launch

    launch()
