"""One picture with what a person painted on it: the start of the way the data goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["AnnotatedImage", "Task", "annotate", "annotate_values", "to_stack"]

Task = Literal["instances", "classes", "regression"]
"""What labels mean: one number per cell, one number per class, or values to predict."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnotatedImage:
    """A picture or a stack of slices, what was painted on it, and where that counts.

    The arrays are kept as they are given, not copied: who goes on painting hands over a copy.

    Parameters
    ----------
    image
        (Z, C, Y, X), any real dtype, finite. A 2D picture has Z == 1, RGB is C == 3.
    labels
        (Z, Y, X), integers >= 0: the painted values. For regression (Z, K, Y, X), floating point:
        the K values that each pixel should get, finite where they count.
    annotated
        (Z, Y, X) bool. True where a pixel counts, in the loss and in every score.
    name
        What messages call the picture.
    pixel_size
        Micrometres per pixel in y and x, or None where nobody knows.
    weights
        (Z, Y, X), above 0 where it is annotated: how much each value counts in the loss of a
        regression. None: all alike.

    Raises
    ------
    ValueError
        If axes, shapes or values are not as described; the sentence says which and what to do.
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    annotated: NDArray[np.bool_]
    name: str = ""
    pixel_size: float | None = None
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse what no later step could explain."""
        called = f"{self.name!r}: " if self.name else ""
        _check_image(self.image, called)
        _check_labels(self.labels, called)
        _check_together(self.image, self.labels, self.annotated, called)
        _check_finite(self.image, self.annotated, called)
        if self.holds_values:
            _check_values(self.labels, self.annotated, called)
        _check_weights(self.weights, self.annotated, self.holds_values, called)
        if self.pixel_size is not None and not 0 < self.pixel_size < np.inf:
            raise ValueError(
                f"{called}pixel size must be positive micrometres per pixel, got {self.pixel_size}"
            )

    @property
    def holds_values(self) -> bool:
        """Whether the labels are values to predict (regression), not cells or classes."""
        return self.labels.dtype.kind == "f"


def _check_image(image: NDArray[Any], called: str) -> None:
    if image.ndim != 4:
        raise ValueError(
            f"{called}image must have the axes (Z, C, Y, X), got shape {image.shape}; "
            "annotate() adds missing axes"
        )
    if image.size == 0:
        raise ValueError(f"{called}image of shape {image.shape} holds no pixel")
    if image.dtype.kind not in "biuf":
        raise ValueError(
            f"{called}image must hold real numbers, got {image.dtype}; "
            "convert it first, a complex image to its magnitude for example"
        )


def _check_finite(image: NDArray[Any], annotated: NDArray[np.bool_], called: str) -> None:
    """Refuse NaN and infinite values on slices that are learnt from."""
    if image.dtype.kind != "f":
        return
    # The sum is finite for nearly every good image and needs no mask of the image's size.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(image.sum(dtype=np.float64)):
            return
    learnt = image[annotated.any(axis=(1, 2))]
    wrong = sum(int(np.count_nonzero(~np.isfinite(z))) for z in learnt)
    if wrong:
        raise ValueError(
            f"{called}image has {wrong} of {image.size} values that are NaN or infinite; "
            "replace them, by the image's median for example"
        )


def _check_labels(labels: NDArray[Any], called: str) -> None:
    if labels.dtype.kind == "f" and labels.ndim == 4:
        return
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"{called}labels must be integers, got {labels.dtype}; convert them with astype(int), "
            "or give values to predict (regression) to annotate_values()"
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise ValueError(
            f"{called}labels must not be negative, got {labels.min()}; "
            "name the value that says nothing as unlabelled"
        )


def _check_together(
    image: NDArray[Any], labels: NDArray[Any], annotated: NDArray[Any], called: str
) -> None:
    expected = (image.shape[0], *image.shape[2:])
    if labels.dtype.kind == "f":
        needed = (image.shape[0], max(labels.shape[1], 1), *image.shape[2:])
        axes = "(Z, K, Y, X)"
    else:
        needed, axes = expected, "(Z, Y, X)"
    if labels.shape != needed:
        raise ValueError(
            f"{called}labels have shape {labels.shape}, but the image needs {needed} {axes}; "
            "choose the labels that belong to this image"
        )
    if annotated.shape != expected:
        raise ValueError(
            f"{called}annotated has shape {annotated.shape}, but the labels have {expected}"
        )
    if annotated.dtype != bool:
        raise ValueError(f"{called}annotated must be bool, got {annotated.dtype}; use mask > 0")


def _check_values(values: NDArray[Any], annotated: NDArray[np.bool_], called: str) -> None:
    wrong = sum(
        int(np.count_nonzero(~np.isfinite(plane[:, counted])))
        for plane, counted in zip(values, annotated, strict=True)
    )
    if wrong:
        raise ValueError(
            f"{called}{wrong} of the annotated values are NaN or infinite; annotate_values() takes "
            "NaN for not annotated, replace what is infinite"
        )


def _check_weights(
    weights: NDArray[Any] | None, annotated: NDArray[np.bool_], holds_values: bool, called: str
) -> None:
    if weights is None:
        return
    if not holds_values:
        raise ValueError(f"{called}weights belong to values; those of cells are computed from them")
    if weights.shape != annotated.shape:
        raise ValueError(
            f"{called}weights have shape {weights.shape}, but the values have {annotated.shape}"
        )
    if weights.dtype.kind not in "biuf":
        raise ValueError(f"{called}weights must be real numbers, got {weights.dtype}")
    counted = weights[annotated]
    if not np.isfinite(counted).all() or (counted <= 0).any():
        raise ValueError(
            f"{called}some weights are negative, NaN or infinite; give numbers from 0 up, 0 for "
            "what does not count"
        )


def annotate(
    image: ArrayLike,
    labels: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    unlabelled: int | None = None,
    channel_axis: int | None = None,
    name: str = "",
    pixel_size: float | None = None,
) -> AnnotatedImage:
    """Bring a picture and its labels to the axes of an `AnnotatedImage`.

    Parameters
    ----------
    image, channel_axis
        As `to_stack` takes them.
    labels
        (Y, X) or (Z, Y, X), integers.
    annotated
        Where the labels count, nonzero = yes, axes as `labels`. None: everywhere.
    unlabelled
        A label value that says nothing; it may be negative. Its pixels do not count and
        become 0.
    name, pixel_size
        See `AnnotatedImage`.

    Returns
    -------
    AnnotatedImage

    Raises
    ------
    ValueError
        As `AnnotatedImage`, or if the axes are neither of the above.
    """
    painted = _with_slices(np.asarray(labels), "labels")
    counted = np.ones(painted.shape, dtype=bool)
    if annotated is not None:
        counted = _with_slices(np.asarray(annotated), "annotated") != 0
    if unlabelled is not None:
        silent = painted == unlabelled
        painted = np.where(silent, 0, painted).astype(painted.dtype)
        if counted.shape == silent.shape:
            counted = counted & ~silent
    return AnnotatedImage(
        image=to_stack(np.asarray(image), channel_axis),
        labels=painted,
        annotated=counted,
        name=name,
        pixel_size=pixel_size,
    )


def annotate_values(
    image: ArrayLike,
    values: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    unlabelled: float | None = None,
    channel_axis: int | None = None,
    name: str = "",
    pixel_size: float | None = None,
) -> AnnotatedImage:
    """Bring a picture and the values that a network shall predict for it (regression) together.

    Parameters
    ----------
    image
        As in `annotate`.
    values
        Any real numbers, kept as float32: (Y, X); (K, Y, X) for K outputs of a 2D picture;
        (Z, Y, X) for one output of a stack; or (Z, K, Y, X). A pixel with NaN in any output is
        not annotated.
    annotated
        Where the values count, nonzero = yes: (Y, X) or (Z, Y, X). None: wherever they are known.
    weights
        How much each pixel counts in the loss, axes as `annotated`: at least 0, and 0 where
        nothing is known. None: all that is annotated counts 1. Scores know no weights.
    unlabelled
        A value that says nothing, as NaN does.
    channel_axis, name, pixel_size
        As in `annotate`.

    Returns
    -------
    AnnotatedImage
        Its labels are (Z, K, Y, X) float32, 0 where they do not count.

    Raises
    ------
    ValueError
        As `AnnotatedImage`, or if the axes are neither of the above.
    """
    pixels = to_stack(np.asarray(image), channel_axis)
    given = _with_outputs(np.asarray(values), slices=len(pixels))
    known = ~np.isnan(given).any(axis=1)
    if unlabelled is not None:
        known &= (given != unlabelled).all(axis=1)
    if annotated is not None:
        mask = _with_slices(np.asarray(annotated), "annotated") != 0
        if mask.shape != known.shape:
            raise ValueError(f"annotated has shape {mask.shape}, but the values have {known.shape}")
        known &= mask
    heavy = None
    if weights is not None:
        heavy = _with_slices(np.asarray(weights), "weights").astype(np.float32)
        if heavy.shape != known.shape:
            raise ValueError(f"weights have shape {heavy.shape}, but the values have {known.shape}")
        known &= heavy != 0
        heavy = np.where(known, heavy, np.float32(0))
    with np.errstate(over="ignore"):  # becomes infinite, which is refused with a sentence
        kept = np.where(known[:, np.newaxis], given, 0).astype(np.float32)
    return AnnotatedImage(
        image=pixels,
        labels=kept,
        annotated=known,
        name=name,
        pixel_size=pixel_size,
        weights=heavy,
    )


def _with_outputs(values: NDArray[Any], slices: int) -> NDArray[Any]:
    """Bring values to (Z, K, Y, X); of three axes the first is K for a picture, Z for a stack."""
    if values.dtype.kind not in "biuf":
        raise ValueError(f"values must be real numbers, got {values.dtype}")
    if not 2 <= values.ndim <= 4:
        raise ValueError(
            f"values must have the axes (Y, X), (K, Y, X), (Z, Y, X) or (Z, K, Y, X), "
            f"got {values.shape}"
        )
    if values.ndim == 3 and slices > 1:
        return values[:, np.newaxis]
    return values[(np.newaxis,) * (4 - values.ndim)]


def _with_slices(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.ndim not in (2, 3):
        raise ValueError(f"{what} must have the axes (Y, X) or (Z, Y, X), got {array.shape}")
    return array if array.ndim == 3 else array[np.newaxis]


_THINNEST = 8  # pixels: pictures of so few rows beside 3 or 4 columns may be slices


def to_stack(image: NDArray[Any], channel_axis: int | None = None) -> NDArray[Any]:
    """Bring an image to the axes (Z, C, Y, X).

    Parameters
    ----------
    image
        (Y, X), a stack (Z, Y, X), or (Z, C, Y, X). With `channel_axis` also (C, Y, X), (Y, X, C)
        and the like.
    channel_axis
        Which axis holds the channels. None: there is none unless `image` has four axes.

    Raises
    ------
    ValueError
        If the axes are none of the above.
    """
    if channel_axis is not None:
        if not -image.ndim <= channel_axis < image.ndim:
            raise ValueError(f"channel axis {channel_axis} is none of the axes of {image.shape}")
        if image.ndim not in (3, 4):
            raise ValueError(
                f"an image with a channel axis has 3 or 4 axes, got shape {image.shape}"
            )
        image = np.moveaxis(image, channel_axis, -3)
        return image if image.ndim == 4 else image[np.newaxis]
    if image.ndim == 2:
        return image[np.newaxis, np.newaxis]
    if image.ndim == 3:
        if image.shape[-1] in (3, 4) and min(image.shape[:2]) > _THINNEST:
            raise ValueError(
                f"an image of shape {image.shape} looks like a colour picture (Y, X, RGB), not "
                f"like {image.shape[0]} slices of {image.shape[1]} x {image.shape[2]} pixels; say "
                "channel_axis=-1"
            )
        return image[:, np.newaxis]
    if image.ndim == 4:
        return image
    raise ValueError(f"image must have the axes (Y, X) to (Z, C, Y, X), got shape {image.shape}")
