"""TIFF, OME-TIFF and ImageJ hyperstacks."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import tifffile

from napari_unet.files.errors import FileError, reading
from napari_unet.files.stored import StoredArray, believable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MICROMETRES", "read_tiff", "write_tiff"]

MICROMETRES = {
    "m": 1e6,
    "meter": 1e6,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "µm": 1.0,
    "μm": 1.0,
    "\\u00b5m": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "å": 1e-4,
    "angstrom": 1e-4,
}
"""Units that microscopes are calibrated in. Not the inch: ImageJ takes the 72 dots per inch that
other programs write for no reason for a calibration, and keeps it."""

_CENTIMETRE = 3
_DOTS_PER_INCH = (72, 75, 96, 100, 150, 200, 300, 400, 600, 1200, 2400)
# ImageJ opens no BigTIFF and keeps calibration only for these types.
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_IMAGEJ_BYTES = 2**32 - 2**25
# What scanners of slides put into a file beside the picture, by the names of its parts.
_BESIDE = ("label", "macro", "overview", "thumbnail")


def read_tiff(path: Path) -> StoredArray:
    """Read the picture of a TIFF file; its metadata say what the axes are.

    Raises
    ------
    FileError
        If the file is damaged, no TIFF, part of a set, or holds several pictures.
    """
    with reading(path, "a TIFF image"), _complaints(path), tifffile.TiffFile(path) as file:
        if _one_of_several(file):
            raise FileError(
                f"{path} is one of several files that make up one set, of positions or channels; "
                "open it in Fiji and save each picture as a file of its own"
            )
        series = file.series[0]
        pictures = [
            other for other in file.series if other.shape == series.shape or not _beside(other)
        ]
        if len(pictures) > 1:
            shapes = ", ".join(dict.fromkeys(str(picture.shape) for picture in pictures))
            raise FileError(
                f"{path} holds {len(pictures)} pictures, of the shape {shapes}; save each as a "
                "file of its own"
            )
        page = series.keyframe
        axes = _axes(series.axes, series.shape, page)
        if series.kind == "shaped" and axes.startswith("S"):
            # tifffile takes three or four planes of unnamed axes for colours, five for slices.
            axes = axes.replace("S", "Q")
        sides = (_pixel_side(axis, file, page) for axis in "YX")
        return StoredArray(series.asarray(), axes, *believable(*sides))


def write_tiff(
    path: Path, data: NDArray[Any], axes: str, *, pixel_size: float | None = None
) -> None:
    """Write a compressed TIFF that ImageJ and napari open with the right axes.

    Where ImageJ knows the type and the size its own format is used, so that Fiji shows the pixel
    size; otherwise the axes stand in tifffile's description.
    """
    # tifffile cannot read back several ImageJ planes of one pixel.
    known = data.dtype.name in _IMAGEJ_TYPES and data.shape[-2:] != (1, 1)
    imagej = known and data.nbytes < _IMAGEJ_BYTES
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if pixel_size and imagej:
        metadata["unit"] = "um"
        options = {"resolution": (1 / pixel_size, 1 / pixel_size)}
    elif pixel_size:
        options = {"resolution": (1e4 / pixel_size, 1e4 / pixel_size)}
        options["resolutionunit"] = "CENTIMETER"
    tifffile.imwrite(
        path,
        data,
        imagej=imagej,
        photometric="minisblack",
        compression="zlib",
        bigtiff=not imagej and data.nbytes >= _IMAGEJ_BYTES,
        metadata=metadata,
        **options,
    )


def _one_of_several(file: tifffile.TiffFile) -> bool:
    """Tell whether a file's metadata speak of a set of files, which tifffile reads as one."""
    if file.ome_metadata:
        tree = ElementTree.fromstring(file.ome_metadata).iter()
        named = {e.get("FileName") for e in tree if e.tag.rpartition("}")[2] == "UUID"}
        return len(named - {None}) > 1
    return any(series.is_multifile for series in file.series)


def _beside(series: tifffile.TiffPageSeries) -> bool:
    """Tell a smaller copy of the picture, or a photograph of the whole slide, from a picture."""
    name = series.name.lower()
    return bool(series.keyframe.is_reduced) or any(word in name for word in _BESIDE)


def _axes(axes: str, shape: tuple[int, ...], page: Any) -> str:
    """Correct tifffile's letters: a sample is a colour only in an RGB picture or beside alpha."""
    colour = page.photometric in (
        tifffile.PHOTOMETRIC.RGB,
        tifffile.PHOTOMETRIC.YCBCR,
        tifffile.PHOTOMETRIC.CFA,
    )
    alpha = any(
        sample in (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
        for sample in page.extrasamples
    )
    if "S" in axes and not (colour or alpha):
        return axes.replace("S", "C")
    if "Y" in axes and "X" in axes:
        return axes
    if len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4:
        return "YXS"
    return "Q" * (len(shape) - 2) + "YX"


def _pixel_side(axis: str, file: tifffile.TiffFile, page: Any) -> float | None:
    """Read micrometres per pixel in X or Y.

    Dots per inch are ignored, programs write 72 for no reason.
    """
    if file.ome_metadata:
        return _ome_pixel_side(axis, file.ome_metadata)
    resolution = page.tags.get(f"{axis}Resolution")
    if resolution is None or not all(resolution.value):
        return None
    step = float(resolution.value[1] / resolution.value[0])
    if file.is_imagej:
        unit = str((file.imagej_metadata or {}).get("unit", "")).lower()
        return step * MICROMETRES[unit] if unit in MICROMETRES else None
    unit_tag = page.tags.get("ResolutionUnit")
    if unit_tag is None or unit_tag.value != _CENTIMETRE or _of_a_printer(1 / step):
        return None
    return step * 1e4


def _of_a_printer(per_centimetre: float) -> bool:
    """Tell dots of screens and printers, which some programs write per centimetre, by number."""
    return any(abs(per_centimetre * 2.54 / dots - 1) < 0.002 for dots in _DOTS_PER_INCH)


def _ome_pixel_side(axis: str, xml: str) -> float | None:
    for element in ElementTree.fromstring(xml).iter():
        if element.tag.rpartition("}")[2] == "Pixels":
            size = element.get(f"PhysicalSize{axis}")
            factor = MICROMETRES.get(element.get(f"PhysicalSize{axis}Unit", "µm").lower())
            return float(size) * factor if size and factor else None
    return None


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Take tifffile's logged errors for errors: after them slices are missing or empty.

    That planes are missing and full of zeros is a warning to it.
    """
    messages: list[str] = []
    handler = _Collector(messages)
    logger = logging.getLogger("tifffile")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if messages:
        raise FileError(f"{path} is damaged ({messages[0][:160]})")


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        # Vendors write odd tags into good files; what the picture needs is checked when read.
        wrong = record.levelno >= logging.ERROR and "TiffTag" not in message
        if wrong or "zeroed" in message:
            self._messages.append(message)
