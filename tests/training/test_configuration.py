"""One home for every option."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from napari_unet.network import build_network
from napari_unet.training import PRESETS, TrainingConfig


def test_the_paper_is_taken_literally():
    paper = PRESETS["paper"]
    assert (paper.depth, paper.width, paper.padding) == (4, 64, "valid")
    assert (paper.optimiser, paper.momentum, paper.batch) == ("sgd", 0.99, 1)
    assert (paper.w0, paper.sigma, paper.elastic_sigma) == (10.0, 5.0, 10.0)
    assert (paper.energy, paper.normalisation, paper.input_size) == ("sum", "none", 572)
    assert paper.augmentation.grid == 3


def test_every_option_has_a_title_and_a_tooltip():
    for entry in dataclasses.fields(TrainingConfig):
        assert entry.metadata["tooltip"].endswith("."), entry.name
        assert entry.metadata["title"], entry.name


@pytest.mark.parametrize("name", list(PRESETS))
def test_no_preset_has_a_normalisation_that_sees_the_tile(name):
    assert PRESETS[name].normalisation in ("none", "batch")


def test_options_of_the_network_reach_its_architecture():
    chosen = {"skips": "add", "normalisation": "group", "init": "xavier", "depth": 6, "width": 2}
    config = TrainingConfig.from_preset("quick", **chosen)
    network = build_network(config.architecture(in_channels=3, out_channels=4))
    assert chosen.items() <= network.architecture.items()
    assert (network.architecture["in_channels"], network.architecture["out_channels"]) == (3, 4)


def test_a_sliding_window_takes_a_few_windows_from_each_place():
    config = TrainingConfig.from_preset("quick", network="sliding_window", window=33)
    network = build_network(config.architecture(in_channels=1, out_channels=2))
    assert network.architecture["window"] == 33
    assert network.geometry == config.geometry
    assert config.geometry.output_size(config.input_size) == 8
    with pytest.raises(ValueError, match="window is 64; choose an odd number"):
        TrainingConfig.from_preset("quick", network="sliding_window", window=64)


def test_steps_replace_the_time_of_a_preset_and_the_other_way_round():
    assert TrainingConfig.from_preset("quick", steps=5).minutes is None
    assert TrainingConfig.from_preset("quick", minutes=2).steps is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"minutes": 0}, "minutes is 0; it must be from 0.01 to 10000"),
        ({"minutes": float("nan")}, "minutes is nan; it must be from"),
        ({"steps": 0}, "steps is 0; it must be from 1"),
        ({"learning_rate": -1}, "learning_rate is -1; it must be from"),
        ({"learning_rate": None}, "learning_rate is None; it must be from"),
        ({"working_scale": 0}, "working_scale is 0; it must be from 0.02 to 4"),
        ({"dropout": 2}, "dropout is 2"),
        ({"batch": 0}, "batch is 0"),
        ({"views": 3}, "views is 3; choose 1, 2, 4, 8"),
        ({"minutes": None}, "neither minutes nor steps"),
        ({"task": "guess"}, "choose instances, classes, regression"),
        ({"regression_loss": "l3"}, "choose mse, mae"),
        ({"validation": 0.9}, "validation is 0.9; it must be from 0.0 to 0.5"),
    ],
)
def test_impossible_values_are_refused_with_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainingConfig.from_preset("quick", **values)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="quick, balanced, best, paper"):
        TrainingConfig.from_preset("perfect")


def test_a_configuration_survives_json():
    config = PRESETS["paper"]
    assert TrainingConfig(**json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_patch_of_which_a_single_pixel_is_left_is_refused(norm):
    with pytest.raises(ValueError, match="single pixel"):
        TrainingConfig.from_preset("quick", patch=16, depth=4, normalisation=norm)
    TrainingConfig.from_preset("quick", patch=16, depth=4, normalisation="group")
    TrainingConfig.from_preset("quick", patch=32, depth=4, normalisation=norm)


def test_whole_numbers_are_asked_for_where_they_are_needed():
    with pytest.raises(ValueError, match=r"width is 4\.0; it must be a whole number"):
        TrainingConfig.from_preset("quick", width=4.0)
    assert TrainingConfig.from_preset("quick", minutes=4).minutes == 4


def test_the_choices_of_an_option_are_all_that_its_type_allows():
    hints = get_type_hints(TrainingConfig)
    options = dataclasses.fields(TrainingConfig)
    literals = {f.name: f for f in options if get_origin(hints[f.name]) is Literal}
    assert len(literals) >= 8
    for name, field in literals.items():
        assert tuple(field.metadata["choices"]) == get_args(hints[name]), name
