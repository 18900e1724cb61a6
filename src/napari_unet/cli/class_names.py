"""`--name VALUE=NAME`: what painted classes, or the outputs of a regression, are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.cli.failures import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unet.annotations import Task
    from napari_unet.network import ClassLabel

__all__ = ["read_names", "refuse_unknown_names"]

_LISTED = 20  # values that a sentence names


def read_names(given: Sequence[str], task: Task) -> Mapping[int, str]:
    """Read names that were given as text.

    Parameters
    ----------
    given : sequence of str
        Each ``VALUE=NAME``.
    task : {"instances", "classes", "regression"}
        What the values mean; single cells have numbers and no names.

    Returns
    -------
    mapping
        Name by painted value, or by the number of an output, from 0.

    Raises
    ------
    UsageError
        If one cannot be read, a value or a name is given twice, or the task has none.
    """
    if given and task == "instances":
        raise UsageError(
            f"--name {given[0]}: it names classes or outputs, and the task instances has neither; "
            "leave it out, or choose --task classes or regression"
        )
    names: dict[int, str] = {}
    for text in given:
        number, _, name = (part.strip() for part in text.partition("="))
        if not (number.isdecimal() and name):
            raise UsageError(f"--name {text}: write VALUE=NAME, for example 1=nerve")
        value = int(number)
        if value in names:
            raise UsageError(
                f"--name {text}: {value} is called {names[value]} already; name it once"
            )
        if name in names.values():
            raise UsageError(f"--name {text}: another one is {name} already; give each its own")
        names[value] = name
    return names


def refuse_unknown_names(
    names: Mapping[int, str], classes: Sequence[ClassLabel], task: Task
) -> None:
    """Refuse to name what is not learnt.

    Raises
    ------
    UsageError
        With what there is to name.
    """
    called = [label.name for label in classes]
    for label in classes:
        if called.count(label.name) > 1:
            raise UsageError(
                f"two of the {'outputs' if task == 'regression' else 'classes'} would be called "
                f"{label.name}; name each of them with --name"
            )
    values = [label.value for label in classes]
    for value, name in names.items():
        if value in values:
            continue
        shown = ", ".join(map(str, values[:_LISTED])) + (", …" if len(values) > _LISTED else "")
        there = f"the outputs are {shown}" if task == "regression" else f"the labels hold {shown}"
        what = "output" if task == "regression" else "class"
        raise UsageError(f"--name {value}={name}: there is no {what} {value}; {there}")
