"""Sample data, drawn by code with known truth: touching cells under relief contrast.

The cells are as bright as the background on average; what shows them is the shaded relief of a
differential interference contrast microscope, a thin membrane and their granular texture. A
threshold therefore finds half-moons instead of cells, and touching cells have to be told apart by
their membranes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet.options import option

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CellDrawing", "draw_touching_cells", "touching_cells", "touching_cells_stack"]

LayerData = tuple[Any, dict[str, Any], str]
FloatArray = npt.NDArray[np.float64]
LabelArray = npt.NDArray[np.int32]

SAMPLE_SEED = 2015
PIXEL_SIZE = 0.5


@dataclass(frozen=True, kw_only=True)
class CellDrawing:
    """Everything that decides how the drawn cells look."""

    diameter: float = option(28.0, "Mean diameter of a cell in pixels.", min=8.0, max=200.0)
    crowding: float = option(0.8, "Distance of neighbours, in diameters.", min=0.5, max=3.0)
    relief: float = option(1.0, "Strength of the shading from one side.", min=0.0, max=5.0)
    texture: float = option(1.0, "Strength of the granules inside cells.", min=0.0, max=5.0)
    membrane: float = option(1.0, "Depth of the dark line around a cell.", min=0.0, max=5.0)
    illumination: float = option(1.0, "Strength of the uneven illumination.", min=0.0, max=5.0)
    noise: float = option(1.0, "Strength of the camera's noise.", min=0.0, max=5.0)
    debris: int = option(60, "Specks of dirt per megapixel.", min=0, max=1000)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells as ellipsoids: centres (n, 3), radii (n, 3) in z, y, x, turning angle (n,)."""

    centres: FloatArray
    radii: FloatArray
    angles: FloatArray
    drift: FloatArray


def draw_touching_cells(
    shape: tuple[int, ...],
    n: int,
    seed: int,
    *,
    drawing: CellDrawing | None = None,
) -> tuple[npt.NDArray[np.uint16], LabelArray]:
    """Draw touching cells as a microscope with relief contrast would show them.

    Parameters
    ----------
    shape
        (Y, X), or (Z, Y, X) for a stack, through which the cells change smoothly.
    n
        Number of cells to place; fewer are drawn when no more find room.
    seed
        The same seed draws the same picture.
    drawing
        How the cells look; None for the usual look.

    Returns
    -------
    image
        uint16 of the given shape.
    labels
        int32 of the same shape: 0 background, 1..n the cells, one number per cell in all slices.

    Raises
    ------
    ValueError
        For a shape that has not two or three axes, or is empty.
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"cannot draw cells in shape {shape}; give (Y, X) or (Z, Y, X)")
    rng = np.random.default_rng(seed)
    drawing = drawing or CellDrawing()
    volume = shape if len(shape) == 3 else (1, *shape)
    labels = _fill(_place(volume, n, drawing, rng), volume, rng)
    image = _shade(labels, drawing, rng)
    return image.reshape(shape), labels.reshape(shape)


def touching_cells() -> list[LayerData]:
    """Return the 2D sample as napari layers: one image (512, 512) and its true labels."""
    return _layers("touching cells", (512, 512), 210, (PIXEL_SIZE, PIXEL_SIZE))


def touching_cells_stack() -> list[LayerData]:
    """Return the stack sample as napari layers: images (8, 256, 256) and their true labels."""
    return _layers("touching cells stack", (8, 256, 256), 60, (1.0, PIXEL_SIZE, PIXEL_SIZE))


def _layers(name: str, shape: tuple[int, ...], n: int, scale: tuple[float, ...]) -> list[LayerData]:
    image, labels = draw_touching_cells(shape, n, SAMPLE_SEED)
    placed = {"scale": scale, "units": ("um",) * len(scale)}
    return [
        (image, {"name": name, "colormap": "gray", **placed}, "image"),
        (labels, {"name": f"{name} (truth)", **placed}, "labels"),
    ]


def _place(
    volume: tuple[int, ...], n: int, drawing: CellDrawing, rng: np.random.Generator
) -> _Cells:
    """Put cells side by side, each new one close to a cell that is there already.

    Growing colonies from a few first cells leaves open background between them, as in a dish that
    is not yet confluent.
    """
    depth, *plane = volume
    extent = np.asarray(plane, dtype=float)
    spacing = drawing.crowding * drawing.diameter
    founders = max(1, n // 25)
    centres: list[FloatArray] = []
    refused = 0
    while len(centres) < n and refused < 500:
        point = rng.uniform(0, 1, 2) * extent
        if len(centres) >= founders:
            angle, reach = rng.uniform(0, 2 * np.pi), spacing * rng.uniform(1.0, 1.2)
            mother = centres[rng.integers(len(centres))]
            point = mother + reach * np.array([np.sin(angle), np.cos(angle)])
        inside = bool(np.all((point > 0) & (point < extent)))
        if inside and _has_room(point, centres, spacing):
            centres.append(point)
            refused = 0
        refused += 1
    return _shape_cells(np.array(centres).reshape(-1, 2), depth, drawing, rng)


def _has_room(point: FloatArray, centres: list[FloatArray], spacing: float) -> bool:
    if not centres:
        return True
    return bool(np.hypot(*(np.asarray(centres) - point).T).min() >= spacing)


def _shape_cells(
    centres: FloatArray, depth: int, drawing: CellDrawing, rng: np.random.Generator
) -> _Cells:
    """Give every cell its own size, elongation, direction and place in z."""
    n = len(centres)
    radius = 0.5 * drawing.diameter * rng.uniform(0.92, 1.25, n)
    stretch = np.exp(rng.normal(0, 0.14, n))
    half_depth = np.full(n, np.inf) if depth == 1 else depth * rng.uniform(0.6, 1.2, n)
    z = (depth - 1) * (0.5 + rng.uniform(-0.45, 0.45, n) * (depth > 1))
    return _Cells(
        centres=np.column_stack([z, centres]),
        radii=np.column_stack([half_depth, radius * stretch, radius / stretch]),
        angles=rng.uniform(0, np.pi, n),
        drift=rng.normal(0, 0.35, (n, 2)),
    )


def _fill(cells: _Cells, volume: tuple[int, ...], rng: np.random.Generator) -> LabelArray:
    """Give each pixel to the cell whose centre is nearest in units of that cell's size."""
    wobble = _wobble(volume[1:], rng)
    labels = np.stack([_fill_slice(cells, z, volume[1:], wobble) for z in range(volume[0])])
    numbers, flat = np.unique(labels, return_inverse=True)
    renumbered = flat.reshape(labels.shape) + (0 if numbers[0] == 0 else 1)
    return renumbered.astype(np.int32)


def _fill_slice(cells: _Cells, z: int, plane: tuple[int, ...], wobble: FloatArray) -> LabelArray:
    nearest = np.ones(plane)
    labels = np.zeros(plane, dtype=np.int32)
    for number, centre in enumerate(cells.centres, start=1):
        height = (z - centre[0]) / cells.radii[number - 1, 0]
        if abs(height) >= 1:
            continue
        radii = cells.radii[number - 1, 1:] * np.sqrt(1 - height**2)
        middle = centre[1:] + cells.drift[number - 1] * (z - centre[0])
        box = _box(middle, 1.5 * radii.max() + 6, plane)
        distance = _distance(box, middle, radii, cells.angles[number - 1], wobble)
        closer = distance < nearest[box]
        labels[box][closer] = number
        nearest[box][closer] = distance[closer]
    return _without_fragments(labels)


def _box(middle: FloatArray, reach: float, plane: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(0, int(m - reach)), max(0, min(size, int(m + reach) + 1)))
        for m, size in zip(middle, plane, strict=True)
    )


def _distance(
    box: tuple[slice, ...],
    middle: FloatArray,
    radii: FloatArray,
    angle: float,
    wobble: FloatArray,
) -> FloatArray:
    """Return the elliptic distance to a centre, 1 on the outline, with wobbling outlines."""
    y, x = np.mgrid[box].astype(float) + wobble[(slice(None), *box)]
    y, x = y - middle[0], x - middle[1]
    along = (np.cos(angle) * y + np.sin(angle) * x) / radii[0]
    across = (np.cos(angle) * x - np.sin(angle) * y) / radii[1]
    distance: FloatArray = np.hypot(along, across)
    return distance


def _wobble(plane: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Return smooth shifts (2, Y, X) in pixels that make outlines irregular."""
    return np.stack([1.6 * _smooth_noise(plane, 5.0, rng) for _ in range(2)])


def _smooth_noise(plane: tuple[int, ...], sigma: float, rng: np.random.Generator) -> FloatArray:
    """Return noise (Y, X) of standard deviation about 1 and the given grain in pixels."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, plane), sigma, mode="reflect")
    return np.asarray(noise * (2 * np.sqrt(np.pi) * sigma), dtype=np.float64)


def _boxes(labels: LabelArray) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Yield each number that occurs and the box around its pixels."""
    boxes: list[tuple[slice, ...] | None] = list(ndimage.find_objects(labels))
    for number, box in enumerate(boxes, start=1):
        if box is not None:
            yield number, box


def _without_fragments(labels: LabelArray, smallest: int = 40) -> LabelArray:
    """Keep the largest 4-connected piece of each cell, and no cell below `smallest` pixels."""
    kept = np.zeros_like(labels)
    for number, box in _boxes(labels):
        pieces, _ = ndimage.label(labels[box] == number)
        sizes = np.bincount(pieces.ravel())[1:]
        if sizes.max() >= smallest:
            kept[box][pieces == 1 + sizes.argmax()] = number
    return kept


def _shade(
    labels: LabelArray, drawing: CellDrawing, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Turn labels (Z, Y, X) into what a 12-bit camera behind the microscope records."""
    plane = labels.shape[1:]
    granules = _granules(labels.shape, rng)
    light = _illumination(plane, drawing, rng)
    dirt = _debris(plane, drawing, rng)
    contrast = np.exp(rng.normal(0, 0.18, int(labels.max()) + 1))
    slices = [
        _relief(part, grain, contrast, drawing)
        for part, grain in zip(labels, granules, strict=True)
    ]
    clean = light * (1 + 0.16 * (np.stack(slices) + dirt))
    noisy = clean + drawing.noise * 0.02 * rng.normal(0, 1, labels.shape) * np.sqrt(clean)
    return np.clip(1500 * noisy + 100, 0, 4095).astype(np.uint16)


def _relief(
    labels: LabelArray, granules: FloatArray, contrast: FloatArray, drawing: CellDrawing
) -> FloatArray:
    """Return the contrast of one slice: the slope of its thickness, seen from the upper left."""
    inside = labels > 0
    depth = _depth(labels)
    dome = 3.2 * np.sqrt(1 - (1 - np.minimum(depth / 9.0, 1)) ** 2) * contrast[labels]
    thickness = 0.7 * drawing.relief * dome + drawing.texture * 0.55 * granules * inside
    thickness = ndimage.gaussian_filter(thickness, 1.0)
    slope = -(ndimage.sobel(thickness, axis=0) + 0.6 * ndimage.sobel(thickness, axis=1)) / 8
    line = ndimage.gaussian_filter(((depth > 0) & (depth <= 1.5)).astype(float), 0.8)
    return np.asarray(1.6 * slope - 1.4 * drawing.membrane * line, dtype=np.float64)


def _depth(labels: LabelArray) -> FloatArray:
    """Return each pixel's distance to the outside of its own cell, 0 in the background."""
    depth = np.zeros(labels.shape)
    for number, box in _boxes(labels):
        own = np.pad(labels[box] == number, 1)
        distance = ndimage.distance_transform_edt(own)[1:-1, 1:-1]
        depth[box] = np.maximum(depth[box], distance)
    return depth


def _granules(volume: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Return granular texture (Z, Y, X) that changes smoothly over z."""
    along_z = 1.2 if volume[0] > 1 else 0.0
    coarse = ndimage.gaussian_filter(rng.normal(0, 1, volume), (along_z, 2.6, 2.6))
    fine = ndimage.gaussian_filter(rng.normal(0, 1, volume), (along_z, 1.2, 1.2))
    return np.asarray(coarse / coarse.std() + 0.8 * fine / fine.std(), dtype=np.float64)


def _illumination(
    plane: tuple[int, ...], drawing: CellDrawing, rng: np.random.Generator
) -> FloatArray:
    """Return the lamp's brightness (Y, X): brighter in the middle, tilted, slightly patchy."""
    y, x = np.linspace(-1, 1, plane[0])[:, None], np.linspace(-1, 1, plane[1])[None]
    tilt = rng.normal(0, 0.03, 2)
    patches = 0.02 * _smooth_noise(plane, min(plane) / 8, rng)
    uneven = tilt[0] * y + tilt[1] * x - 0.05 * (y**2 + x**2) + patches
    return np.asarray(1 + drawing.illumination * uneven, dtype=np.float64)


def _debris(plane: tuple[int, ...], drawing: CellDrawing, rng: np.random.Generator) -> FloatArray:
    """Return specks of dirt (Y, X), bright or dark, anywhere in the picture."""
    specks = np.zeros(plane)
    n = rng.poisson(drawing.debris * plane[0] * plane[1] / 1e6)
    for _ in range(n):
        middle = rng.uniform(0, 1, 2) * plane
        size, height = rng.uniform(1.0, 2.6), rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 2.5)
        y, x = np.ogrid[: plane[0], : plane[1]]
        specks += height * np.exp(-((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / (2 * size**2))
    return specks
