"""The Export dock: labels, values and tables of cells as files that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLineEdit, QMessageBox

from napari_unet.files import FileError
from napari_unet.gui import layers
from napari_unet.gui.dock import Dock, add_field, button, combo, fields, row, words
from napari_unet.gui.file_dialog import (
    FileKind,
    ask_to_save,
    last_folder,
    plain_name,
    remember_folder,
)
from napari_unet.gui.layers import LayerError
from napari_unet.gui.settings import remember, remembered
from napari_unet.gui.slices import shortcomings
from napari_unet.gui.writers import check_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop

__all__ = ["ExportDock", "suggested", "with_ending"]

_TABLE = ".csv"
_FORMATS = {".tif": "TIFF", ".zarr": "OME-Zarr", _TABLE: "Table of cells (CSV)"}
_ENDINGS = (".tif", ".tiff", ".zarr", _TABLE)
_TOLD = 200  # cells between two reports


def suggested(layer_name: str, folder: Path, ending: str) -> str:
    """Return the path of a file that is called after its layer."""
    return str(folder / f"{plain_name(layer_name)}{ending}")


def with_ending(path: str, ending: str) -> str:
    """Return a path with the ending of a format; only that of another format gives way to it."""
    stem, dot, last = path.rpartition(".")
    return f"{stem if dot + last.lower() in _ENDINGS else path}{ending}"


def _write(
    path: Path, pixels: NDArray[Any], pixel_size: float | None, overwrite: bool, warning: str
) -> Iterator[str]:
    """Write the labels or values of a stack or a picture, and say so; runs in a worker thread."""
    from napari_unet.files import write_labels, write_values

    how: dict[str, Any] = {"pixel_size": pixel_size, "overwrite": overwrite}
    if pixels.dtype.kind == "f":
        written = write_values(path, pixels[..., None, :, :], **how)
    else:
        written = write_labels(path, pixels, **how)
    yield f"Written: {written}. ⚠ {warning}" if warning else f"Written: {written}"


@dataclass(frozen=True, eq=False)
class _Cells:
    """What a table of cells is made from, taken out of the layers."""

    labels: NDArray[Any]
    image: layers.ImageStack | None
    channels: Sequence[str]
    pixel_size: float | None


def _write_table(
    path: Path, cells: _Cells, overwrite: bool, warning: str, should_stop: ShouldStop
) -> Iterator[str]:
    """Measure cells and write a table of them; runs in a worker thread."""
    from napari_unet.evaluation import cell_properties, property_columns, property_row
    from napari_unet.files import write_table

    size, rows = cells.pixel_size, []
    for cell in cell_properties(cells.labels, cells.image):
        if should_stop():
            yield "Stopped; nothing was written."
            return
        rows.append(property_row(cell, size))
        if len(rows) % _TOLD == 0:
            yield f"Measuring: {len(rows)} cells so far."
    columns = property_columns(cells.channels, size)
    written = write_table(path, columns, rows, overwrite=overwrite)
    told = f"Written: {written}, {len(rows)} {'cell' if len(rows) == 1 else 'cells'}."
    yield f"{told} ⚠ {warning}" if warning else told


class ExportDock(Dock):
    """Write a Labels layer, or predicted values, as TIFF, OME-Zarr or a table of cells.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        # The session's job, not the dock's: a file is written to its end when the dock closes.
        self._job = self.session.job("export")
        self._listed: list[Labels | Image] = []
        self._picked = False
        self._typed = False
        self._written = False
        self._folder: Path | None = None
        self._asked: tuple[Labels | Image, Path] | None = None
        self._measuring = False
        self._missing = ""
        self._build()
        self._connect()
        self._list_layers()
        self._suggest()

    def _build(self) -> None:
        self.column.addWidget(
            words(
                "Write labels or values to a file that Fiji, QuPath, Python and others read, or "
                "measure cells into a table."
            )
        )
        form = fields()
        self._layer = combo("The Labels layer, or the predicted values, to write.")
        add_field(form, "Layer", self._layer)
        self._format = combo(
            "TIFF: one file, opened by every program. OME-Zarr: a folder, for large data. Table: "
            "where each cell is, its size, shape and brightness, for Excel, R and others."
        )
        for ending, name in _FORMATS.items():
            self._format.addItem(name, ending)
        kept = self._format.findData(remembered("export/format", ".tif"))
        self._format.setCurrentIndex(max(kept, 0))
        add_field(form, "Format", self._format)
        self._path = QLineEdit()
        self._path.setToolTip(
            "<qt>Where to write; type it, or press Browse. Return writes the file.</qt>"
        )
        add_field(form, "File", self._path)
        self.column.addLayout(form)
        browse = button("Browse…", "Choose folder and name.", self._on_browse)
        self._export = button("Export", "Write the file (Ctrl+Return).", self._on_export)
        self._stop = button("Stop", "Stop measuring; no table is written.", self._job.stop)
        self.bind_key("Ctrl+Return", self._export)
        self.column.addLayout(row(browse, self._export, self._stop))
        self.finish()

    def _connect(self) -> None:
        self.session.layers_changed.connect(self._list_layers)
        self._layer.currentIndexChanged.connect(self._on_layer)
        self._layer.activated.connect(self._on_picked)
        self._path.textEdited.connect(self._on_typed)
        self._path.textChanged.connect(self._on_name)
        self._path.returnPressed.connect(self._on_return)
        self._format.currentIndexChanged.connect(self._on_format)
        self._job.reported.connect(self.say)
        self._job.failed.connect(self.warn)
        self._job.finished.connect(self._show_buttons)

    # -------------------------------------------------------------------------------- the layer

    def _list_layers(self) -> None:
        """List the layers anew; without the user's own choice the newest result is chosen."""
        chosen = self._chosen()
        wanted = chosen if self._picked else layers.newest_result(self.session.viewer) or chosen
        viewer = self.session.viewer
        found = [*layers.all_labels(viewer), *layers.value_layers(viewer)]
        self._layer.blockSignals(True)
        self._layer.clear()
        self._layer.addItems([layer.name for layer in found])
        self._listed = found
        self._layer.setCurrentIndex(found.index(wanted) if wanted in found else 0)
        self._layer.blockSignals(False)
        if self._chosen() is chosen:
            self._suggest()
        else:
            self._on_layer()
        self._show_buttons()

    def _on_picked(self) -> None:
        self._picked = True

    def _chosen(self) -> Labels | Image | None:
        at = self._layer.currentIndex()
        return self._listed[at] if 0 <= at < len(self._listed) else None

    # --------------------------------------------------------------------------------- the file

    @property
    def _kind(self) -> FileKind:
        """The chosen format, as a kind of file."""
        return FileKind("export/folder", self._format.currentData())

    def _on_layer(self) -> None:
        """Name the file of another layer; a name that was typed and written has served."""
        self._typed = self._typed and not self._written
        self._suggest()

    def _suggest(self) -> None:
        """Name the file after the layer, unless a person has named it."""
        if not self._typed:
            self._path.setText(self._suggested())

    def _suggested(self) -> str:
        """Return a name in the folder that a person typed, or that of the last export."""
        layer, kind = self._chosen(), self._kind
        folder = self._folder or last_folder(kind)
        return "" if layer is None else suggested(layer.name, folder, kind.ending)

    def _on_typed(self, text: str) -> None:
        """Keep what a person typed: the folder, and the name where it is another one."""
        self._picked = True
        self._folder = Path(text).parent if text else None
        self._written = False
        self._typed = bool(text) and Path(text).name != Path(self._suggested()).name

    def _on_format(self) -> None:
        ending = self._format.currentData()
        remember("export/format", ending)
        if self._path.text():
            self._path.setText(with_ending(self._path.text(), ending))

    def _on_browse(self) -> None:
        kind, said = self._kind, self._path.text().strip()
        suggested = Path(said or f"labels{kind.ending}").expanduser()
        # What is there already is asked about when it is written.
        ask_to_save(
            self, "Export labels", kind, self._on_browsed, suggested=suggested, confirm=False
        )

    def _on_browsed(self, name: str) -> None:
        self._path.setText(name)
        self._on_typed(name)

    def _target(self) -> Path:
        """Return the file to write, with the ending of the format."""
        path = Path(self._path.text().strip()).expanduser().absolute()
        ending = self._kind.ending
        known = (".tif", ".tiff") if ending == ".tif" else (ending,)
        return path if path.suffix.lower() in known else path.with_name(path.name + ending)

    def _on_return(self) -> None:
        """Write the file; with Ctrl the key of the dock does."""
        if not QApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            self._export.click()

    def _on_export(self) -> None:
        self.say("")
        layer = self._chosen()
        if layer is None:
            self._miss("There is no Labels layer yet; paint one, or predict.")
        elif not self._path.text().strip():
            self._miss("There is no file name yet; type one, or press Browse.")
        elif self._kind.ending == _TABLE and not isinstance(layer, Labels):
            self._miss("A table lists cells, and these are values; choose a Labels layer, or TIFF.")
        elif self._target().exists():
            self._replace(layer, self._target())
        else:
            self._start(layer, self._target(), overwrite=False)

    def _miss(self, what: str) -> None:
        """Say what is missing, until there is a layer and a name."""
        self.warn(what)
        self._missing = self.message

    def _on_name(self, name: str) -> None:
        if name.strip() and self._chosen() is not None and self.message == self._missing:
            self.say("")

    def _replace(self, layer: Labels | Image, path: Path) -> None:
        """Ask, but for labels and a folder that may hold an image: they go elsewhere."""
        try:
            if isinstance(layer, Labels):
                check_place(path)
        except FileError as error:
            self.warn(str(error))
            return
        self._ask(layer, path)

    def _ask(self, layer: Labels | Image, path: Path) -> None:
        """Ask before something is replaced; what the answer is about cannot change meanwhile."""
        self._asked = layer, path
        question = QMessageBox(self)
        question.setIcon(QMessageBox.Icon.Question)
        question.setText(f"“{path.name}” is already there. Replace it?")
        question.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
        question.setDefaultButton(QMessageBox.StandardButton.No)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.finished.connect(self._on_answer)
        question.open()

    def _on_answer(self, answer: int) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and answer == QMessageBox.StandardButton.Yes:
            self._start(*asked, overwrite=True)
        else:
            self.say("Nothing was written.")

    def _start(self, layer: Labels | Image, path: Path, *, overwrite: bool) -> None:
        if self._job.running:
            return
        labels, warning = layers.read_labels(layer), shortcomings(layer)
        remember_folder(self._kind, path)
        self._folder, self._written = path.parent, True
        self._measuring = path.suffix.lower() == _TABLE
        if self._measuring:
            cells = self._cells(layer, labels)
            if cells.image is None:
                unknown = "No image belongs to this layer, so the table tells no brightness."
                warning = f"{unknown} {warning}".strip()
            self._job.start(
                lambda should_stop: _write_table(path, cells, overwrite, warning, should_stop)
            )
        else:
            pixels = labels[0] if layer.ndim == 2 else labels
            size = layers.pixel_size(layer)
            self._job.start(lambda should_stop: _write(path, pixels, size, overwrite, warning))
        self._show_buttons()

    def _cells(self, layer: Labels | Image, labels: NDArray[Any]) -> _Cells:
        """Take out of the layers what is measured; without an image where none of its size is."""
        channels = layers.linked_images(self.session.viewer, layer)
        size = layers.pixel_size(layer)
        try:
            image = layers.image_stack(channels)
        except LayerError:
            image = None
        if image is None or (image.shape[0], *image.shape[-2:]) != labels.shape:
            return _Cells(labels, None, (), size)
        return _Cells(labels, image, layers.channel_names(channels), size)

    def _show_buttons(self) -> None:
        running = self._job.running
        self._export.setEnabled(not running)
        self._stop.setEnabled(running and self._measuring)
