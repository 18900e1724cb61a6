"""The commands: their help, their version, and what they say of a file that is no model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import typer

from napari_unet.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


@pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["evaluate"], ["info"], ["demo"]])
def test_help_names_every_option_with_its_meaning(
    command: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = run(*command, "--help")
    assert (done.code, done.err) == (0, "")
    rows = [line.strip("│* ").split("  ") for line in done.out.splitlines() if "│" in line]
    meanings = {row[0]: row[-1].strip() for row in rows if row[0].startswith("--")}
    group = typer.main.get_command(app)
    asked = group.commands[command[0]] if command else group
    names = {parameter.opts[0] for parameter in asked.params if parameter.opts[0].startswith("--")}
    assert meanings.keys() == names | {"--help"}
    for name, meaning in meanings.items():
        assert " " in meaning, name
        assert "{" not in meaning
    switches = [row for row in rows if row[0] in ("--debug", "--overwrite", "--json", "--help")]
    assert len(switches) >= 2
    assert not [row for row in switches if any("<" in cell for cell in row)]


def test_help_of_train_takes_its_words_from_the_configuration(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.training import PRESETS, TrainingConfig

    monkeypatch.setenv("COLUMNS", "300")
    text = run("train", "--help").out
    for name, preset in PRESETS.items():
        assert f"{name} {preset.minutes:g}" in text
    for field in dataclasses.fields(TrainingConfig):
        if field.name in ("minutes", "steps", "device", "seed", "validation", "regression_loss"):
            assert field.metadata["tooltip"] in text
    assert "(default: 0.2)" in text


def test_version(run: Run) -> None:
    from napari_unet import __version__

    done = run("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"napari-unet {__version__}\n"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(content: bytes, folders: Path, run: Run) -> None:
    foreign = folders / "foreign.safetensors"
    foreign.write_bytes(content)
    for ask in (["info", foreign], ["predict", foreign, folders / "images", "--out", "x"]):
        done = run(*ask)
        assert done.code == 1
        assert "foreign.safetensors" in done.sentence
