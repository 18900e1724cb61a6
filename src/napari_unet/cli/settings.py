"""`--set NAME=VALUE`: any option of a configuration dataclass, from its own declaration."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import TYPE_CHECKING, Any

from napari_unet.cli.failures import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["read_settings"]

_TRUTH = {"yes": True, "true": True, "on": True, "1": True}
_TRUTH |= {"no": False, "false": False, "off": False, "0": False}
_NOTHING = "none"


def read_settings(
    kind: type, given: Sequence[str], *, without: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Read options of a configuration dataclass that were given as text.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are made by `napari_unet.options.option`.
    given : sequence of str
        Each ``NAME=VALUE``; a value is ``none`` where the option may be empty, and yes or no for
        a switch.
    without : sequence of str
        Names that have an option of their own on the command line.

    Returns
    -------
    mapping
        Name and value, of the field's type and inside of its limits.

    Raises
    ------
    UsageError
        For an unknown name, one given twice, or a value that is none of this option.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name: field.metadata for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(f"--set {text}: write NAME=VALUE, for example {next(iter(known))}=…")
        if name in without:
            raise UsageError(f"--set {name}: it has an option of its own, --{_dashed(name)}")
        if name not in known:
            names = ", ".join(sorted(known.keys() - set(without)))
            raise UsageError(f"--set {name}: there is no such option; choose {names}")
        if name in values:
            raise UsageError(f"--set {name} is given twice; give it once")
        values[name] = _read(name, value, hints[name], known[name])
    return values


def _read(name: str, text: str, hint: Any, limits: Mapping[str, Any]) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in kinds and text.lower() == _NOTHING:
        return None
    kind = next(each for each in kinds if each is not type(None))
    try:
        value = _convert(text, kind)
    except (ValueError, KeyError):
        raise UsageError(f"--set {name}={text}: {_wanted(kind, limits)}") from None
    choices = limits.get("choices")
    outside = isinstance(value, float | int) and not (
        limits.get("min", -math.inf) <= value <= limits.get("max", math.inf)
    )
    if outside or (choices and value not in choices):
        raise UsageError(f"--set {name}={text}: {_wanted(kind, limits)}")
    return value


def _convert(text: str, kind: Any) -> Any:
    if kind is bool:
        return _TRUTH[text.lower()]
    if kind in (int, float):
        return kind(text)
    return text


def _wanted(kind: Any, limits: Mapping[str, Any]) -> str:
    """Say what values an option takes."""
    if limits.get("choices"):
        return f"choose {', '.join(_NOTHING if v is None else str(v) for v in limits['choices'])}"
    if kind is bool:
        return "choose yes or no"
    number = "a whole number" if kind is int else "a number"
    ends = [
        f"{end} {limits[key]:g}" for end, key in (("from", "min"), ("to", "max")) if key in limits
    ]
    return " ".join(["give", number, *ends])


def _dashed(name: str) -> str:
    return name.replace("_", "-")
