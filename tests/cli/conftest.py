"""What tests of the command line share: pictures in folders, a model, and a way to run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.cli import main
from napari_unet.files import save_model
from napari_unet.samples import draw_touching_cells
from tests.cli.commands import SIDE, Result, Run, untrained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three small pictures in images/, their labels in labels/."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(3):
        image, labels = draw_touching_cells((SIDE, SIDE), 6, number)
        tifffile.imwrite(tmp_path / "images" / f"p{number}.tif", image)
        tifffile.imwrite(tmp_path / "labels" / f"p{number}_masks.tif", labels.astype(np.uint16))
    return tmp_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(untrained(), tmp_path / "model.safetensors")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the preset quick small enough for a test."""
    from napari_unet.training import PRESETS, configuration, effects

    small = replace(PRESETS["quick"], width=2, depth=2, patch=32, batch=1)
    for module in (configuration, effects):
        monkeypatch.setattr(module, "PRESETS", {**PRESETS, "quick": small})


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def runs(*arguments: object) -> Result:
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return runs
