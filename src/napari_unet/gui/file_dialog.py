"""Asks for a file without holding the window up, and remembers its folder for the next time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_unet.files import FileError
from napari_unet.gui.settings import home, remember, remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = [
    "MODEL",
    "FileKind",
    "ask_to_open",
    "ask_to_save",
    "first_folder",
    "last_folder",
    "plain_name",
    "remember_folder",
]

_FORBIDDEN = '<>:"/\\|?*'
_LONGEST = 180  # bytes; a file's name may have 255, and a date and an ending come to it


@dataclass(frozen=True)
class FileKind:
    """A kind of file, with a folder of its own that is remembered.

    Attributes
    ----------
    setting
        Under which the folder is kept.
    ending
        What a name without one gets, with its dot.
    shown
        Which files the dialog shows, as Qt writes it; all when empty.
    kept
        The folder, in the plugin's own, that holds such files without anybody's choice.
    """

    setting: str
    ending: str
    shown: str = ""
    kept: str = ""


MODEL = FileKind("models/folder", ".safetensors", "U-Net model (*.safetensors)", "models")


def last_folder(kind: FileKind) -> Path:
    """Return the folder of the file that was chosen last; home when there is none any more."""
    return _chosen_folder(kind) or Path.home()


def first_folder(kind: FileKind) -> Path:
    """Return where to look for a file: as `last_folder`, but first where the plugin keeps them."""
    return _chosen_folder(kind) or _kept_folder(kind) or Path.home()


def _chosen_folder(kind: FileKind) -> Path | None:
    folder = remembered(kind.setting, "")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _kept_folder(kind: FileKind) -> Path | None:
    try:
        folder = home() / kind.kept
    except FileError:
        return None
    return folder if kind.kept and folder.is_dir() else None


def remember_folder(kind: FileKind, file: str | Path) -> None:
    """Begin in the folder of `file` the next time."""
    remember(kind.setting, str(Path(file).parent))


def plain_name(name: str) -> str:
    """Return as much of a layer's name as the name of a file can hold on any system."""
    kept = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in name)
    return kept.encode()[:_LONGEST].decode(errors="ignore").strip(" .")


def ask_to_open(parent: QWidget, title: str, kind: FileKind, chosen: Callable[[str], None]) -> None:
    """Ask for a file that exists; `chosen` gets its path, and is not called after a cancel.

    Returns at once: a training goes on while the dialog is open.
    """
    dialog = QFileDialog(parent, title, str(first_folder(kind)))
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    _open(dialog, kind, chosen)


def ask_to_save(
    parent: QWidget,
    title: str,
    kind: FileKind,
    chosen: Callable[[str], None],
    *,
    suggested: Path,
    confirm: bool = True,
) -> None:
    """Ask where to write a file; as `ask_to_open`.

    Parameters
    ----------
    suggested
        What the dialog begins with; a name alone is put into the last folder.
    confirm
        Ask before a file that exists is chosen; off where that is asked later.
    """
    target = last_folder(kind) / suggested  # a whole path stays what it is
    dialog = QFileDialog(parent, title, str(target.parent))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setOption(QFileDialog.Option.DontConfirmOverwrite, not confirm)
    dialog.setDefaultSuffix(kind.ending.lstrip("."))
    dialog.selectFile(target.name)
    _open(dialog, kind, chosen)


def _open(dialog: QFileDialog, kind: FileKind, chosen: Callable[[str], None]) -> None:
    if kind.shown:
        dialog.setNameFilter(kind.shown)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda name: remember_folder(kind, name))
    dialog.fileSelected.connect(chosen)
    dialog.open()
