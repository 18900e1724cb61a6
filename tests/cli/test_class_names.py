"""`--name`: classes and outputs keep the names that they are given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.files import load_model, save_model
from tests.cli.commands import Run, give_values, train_on, untrained

if TYPE_CHECKING:
    from pathlib import Path


def give_classes(folders: Path) -> None:
    for path in (folders / "labels").iterdir():
        inside = tifffile.imread(path) > 0
        tifffile.imwrite(path, np.where(inside, 7, 3).astype(np.uint8))


def names_of(model: Path) -> dict[int, str]:
    return {label.value: label.name for label in load_model(model).classes}


@pytest.mark.usefixtures("tiny")
def test_painted_classes_are_called_by_their_values(folders: Path, run: Run) -> None:
    give_classes(folders)
    options = ["--task", "classes", "--steps", 1, "--name", " 7 = muscle = m"]
    done = run(*train_on(folders, *options))
    assert (done.code, done.err) == (0, "")
    assert names_of(folders / "new.safetensors") == {3: "background", 7: "muscle = m"}
    assert "7 = muscle = m" in run("info", folders / "new.safetensors").out


@pytest.mark.usefixtures("tiny")
def test_outputs_are_called_by_their_numbers_as_info_shows_them(folders: Path, run: Run) -> None:
    give_values(folders, 2)
    options = ["--task", "regression", "--steps", 1]
    assert run(*train_on(folders, *options, "--name", "1=depth")).code == 0
    model = folders / "new.safetensors"
    described = json.loads(run("info", model, "--json").out)["outputs"]
    assert [(each["index"], each["name"]) for each in described] == [(0, "value 1"), (1, "depth")]
    assert "1 = depth" in " ".join(run("info", model).out.split())


@pytest.mark.usefixtures("tiny")
def test_a_model_that_is_gone_on_from_keeps_its_other_names(folders: Path, run: Run) -> None:
    start = untrained(task="classes", values=(3, 7, 9))
    start = save_model(start, folders / "old.safetensors")
    give_classes(folders)
    options = ["--from", start, "--steps", 1, "--name", "9=nerve", "--name", "7=muscle"]
    done = run(*train_on(folders, *options))
    assert (done.code, done.err) == (0, "")
    assert names_of(folders / "new.safetensors") == {3: "class 3", 7: "muscle", 9: "nerve"}


@pytest.mark.parametrize(
    ("task", "names", "about"),
    [
        ("classes", ["muscle"], "write VALUE=NAME"),
        ("classes", ["7="], "write VALUE=NAME"),
        ("classes", ["x=muscle"], "write VALUE=NAME"),
        ("classes", ["-7=muscle"], "write VALUE=NAME"),
        ("classes", ["7=muscle", "07=nerve"], "7 is called muscle already"),
        ("classes", ["3=muscle", "7=muscle"], "another one is muscle already"),
        ("classes", ["7=background"], "two of the classes would be called background"),
        ("classes", ["1=muscle"], "there is no class 1; the labels hold 3, 7"),
        ("regression", ["1=depth"], "there is no output 1; the outputs are 0"),
        ("instances", ["1=cell"], "the task instances has neither"),
    ],
)
def test_a_name_of_nothing_is_wrong_usage(
    task: str, names: list[str], about: str, folders: Path, run: Run
) -> None:
    give_classes(folders)
    options = [part for name in names for part in ("--name", name)]
    done = run(*train_on(folders, "--task", task, "--steps", 1, *options))
    assert done.code == 2
    assert about in done.sentence
    assert not (folders / "new.safetensors").exists()
