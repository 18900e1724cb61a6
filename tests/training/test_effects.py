"""What a training says of options that do nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from napari_unet.network import ClassLabel, TrainedModel, UNet
from napari_unet.training import PRESETS, TrainingConfig, depending_options, train, without_effect
from napari_unet.training.effects import chosen_without_effect
from napari_unet.training.messages import without_effect_message
from napari_unet.training.transfer import continued
from tests.training.pictures import bright_discs, small

CELLS = (ClassLabel(0, "background"), ClassLabel(1, "cell"))


def told(preset="quick", start=None, **changes) -> str:
    """Return what is said of a preset with these changes."""
    asked = TrainingConfig.from_preset(preset, **changes)
    used = asked if start is None else continued(asked, start)
    return without_effect_message(chosen_without_effect(asked, used, goes_on=start is not None))


def model(**options) -> TrainedModel:
    network = UNet(**{"depth": 2, "width": 3, "padding": "same", "dropout": 0.0, **options}).eval()
    return TrainedModel(network=network, task="instances", classes=CELLS)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", ["instances", "classes", "regression"])
def test_nothing_is_said_of_a_preset(preset, task):
    assert told(preset, task=task) == ""
    assert told(preset, task=task, network="sliding_window") == ""
    assert told(preset, task=task, optimiser="adamw", elastic=False, w0=10.0) == ""


@pytest.mark.parametrize(
    ("changes", "options", "because"),
    [
        ({"freeze_encoder": True}, "Freeze the encoder (freeze_encoder)", "no encoder"),
        ({"encoder_weights": None}, "Encoder weights (encoder_weights)", "no encoder"),
        ({"encoder": "resnet18", "skips": "add"}, "Skip connections (skips)", "its own"),
        ({"encoder": "resnet18", "init": "xavier"}, "Initial weights (init)", "its own"),
        (
            {"encoder": "resnet18", "up": "upsample", "normalisation": "none"},
            "Up-convolution (up) and Normalisation",
            "its own",
        ),
        (
            {"encoder": "resnet18", "freeze_encoder": True, "encoder_rate": 0.1},
            "Rate of the encoder (encoder_rate)",
            "frozen",
        ),
        (
            {"encoder": "resnet18", "encoder_weights": None, "encoder_rate": 0.1},
            "Rate of the encoder (encoder_rate)",
            "no encoder weights",
        ),
        ({"window": 33}, "Sliding window (window)", "no sliding window"),
        ({"network": "sliding_window", "depth": 3}, "Depth", "no U-Net"),
        ({"momentum": 0.5}, "Momentum", "not SGD"),
        ({"elastic": False, "elastic_sigma": 5.0}, "Warp strength (elastic_sigma)", "is off"),
        ({"w0": 0.0, "sigma": 3.0}, "Border width sigma (sigma)", "weight is 0"),
        ({"working_scale": 0.5, "cell_diameter": 20.0}, "(cell_diameter)", "scale is given"),
        ({"task": "classes", "w0": 5.0}, "Border weight w0 (w0)", "no single cells"),
        ({"task": "regression", "dice": 1.0}, "Dice term (dice)", "no classes"),
        ({"regression_loss": "mae"}, "Regression loss (regression_loss)", "no regression"),
        ({"fine_tuning": 0.1}, "Rate from a model (fine_tuning)", "from no model"),
    ],
)
def test_an_option_that_does_nothing_is_named_with_the_reason(changes, options, because):
    said = told(**changes)
    assert said.startswith("Without effect: ")
    assert f"{options}, because" in said
    assert because in said
    assert ";" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "resnet18", "freeze_encoder": True, "depth": 3, "width": 8, "dropout": 0.1},
        {"encoder": "resnet18", "encoder_rate": 0.1, "encoder_weights": "weights.safetensors"},
        {"network": "sliding_window", "window": 33, "width": 8, "normalisation": "none"},
        {"optimiser": "sgd", "momentum": 0.5, "elastic_sigma": 5.0, "sigma": 3.0},
        {"task": "regression", "regression_loss": "mae", "scaling": 0.2},
        {"task": "classes", "dice": 1.0, "focal": 2.0, "balance": False},
        {"cell_diameter": 20.0},
    ],
)
def test_nothing_is_said_of_options_that_work(changes):
    assert told(**changes) == ""


def test_what_the_model_decides_is_told_where_something_else_was_asked_for():
    start = model()
    assert told(start=start) == ""
    assert told(start=start, width=3, depth=2, fine_tuning=0.1, w0=5.0) == ""
    said = told(start=start, width=64, encoder="resnet18", skips="add")
    for option in ("Width", "Encoder", "Skip connections (skips)"):
        assert option in said
    assert said.endswith("because the model that the training goes on from decides")
    assert "has no encoder" in told(start=start, freeze_encoder=True)
    assert "Encoder weights" in told(start=start, encoder="resnet18", encoder_weights="a.pth")


def test_it_is_said_where_one_network_learns_instead_of_the_three_of_the_preset():
    assert "Networks averaged (networks), because nobody knows" in told("best", until_stopped=True)
    assert "Networks averaged (networks), because the model" in told("best", start=model())


def test_a_training_says_it_once_before_its_first_step():
    reports = list(train([bright_discs()], small(steps=1, freeze_encoder=True, momentum=0.5)))
    said = [report for report in reports if report.message.startswith("Without effect")]
    assert [report.phase for report in said] == ["preparing"]
    assert "Freeze the encoder" in said[0].message
    assert "Momentum" in said[0].message


def test_every_option_that_may_do_nothing_is_one():
    names = {field.name for field in fields(TrainingConfig)}
    assert depending_options() <= names
    everything = [
        TrainingConfig(encoder="resnet18", freeze_encoder=True, elastic=False, w0=0.0),
        TrainingConfig(network="sliding_window", working_scale=1.0, task="regression"),
    ]
    for config in everything:
        for goes_on in (False, True):
            assert without_effect(config, goes_on=goes_on).keys() <= depending_options()


def test_what_depends_on_an_unknown_option_may_have_an_effect():
    config = replace(TrainingConfig(), window=33)
    assert {"window", "freeze_encoder"} <= without_effect(config).keys()
    found = without_effect(config, goes_on=True, unknown=("network", "encoder"))
    assert "freeze_encoder" not in found
    assert "window" in found
