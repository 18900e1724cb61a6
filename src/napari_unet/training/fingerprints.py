"""Short hashes that tell whether images are the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage

__all__ = ["fingerprint", "picture_of"]


def fingerprint(images: Sequence[AnnotatedImage]) -> str:
    """Return a short hash of the pixels and labels that a model was trained on."""
    digest = hashlib.sha256()
    for image in images:
        weights = () if image.weights is None else (image.weights,)
        for array in (image.image, image.labels, image.annotated, *weights):
            digest.update(str((array.shape, array.dtype)).encode())
            _add_pixels(digest, array)
    return digest.hexdigest()[:16]


def picture_of(image: AnnotatedImage) -> Hashable:
    """Return what is equal for equal pictures only, whatever is painted on them."""
    digest = hashlib.sha256()
    _add_pixels(digest, image.image)
    return image.image.shape, image.image.dtype.str, digest.digest()


def _add_pixels(digest: hashlib._Hash, array: NDArray[Any]) -> None:
    """Put an array (Z, ...) into a hash, slice by slice: no copy of it all is made."""
    for plane in array:
        digest.update(np.ascontiguousarray(plane).reshape(-1).view(np.uint8).data)
