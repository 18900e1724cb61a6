"""What `info` shows of a model."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.files import save_model
from napari_unet.network import Ensemble
from tests.cli.commands import Run, untrained

if TYPE_CHECKING:
    from pathlib import Path


def test_info_shows_the_network_level_by_level(model: Path, run: Run) -> None:
    shown = run("info", model, "--network").out
    assert [line.split()[:2] for line in shown.splitlines() if "tracting" in line] == [
        ["contracting", str(number)] for number in (1, 2, 3)
    ]
    assert "receptive field" not in run("info", model).out
    levels = json.loads(run("info", model, "--network", "--json").out)["levels"]
    assert [level["receptive_field"] for level in levels[:3]] == [5, 14, 32]
    assert "levels" not in json.loads(run("info", model, "--json").out)


def test_info_tells_of_the_networks_of_an_ensemble(tmp_path: Path, run: Run) -> None:
    model = untrained()
    both = Ensemble([model.network, copy.deepcopy(model.network)])
    path = save_model(dataclasses.replace(model, network=both), tmp_path / "two.safetensors")
    assert "members 2" in run("info", path).out
    assert "Each of 2 networks, for an input of" in run("info", path, "--network").out


def test_info_shows_scores_that_apply(tmp_path: Path, run: Run) -> None:
    from napari_unet.evaluation import evaluate

    labels = np.eye(4, dtype=int)
    scores = evaluate([(labels, labels)], task="classes").to_dict()
    model = dataclasses.replace(untrained(), provenance={"scores": scores})
    path = save_model(model, tmp_path / "m.safetensors")
    (line,) = [line for line in run("info", path).out.splitlines() if line.startswith("scores")]
    assert "pixel_error 0" in line
    assert "ap50" not in line
    assert "[" not in line
