"""The command line: exit codes, one sentence on stderr, files written or refused."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch

from napari_unet.cli import main
from napari_unet.cli.failures import Failures
from napari_unet.cli.inputs import annotated_images
from napari_unet.cli.train import _score
from napari_unet.files import load_model, read_image, save_model
from napari_unet.network import ClassLabel, TrainedModel, UNet
from napari_unet.samples import draw_touching_cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 64


def untrained(
    *, task: str = "instances", channels: int = 1, values: tuple[int, ...] = (0, 1)
) -> Any:
    network = UNet(channels, len(values), depth=2, width=2, padding="same").eval()
    return TrainedModel(
        network=network,
        task=task,
        classes=tuple(ClassLabel(value, f"class {value}") for value in values),
    )


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
    from napari_unet.training import PRESETS, configuration

    small = replace(PRESETS["quick"], width=2, depth=2, patch=32, batch=1)
    monkeypatch.setattr(configuration, "PRESETS", {**PRESETS, "quick": small})


class Result:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def sentence(self) -> str:
        """The one sentence on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("napari-unet: ")
        return lines[0]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def runs(*arguments: object) -> Result:
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return runs


def train_on(folders: Path, *more: object) -> list[object]:
    where = [folders / "images", folders / "labels", "--model", folders / "new.safetensors"]
    return ["train", *where, "--device", "cpu", *more]


# ------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["evaluate"], ["info"], ["demo"]])
def test_help_names_every_option_with_its_meaning(
    command: list[str], run: Callable[..., Result]
) -> None:
    done = run(*command, "--help")
    assert done.code == 0
    assert not done.err
    assert "--help" in done.out
    assert "{default" not in done.out


def test_help_of_train_takes_its_defaults_from_the_configuration(
    run: Callable[..., Result],
) -> None:
    from napari_unet.training import PRESETS

    text = " ".join(run("train", "--help").out.replace("│", " ").split())
    for name, preset in PRESETS.items():
        assert f"{name} {preset.minutes:g}" in text


def test_version(run: Callable[..., Result]) -> None:
    from napari_unet import __version__

    assert __version__ in run("--version").out


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
def test_wrong_usage_is_code_2_and_one_sentence(
    arguments: list[str], about: str, run: Callable[..., Result]
) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert about.lower() in done.sentence.lower()


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (["--minutes", 1, "--steps", 1], "--minutes and --steps"),
        (["--minutes", 0], "minutes is 0"),
        (["--steps", 0], "steps is 0"),
        (["--preset", "best"], "quick, balanced, paper"),
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
    options: list[object], about: str, folders: Path, run: Callable[..., Result]
) -> None:
    done = run("train", folders / "images", folders / "labels", "--model", "m", *options)
    assert done.code == 2
    assert about in done.sentence


@pytest.mark.parametrize(
    ("platform", "missing", "about"),
    [
        ("linux", "", "no display"),
        ("linux", "napari", "napari is not installed"),
    ],
)
def test_without_display_or_napari_the_workbench_says_so(
    platform: str,
    missing: str,
    about: str,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_unet.cli import window

    found = window.find_spec
    monkeypatch.setattr(window, "find_spec", lambda name: None if name == missing else found(name))
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = run()
    assert done.code == 1
    assert about in done.sentence


def test_without_a_qt_binding_the_workbench_names_what_to_install(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.cli import window

    def find_none(name: str) -> None:
        raise ImportError(f"No Qt bindings could be found for {name}")

    monkeypatch.setattr(window, "import_module", find_none)
    done = run()
    assert done.code == 1
    assert "pip install PyQt6" in done.sentence


# ------------------------------------------------------------------------------------- train


def test_a_truth_with_infinite_values_is_named_and_the_rest_compared(
    folders: Path, run: Callable[..., Result]
) -> None:
    for kind in ("truth", "found"):
        (folders / kind).mkdir()
        for number in range(2):
            values = np.full((8, 8), 1.5, np.float32)
            values[0, 0] = np.inf if kind == "truth" and number else 1.5
            tifffile.imwrite(folders / kind / f"p{number}.tif", values)
    done = run("evaluate", folders / "truth", folders / "found", "--task", "regression", "--json")
    assert done.code == 1
    assert "p1.tif holds 1 values that are NaN or infinite; correct it" in done.sentence
    assert json.loads(done.out)["images"] == 1


@pytest.mark.usefixtures("tiny")
def test_train_predict_evaluate_info(folders: Path, run: Callable[..., Result]) -> None:
    model = folders / "new.safetensors"
    assert run(*train_on(folders, "--steps", 2)).code == 0
    done = run("predict", model, folders / "images", "--out", folders / "out", "--probabilities")
    assert (done.code, done.err) == (0, "")
    written = sorted(path.name for path in (folders / "out").iterdir())
    assert written == sorted(f"p{n}{end}.tif" for n in range(3) for end in ("", "_probability"))
    probabilities = tifffile.imread(folders / "out" / "p0_probability.tif")
    assert probabilities.shape == (2, SIDE, SIDE)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    done = run("evaluate", folders / "labels", folders / "out", "--json")
    keys = "ap50 ap f1_50 seg pixel_error rand_error n_true n_predicted images"
    assert (done.code, done.err) == (0, "")
    assert set(json.loads(done.out)) >= set(keys.split())
    assert json.loads(done.out)["images"] == 3
    described = json.loads(run("info", model, "--json").out)
    assert described["provenance"]["steps"] == 2
    assert [c["value"] for c in described["classes"]] == [0, 1]
    assert "instances" in run("info", model).out


def test_info_shows_the_network_level_by_level(model: Path, run: Callable[..., Result]) -> None:
    shown = run("info", model, "--network").out
    assert [line.split()[:2] for line in shown.splitlines() if "tracting" in line] == [
        ["contracting", str(number)] for number in (1, 2, 3)
    ]
    assert "receptive field" not in run("info", model).out
    levels = json.loads(run("info", model, "--network", "--json").out)["levels"]
    assert [level["receptive_field"] for level in levels[:3]] == [5, 14, 32]
    assert "levels" not in json.loads(run("info", model, "--json").out)


@pytest.mark.usefixtures("tiny")
def test_painted_values_stay_in_the_model_and_ranks_go_into_files(
    folders: Path, run: Callable[..., Result]
) -> None:
    for path in (folders / "labels").iterdir():
        binary = (tifffile.imread(path) > 0).astype(np.uint8) * 255
        binary[0] = 7
        tifffile.imwrite(path, binary)
    options = ["--task", "classes", "--steps", 1]
    assert run(*train_on(folders, *options, "--unlabelled", 7)).code == 0
    assert [c.value for c in load_model(folders / "new.safetensors").classes] == [0, 255]
    out = folders / "out"
    assert run("predict", folders / "new.safetensors", folders / "images", "--out", out).code == 0
    assert set(np.unique(tifffile.imread(out / "p0.tif"))) <= {0, 1}
    done = run("evaluate", folders / "labels", out, "--task", "classes", "--unlabelled", 7)
    assert (done.code, done.err) == (0, "")


@pytest.mark.usefixtures("tiny")
def test_any_option_of_a_training_can_be_set(
    tiny: None, folders: Path, run: Callable[..., Result]
) -> None:
    settings = ["width=3", "elastic=no", "w0=2.5", "views=1", "skips=add", "encoder_weights=none"]
    given = [part for setting in settings for part in ("--set", setting)]
    done = run(*train_on(folders, "--steps", 1, *given))
    assert done.code == 0, done.err
    kept = load_model(folders / "new.safetensors").configuration
    expected = {"width": 3, "elastic": False, "w0": 2.5, "views": 1, "skips": "add"}
    assert {name: kept[name] for name in expected} == expected
    assert kept["encoder_weights"] is None


def test_how_cells_are_cut_can_be_set_for_one_prediction(
    folders: Path, run: Callable[..., Result]
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = save_model(untrained(), folders / "model.safetensors")
    found = {}
    for smallest in (0, 1_000_000):
        out = folders / f"out {smallest}"
        settings = ["--set", "threshold=0.05", "--set", f"min_area={smallest}"]
        done = run("predict", model, folders / "images", "--out", out, *settings)
        assert done.code == 0, done.err
        found[smallest] = sum(np.count_nonzero(tifffile.imread(p)) for p in out.iterdir())
    assert found[0] > 0
    assert found[1_000_000] == 0


def test_painted_classes_are_not_cut(folders: Path, run: Callable[..., Result]) -> None:
    path = save_model(untrained(task="classes", values=(1, 2)), folders / "c.safetensors")
    done = run("predict", path, folders / "images", "--out", folders / "o", "--set", "core=0.5")
    assert done.code == 2
    assert "leave --set away" in done.sentence


def test_regions_decide_what_counts_where_there_are_any(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p1.tif", mask)
    options = ["--regions", folders / "regions", "--steps", 1, "--validation", 0]
    assert run(*train_on(folders, *options)).code == 0
    first = load_model(folders / "new.safetensors")
    # What is painted outside of the region changes nothing.
    labels = tifffile.imread(folders / "labels" / "p1_masks.tif")
    labels[:, 40:] = 99
    tifffile.imwrite(folders / "labels" / "p1_masks.tif", labels)
    assert run(*train_on(folders, *options, "--overwrite")).code == 0
    second = load_model(folders / "new.safetensors").network.state_dict()
    for name, tensor in first.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), second[name].numpy())


def test_a_stray_value_outside_of_the_regions_leaves_a_mask_a_mask(folders: Path) -> None:
    for kind in ("masks", "regions"):
        (folders / kind).mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:12, 2:12] = mask[2:12, 20:30] = 255
    region = np.zeros_like(mask)
    region[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p0.tif", region)
    read = []
    for stray in (0, 99):
        mask[50, 50] = stray
        tifffile.imwrite(folders / "masks" / "p0.tif", mask)
        failures = Failures(debug=False)
        [image] = annotated_images(
            folders / "images" / "p0.tif",
            folders / "masks",
            task="instances",
            regions=folders / "regions",
            unlabelled=None,
            failures=failures,
        )
        assert not failures.count
        read.append(np.where(image.annotated, image.labels, 0))
    assert set(np.unique(read[0])) == {0, 1, 2}
    np.testing.assert_array_equal(read[0], read[1])


def test_a_negative_value_may_say_nothing(folders: Path, run: Callable[..., Result]) -> None:
    for path in (folders / "labels").iterdir():
        labels = tifffile.imread(path).astype(np.int16)
        labels[:20] = -1
        tifffile.imwrite(path, labels)
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", np.maximum(labels, 0))
    ask = ["evaluate", folders / "labels", folders / "out", "--json"]
    done = run(*ask, "--unlabelled", -1)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["ap50"] == 1
    done = run(*ask)
    assert done.code == 1
    assert "holds -1" in done.err


def test_regions_that_belong_to_no_image_are_refused(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    tifffile.imwrite(folders / "regions" / "other.tif", np.ones((SIDE, SIDE), np.uint8))
    done = run(*train_on(folders, "--regions", folders / "regions"))
    assert done.code == 1
    assert "no mask" in done.sentence


def test_a_region_of_no_image_is_refused_where_an_image_has_none(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    for name in ("p0", "p1", "P2"):
        mask = np.ones((SIDE, SIDE), np.uint8)
        tifffile.imwrite(folders / "regions" / f"{name}.tif", mask)
    done = run(*train_on(folders, "--regions", folders / "regions", "--steps", 1))
    assert done.code == 1
    assert "P2.tif" in done.sentence


@pytest.mark.parametrize("name", ["p0", "p0_masks", "p0_cp_masks", "p0_labels"])
def test_a_region_may_have_any_name_of_its_image(
    name: str, folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    (folders / "out").mkdir()
    tifffile.imwrite(folders / "regions" / f"{name}.tif", np.eye(SIDE, dtype=np.uint8))
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        if number == 0:
            labels[~np.eye(SIDE, dtype=bool)] = 0
        tifffile.imwrite(folders / "out" / f"p{number}_masks.tif", labels)
    ask = ["evaluate", folders / "labels", folders / "out", "--json"]
    assert json.loads(run(*ask).out)["pixel_error"] > 0
    done = run(*ask, "--regions", folders / "regions")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["pixel_error"] == 0


def test_several_regions_of_one_image_are_refused(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    for name in ("p0_masks", "p0_labels"):
        mask = np.ones((SIDE, SIDE), np.uint8)
        tifffile.imwrite(folders / "regions" / f"{name}.tif", mask)
    done = run(*train_on(folders, "--regions", folders / "regions", "--steps", 1))
    assert done.code == 1
    assert "several masks" in done.sentence


@pytest.mark.usefixtures("tiny")
def test_pixel_sizes_go_into_the_model_unless_they_are_ignored(
    folders: Path, run: Callable[..., Result]
) -> None:
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
def test_a_training_goes_on_from_a_model(folders: Path, run: Callable[..., Result]) -> None:
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
def test_a_training_that_goes_on_has_the_task_of_its_model(
    folders: Path, run: Callable[..., Result]
) -> None:
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
    folders: Path, run: Callable[..., Result]
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
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folders)
    done = run(*train_on(folders, *options, "--steps", 1))
    assert done.code == code
    assert about in done.sentence


@pytest.mark.usefixtures("tiny")
def test_no_old_image_is_replaced_by_the_model(folders: Path, run: Callable[..., Result]) -> None:
    old = folders / "old.tif"
    tifffile.imwrite(old, np.ones((SIDE, SIDE), np.uint8))
    ask = ["train", folders / "images", folders / "labels", "--model", old, "--overwrite"]
    done = run(*ask, "--old-images", old, "--old-labels", old, "--steps", 1)
    assert done.code == 1
    assert "own result" in done.sentence


def test_a_score_of_0_is_told_too() -> None:
    provenance = {"scores": {"ap50": 0.0, "pixel_error": None}, "scored_on": ["p0"]}
    assert _score(provenance) == " (ap50 0 on validation images)"


def test_an_existing_model_is_refused_before_anything_is_read(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "new.safetensors").write_text("precious")
    (folders / "images" / "p0.tif").write_text("broken")
    done = run(*train_on(folders))
    assert done.code == 1
    assert "--overwrite" in done.sentence
    assert (folders / "new.safetensors").read_text() == "precious"


@pytest.mark.parametrize("place", ["images/p0.tif", "labels/p0_masks.tif", "regions/p0.tif"])
def test_no_input_is_replaced_by_the_model(
    place: str, folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "regions").mkdir()
    tifffile.imwrite(folders / "regions" / "p0.tif", np.ones((SIDE, SIDE), np.uint8))
    before = (folders / place).read_bytes()
    where = [folders / "images", folders / "labels", "--regions", folders / "regions"]
    done = run("train", *where, "--model", folders / place, "--overwrite", "--steps", 1)
    assert done.code == 1
    assert "own result" in done.sentence
    assert (folders / place).read_bytes() == before


def test_a_folder_is_no_model_to_write(folders: Path, run: Callable[..., Result]) -> None:
    (folders / "new.zarr").mkdir()
    (folders / "images" / "p0.tif").write_text("broken")  # it is refused before anything is read
    where = [folders / "images", folders / "labels", "--model", folders / "new.zarr"]
    done = run("train", *where, "--overwrite", "--steps", 1)
    assert done.code == 1
    assert "is a folder" in done.sentence


@pytest.mark.parametrize(
    ("labels", "about"),
    [
        (np.ones((SIDE - 1, SIDE), np.uint8), "63 x 64"),
        (np.zeros((SIDE, SIDE), np.uint8), "no cell is painted"),
        (np.full((SIDE, SIDE), 0.5, np.float32), "whole numbers"),
    ],
)
def test_labels_that_do_not_fit_get_one_sentence(
    labels: NDArray[Any], about: str, folders: Path, run: Callable[..., Result]
) -> None:
    tifffile.imwrite(folders / "one.tif", labels)
    where = [folders / "images" / "p0.tif", folders / "one.tif"]
    done = run("train", *where, "--model", folders / "new.safetensors", "--steps", 1)
    assert done.code == 1
    assert about in done.sentence
    assert not (folders / "new.safetensors").exists()


@pytest.mark.parametrize(
    ("image", "about"),
    [
        (np.full((SIDE, SIDE), np.nan, np.float32), "NaN"),
        (np.ones((1, 1), np.uint8), "shape"),
    ],
)
def test_images_that_cannot_be_learnt_from_get_one_sentence(
    image: NDArray[Any], about: str, folders: Path, run: Callable[..., Result]
) -> None:
    tifffile.imwrite(folders / "images" / "p0.tif", image)
    done = run(*train_on(folders, "--steps", 1))
    assert done.code == 1
    assert about in done.sentence
    assert "p0" in done.sentence
    assert not (folders / "new.safetensors").exists()


def test_missing_labels_are_named(folders: Path, run: Callable[..., Result]) -> None:
    (folders / "labels" / "p1_masks.tif").unlink()
    done = run(*train_on(folders))
    assert done.code == 1
    assert "p1" in done.sentence


@pytest.mark.parametrize("views", [3, 0])
def test_a_number_of_views_that_there_is_not_is_wrong_usage(
    views: int, model: Path, folders: Path, run: Callable[..., Result]
) -> None:
    done = run("predict", model, folders / "images", "--out", folders / "out", "--views", views)
    assert done.code == 2
    assert "1, 2, 4 or 8" in done.sentence


def test_views_decide_the_probabilities(
    model: Path, folders: Path, run: Callable[..., Result]
) -> None:
    found = []
    for views in (1, 8):
        out = folders / f"out{views}"
        ask = ["predict", model, folders / "images" / "p0.tif", "--out", out, "--probabilities"]
        assert run(*ask, "--views", views).code == 0
        found.append(tifffile.imread(out / "p0_probability.tif"))
    assert np.abs(found[0] - found[1]).max() > 1e-3


# -------------------------------------------------------------------------------- regression


def give_values(folders: Path, outputs: int = 2) -> None:
    """Replace the labels by values to predict: what lies in each cell, and what beside it."""
    for path in (folders / "labels").iterdir():
        inside = (tifffile.imread(path) > 0).astype(np.float32)
        values = np.stack([10 * inside, 5 - inside])[:outputs]
        values[:, :8] = np.nan
        path.unlink()
        tifffile.imwrite(path, np.squeeze(values), photometric="minisblack")


def test_a_prediction_with_gaps_is_named_and_the_rest_compared(
    folders: Path, run: Callable[..., Result]
) -> None:
    for kind in ("truth", "found"):
        (folders / kind).mkdir()
        for number in range(2):
            values = np.full((8, 8), number + 1.5, np.float32)
            values[0] = np.nan if kind == "truth" or number else 7
            values[1, :2] = np.inf if kind == "found" and number else 0
            tifffile.imwrite(folders / kind / f"p{number}.tif", values)
    ask = ["evaluate", folders / "truth", folders / "found", "--task", "regression", "--json"]
    done = run(*ask)
    assert done.code == 1
    assert "p1.tif holds 2 values that are NaN or infinite" in done.sentence
    assert json.loads(done.out)["images"] == 1
    assert json.loads(done.out)["mae"] == 0


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("outputs", [1, 2])
def test_values_are_trained_predicted_and_evaluated(
    outputs: int, folders: Path, run: Callable[..., Result]
) -> None:
    give_values(folders, outputs)
    model, out = folders / "new.safetensors", folders / "out"
    options = ["--task", "regression", "--regression-loss", "mae", "--steps", 2]
    done = run(*train_on(folders, *options))
    assert (done.code, done.err) == (0, "")
    assert load_model(model).configuration["regression_loss"] == "mae"
    done = run("predict", model, folders / "images", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [f"p{n}.tif" for n in range(3)]
    written = tifffile.imread(out / "p0.tif")
    assert written.dtype == np.float32
    assert written.shape == ((SIDE, SIDE) if outputs == 1 else (outputs, SIDE, SIDE))
    done = run("evaluate", folders / "labels", out, "--task", "regression", "--json")
    assert (done.code, done.err) == (0, "")
    scores = json.loads(done.out)
    assert set(scores) == {"mae", "rmse", "psnr", "r2", "outputs", "images", "each"}
    truth = tifffile.imread(folders / "labels" / "p0_masks.tif")
    one = ["evaluate", folders / "labels" / "p0_masks.tif", out / "p0.tif"]
    scores = json.loads(run(*one, "--task", "regression", "--json").out)
    assert scores["mae"] == pytest.approx(np.nanmean(np.abs(truth - written)), rel=1e-4)
    shown = {
        line.split()[0]: line
        for line in run(*one, "--task", "regression").out.splitlines()
        if line.strip()
    }
    assert "mean absolute error" in shown["mae"]
    reach = f"{scores['each'][-1]['data_range']:.4g}"
    assert reach in shown["data_range" if outputs == 1 else "1"]
    described = json.loads(run("info", model, "--json").out)
    assert described["task"] == "regression"
    assert [o["index"] for o in described["outputs"]] == list(range(outputs))
    assert 0 < described["outputs"][0]["mean"] < 10
    assert "classes" not in described
    assert "standard deviation" in " ".join(run("info", model).out.split())


@pytest.mark.usefixtures("tiny")
def test_regions_and_a_value_that_says_nothing_hold_for_values(
    folders: Path, run: Callable[..., Result]
) -> None:
    give_values(folders)
    (folders / "regions").mkdir()
    region = np.zeros((SIDE, SIDE), np.uint8)
    region[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p0.tif", region)
    values = tifffile.imread(folders / "labels" / "p0_masks.tif")
    values[0, 30:] = -7
    tifffile.imwrite(folders / "labels" / "p0_masks.tif", values, photometric="minisblack")
    failures = Failures(debug=False)
    [image] = annotated_images(
        folders / "images" / "p0.tif",
        folders / "labels",
        task="regression",
        regions=folders / "regions",
        unlabelled=-7,
        failures=failures,
    )
    assert not failures.count
    expected = np.zeros((SIDE, SIDE), bool)
    expected[8:30, :40] = True
    np.testing.assert_array_equal(image.annotated[0], expected)
    np.testing.assert_array_equal(image.labels[0][:, expected], values[:, expected])


@pytest.mark.usefixtures("tiny")
def test_whole_numbers_and_colours_are_values_too(
    folders: Path, run: Callable[..., Result]
) -> None:
    for path in (folders / "labels").iterdir():
        labels = tifffile.imread(path)
        tifffile.imwrite(path, np.stack([labels] * 3, axis=-1).astype(np.uint8), photometric="rgb")
    assert run(*train_on(folders, "--task", "regression", "--steps", 1)).code == 0
    assert len(load_model(folders / "new.safetensors").classes) == 3


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("values", "about"),
    [
        (np.ones((SIDE - 1, SIDE), np.float32), "63 x 64"),
        (np.ones((SIDE, SIDE), np.float32), "output 1 is 1 wherever"),
        (np.full((SIDE, SIDE), np.nan, np.float32), "nothing is annotated"),
        (np.full((SIDE, SIDE), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_values_that_cannot_be_learnt_get_one_sentence(
    values: NDArray[Any], about: str, folders: Path, run: Callable[..., Result]
) -> None:
    tifffile.imwrite(folders / "one.tif", values)
    where = [folders / "images" / "p0.tif", folders / "one.tif", "--task", "regression"]
    done = run("train", *where, "--model", folders / "new.safetensors", "--steps", 1)
    assert done.code == 1
    assert about in done.sentence
    assert not (folders / "new.safetensors").exists()


def test_values_have_no_probabilities(folders: Path, run: Callable[..., Result]) -> None:
    path = save_model(untrained(task="regression"), folders / "values.safetensors")
    out = folders / "out"
    done = run("predict", path, folders / "images", "--out", out, "--probabilities")
    assert done.code == 2
    assert "leave --probabilities away" in done.sentence
    assert not out.exists()


# ----------------------------------------------------------------------------------- predict


def test_every_image_that_can_be_is_predicted_and_each_other_is_reported(
    folders: Path, model: Path, run: Callable[..., Result]
) -> None:
    image = folders / "images" / "p1.tif"
    image.write_bytes(image.read_bytes()[:300])
    tifffile.imwrite(folders / "images" / "p2.tif", np.full((9, 9), np.nan, np.float32))
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 1
    assert [path.name for path in (folders / "out").iterdir()] == ["p0.tif"]
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["napari-unet"] * 2
    assert "p1" in done.err.splitlines()[0]
    assert "p2" in done.err.splitlines()[1]


@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (3, 40, 30)])
def test_any_size_is_predicted(
    shape: tuple[int, ...], tmp_path: Path, model: Path, run: Callable[..., Result]
) -> None:
    image = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    more = ["--out", tmp_path / "out", "--probabilities", "--tile", 16]
    done = run("predict", model, tmp_path / "a.tif", *more)
    assert (done.code, done.err) == (0, "")
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == shape
    probabilities = read_image(tmp_path / "out" / "a_probability.tif").data
    assert probabilities.shape == (*(shape[:-2] or (1,)), 2, *shape[-2:])


def test_other_pixels_than_those_trained_on_are_told_and_can_be_ignored(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    model = save_model(replace(untrained(), pixel_size=0.5), tmp_path / "m.safetensors")
    image = draw_touching_cells((SIDE, SIDE), 6, 0)[0]
    (tmp_path / "images").mkdir()
    for name, size in (("a", 0.25), ("b", 0.5), ("c", 50.0)):
        how = {"imagej": True, "resolution": (1 / size, 1 / size), "metadata": {"unit": "um"}}
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image, **how)
    ask = ["predict", model, tmp_path / "images", "--out", tmp_path / "out"]
    done = run(*ask)
    assert done.code == 1
    first, second = (line for line in done.out.splitlines() if line.startswith(("a.tif", "b.tif")))
    assert "0.25 µm, not 0.5 µm" in first
    assert "µm" not in second
    assert "c.tif" in done.sentence
    assert "ignore pixel sizes" in done.sentence
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == (SIDE, SIDE)
    done = run(*ask, "--ignore-pixel-size", "--overwrite")
    assert (done.code, done.err) == (0, "")
    assert "µm" not in done.out


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_no_input_is_replaced_by_its_own_result(
    options: list[str], folders: Path, model: Path, run: Callable[..., Result]
) -> None:
    before = (folders / "images" / "p0.tif").read_bytes()
    done = run("predict", model, folders / "images", "--out", folders / "images", *options)
    assert done.code == 1
    assert "own result" in done.sentence
    assert (folders / "images" / "p0.tif").read_bytes() == before


def test_existing_results_are_refused_before_the_work_starts(
    folders: Path, model: Path, run: Callable[..., Result]
) -> None:
    (folders / "out").mkdir()
    (folders / "out" / "p2.tif").write_text("precious")
    ask = ["predict", model, folders / "images", "--out", folders / "out"]
    done = run(*ask)
    assert done.code == 1
    assert "p2.tif" in done.sentence
    assert [path.name for path in (folders / "out").iterdir()] == ["p2.tif"]
    assert run(*ask, "--overwrite").code == 0
    assert tifffile.imread(folders / "out" / "p2.tif").shape == (SIDE, SIDE)


def test_two_images_of_one_stem_are_refused(
    folders: Path, model: Path, run: Callable[..., Result]
) -> None:
    tifffile.imwrite(folders / "images" / "p0.tiff", np.ones((9, 9), np.uint8))
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 1
    assert "p0.tif" in done.sentence


def test_colour_where_grey_was_trained_is_refused(
    tmp_path: Path, model: Path, run: Callable[..., Result]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 20, 3), np.uint8), photometric="rgb")
    done = run("predict", model, tmp_path / "a.tif", "--out", tmp_path / "out")
    assert done.code == 1
    assert "3 channels" in done.sentence


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(
    content: bytes, folders: Path, run: Callable[..., Result]
) -> None:
    foreign = folders / "foreign.safetensors"
    foreign.write_bytes(content)
    for ask in (["info", foreign], ["predict", foreign, folders / "images", "--out", "x"]):
        done = run(*ask)
        assert done.code == 1
        assert "foreign.safetensors" in done.sentence


def test_an_output_folder_that_is_a_file_is_refused(
    folders: Path, model: Path, run: Callable[..., Result]
) -> None:
    (folders / "out").write_text("precious")
    done = run("predict", model, folders / "images", "--out", folders / "out")
    assert done.code == 1
    assert "cannot write into" in done.sentence
    assert (folders / "out").read_text() == "precious"


def test_a_model_that_cannot_be_written_where_it_was_asked_for_is_not_lost(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_unet.cli import train as command
    from napari_unet.cli.failures import CommandError
    from napari_unet.files import FileError

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


# ---------------------------------------------------------------------------------- evaluate


def test_perfect_labels_score_perfectly(folders: Path, run: Callable[..., Result]) -> None:
    scores = json.loads(run("evaluate", folders / "labels", folders / "labels", "--json").out)
    assert scores["ap50"] == scores["seg"] == 1
    assert scores["pixel_error"] == scores["rand_error"] == 0


def test_a_mask_is_compared_by_its_connected_pieces(
    folders: Path, run: Callable[..., Result]
) -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[2:8, 2:8] = mask[15:25, 15:25] = 255
    tifffile.imwrite(folders / "mask.tif", mask)
    scores = run("evaluate", folders / "mask.tif", folders / "mask.tif", "--json").out
    assert json.loads(scores)["n_true"] == 2


def test_classes_compare_by_the_rank_of_their_values(
    folders: Path, run: Callable[..., Result]
) -> None:
    truth = np.zeros((30, 30), np.uint8)
    truth[2:8, 2:8] = 255
    tifffile.imwrite(folders / "truth.tif", truth)
    tifffile.imwrite(folders / "found.tif", truth // 255)
    ask = ["evaluate", folders / "truth.tif", folders / "found.tif", "--task", "classes", "--json"]
    scores = json.loads(run(*ask).out)
    assert scores["pixel_error"] == 0
    assert scores["confusion"] == [[864, 0], [0, 36]]
    assert [(each["value"], each["dice"]) for each in scores["classes"]] == [(0, 1), (255, 1)]
    shown = [line.split() for line in run(*ask[:-1]).out.splitlines()]
    assert ["255", "1.000", "1.000", "36", "36"] in shown
    assert ["255", "0", "36"] in shown


def test_measures_of_membranes_are_taken_when_asked_for(
    folders: Path, run: Callable[..., Result]
) -> None:
    truth = np.full((30, 40), 255, np.uint8)
    truth[:, 19:21] = 0
    found = truth // 255
    found[10:14] = 1
    tifffile.imwrite(folders / "truth.tif", truth)
    tifffile.imwrite(folders / "found.tif", found)
    ask = ["evaluate", folders / "truth.tif", folders / "found.tif", "--task", "classes"]
    assert json.loads(run(*ask, "--json").out)["v_rand"] is None
    scores = json.loads(run(*ask, "--json", "--em").out)
    assert scores["warping_error"] == 4 / 1200
    assert scores["v_rand_split"] == 1
    assert scores["v_rand_merge"] == pytest.approx((570**2 * 2) / (1140**2))
    shown = {line.split()[0] for line in run(*ask, "--em").out.splitlines() if line.strip()}
    assert {"v_rand", "v_info", "warping_error"} <= shown


def test_a_missing_prediction_is_no_silent_gap(folders: Path, run: Callable[..., Result]) -> None:
    (folders / "out").mkdir()
    for number in range(2):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    done = run("evaluate", folders / "labels", folders / "out")
    assert done.code == 1
    assert "p2_masks.tif" in done.sentence


def test_pictures_beside_their_labels_are_no_labels(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
        picture = folders / "images" / f"p{number}.tif"
        (folders / "labels" / picture.name).write_bytes(picture.read_bytes())
    done = run("evaluate", folders / "labels", folders / "out", "--json")
    assert (done.code, done.err) == (0, "")
    scores = json.loads(done.out)
    assert scores["images"] == 3
    assert scores["ap50"] == 1


def test_two_truths_of_one_prediction_are_refused(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    tifffile.imwrite(folders / "labels" / "p1_labels.tif", labels)
    done = run("evaluate", folders / "labels", folders / "out")
    assert done.code == 1
    assert "two truths" in done.sentence


def test_labels_of_another_shape_are_reported_and_the_rest_compared(
    folders: Path, run: Callable[..., Result]
) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels[number // 2 :])
    done = run("evaluate", folders / "labels", folders / "out", "--json")
    assert done.code == 1
    assert "63 x 64" in done.sentence
    assert json.loads(done.out)["images"] == 2


def test_info_shows_scores_that_apply(tmp_path: Path, run: Callable[..., Result]) -> None:
    from napari_unet.evaluation import evaluate

    labels = np.eye(4, dtype=int)
    scores = evaluate([(labels, labels)], task="classes").to_dict()
    model = dataclasses.replace(untrained(), provenance={"scores": scores})
    path = save_model(model, tmp_path / "m.safetensors")
    (line,) = [line for line in run("info", path).out.splitlines() if line.startswith("scores")]
    assert "pixel_error 0" in line
    assert "ap50" not in line
    assert "[" not in line


def distorted(folders: Path) -> Path:
    """Write predictions: cell 1 and 2 merged in p0, one cell lost in p1, p2 perfect."""
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        labels[labels == (2 if number == 0 else 0)] = number == 0
        labels[labels == (3 if number == 1 else 0)] = 0
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    return folders / "out"


def test_the_table_of_cells_says_where_to_look(folders: Path, run: Callable[..., Result]) -> None:
    table = folders / "tables" / "cells.csv"
    done = run("evaluate", folders / "labels", distorted(folders), "--cells", table, "--json")
    assert (done.code, done.err) == (0, "")
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "image",
        "slice",
        "kind",
        "true",
        "predicted",
        "iou",
        "area",
        "y",
        "x",
    ]
    merged = [line for line in lines if line["kind"] == "merged"]
    assert [(m["image"], m["slice"], m["true"], m["predicted"]) for m in merged] == [
        ("p0", "0", "1 2", "1")
    ]
    (missed,) = [line for line in lines if line["kind"] == "missed"]
    assert (missed["image"], missed["true"], missed["predicted"]) == ("p1", "3", "")
    lost = tifffile.imread(folders / "labels" / "p1_masks.tif") == 3
    assert float(missed["y"]) == pytest.approx(np.nonzero(lost)[0].mean(), abs=1e-3)
    scores = json.loads(done.out)
    for kind in ("matched", "split", "merged", "missed", "extra"):
        assert scores[f"n_{kind}"] == sum(line["kind"] == kind for line in lines)


def test_a_table_of_cells_replaces_no_file(folders: Path, run: Callable[..., Result]) -> None:
    ask = ["evaluate", folders / "labels", folders / "labels", "--cells"]
    table = folders / "cells.csv"
    table.write_text("mine")
    done = run(*ask, table)
    assert done.code == 1
    assert "exists already" in done.sentence
    assert not done.out
    assert table.read_text() == "mine"
    done = run(*ask, folders / "labels" / "p0_masks.tif", "--overwrite")
    assert done.code == 1
    assert "its own result" in done.sentence
    assert run(*ask, table, "--overwrite").code == 0
    assert table.read_text().startswith("image,slice,kind")


def test_classes_have_no_table_of_cells(folders: Path, run: Callable[..., Result]) -> None:
    ask = ["evaluate", folders / "labels", folders / "labels", "--task", "classes"]
    done = run(*ask, "--cells", folders / "cells.csv")
    assert done.code == 2
    assert "--cells" in done.sentence


def test_people_see_the_curve_and_what_became_of_the_cells(
    folders: Path, run: Callable[..., Result]
) -> None:
    done = run("evaluate", folders / "labels", distorted(folders))
    assert (done.code, done.err) == (0, "")
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert rows["n_merged"][1] == rows["n_missed"][1] == "1"
    assert rows["IoU"][2:] == [f"{0.5 + 0.05 * n:.2f}" for n in range(10)]
    assert rows["AP"][1] == rows["ap50"][1]
    assert len(rows["F1"]) == 11


# ------------------------------------------------------------------------------ the programme


def program(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "napari_unet", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **changes},
    )


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


def test_debug_shows_the_traceback_and_nothing_else_does(folders: Path) -> None:
    (folders / "bad.safetensors").write_text("bad")
    quiet = program("info", folders / "bad.safetensors")
    loud = program("info", folders / "bad.safetensors", "--debug")
    for running, traced in ((quiet, False), (loud, True)):
        _, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert ("Traceback" in err) is traced
        assert err.count("napari-unet: ") == 1


def test_a_stack_cut_between_its_slices_is_refused(folders: Path, model: Path) -> None:
    path = folders / "images" / "p1.tif"
    tifffile.imwrite(path, np.ones((8, SIDE, SIDE), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        fifth = file.pages[4].offset
    path.write_bytes(path.read_bytes()[:fifth])
    process = program("predict", model, path, "--out", folders / "out")
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    [sentence] = complaints.splitlines()
    assert "p1.tif is damaged" in sentence
