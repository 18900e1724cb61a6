"""How probabilities become cells: what a model of cells stores, and a person may change."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from napari_unet.options import option

__all__ = ["InstanceOptions"]

_POWERS = {"px": 1, "px²": 2}


@dataclass(frozen=True, kw_only=True)
class InstanceOptions:
    """How probabilities become cells."""

    threshold: float = option(
        0.5,
        "Pixels whose cell probability is at least this belong to a cell.",
        title="Cell probability",
        min=0.05,
        max=0.95,
        step=0.05,
    )
    core: float = option(
        0.0,
        "Cells start where the probability is at least this, and grow towards each other until "
        "they meet or fall below the cell probability above; 0 takes whole pieces.",
        title="Core probability",
        min=0.0,
        max=0.95,
        step=0.05,
    )
    split: float = option(
        0.0,
        "Cut cells that touch where they have a waist at least this deep, in pixels; 0 never cuts.",
        title="Split at waists",
        min=0.0,
        max=20.0,
        step=0.25,
        unit="px",
    )
    sure: float = option(
        0.0,
        "Somewhere in a cell the network must be at least this sure; other pieces are noise and "
        "vanish. 0 keeps them.",
        title="Surest pixel",
        min=0.0,
        max=0.99,
        step=0.01,
    )
    min_area: int = option(
        0,
        "Smaller pieces are dust and vanish.",
        title="Smallest cell",
        min=0,
        max=1_000_000,
        unit="px²",
    )
    grow: int = option(
        1,
        "The network draws a gap between touching cells; close gaps of up to twice this. "
        "Outlines towards the background stay, and cells never grow into each other.",
        title="Grow back",
        min=0,
        max=50,
        unit="px",
    )
    fill_holes: bool = option(True, "Fill holes inside cells.", title="Fill holes")

    def __post_init__(self) -> None:
        for each in fields(self):
            value, whole = getattr(self, each.name), isinstance(each.default, int)
            kind: Any = Integral if whole else Real
            if not isinstance(value, kind) or not 0 <= value < math.inf:
                number = "whole number" if whole else "number"
                raise ValueError(f"{each.name} is {value!r}; it must be a {number}, 0 or more")
        if not 0 < self.threshold < 1:
            raise ValueError(f"the threshold is {self.threshold}; it must lie between 0 and 1")

    def scaled(self, factor: float) -> InstanceOptions:
        """Return the options for the same image with `factor` times as many pixels per length.

        Lengths, whose unit is px, grow by the factor and areas by its square; whole numbers are
        rounded, but never to zero. Where nothing was too small to count, a piece smaller than one
        pixel is, because there was none.
        """
        changed: dict[str, Any] = {}
        for each in fields(self):
            power = _POWERS.get(each.metadata.get("unit", ""))
            value = max(1, getattr(self, each.name)) if power == 2 else getattr(self, each.name)
            if power and value:
                grown = value * factor**power
                changed[each.name] = max(1, round(grown)) if isinstance(value, int) else grown
        return replace(self, **changed)
