"""One home for an option: its default, limits and tooltip stand where it is declared."""

from __future__ import annotations

from dataclasses import field
from typing import Any

__all__ = ["option"]


def option(default: Any, tooltip: str, **limits: Any) -> Any:
    """Declare a dataclass field from which form, file, command line and docs are made.

    Parameters
    ----------
    default
        The value that most users want.
    tooltip
        One or two sentences for somebody who has not read the paper.
    **limits
        What a form needs besides: ``title``, ``min``, ``max``, ``step``, ``choices``, ``unit``,
        ``none`` (the words for None), ``advanced`` (hidden until asked for).

    Returns
    -------
    dataclasses.Field
        A field with `tooltip` and `limits` in its metadata.
    """
    return field(default=default, metadata={"tooltip": tooltip, **limits})
