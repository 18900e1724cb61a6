"""What may happen to a training patch, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_unet.options import check_limits, option

__all__ = ["AugmentationConfig"]


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Everything that decides how training patches are varied.

    Raises
    ------
    ValueError
        If a value is outside the limits that stand beside it.
    """

    elastic_sigma: float = option(
        10.0,
        "How far the control points of the elastic warp move, as a standard deviation in pixels.",
        title="Warp strength",
        min=0.0,
        max=100.0,
        unit="px",
    )
    grid: int = option(
        3,
        "Control points of the elastic warp per side; more make finer folds.",
        title="Warp grid",
        min=2,
        max=20,
        advanced=True,
    )
    flips: bool = option(True, "Mirror patches. Switch off where left and right differ.")
    rotation: float = option(
        180.0,
        "Patches are turned by at most this angle, either way.",
        min=0.0,
        max=180.0,
        unit="deg",
    )
    scaling: float = option(
        0.2,
        "Patches are shrunk or enlarged by at most this share.",
        min=0.0,
        max=2.0,
        step=0.05,
    )
    gain: float = option(
        0.3,
        "Contrast is changed by at most this share.",
        title="Contrast",
        min=0.0,
        max=5.0,
        step=0.05,
        advanced=True,
    )
    offset: float = option(
        0.2,
        "Brightness is changed by at most this share of the patch's standard deviation.",
        title="Brightness",
        min=0.0,
        max=5.0,
        step=0.05,
        advanced=True,
    )
    gamma: float = option(
        0.3,
        "Grey values are bent by an exponent of at most 1 and this share, or 1 over that.",
        min=0.0,
        max=5.0,
        step=0.05,
        advanced=True,
    )
    noise: float = option(
        0.1,
        "Noise is added up to this share of the patch's standard deviation, in half the patches.",
        min=0.0,
        max=5.0,
        step=0.05,
        advanced=True,
    )
    blur: float = option(
        0.7,
        "Half the patches are blurred, by a Gaussian of at most this standard deviation.",
        min=0.0,
        max=20.0,
        step=0.1,
        unit="px",
        advanced=True,
    )
    interpolation: Literal["linear", "cubic"] = option(
        "cubic",
        "How images are read between pixels. Linear is faster with many channels but blurs.",
        choices=("linear", "cubic"),
        advanced=True,
    )

    def __post_init__(self) -> None:
        check_limits(self)
