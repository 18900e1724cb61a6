"""The options that commands share, and where their help comes from."""

from __future__ import annotations

import math
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    from napari_unet.annotations import Task

__all__ = [
    "TASK_HELP",
    "CellSettings",
    "Command",
    "Debug",
    "Device",
    "IgnorePixelSize",
    "Names",
    "Overwrite",
    "Program",
    "Regions",
    "TaskName",
    "TaskOption",
    "TrainHelp",
    "TrainSettings",
    "Unlabelled",
    "finite",
]


class TaskName(StrEnum):
    """What the values of label images mean."""

    instances = "instances"
    classes = "classes"
    regression = "regression"

    @property
    def name_of_task(self) -> Task:
        """The value, as the engine's type of it."""
        return self.value


def _without_type(parameters: list[Any]) -> list[Any]:
    """Let help show no type behind a switch, as if it took a value."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command whose help shows switches as switches."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options and arguments, and that of help."""
        return _without_type(super().get_params(ctx))


class Program(TyperGroup):
    """The program itself; as `Command`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its options, and that of help."""
        return _without_type(super().get_params(ctx))


class TrainHelp(Command):
    """Gives options without a help that of the configuration, whose fields they are named like.

    Only when the help is shown: the configuration imports torch, which takes seconds.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        known = _help_of_options()
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name and not parameter.help:
                parameter.help = known[parameter.name]
        super().format_help(ctx, formatter)


def _help_of_options() -> dict[str, str]:
    """Return what the configuration says of each option, and its default where it has one."""
    from napari_unet.training import PRESETS, TrainingConfig

    usual = TrainingConfig()
    tooltips = {field.name: field.metadata["tooltip"] for field in fields(usual)}
    defaults = {name: getattr(usual, name) for name in tooltips}
    times = ", ".join(f"{name} {preset.minutes:g}" for name, preset in PRESETS.items())
    defaults["minutes"] = f"the preset's; {times}"
    tooltips["preset"] = f"How to train: {', '.join(PRESETS)}."
    return {
        name: tooltip if defaults[name] is None else f"{tooltip} (default: {defaults[name]})"
        for name, tooltip in tooltips.items()
    }


Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist already.")]
Device = Annotated[
    str, typer.Option(help="Processor: auto takes a GPU if there is one; cpu, cuda.")
]
TASK_HELP = (
    "instances: 0 is background, every other value one cell; a 0/255 mask is split into its "
    "connected pieces. classes: every value is a class, 0 the background. regression: the "
    "values themselves; NaN says nothing, channels are several outputs."
)
TaskOption = Annotated[TaskName, typer.Option(help=TASK_HELP)]


def _number(text: str) -> float:
    """Read a number; a whole one exactly, however large."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None


Unlabelled = Annotated[
    float | None,
    typer.Option(
        parser=_number,
        metavar="VALUE",
        help="Value that says nothing; its pixels do not count. A whole number for labels, any "
        "number for the values of a regression.",
    ),
]
Regions = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        metavar="DIR",
        help="Masks named like the images: only nonzero pixels count. Images without a mask "
        "count as a whole.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="VALUE=NAME",
        help="What the class painted with VALUE is called, or the output VALUE (from 0) of a "
        "regression; may be given several times. The model keeps the names: info and napari show "
        "them.",
    ),
]
IgnorePixelSize = Annotated[
    bool,
    typer.Option(
        "--ignore-pixel-size",
        help="Take all pixels for equally large, whatever the files say of their size.",
    ),
]
TrainSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other option of a training, such as --set width=32 or --set encoder=resnet18; "
        "may be given several times. An unknown NAME is answered with all names.",
    ),
]
CellSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="How probabilities become cells, instead of what the model was tuned to, such as "
        "--set threshold=0.4; lengths in pixels of the training images. May be given several "
        "times. An unknown NAME is answered with all names.",
    ),
]


def finite(value: float | None) -> float | None:
    """Refuse nan and inf, which pass every comparison with a limit or never end."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be used")
    return value
