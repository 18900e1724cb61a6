"""The plan: what it costs, that nothing is done twice, and that every comparison is fair."""

from __future__ import annotations

import pytest

from benchmarks.figures.measuring import configuration
from benchmarks.figures.plan import (
    ABLATION_MINUTES,
    CURVE,
    DATASETS,
    LARGE_PATCH,
    LIMIT_HOURS,
    MINUTES,
    PLAN,
    SEEDS,
    TABLES,
    Run,
    chosen,
    quality,
    total_seconds,
    with_images,
)
from benchmarks.figures.results import WEIGHTS_VARIABLE
from napari_unet.training import PRESETS


def test_everything_takes_at_most_three_hours():
    assert total_seconds(PLAN) <= 3600 * LIMIT_HOURS


def test_names_and_keys_are_unique():
    assert len({run.name for run in PLAN}) == len(PLAN)
    assert len({run.key for run in PLAN}) == len(PLAN)


def test_the_key_depends_on_everything_but_the_name():
    run = Run(dataset="em")
    assert Run(dataset="em", variant="another name").key == run.key
    others = [
        Run(dataset="dic"),
        Run(dataset="em", minutes=1.0),
        Run(dataset="em", seed=1),
        Run(dataset="em", images=1),
        Run(dataset="em", preset="balanced"),
        Run(dataset="em", changes=(("w0", 0.0),)),
        Run(dataset="em", probes=("border",)),
        Run(dataset="em", method="otsu_watershed"),
    ]
    assert len({run.key, *(other.key for other in others)}) == len(others) + 1


@pytest.mark.parametrize("run", PLAN, ids=lambda run: run.name)
def test_a_run_survives_its_way_into_another_process(run):
    again = Run.from_json(run.to_json())
    assert again == run
    assert again.key == run.key


def test_quality_is_measured_for_every_time_seed_and_set():
    found = {(run.dataset, run.minutes, run.seed) for run in PLAN if not run.variant}
    wanted = {(name, minutes, seed) for name in DATASETS for minutes in MINUTES for seed in SEEDS}
    assert wanted <= found


def test_the_learning_curve_ends_with_the_runs_on_all_images():
    assert with_images(CURVE[-1]) == quality("nuclei")
    assert DATASETS["nuclei"].train == slice(0, CURVE[-1])


ABLATIONS = {"weight-map": 2, "elastic-warp": 2, "batch": 2, "skips": 2, "depth": 2, "encoder": 1}


@pytest.mark.parametrize(("key", "number"), ABLATIONS.items())
def test_an_ablation_is_compared_with_the_runs_that_are_measured_anyway(key, number):
    (table,) = (table for table in TABLES if table.key == key)
    (dataset,) = {run.dataset for row in table.rows for run in row.runs}
    usual = quality(dataset, ABLATION_MINUTES)
    assert usual in [row.runs for row in table.rows]
    for runs in (row.runs for row in table.rows if row.runs != usual):
        assert [run.seed for run in runs] == list(SEEDS[:number])
        assert {run.minutes for run in runs} == {ABLATION_MINUTES}


def test_ablations_have_width_16_as_their_tables_say():
    assert {PRESETS[run.preset].width for run in PLAN} == {16}


def test_one_large_patch_has_as_many_pixels_as_the_patches_of_the_preset():
    large = dict(LARGE_PATCH[0].changes)
    preset = PRESETS[LARGE_PATCH[0].preset]
    assert large["batch"] * large["patch"] ** 2 == preset.batch * preset.patch**2
    (table,) = (table for table in TABLES if table.key == "batch")
    assert table.rows[0].label == f"{preset.batch} of {preset.patch} px"


@pytest.mark.parametrize("run", PLAN, ids=lambda run: run.name)
def test_what_a_run_changes_is_not_what_the_preset_has(run):
    preset = PRESETS[run.preset].to_dict()
    assert not [name for name, value in run.changes if preset.get(name, "new") == value]


TRAININGS = [run for run in PLAN if run.method == "train"]


@pytest.mark.parametrize("run", TRAININGS, ids=lambda run: run.name)
def test_every_run_is_a_training_that_the_program_offers(run, tmp_path, monkeypatch):
    weights = tmp_path / "weights.pth"
    weights.touch()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    config = configuration(run).to_dict()
    wanted = dict(run.changes)
    if run.needs_weights:
        wanted["encoder_weights"] = str(weights)
    assert {name: config[name] for name in wanted} == wanted
    assert (config["seed"], config["minutes"], config["device"]) == (run.seed, run.minutes, "cpu")


def test_runs_are_chosen_by_their_name_or_table():
    assert chosen(None) == PLAN
    assert [run.name for run in chosen("em-3min-*")] == ["em-3min-seed0", "em-3min-seed1"]
    assert set(quality("dic")) < set(chosen("skips"))
    assert len(chosen("skips")) == 6


def test_a_pattern_without_a_run_is_refused():
    with pytest.raises(ValueError, match=r"'nucleus'.*--list"):
        chosen("nucleus")
