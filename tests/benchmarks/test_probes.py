"""The probes against their definitions, and one whole run on real images."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from benchmarks.figures.images import Truth, training_images, truths
from benchmarks.figures.measuring import configuration, measure, scores_of
from benchmarks.figures.plan import DATASETS, PLAN, Run
from benchmarks.figures.probes import (
    PROBES,
    border_errors,
    period_two,
    period_two_share,
    predict_in_zeros,
)
from napari_unet.annotations import split_connected
from napari_unet.prediction import measure_range, predict
from napari_unet.training import train
from tests.prediction.models import lively_model
from tests.training.pictures import bright_discs, small


def waves(shape=(96, 80)):
    """Return a slow wave of amplitude 1 and a checkerboard of amplitude 1."""
    y, x = np.indices(shape)
    return np.sin(2 * np.pi * y / 24) * np.cos(2 * np.pi * x / 20), (-1.0) ** (y + x)


def test_a_pattern_of_period_two_is_found_in_both_directions():
    y, x = np.indices((96, 80))
    for pattern in (y % 2, x % 2, (y + x) % 2, (y % 2) * (x % 2)):
        assert period_two_share(pattern.astype(float)) > 0.999


def test_slow_waves_and_constants_have_no_period_two():
    slow, _ = waves()
    assert period_two_share(slow) < 1e-6
    assert period_two_share(np.full((64, 64), 3.0)) == 0


def test_the_share_is_that_of_the_energies():
    slow, fast = waves()
    power = np.var(slow), np.var(fast)
    for weight in (0.05, 0.5, 2.0):
        share = weight**2 * power[1] / (power[0] + weight**2 * power[1])
        assert period_two_share(slow + weight * fast) == pytest.approx(share, rel=0.05)


def test_brightness_and_contrast_do_not_change_the_share():
    slow, fast = waves()
    plane = slow + 0.3 * fast
    assert period_two_share(7 * plane - 40) == pytest.approx(period_two_share(plane), rel=1e-6)


def test_noise_has_the_share_of_its_part_of_the_spectrum():
    plane = np.random.default_rng(0).normal(size=(256, 256))
    around_zero, at_the_end = 17, 16  # of 256 frequencies, within 1/32 cycle of 0 and of 1/2
    part = (2 * around_zero * at_the_end + at_the_end**2) / 256**2
    assert period_two_share(plane) == pytest.approx(part, rel=0.15)


def test_zeros_beyond_the_image_are_what_the_network_reads(monkeypatch):
    monkeypatch.setattr("napari_unet.prediction.runner.fast_dtype", lambda device: None)
    model = lively_model(depth=2, padding="valid")
    image = np.random.default_rng(0).normal(100, 20, (1, 1, 64, 64)).astype(np.float32)
    geometry = model.network.geometry
    size = geometry.input_size_for(64)
    first = geometry.offset(size)
    shown = np.zeros((1, 1, size, size), np.float32)
    inner = slice(first, first + 64)
    shown[0, :, inner, inner] = measure_range(image, model.normalisation).apply(image[0])
    with torch.no_grad():
        expected = torch.softmax(model.network(torch.from_numpy(shown)), dim=1).numpy()
    found = predict_in_zeros(model, image)
    assert np.abs(found - expected[..., :64, :64]).max() < 1e-4
    assert np.abs(found - predict(model, image)).max() > 0.01, "mirrors must differ from zeros"


def test_border_errors_are_those_of_the_rings():
    model = lively_model(depth=2, padding="valid", seed=1)
    image = np.random.default_rng(1).normal(100, 20, (1, 1, 200, 200)).astype(np.float32)
    mirrored = (predict(model, image)[:, 0] < 0.5).astype(np.uint8)
    errors = border_errors(model, [Truth(image, mirrored)])
    assert errors["border_92_mirrored"] == errors["border_16_mirrored"] == 0
    assert errors["border_16_zero"] > errors["border_92_zero"] > 0
    wrong = (predict_in_zeros(model, image)[0, 0] < 0.5) != (mirrored[0] > 0)
    ring = wrong.sum() - wrong[16:-16, 16:-16].sum()
    assert errors["border_16_zero"] == pytest.approx(ring / (200**2 - 168**2))


def test_the_untrained_network_is_the_one_that_the_training_began_with():
    config = small(steps=1, learning_rate=1e-9, weight_decay=0.0, normalisation="none", seed=3)
    *_, last = train([bright_discs()], config)
    image = np.random.default_rng(0).normal(100, 20, (1, 1, 400, 400)).astype(np.float32)
    found = period_two(last.model, [Truth(image, np.zeros((1, 400, 400), np.uint8))])
    assert found["period_two"] == pytest.approx(found["period_two_untrained"], rel=1e-3)
    assert found["period_two"] > 0


def test_the_plan_asks_only_for_probes_that_exist():
    assert {probe for run in PLAN for probe in run.probes} == set(PROBES)


def test_regions_are_scored_alike_whichever_task_found_them():
    rng = np.random.default_rng(0)
    truth = [np.where(ndimage.gaussian_filter(rng.normal(size=(1, 60, 70)), 2) > 0, 255, 0)]
    found = [np.where(ndimage.gaussian_filter(rng.normal(size=(1, 60, 70)), 2) > 0, 255, 0)]
    as_classes = replace(DATASETS["em"], task="classes")
    as_instances = replace(DATASETS["em"], task="instances")
    scores = scores_of(as_classes, truth, found)
    assert scores == scores_of(as_instances, truth, [split_connected(found[0])])
    assert scores["pixel_error"] == pytest.approx((truth[0] != found[0]).mean())
    own = scores_of(as_classes, truth, truth)
    assert (own["rand_error"], own["pixel_error"], own["warping_error"]) == (0, 0, 0)


def test_regions_that_touch_stay_apart_where_instances_are_found():
    truth = np.full((1, 40, 40), 255)
    truth[:, :, 19:21] = 0
    apart = np.repeat([1, 2], 20)[None, None].repeat(40, axis=1)
    as_instances = replace(DATASETS["em"], task="instances")
    assert scores_of(as_instances, [truth], [apart])["rand_error"] == 0


@pytest.fixture
def real_sets(real_data, monkeypatch):
    monkeypatch.setenv("NAPARI_UNET_DATA", str(real_data))


@pytest.mark.usefixtures("real_sets")
@pytest.mark.parametrize("name", DATASETS)
def test_no_image_is_both_learnt_and_scored(name):
    learnt = [image.image for image in training_images(Run(dataset=name))]
    scored = [truth.image for truth in truths(DATASETS[name])]
    assert {"nuclei": (40, 20), "dic": (5, 3), "em": (18, 6)}[name] == (len(learnt), len(scored))
    assert not any(a.shape == b.shape and np.array_equal(a, b) for a in learnt for b in scored)


@pytest.mark.usefixtures("real_sets")
def test_fewer_images_are_part_of_more():
    named = [
        {image.name for image in training_images(Run(dataset="nuclei", images=number))}
        for number in (1, 2, 5, 40)
    ]
    assert [len(found) for found in named] == [1, 2, 5, 40]
    assert all(few < many for few, many in pairwise(named))
    other = training_images(Run(dataset="nuclei", images=5, seed=1))
    assert {image.name for image in other} != named[2]


@pytest.mark.usefixtures("real_sets")
def test_where_few_cells_are_labelled_only_they_count():
    sparse = {image.name: image.annotated.mean() for image in training_images(Run(dataset="dic"))}
    assert sparse.pop("01_t067") < 0.2
    assert set(sparse.values()) == {1.0}


@pytest.mark.usefixtures("real_sets")
def test_a_whole_run_on_real_slices():
    run = Run(
        dataset="em",
        minutes=0.1,
        images=2,
        changes=(("padding", "valid"), ("batch", 1), ("patch", 60), ("depth", 2), ("width", 4)),
        probes=tuple(PROBES),
    )
    told = []
    found = measure(run, lambda progress, message: told.append(progress))
    scores = found["scores"]
    assert 0 < scores["pixel_error"] < 0.9
    assert scores["steps"] > 0
    assert 0 <= scores["border_92_zero"] <= 1
    assert 0 < scores["period_two_untrained"] <= 1
    assert len(found["images"]) == 2
    assert found["config"]["padding"] == "valid"
    assert found["config"]["device"] == configuration(run).device == "cpu"
    assert told[-1] == 1.0
    assert told == sorted(told)
