"""How far the grey values of an image differ, beside those of the images trained on.

Every image is brought to one range, so a picture of nothing shows its noise as if it were cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unet.network import TrainedModel
    from napari_unet.prediction.normalisation import IntensityRange

__all__ = ["contrast", "faintness"]

_FAINT = 0.25  # of the least contrast trained on


def contrast(ranges: Sequence[IntensityRange], dtypes: Sequence[np.dtype[Any]]) -> dict[str, Any]:
    """Return the least contrast among images, for a model to remember.

    Parameters
    ----------
    ranges, dtypes
        Of each image. With several types there is nothing to compare, and nothing is returned.

    Returns
    -------
    dict
        ``dtype`` and the least ``span`` of each channel, as plain values.
    """
    names = {str(dtype) for dtype in dtypes}
    if len(names) != 1:
        return {}
    spans = np.min([each.high - each.low for each in ranges], axis=0)
    return {"dtype": names.pop(), "span": [float(span) for span in spans]}


def faintness(model: TrainedModel, ranged: IntensityRange, dtype: np.dtype[Any]) -> str:
    """Say that an image has far less contrast than those that a model learnt from; mostly empty.

    Grey values of another type are in other units, and are not compared.
    """
    known = model.provenance.get("contrast")
    if (
        model.task == "regression"
        or not isinstance(known, Mapping)
        or known.get("dtype") != str(dtype)
    ):
        return ""
    try:
        usual = np.asarray(known.get("span"), np.float64)
    except (TypeError, ValueError):  # a model file may say anything
        return ""
    if usual.shape != ranged.high.shape or not (usual > 0).all():
        return ""
    share = float(np.max((ranged.high - ranged.low) / usual))
    if share >= _FAINT:
        return ""
    return (
        f"The image has {share:.0%} of the contrast of the images trained on: if it holds no "
        "cells, what is found may be noise"
    )
