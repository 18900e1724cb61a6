"""How much each pixel counts: the weight map of the 2015 paper, and class balance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unet.annotations.cells import cell_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["class_balance", "weight_map"]

_LEFT_OUT = 2e-5
"""What a pair of cells adds at most, as a share of the background's weight, to be left out."""


def weight_map(
    labels: NDArray[Any],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Weigh the background between close cells more than the rest.

    ``w(x) = w_c(x) + w0 * exp(-(d1(x) + d2(x))**2 / (2 * sigma**2))`` in the background, with d1
    and d2 the distances to the nearest and the second nearest cell; ``w_c`` alone inside cells
    and where there are fewer than two cells (Ronneberger et al. 2015, equation 2).

    Each cell's distances are computed only in its box, padded by as far as it could add anything
    (5 sigma or so), so that time grows with the cells' surroundings instead of cells times image.

    Parameters
    ----------
    labels
        (Y, X), integers >= 0, each value one cell; taken as given. Training passes separated
        cells.
    w0
        Height of the weight in the narrowest gap, at least 0.
    sigma
        How wide a gap still counts, in pixels, above 0.
    class_weights
        ``w_c`` of background and of cells. None: 1 and 1.

    Returns
    -------
    numpy.ndarray
        (Y, X) float32.

    Raises
    ------
    ValueError
        If a parameter is outside its limits.
    """
    _check(labels, w0, sigma, class_weights)
    background, inside = class_weights or (1.0, 1.0)
    reach = _reach(w0, sigma, _LEFT_OUT * (background or 1.0))
    # Two float32 images are all that is kept; one of them becomes the result.
    nearest, second = _two_distances(labels, reach)
    nearest += second
    weights = np.square(nearest, out=nearest)
    weights *= -1 / (2 * sigma**2)
    np.exp(weights, out=weights)
    weights *= w0
    weights += background
    weights[labels > 0] = inside
    return weights


def _check(
    labels: NDArray[Any], w0: float, sigma: float, class_weights: Sequence[float] | None
) -> None:
    if labels.ndim != 2:
        raise ValueError(f"a weight map is made of a slice (Y, X), got labels {labels.shape}")
    if not 0 <= w0 < np.inf:
        raise ValueError(f"w0 must be at least 0, got {w0}")
    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be above 0 pixels, got {sigma}")
    if class_weights is not None and len(class_weights) != 2:
        raise ValueError(
            f"class_weights must be two numbers, of background and cells, got {class_weights}"
        )


def _reach(w0: float, sigma: float, left_out: float) -> int:
    """Find the distance beyond which a second cell adds less than `left_out`."""
    if w0 <= left_out:
        return 0
    # The nearest cell is at least one pixel away.
    return max(int(np.ceil(sigma * np.sqrt(2 * np.log(w0 / left_out)))) - 1, 0)


def _two_distances(
    labels: NDArray[Any], pad: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measure how far the two nearest cells are; infinite beyond `pad`."""
    nearest = np.full(labels.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    for value, (y, x) in cell_boxes(labels):
        box = (
            slice(max(y.start - pad, 0), y.stop + pad),
            slice(max(x.start - pad, 0), x.stop + pad),
        )
        distance = ndimage.distance_transform_edt(labels[box] != value).astype(np.float32)
        first = nearest[box]
        np.minimum(second[box], np.maximum(first, distance), out=second[box])
        np.minimum(first, distance, out=first)
    return nearest, second


def class_balance(
    targets: Sequence[NDArray[Any]],
    annotated: Sequence[NDArray[np.bool_]],
    *,
    classes: int | None = None,
) -> tuple[float, ...]:
    """Weigh classes so that each counts alike, however few its pixels are.

    Parameters
    ----------
    targets
        Class numbers from 0, one array per picture.
    annotated
        Where they count, as `targets`.
    classes
        How many classes there are. None: the highest number that occurs, and one.

    Returns
    -------
    tuple of float
        The weight of each class. Their mean over the annotated pixels is 1; a class that does
        not occur weighs 1.
    """
    counted = [target[mask] for target, mask in zip(targets, annotated, strict=True)]
    highest = max((int(values.max(initial=0)) for values in counted), default=0)
    number = max(highest + 1, classes or 1)
    pixels = np.zeros(number, dtype=np.int64)
    for values in counted:
        pixels += np.bincount(values, minlength=number)
    present = np.count_nonzero(pixels)
    total = pixels.sum()
    return tuple(float(total / (present * n)) if n else 1.0 for n in pixels)
