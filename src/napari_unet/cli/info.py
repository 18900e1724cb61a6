"""`napari-unet info`: what a model file is and what it was trained on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from napari_unet.files import load_model
from napari_unet.network import LEVEL_HEAD, level_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unet.network import Level, TrainedModel

__all__ = ["describe", "show_info"]


def show_info(path: Path, *, network: bool, as_json: bool) -> None:
    """Print what a model is; with `network` also the levels of its network."""
    model = load_model(path)
    described = describe(model)
    levels = _levels(model) if network else ()
    if as_json:
        more = {"levels": [asdict(level) for level in levels]} if network else {}
        print(json.dumps(described | more, indent=2, default=dict))
        return
    console = Console(highlight=False)
    console.print(_table(described))
    if levels:
        members = model.architecture.get("members")
        head = f"Each of {members} networks, for" if members else "For"
        console.print(f"\n{head} an input of {levels[0].sizes[0]} pixels:")
        console.print(_level_table(levels))
    elif network:
        console.print("\nThere is no table of levels for this kind of network.")


def _levels(model: TrainedModel) -> tuple[Level, ...]:
    """Return the levels for patches as in the training, or the smallest input where unknown."""
    size = model.network.geometry.input_size_at_least(int(model.configuration.get("patch", 1)))
    return model.network.levels(size)


def _level_table(levels: Sequence[Level]) -> Table:
    table = Table(*LEVEL_HEAD, box=None, padding=(0, 1, 0, 0))
    for row in level_rows(levels):
        table.add_row(*row)
    return table


def describe(model: TrainedModel) -> dict[str, Any]:
    """Return everything about a model but its weights, as plain values.

    ``classes`` holds for each class its ``index`` (the channel of the probabilities), the painted
    ``value`` (also in label files of the task classes) and the ``name``. A regression has
    ``outputs`` instead: ``index``, ``name``, and the ``mean`` and ``std`` of the values trained
    on, in their own unit.
    """
    return {
        "task": model.task,
        **(_outputs(model) if model.task == "regression" else _classes(model)),
        "channels": model.channels,
        "scale": model.scale,
        "pixel_size": model.pixel_size,
        "fingerprint": model.fingerprint,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "scores": dict(model.provenance.get("scores", {})),
        "architecture": dict(model.architecture),
        "normalisation": dict(model.normalisation),
        "instances": dict(model.instances),
        "provenance": dict(model.provenance),
        "configuration": dict(model.configuration),
    }


def _classes(model: TrainedModel) -> dict[str, Any]:
    classes = [
        {"index": index, "value": label.value, "name": label.name}
        for index, label in enumerate(model.classes)
    ]
    return {"classes": classes}


def _outputs(model: TrainedModel) -> dict[str, Any]:
    units = model.standardisation
    outputs = [
        {
            "index": index,
            "name": label.name,
            "mean": units.mean[index] if units else 0.0,
            "std": units.std[index] if units else 1.0,
        }
        for index, label in enumerate(model.classes)
    ]
    return {"outputs": outputs}


def _table(described: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in described.items():
        if name == "provenance":  # the scores in it have a line of their own
            shown = _short({key: part for key, part in value.items() if key != "scores"})[1:-1]
        elif name == "scores":
            single = {key: part for key, part in value.items() if isinstance(part, float | int)}
            shown = _short(single)[1:-1]
        elif name == "classes":
            shown = ", ".join(f"{c['value']} = {c['name']}" for c in value)
        elif name == "outputs":
            shown = ", ".join(
                f"{k['index']} = {k['name']} (mean {k['mean']:.4g}, standard deviation "
                f"{k['std']:.4g})"
                for k in value
            )
        elif isinstance(value, dict):
            shown = _short(value)[1:-1]
        else:
            shown = _short(value)
        table.add_row(name.replace("_", " "), shown)
    return table


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_short(part)}" for key, part in value.items()) + ")"
    if isinstance(value, list | tuple):
        shown = ", ".join(map(str, value[:5]))
        return shown + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return "-" if value is None else str(value)
