"""The command itself: its help, wrong usage, and what every command says of a bad model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import typer

from napari_unet.cli.app import app
from tests.cli.commands import Run, program

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (["train"], "IMAGES"),
        (["fly"], "fly"),
        (["predict", "absent", "absent", "--out", "x"], "absent"),
        (["--nonsense"], "--nonsense"),
        (["demo", "--headless", "--out", "absent", "--minutes", "nan"], "--minutes"),
        (["info", "."], "is a directory"),
        (["predict", ".", ".", "--out", "absent"], "is a directory"),
    ],
)
def test_wrong_usage_is_code_2_and_one_sentence(arguments: list[str], about: str, run: Run) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert about.lower() in done.sentence.lower()


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(content: bytes, folders: Path, run: Run) -> None:
    foreign = folders / "foreign.safetensors"
    foreign.write_bytes(content)
    for ask in (["info", foreign], ["predict", foreign, folders / "images", "--out", "x"]):
        done = run(*ask)
        assert done.code == 1
        assert "foreign.safetensors" in done.sentence


def test_debug_shows_the_traceback_and_nothing_else_does(folders: Path) -> None:
    (folders / "bad.safetensors").write_text("bad")
    quiet = program("info", folders / "bad.safetensors")
    loud = program("info", folders / "bad.safetensors", "--debug")
    for running, traced in ((quiet, False), (loud, True)):
        _, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert ("Traceback" in err) is traced
        assert err.count("napari-unet: ") == 1
