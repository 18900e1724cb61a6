"""Ctrl-C keeps what there is."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from napari_unet.cli.interrupt import stop_on_interrupt
from napari_unet.files import load_model
from tests.cli.commands import program, train_on

if TYPE_CHECKING:
    from pathlib import Path


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_ctrl_c_asks_to_stop_and_the_second_aborts(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt("Stopping.") as should_stop:
        assert not should_stop()
        press_ctrl_c()
        assert should_stop()
        assert capfd.readouterr().out == "\nStopping.\n"
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_the_best_model_and_ends_well(folders: Path) -> None:
    options = ["--minutes", 5, "--validation", 0, "--preset", "quick"]
    running = program(*train_on(folders, *options), PYTHONUNBUFFERED="1")
    assert running.stdout is not None
    while "step" not in (line := running.stdout.readline()):
        assert line or running.poll() is None, running.communicate()
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, ""), out
    assert "best model so far" in out
    assert load_model(folders / "new.safetensors").provenance["steps"] >= 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_until_stopped_trains_until_ctrl_c(folders: Path) -> None:
    running = program(
        *train_on(folders, "--until-stopped", "--validation", 0), PYTHONUNBUFFERED="1"
    )
    assert running.stdout is not None
    while "step" not in (line := running.stdout.readline()):
        assert line or running.poll() is None, running.communicate()
    assert "%" not in line
    assert "left" not in line
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, ""), out
    model = load_model(folders / "new.safetensors")
    assert model.configuration["until_stopped"] is True
