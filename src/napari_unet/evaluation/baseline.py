"""What can be had without training: a score for cells means something only beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["otsu_watershed"]


def otsu_watershed(
    image: NDArray[Any], *, sigma: float = 1.0, min_distance: int = 7, min_size: int = 20
) -> NDArray[np.int32]:
    """Segment bright cells by Otsu's threshold and a watershed of the distance transform.

    Parameters
    ----------
    image
        (Y, X) or (C, Y, X); channels are averaged. Cells are brighter than the background.
    sigma
        Gaussian blur before the threshold, pixels.
    min_distance
        Peaks of the distance transform that are closer than this belong to one cell, pixels.
    min_size
        Smaller pieces are taken for noise, pixels.

    Returns
    -------
    ndarray
        (Y, X) int32, 0 = background, cells 1..n; all 0 for an image of one value.
    """
    grey = image.astype(np.float64)
    grey = grey.mean(axis=0) if grey.ndim == 3 else grey
    smooth = ndimage.gaussian_filter(grey, sigma)
    if smooth.min() == smooth.max():
        return np.zeros(grey.shape, dtype=np.int32)
    mask = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    mask = remove_small_objects(mask, max_size=min_size - 1)
    distance = ndimage.distance_transform_edt(mask)
    pieces, _ = ndimage.label(mask)
    peaks = peak_local_max(distance, min_distance=min_distance, labels=pieces, exclude_border=False)
    seeds = np.zeros(mask.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-distance, seeds, mask=mask), dtype=np.int32)
