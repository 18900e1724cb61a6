"""What the docks remember from one day to the next, in one small file of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import QSettings

from napari_unet.files import FileError, recovery_folder

__all__ = ["home", "remember", "remembered"]

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T", str, int, float, bool)


def home() -> Path:
    """Return the plugin's own folder, in which recovery files, models and settings lie.

    Raises
    ------
    FileError
        If it cannot be made.
    """
    return recovery_folder().parent


def remember(key: str, value: str | int | float | bool) -> None:
    """Keep a setting, such as the last folder; without a folder of our own it is forgotten."""
    file = _file()
    if file is not None:
        file.setValue(key, value)


def remembered(key: str, default: T) -> T:
    """Return a kept setting, in the type of `default`; `default` where there is none."""
    file = _file()
    kept = None if file is None else file.value(key, default, type=type(default))
    return default if kept is None else kept


def _file() -> QSettings | None:
    try:
        return QSettings(str(home() / "settings.ini"), QSettings.Format.IniFormat)
    except FileError:
        return None
