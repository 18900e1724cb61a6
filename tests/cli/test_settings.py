"""`--set NAME=VALUE` reaches the training and the cutting of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.files import load_model, save_model
from tests.cli.commands import Run, train_on, untrained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("tiny")
def test_any_option_of_a_training_can_be_set(folders: Path, run: Run) -> None:
    settings = ["width=3", "elastic=no", "w0=2.5", "views=1", "skips=add", "encoder_weights=none"]
    given = [part for setting in settings for part in ("--set", setting)]
    done = run(*train_on(folders, "--steps", 1, *given))
    assert done.code == 0, done.err
    kept = load_model(folders / "new.safetensors").configuration
    expected = {"width": 3, "elastic": False, "w0": 2.5, "views": 1, "skips": "add"}
    assert {name: kept[name] for name in expected} == expected
    assert kept["encoder_weights"] is None


def test_how_cells_are_cut_can_be_set_for_one_prediction(
    model: Path, folders: Path, run: Run
) -> None:
    found = {}
    for smallest in (0, 1_000_000):
        out = folders / f"out {smallest}"
        settings = ["--set", "threshold=0.05", "--set", f"min_area={smallest}"]
        done = run("predict", model, folders / "images", "--out", out, *settings)
        assert done.code == 0, done.err
        found[smallest] = sum(np.count_nonzero(tifffile.imread(p)) for p in out.iterdir())
    assert found[0] > 0
    assert found[1_000_000] == 0


def test_painted_classes_are_not_cut(folders: Path, run: Run) -> None:
    path = save_model(untrained(task="classes", values=(1, 2)), folders / "c.safetensors")
    done = run("predict", path, folders / "images", "--out", folders / "o", "--set", "core=0.5")
    assert done.code == 2
    assert "leave --set away" in done.sentence
