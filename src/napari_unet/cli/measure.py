"""`napari-unet measure`: labels in, a table of their cells out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unet.annotations import binary_to_instances
from napari_unet.cli.failures import CommandError, Failures
from napari_unet.cli.inputs import BAD_FILE
from napari_unet.cli.outputs import prepare_folder, refuse_existing, refuse_inputs
from napari_unet.cli.progress import ImagesProgress
from napari_unet.evaluation import (
    CellProperties,
    cell_properties,
    property_columns,
    property_row,
    unnamed_channels,
)
from napari_unet.files import (
    image_paths,
    match_labels,
    read_image,
    read_labels,
    stem,
    write_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MeasureCommand"]


@dataclass(frozen=True, eq=False)
class _Measured:
    """The cells of one file."""

    name: str
    cells: Sequence[CellProperties]
    channels: int
    pixel_size: float | None


@dataclass(frozen=True, kw_only=True)
class MeasureCommand:
    """What was asked for on the command line."""

    labels: Path
    images: Path | None
    table: Path
    overwrite: bool
    debug: bool

    def run(self) -> None:
        """Measure the cells of every file, and write them as one table.

        Raises
        ------
        CommandError
            If no file could be read; no table is written then.
        Reported
            If a file could not be measured; the others stand in the table.
        """
        pairs = self._pairs()
        refuse_inputs([self.table], [path for pair in pairs for path in pair if path])
        refuse_existing([self.table], overwrite=self.overwrite)
        prepare_folder(self.table.parent)
        failures = Failures(debug=self.debug)
        read = list(self._read(pairs, failures))
        # Whether they are masks is decided over all of them together, as for a training.
        whole = binary_to_instances([labels for _, _, labels in read])
        measured = []
        with ImagesProgress("Measuring", len(read)) as progress:
            for (path, image, _), labels in zip(read, whole, strict=True):
                progress.show(path.name, 0.0)
                try:
                    found = _measure(path, image, labels)
                except BAD_FILE as error:
                    progress.finish(f"{path.name}: failed")
                    failures.add(error, path.name)
                    continue
                measured.append(found)
                progress.finish(f"{path.name}: {len(found.cells)} cells")
        if not measured:
            raise CommandError(f"no labels in {self.labels} could be measured")
        write_table(self.table, _columns(measured), _rows(measured), overwrite=self.overwrite)
        failures.finish()

    def _pairs(self) -> list[tuple[Path, Path | None]]:
        """List the labels, each with its image if there are images."""
        if self.images is None:
            return [(path, None) for path in image_paths(self.labels)]
        return [(pair.labels, pair.image) for pair in match_labels(self.images, self.labels)]

    def _read(
        self, pairs: Sequence[tuple[Path, Path | None]], failures: Failures
    ) -> Iterator[tuple[Path, Path | None, NDArray[Any]]]:
        for path, image in pairs:
            try:
                labels = read_labels(path)
            except BAD_FILE as error:
                failures.add(error, path.name)
                continue
            yield path, image, labels


def _measure(path: Path, image_path: Path | None, labels: NDArray[Any]) -> _Measured:
    """Measure the cells of one file, in its image where there is one."""
    picture = read_image(image_path or path)
    image = None if image_path is None else picture.data
    cells = list(cell_properties(labels, image))
    channels = 0 if image is None else image.shape[1]
    return _Measured(stem(path), cells, channels, picture.pixel_size)


def _columns(measured: Sequence[_Measured]) -> list[str]:
    """Name the columns that any of the files needs."""
    channels = unnamed_channels(max(each.channels for each in measured))
    size = next((each.pixel_size for each in measured if each.pixel_size), None)
    return ["image", *property_columns(channels, size)]


def _rows(measured: Sequence[_Measured]) -> Iterator[list[Any]]:
    """Return the lines of the table; what a file does not tell stays empty."""
    columns = _columns(measured)
    for each in measured:
        own = ["image", *property_columns(unnamed_channels(each.channels), each.pixel_size)]
        for cell in each.cells:
            line = dict(zip(own, [each.name, *property_row(cell, each.pixel_size)], strict=True))
            yield [line.get(column, "") for column in columns]
