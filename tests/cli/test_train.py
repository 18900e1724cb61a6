"""Options of `train`, going on from a model, and a model that is never lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.cli.train import _score, configure
from napari_unet.files import FileError, load_model, save_model
from napari_unet.samples import draw_touching_cells
from napari_unet.training import TrainingConfig
from tests.cli.commands import SIDE, Run, train_on, untrained

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unet.network import TrainedModel


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (["--minutes", 1, "--steps", 1], "--minutes and --steps"),
        (["--minutes", 1, "--until-stopped"], "--minutes and --until-stopped"),
        (["--minutes", 0], "minutes is 0"),
        (["--steps", 0], "steps is 0"),
        (["--preset", "perfect"], "quick, balanced, best, paper"),
        (["--validation", 0.9], "validation is 0.9"),
        (["--device", "abacus"], "choose auto or"),
        (["--task", "guess"], "instances"),
        (["--regression-loss", "l3"], "mse"),
        (["--unlabelled", "x"], "--unlabelled"),
        (["--seed", -1], "--seed"),
        (["--minutes", "nan"], "--minutes"),
        (["--validation", "nan"], "--validation"),
        (["--set", "width"], "NAME=VALUE"),
        (["--set", "widht=3"], "choose averaging, balance, batch"),
        (["--set", "width=0"], "a whole number from 1 to 256"),
        (["--set", "width=2.5"], "a whole number from 1 to 256"),
        (["--set", "width=none"], "a whole number from 1 to 256"),
        (["--set", "w0=nan"], "a number from 0 to 100"),
        (["--set", "elastic=maybe"], "yes or no"),
        (["--set", "skips=cat"], "concat, add, none"),
        (["--set", "encoder=vgg"], "choose none, resnet"),
        (["--set", "steps=3"], "--steps"),
        (["--set", "regression_loss=mae"], "--regression-loss"),
        (["--set", "width=3", "--set", "width=4"], "twice"),
    ],
)
def test_an_impossible_option_of_train_is_wrong_usage(
    options: list[object], about: str, folders: Path, run: Run
) -> None:
    done = run("train", folders / "images", folders / "labels", "--model", "m", *options)
    assert done.code == 2
    assert about in done.sentence


@pytest.mark.usefixtures("tiny")
def test_options_of_their_own_reach_the_training(folders: Path, run: Run) -> None:
    options = {"steps": 1, "seed": 3, "validation": 0.4, "device": "cpu", "regression_loss": "mae"}
    given = [(f"--{name.replace('_', '-')}", value) for name, value in options.items()]
    done = run(*train_on(folders, *(part for pair in given for part in pair)))
    assert (done.code, done.err) == (0, "")
    kept = load_model(folders / "new.safetensors").configuration
    assert {name: kept[name] for name in options} == options


def test_a_preset_is_taken_with_what_is_given_besides() -> None:
    changes = {"minutes": 2.0, "steps": None, "seed": None}
    config = configure("balanced", changes, {"width": 8, "encoder": None})
    assert config == TrainingConfig.from_preset("balanced", minutes=2.0, width=8)
    assert configure(None, {}, {}) == TrainingConfig()


@pytest.mark.usefixtures("tiny")
def test_pixel_sizes_go_into_the_model_unless_they_are_ignored(folders: Path, run: Run) -> None:
    for number, size in enumerate((0.5, 0.5, 0.25)):
        path = folders / "images" / f"p{number}.tif"
        how = {"imagej": True, "resolution": (1 / size, 1 / size), "metadata": {"unit": "um"}}
        tifffile.imwrite(path, tifffile.imread(path), **how)
    done = run(*train_on(folders, "--steps", 1))
    assert done.code == 0
    assert "0.25 to 0.5 µm" in done.out
    assert load_model(folders / "new.safetensors").pixel_size == pytest.approx(0.5)
    done = run(*train_on(folders, "--steps", 1, "--ignore-pixel-size", "--overwrite"))
    assert done.code == 0
    assert "µm" not in done.out
    assert load_model(folders / "new.safetensors").pixel_size is None


@pytest.mark.usefixtures("tiny")
def test_pixels_that_are_not_square_are_told_before_a_training(folders: Path, run: Run) -> None:
    path = folders / "images" / "p1.tif"
    how = {"imagej": True, "resolution": (1, 2), "metadata": {"unit": "um"}}
    tifffile.imwrite(path, tifffile.imread(path), **how)
    done = run(*train_on(folders, "--steps", 1))
    assert done.code == 0
    assert "p1.tif: Pixels 1 µm wide and 0.5 µm high" in done.err
    assert load_model(folders / "new.safetensors").pixel_size is None
    done = run(*train_on(folders, "--steps", 1, "--ignore-pixel-size", "--overwrite"))
    assert (done.code, done.err) == (0, "")


@pytest.mark.usefixtures("tiny")
def test_a_training_goes_on_from_a_model(folders: Path, run: Run) -> None:
    start = save_model(untrained(), folders / "old.safetensors")
    before = start.read_bytes()
    for kind in ("images", "labels"):
        (folders / f"old-{kind}").mkdir()
    image, labels = draw_touching_cells((SIDE, SIDE), 6, 9)
    tifffile.imwrite(folders / "old-images" / "q.tif", image)
    tifffile.imwrite(folders / "old-labels" / "q.tif", labels.astype(np.uint16))
    old = ["--old-images", folders / "old-images", "--old-labels", folders / "old-labels"]
    done = run(*train_on(folders, "--from", start, *old, "--steps", 2))
    assert (done.code, done.err) == (0, "")
    assert "Goes on from old" in done.out
    assert start.read_bytes() == before
    described = json.loads(run("info", folders / "new.safetensors", "--json").out)
    assert described["provenance"]["parent"]["name"] == "old"
    known = json.loads(run("info", start, "--json").out)["fingerprint"]
    assert described["provenance"]["parent"]["fingerprint"] == known
    assert "q" in described["provenance"]["images"]
    assert "q" not in described["provenance"]["scored_on"]


@pytest.mark.usefixtures("tiny")
def test_a_training_that_goes_on_has_the_task_of_its_model(folders: Path, run: Run) -> None:
    for path in (folders / "labels").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) > 0).astype(np.uint8))
    start = save_model(untrained(task="classes"), folders / "old.safetensors")
    assert run(*train_on(folders, "--from", start, "--steps", 1)).code == 0
    assert load_model(folders / "new.safetensors").task == "classes"
    done = run(
        *train_on(folders, "--from", start, "--steps", 1, "--overwrite", "--task", "instances")
    )
    assert done.code == 0
    assert "new last layer" in done.out
    assert load_model(folders / "new.safetensors").task == "instances"


@pytest.mark.usefixtures("tiny")
def test_a_model_is_replaced_by_what_goes_on_from_it_only_when_asked_and_at_the_end(
    folders: Path, run: Run
) -> None:
    start = save_model(untrained(), folders / "new.safetensors")
    before = start.read_bytes()
    done = run(*train_on(folders, "--from", start, "--steps", 1))
    assert done.code == 1
    assert "--overwrite" in done.sentence
    assert run(*train_on(folders, "--from", start, "--steps", 0, "--overwrite")).code == 2
    (folders / "images" / "p0.tif").rename(folders / "p0.tif")
    (folders / "images" / "p0.tif").write_text("broken")
    assert run(*train_on(folders, "--from", start, "--steps", 1, "--overwrite")).code == 1
    assert start.read_bytes() == before
    (folders / "p0.tif").replace(folders / "images" / "p0.tif")
    assert run(*train_on(folders, "--from", start, "--steps", 1, "--overwrite")).code == 0
    assert load_model(start).provenance["parent"]["name"] == "new"


@pytest.mark.parametrize(
    ("options", "code", "about"),
    [
        (["--from", "absent"], 2, "absent"),
        (["--from", "images/p0.tif"], 1, "--from: "),
        (["--old-images", "images"], 2, "--old-labels"),
        (["--old-labels", "labels"], 2, "--old-images"),
        (["--old-regions", "labels"], 2, "--old-images"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(
    options: list[str],
    code: int,
    about: str,
    folders: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folders)
    done = run(*train_on(folders, *options, "--steps", 1))
    assert done.code == code
    assert about in done.sentence


def test_a_score_of_0_is_told_too() -> None:
    provenance = {"scores": {"ap50": 0.0, "pixel_error": None}, "scored_on": ["p0"]}
    assert _score(provenance) == " (ap50 0 on what was kept back)"


def test_a_model_that_cannot_be_written_where_it_was_asked_for_is_not_lost(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_unet.cli import train as command
    from napari_unet.cli.failures import CommandError

    def full(model: TrainedModel, path: Path, *, overwrite: bool = False) -> Path:
        if path.parent == folders:
            raise FileError(f"{path} was not written: the disk is full")
        return save_model(model, path, overwrite=overwrite)

    monkeypatch.setattr(command, "save_model", full)
    asked = command.TrainCommand(
        images=folders,
        labels=folders,
        model=folders / "new.safetensors",
        regions=None,
        unlabelled=None,
        config=command.configure("quick", {}, {}),
        overwrite=False,
        debug=False,
    )
    with pytest.raises(CommandError, match="disk is full; the model is at") as caught:
        asked.save(untrained())
    assert load_model(str(caught.value).rsplit(" ", 1)[-1]).task == "instances"


def test_the_best_model_so_far_lies_beside_the_model_until_that_is_written(
    folders: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folders / "new.unfinished.safetensors"
    seen = []

    def spied(model: TrainedModel, path: Path, *, overwrite: bool) -> Path:
        seen.append((path.name, kept.exists(), (folders / "new.safetensors").exists()))
        return save_model(model, path, overwrite=overwrite)

    monkeypatch.setattr("napari_unet.cli.train.save_model", spied)
    done = run(*train_on(folders, "--steps", 12, "--validation", 0))
    assert done.code == 0, done.err
    *before, last = seen
    assert before[0] == (kept.name, False, False)
    assert last == ("new.safetensors", True, False)
    assert not kept.exists()


@pytest.mark.usefixtures("tiny")
def test_what_a_training_that_was_cut_short_left_is_not_lost(folders: Path, run: Run) -> None:
    left = save_model(untrained(), folders / "new.unfinished.safetensors")
    before = left.read_bytes()
    for options in ([], ["--from", left], ["--from", left, "--overwrite"]):
        done = run(*train_on(folders, "--steps", 1, *options))
        assert done.code == 1
        assert "give it or --model another name" in done.sentence
        assert left.read_bytes() == before
    better = ["--from", left, "--model", folders / "better.safetensors"]
    assert run(*train_on(folders, "--steps", 1, *better)).code == 0
    assert left.read_bytes() == before
    assert run(*train_on(folders, "--steps", 1, "--overwrite")).code == 0
    assert not left.exists()


def test_a_training_goes_on_where_the_best_so_far_cannot_be_kept(
    folders: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(model: TrainedModel, path: Path, *, overwrite: bool) -> Path:
        if "unfinished" in path.name:
            raise FileError(f"{path} was not written: the disk is full")
        return save_model(model, path, overwrite=overwrite)

    monkeypatch.setattr("napari_unet.cli.train.save_model", full)
    done = run(*train_on(folders, "--steps", 12, "--validation", 0))
    assert done.code == 0, done.err
    assert load_model(folders / "new.safetensors").provenance["steps"] == 12
