"""Exit codes, and one sentence on stderr: of wrong usage, of what was raised, with --debug."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from napari_unet.cli import info, main
from tests.cli.commands import Run, program

if TYPE_CHECKING:
    from pathlib import Path


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


def test_an_aborted_command_says_so(model: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "show_info", abort)
    done = run("info", model)
    assert done.code == 1
    assert done.sentence == "napari-unet: aborted"


def test_debug_shows_the_traceback_and_nothing_else_does(folders: Path) -> None:
    (folders / "bad.safetensors").write_text("bad")
    quiet = program("info", folders / "bad.safetensors")
    loud = program("info", folders / "bad.safetensors", "--debug")
    for running, traced in ((quiet, False), (loud, True)):
        _, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert ("Traceback" in err) is traced
        assert err.count("napari-unet: ") == 1


def test_names_of_files_that_are_no_text_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    assert main(["--version"]) == 0
    print("10\udcb5m.tif", flush=True)
    assert shown.getvalue().endswith(b"10\\udcb5m.tif\n")
