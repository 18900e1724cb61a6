"""Train, predict, evaluate and look, for each task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unet.files import load_model, save_model
from tests.cli.commands import SIDE, Run, give_values, train_on, untrained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("tiny")
def test_train_predict_evaluate_info(folders: Path, run: Run) -> None:
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


@pytest.mark.usefixtures("tiny")
def test_classes_keep_their_painted_values(folders: Path, run: Run) -> None:
    truth = {}
    for path in sorted((folders / "labels").iterdir()):
        labels = np.where(tifffile.imread(path) > 0, 7, 3).astype(np.uint8)
        labels[0] = 200
        tifffile.imwrite(path, labels)
        truth[path.name[:2]] = labels
    model, out = folders / "new.safetensors", folders / "out"
    silent = ["--task", "classes", "--unlabelled", 200]
    assert run(*train_on(folders, "--steps", 2, *silent)).code == 0
    assert [c.value for c in load_model(model).classes] == [3, 7]
    assert "3 = background, 7 = class 7" in run("info", model).out
    done = run("predict", model, folders / "images", "--out", out, "--probabilities")
    assert (done.code, done.err) == (0, "")
    wrong = []
    for name, labels in truth.items():
        probabilities = tifffile.imread(out / f"{name}_probability.tif")
        written = tifffile.imread(out / f"{name}.tif")
        np.testing.assert_array_equal(written, np.array([3, 7])[probabilities.argmax(axis=0)])
        wrong.append((written != labels)[1:].mean())
    ask = ["evaluate", folders / "labels", out, *silent, "--json"]
    scores = json.loads(run(*ask).out)
    assert [each["value"] for each in scores["classes"]] == [3, 7]
    assert scores["pixel_error"] == pytest.approx(np.mean(wrong))
    assert json.loads(run(*ask, "--classes", "3,7").out) == scores
    # Earlier versions wrote 0 for the lowest value, 1 for the next.
    for name in truth:
        written = tifffile.imread(out / f"{name}.tif")
        tifffile.imwrite(out / f"{name}.tif", (written == 7).astype(np.uint16))
    assert json.loads(run(*ask).out) == scores


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("outputs", [1, 2])
def test_values_are_trained_predicted_and_evaluated(outputs: int, folders: Path, run: Run) -> None:
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


@pytest.mark.usefixtures("tiny", "loadable_torchvision")
@pytest.mark.parametrize("task", ["instances", "regression"])
def test_a_network_with_an_encoder_is_trained_and_used(task: str, folders: Path, run: Run) -> None:
    if task == "regression":
        give_values(folders, 2)
    model, out = folders / "new.safetensors", folders / "out"
    options = ["--set", "encoder=resnet18", "--set", "encoder_weights=none"]
    done = run(*train_on(folders, "--task", task, "--steps", 2, *options))
    assert (done.code, done.err) == (0, "")
    assert "The encoder resnet18 starts from random weights" in done.out
    done = run("predict", model, folders / "images" / "p0.tif", "--out", out)
    assert (done.code, done.err) == (0, "")
    written = tifffile.imread(out / "p0.tif")
    assert written.shape == ((2, SIDE, SIDE) if task == "regression" else (SIDE, SIDE))
    assert np.isfinite(written).all()
    described = json.loads(run("info", model, "--json").out)
    assert described["task"] == task
    assert described["architecture"]["encoder"] == "resnet18"
    shown = run("info", model, "--network")
    assert (shown.code, shown.err) == (0, "")
    assert "resnet18" in shown.out


@pytest.mark.usefixtures("tiny")
def test_a_sliding_window_is_trained_and_used(folders: Path, run: Run) -> None:
    model, out = folders / "new.safetensors", folders / "out"
    options = ["--set", "network=sliding_window", "--set", "window=17"]
    done = run(*train_on(folders, "--steps", 2, *options))
    assert (done.code, done.err) == (0, "")
    assert "Without effect" not in done.out
    done = run("predict", model, folders / "images" / "p0.tif", "--out", out, "--views", 1)
    assert (done.code, done.err) == (0, "")
    assert tifffile.imread(out / "p0.tif").shape == (SIDE, SIDE)
    described = json.loads(run("info", model, "--json").out)
    assert described["architecture"]["kind"] == "sliding_window"
    assert described["architecture"]["window"] == 17
    assert run("info", model, "--network").code == 0


@pytest.mark.usefixtures("tiny")
def test_values_are_learnt_from_a_model_of_cells(folders: Path, run: Run) -> None:
    give_values(folders, 2)
    start = save_model(untrained(), folders / "cells.safetensors")
    model, out = folders / "new.safetensors", folders / "out"
    options = ["--from", start, "--task", "regression", "--name", "1=depth", "--steps", 2]
    done = run(*train_on(folders, *options))
    assert (done.code, done.err) == (0, "")
    assert "Goes on from cells with a new last layer" in done.out
    done = run("predict", model, folders / "images" / "p0.tif", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert tifffile.imread(out / "p0.tif").shape == (2, SIDE, SIDE)
    described = json.loads(run("info", model, "--json").out)
    assert [each["name"] for each in described["outputs"]] == ["value 1", "depth"]
    assert described["provenance"]["parent"]["name"] == "cells"
    assert load_model(start).task == "instances"


@pytest.mark.usefixtures("tiny")
def test_what_does_nothing_is_told(folders: Path, run: Run) -> None:
    start = save_model(untrained(), folders / "cells.safetensors")
    options = ["--set", "width=64", "--set", "encoder=resnet18", "--set", "freeze_encoder=yes"]
    done = run(*train_on(folders, "--from", start, "--steps", 1, *options))
    assert (done.code, done.err) == (0, "")
    said = " ".join(done.out.split())
    assert "Without effect: " in said
    assert "Freeze the encoder (freeze_encoder), because the network has no encoder" in said
    assert "because the model that the training goes on from decides" in said
    assert load_model(folders / "new.safetensors").architecture["width"] == 2
