"""Fill the pages with what the program itself says, so that they cannot disagree with it.

``<!-- options MODULE:CLASS -->`` becomes a table of the options of a configuration dataclass,
``<!-- presets -->`` what the training presets change, ``<!-- levels PRESET -->`` the network of a
preset level by level, ``<!-- help COMMAND -->`` what ``napari-unet COMMAND --help`` prints, and
``<!-- figures NAME -->`` what was measured, from figures.json.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MARK = re.compile(r"<!-- (options|presets|levels|help|figures) ?(.*?) ?-->")
REPOSITORY = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every mark of a page (called by mkdocs)."""
    return MARK.sub(lambda mark: WRITERS[mark[1]](mark[2]), markdown)


def options_table(place: str) -> str:
    """Return a table of the options of one configuration dataclass."""
    module, _, name = place.partition(":")
    configuration = getattr(import_module(module), name)
    rows = [
        (f"`{field.name}`", plain(field.default), limits(field.metadata), meaning(field.metadata))
        for field in dataclasses.fields(configuration)
        if "tooltip" in field.metadata
    ]
    return table(("option", "default", "limits", "meaning"), rows)


def presets_table(_: str) -> str:
    """Return a table of the options that differ between the training presets."""
    from napari_unet.training import PRESETS

    names = list(PRESETS)
    columns = [dataclasses.asdict(PRESETS[name]) for name in names]
    different = [key for key in columns[0] if len({str(column[key]) for column in columns}) > 1]
    rows = [
        (f"`{key}`", *(plain(column[key]) for column in columns))
        for key in different
        if key != "preset"
    ]
    return table(("option", *(f"`{name}`" for name in names)), rows)


def levels_table(preset: str) -> str:
    """Return a table of the levels of the network that a preset trains."""
    from napari_unet.network import LEVEL_HEAD, build_network, level_rows
    from napari_unet.training import PRESETS

    config = PRESETS[preset]
    network = build_network(config.architecture(in_channels=1, out_channels=2))
    return table(LEVEL_HEAD, level_rows(network.levels(config.input_size)))


def command_help(command: str) -> str:
    """Return what a command prints for ``--help``, as a block of text."""
    program = "import sys; from napari_unet.cli import main; sys.argv[0] = 'napari-unet'; main()"
    width = {"COLUMNS": "88", "TERMINAL_WIDTH": "88", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split(), "--help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **width, "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def figures(name: str) -> str:
    """Return a table or a drawing of the measured figures."""
    if str(REPOSITORY) not in sys.path:
        sys.path.append(str(REPOSITORY))
    return str(import_module("benchmarks.figures.page").block(name))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(value: Any) -> str:
    """Return a value as a reader would write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def limits(metadata: Any) -> str:
    """Return what values an option takes."""
    if metadata.get("choices"):
        return ", ".join(map(plain, metadata["choices"]))
    ends = [plain(metadata[end]) for end in ("min", "max") if end in metadata]
    return " ".join([" to ".join(ends), metadata.get("unit", "")]).strip()


def meaning(metadata: Any) -> str:
    """Return an option's tooltip as a cell of a table."""
    return str(metadata["tooltip"]).replace("|", "\\|")


WRITERS = {
    "options": options_table,
    "presets": presets_table,
    "levels": levels_table,
    "help": command_help,
    "figures": figures,
}
