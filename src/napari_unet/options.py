"""One home for an option: its default, limits and tooltip stand where it is declared."""

from __future__ import annotations

from dataclasses import field, fields
from functools import cache
from typing import Any, get_args, get_type_hints

__all__ = ["check_limits", "option"]


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
        ``none`` (the words for None), ``files`` (the text may be a file's path: which files, as
        ``words (*.ending)``), ``advanced`` (hidden until asked for).

    Returns
    -------
    dataclasses.Field
        A field with `tooltip` and `limits` in its metadata.
    """
    return field(default=default, metadata={"tooltip": tooltip, **limits})


def check_limits(config: Any) -> None:
    """Hold the limits that forms show, for files and programs as well.

    Parameters
    ----------
    config : dataclass
        Its fields are made by `option`.

    Raises
    ------
    ValueError
        If a value is outside the limits that stand beside it, or None where it cannot be.
    """
    kind: Any = type(config)
    for entry in fields(config):
        value, limits = getattr(config, entry.name), entry.metadata
        if "choices" in limits and value not in limits["choices"]:
            choices = ", ".join(map(str, limits["choices"]))
            raise ValueError(f"{entry.name} is {value!r}; choose {choices}")
        if "min" not in limits or (value is None and entry.name in _may_be_none(kind)):
            continue
        if value is None or not limits["min"] <= value <= limits["max"]:
            raise ValueError(
                f"{entry.name} is {value}; it must be from {limits['min']} to {limits['max']}"
            )


@cache
def _may_be_none(kind: type) -> frozenset[str]:
    hints = get_type_hints(kind)
    return frozenset(name for name, hint in hints.items() if type(None) in get_args(hint))
