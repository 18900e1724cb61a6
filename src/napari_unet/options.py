"""One home for an option: its default, limits and tooltip stand where it is declared."""

from __future__ import annotations

from dataclasses import field, fields
from functools import cache
from numbers import Integral
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
        What a form needs besides: ``title``, ``min``, ``max``, ``step``, ``choices`` (values, or
        a mapping from each to the words for it), ``unit``,
        ``none`` (the words for None), ``words`` (of a text: some values, and the words for each),
        ``files`` (the text may be a file's path: which files, as ``words (*.ending)``),
        ``advanced`` (hidden until asked for).

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
        kinds = _kinds(kind)[entry.name]
        if "min" not in limits or (value is None and type(None) in kinds):
            continue
        if value is not None and float not in kinds and not isinstance(value, Integral):
            raise ValueError(f"{entry.name} is {value}; it must be a whole number")
        if value is None or not limits["min"] <= value <= limits["max"]:
            raise ValueError(
                f"{entry.name} is {value}; it must be from {limits['min']} to {limits['max']}"
            )


@cache
def _kinds(kind: type) -> dict[str, tuple[Any, ...]]:
    """Return what each field may hold."""
    return {name: (hint, *get_args(hint)) for name, hint in get_type_hints(kind).items()}
