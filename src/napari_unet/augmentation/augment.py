"""One random change of a patch: its image, its target and its weight, all alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from napari_unet.augmentation.intensity import Intensity, change_intensity, draw_intensity
from napari_unet.augmentation.warping import (
    draw_controls,
    resample,
    sampling_grid,
    spline_rank,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.augmentation.configuration import AugmentationConfig

__all__ = ["Augmentation", "Patch", "apply", "draw", "source_shape"]

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Patch:
    """A piece of an annotated image, as a network is shown it.

    Parameters
    ----------
    image
        (C, Y, X) float32.
    target
        (Y, X) uint8: each pixel's class. For regression (K, Y, X) float32, finite: its values.
    weight
        (Y, X) float32: how much it counts, 0 where nothing is known.
    """

    image: NDArray[np.float32]
    target: NDArray[np.uint8 | np.float32]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse parts that do not lie on each other."""
        shape = self.image.shape[1:]
        taught = self.target.shape[1:] if self.holds_values else self.target.shape
        if self.image.ndim != 3 or taught != shape or self.weight.shape != shape:
            raise ValueError(
                "a patch needs an image (C, Y, X) with target (Y, X), or (K, Y, X) of values, and "
                f"weight (Y, X), got {self.image.shape}, {self.target.shape} and "
                f"{self.weight.shape}"
            )

    @property
    def holds_values(self) -> bool:
        """Whether the target is values (regression), not classes."""
        return self.target.dtype.kind == "f"


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What was drawn for one patch.

    Parameters
    ----------
    matrix
        (2, 2): turns an offset from the output's centre, in (y, x), into one in the input.
    controls
        (2, grid, grid) displacements in pixels of the control points over the output, or None.
    intensity
        What happens to the grey values.
    interpolation
        How the image is read between pixels.
    """

    matrix: NDArray[np.float64]
    controls: NDArray[np.float64] | None
    intensity: Intensity
    interpolation: Literal["linear", "cubic"] = "cubic"
    _offsets: dict[Shape, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    def offsets(self, shape: Shape) -> NDArray[np.float32]:
        """Say from where, relative to the centre, each output pixel is read: (2, Y, X) float32.

        They are computed once for each shape: how large a patch must be depends on them, too.
        """
        if shape not in self._offsets:
            self._offsets[shape] = _offsets(self, shape)
        return self._offsets[shape]


def draw(config: AugmentationConfig, shape: Shape, rng: np.random.Generator) -> Augmentation:
    """Draw an augmentation.

    Parameters
    ----------
    config
        What may happen and how strongly.
    shape
    rng
        Source of chance: the same state draws the same augmentation.

    Returns
    -------
    Augmentation
    """
    matrix = _draw_matrix(config, rng)
    controls = None
    if config.elastic_sigma > 0:
        controls = draw_controls(config.grid, config.elastic_sigma, rng)
    return Augmentation(matrix, controls, draw_intensity(config, rng), config.interpolation)


def _draw_matrix(config: AugmentationConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    reach = np.log1p(config.scaling)
    shrink = np.exp(rng.uniform(-reach, reach))
    mirror = rng.choice([-1.0, 1.0], 2) if config.flips else np.ones(2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: NDArray[np.float64] = shrink * turn * mirror
    return matrix


def apply(augmentation: Augmentation, patch: Patch, *, output_shape: Shape | None = None) -> Patch:
    """Augment a patch, reading every part of it once.

    Rotation, scaling and elastic warp are composed before anything is read. What lies outside
    the patch is mirrored; a patch that is larger than its output gives real surroundings instead
    (see `source_shape`).

    Parameters
    ----------
    augmentation
        What was drawn.
    patch
        What is augmented; it stays as it is.
    output_shape
        Height and width of the result, which stands in the patch's centre. None: the patch's.

    Returns
    -------
    Patch
        A class and its weight come from the nearest pixel. A value is read between the pixels
        of which something is known, and counts where these are the larger part; so neither a
        stroke of one pixel nor a single point is lost, and what is not annotated never counts.
    """
    size = patch.weight.shape
    shape = (size[0], size[1]) if output_shape is None else output_shape
    if shape[0] > size[0] or shape[1] > size[1]:
        raise ValueError(f"the output {shape} is larger than the patch {size}; read a larger one")
    centre = [(size[axis] - shape[axis]) // 2 + (shape[axis] - 1) / 2 for axis in (0, 1)]
    grid = sampling_grid(augmentation.offsets(shape), size, centre)
    image = _read(
        patch.image, grid, "bicubic" if augmentation.interpolation == "cubic" else "bilinear"
    )
    target, weight = _read_values(patch, grid) if patch.holds_values else _read_classes(patch, grid)
    return Patch(change_intensity(image, augmentation.intensity), target, weight)


def _read_classes(
    patch: Patch, grid: torch.Tensor
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    classes, weight = _read(np.stack([patch.target, patch.weight]), grid, "nearest")
    return classes.astype(np.uint8), weight


def _read_values(
    patch: Patch, grid: torch.Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read values and weights between the pixels of which something is known."""
    known = patch.weight > 0
    planes = np.concatenate([patch.target * known, [patch.weight, known]])
    *read, share = _read(planes, grid, "bilinear")
    counts = share > _KNOWN
    values = np.divide(np.stack(read), share, where=counts, out=np.stack(read))
    return values[:-1], np.where(counts, values[-1], np.float32(0))


_KNOWN = 0.5
"""A value counts where more than this share of what it was read from is annotated."""


def _offsets(augmentation: Augmentation, shape: Shape) -> NDArray[np.float32]:
    """Add the affine and the elastic part, each of them columns times rows: one product."""
    y, x = (np.arange(size) - (size - 1) / 2 for size in shape)
    offsets = np.empty((2, *shape), dtype=np.float32)
    for axis, (of_y, of_x) in enumerate(augmentation.matrix):
        columns, rows = [of_y * y, np.ones_like(y)], [np.ones_like(x), of_x * x]
        if augmentation.controls is not None:
            down, right = spline_rank(augmentation.controls[axis], shape)
            columns, rows = [*columns, *down], [*rows, *right]
        np.matmul(np.array(columns, np.float32).T, np.array(rows, np.float32), out=offsets[axis])
    return offsets


def source_shape(augmentation: Augmentation, output_shape: Shape) -> Shape:
    """Say how large a patch must be for its augmented centre to need no mirrored pixel.

    Parameters
    ----------
    augmentation
        What was drawn.
    output_shape
        Height and width of the augmented patch.

    Returns
    -------
    tuple of int
        Height and width, at least those of the output and larger by even numbers.
    """
    offsets = augmentation.offsets(output_shape)
    reach = np.maximum(offsets.max(axis=(1, 2)), -offsets.min(axis=(1, 2)))
    margins = np.ceil(reach - (np.array(output_shape) - 1) / 2).astype(int).clip(0)
    # Cubic interpolation reads two pixels to each side.
    height, width = (
        size + 2 * (int(margin) + 2) for size, margin in zip(output_shape, margins, strict=True)
    )
    return height, width


def _read(
    planes: NDArray[Any], grid: torch.Tensor, mode: Literal["nearest", "bilinear", "bicubic"]
) -> NDArray[np.float32]:
    values = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))
    return np.asarray(resample(values, grid, mode).numpy())
