"""Image, target and weight go the same way, and each is read once."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.augmentation import (
    Augmentation,
    AugmentationConfig,
    Intensity,
    Patch,
    apply,
    draw,
    draw_displacement,
    source_shape,
    warp,
)

STILL = {"gain": 0.0, "offset": 0.0, "gamma": 0.0, "noise": 0.0, "blur": 0.0}


def patch(shape=(64, 80), channels=2, seed=0):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.random((channels, *shape)), (0, 3, 3))
    image = ((image - image.min()) / np.ptp(image)).astype(np.float32)
    return Patch(image, (image[0] > 0.5).astype(np.uint8), 1 + image[0])


def rng_of(seed):
    return np.random.default_rng(seed)


def geometry(matrix=((1, 0), (0, 1)), controls=None, interpolation="linear"):
    return Augmentation(np.array(matrix, float), controls, Intensity(), interpolation)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("output_shape", [None, (40, 40), (31, 44), (64, 1)])
def test_an_augmentation_that_does_nothing_is_the_centre(interpolation, output_shape):
    given = patch()
    done = apply(geometry(interpolation=interpolation), given, output_shape=output_shape)
    shape = output_shape or (64, 80)
    centre = tuple(
        slice((whole - part) // 2, (whole - part) // 2 + part)
        for whole, part in zip((64, 80), shape, strict=True)
    )
    np.testing.assert_allclose(done.image, given.image[:, *centre], atol=1e-5)
    assert np.array_equal(done.target, given.target[centre])
    np.testing.assert_allclose(done.weight, given.weight[centre], atol=1e-5)


@pytest.mark.parametrize(
    ("matrix", "moved"),
    [
        (((-1, 0), (0, 1)), lambda a: a[..., ::-1, :]),
        (((1, 0), (0, -1)), lambda a: a[..., ::-1]),
        (((0, 1), (1, 0)), lambda a: np.swapaxes(a, -1, -2)),
        (((0, -1), (1, 0)), lambda a: np.rot90(a, -1, axes=(-2, -1))),
    ],
)
def test_flips_and_quarter_turns_move_whole_pixels(matrix, moved):
    given = patch((50, 50))
    done = apply(geometry(matrix), given)
    np.testing.assert_allclose(done.image, moved(given.image), atol=1e-4)
    assert np.array_equal(done.target, moved(given.target))
    np.testing.assert_allclose(done.weight, moved(given.weight), atol=1e-4)


def test_the_elastic_part_is_the_warp():
    given = patch()
    controls = np.random.default_rng(3).normal(0, 5, (2, 3, 3))
    done = apply(geometry(controls=controls), given)
    displacement = draw_displacement((64, 80), sigma=5, rng=np.random.default_rng(3))
    np.testing.assert_allclose(done.image, warp(given.image, displacement, order=1), atol=1e-4)
    for found, plane in ((done.target, given.target), (done.weight, given.weight)):
        assert np.mean(found != warp(plane, displacement, order=0)) < 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_target_and_weight_stay_on_the_image(seed):
    drawn = draw(AugmentationConfig(**STILL), (60, 60), np.random.default_rng(seed))
    done = apply(drawn, patch((120, 120)), output_shape=(60, 60))
    sure = np.abs(done.image[0] - 0.5) > 0.1
    assert sure.mean() > 0.3
    assert np.array_equal(done.target[sure], done.image[0][sure] > 0.5)
    assert np.abs(done.weight - 1 - done.image[0]).mean() < 0.03


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_annotated_never_counts(seed):
    """Values that are not annotated cannot reach a pixel that counts, whatever they are."""
    rng = np.random.default_rng(seed)
    given = patch((90, 90), seed=seed)
    unknown = ndimage.gaussian_filter(rng.random((90, 90)), 4) > 0.5
    weight = np.where(unknown, 0, given.weight).astype(np.float32)
    other = np.where(unknown, 99, given.target).astype(np.uint8)
    drawn = draw(AugmentationConfig(), (70, 70), rng)
    first = apply(drawn, Patch(given.image, given.target, weight), output_shape=(70, 70))
    second = apply(drawn, Patch(given.image, other, weight), output_shape=(70, 70))
    assert (second.weight[second.target == 99] == 0).all()
    counted = first.weight > 0
    assert 0.1 < counted.mean() < 0.9
    assert np.array_equal(first.target[counted], second.target[counted])
    assert first.weight[counted].min() >= given.weight.min() - 1e-3


def strokes(width, shape=(120, 120)):
    """Mark some lines of a picture, and how many pixels that is."""
    marked = np.zeros(shape, bool)
    for at in range(10, shape[0] - 10, 20):
        marked[at : at + width] = True
    return marked


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("values", [False, True], ids=["classes", "values"])
def test_a_thin_stroke_keeps_its_pixels_when_turned_and_warped(width, values):
    marked = strokes(width)
    given = patch((120, 120))
    target = np.float32(marked)[np.newaxis] * 7 if values else marked.astype(np.uint8)
    counted, expected = 0, 0
    for seed in range(20):
        drawn = draw(AugmentationConfig(scaling=0.0), (80, 80), rng_of(seed))
        part = Patch(given.image, target, marked.astype(np.float32))
        done = apply(drawn, part, output_shape=(80, 80))
        counted += np.count_nonzero(done.weight)
        expected += marked[20:-20, 20:-20].sum()
        taught = done.target[..., done.weight > 0]
        np.testing.assert_allclose(taught, 7 if values else 1, rtol=1e-3)
    assert 0.75 * expected < counted < 1.25 * expected


def test_a_single_point_is_not_lost():
    given = patch((61, 61))
    for values in (False, True):
        weight = np.zeros((61, 61), np.float32)
        weight[30, 30] = 1
        target = weight[np.newaxis] * 7 if values else weight.astype(np.uint8)
        kept = [
            np.count_nonzero(apply(drawn, Patch(given.image, target, weight)).weight)
            for drawn in (
                draw(AugmentationConfig(scaling=0.0), (61, 61), rng_of(s)) for s in range(40)
            )
        ]
        assert np.mean(kept) > 0.3


@pytest.mark.parametrize("seed", range(3))
def test_values_are_read_smoothly_and_stay_on_the_image(seed):
    given = patch((120, 120), seed=seed)
    values = np.stack([3 * given.image[0] - 1, given.image[1]])
    drawn = draw(AugmentationConfig(interpolation="linear", **STILL), (60, 60), rng_of(seed))
    done = apply(drawn, Patch(given.image, values, given.weight), output_shape=(60, 60))
    assert done.target.dtype == np.float32
    np.testing.assert_allclose(done.target[0], 3 * done.image[0] - 1, atol=1e-4)
    np.testing.assert_allclose(done.target[1], done.image[1], atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_values_that_are_not_annotated_never_count(seed):
    given = patch((90, 90), seed=seed)
    unknown = ndimage.gaussian_filter(rng_of(seed).random((90, 90)), 4) > 0.5
    weight = np.where(unknown, 0, given.weight).astype(np.float32)
    drawn = draw(AugmentationConfig(), (70, 70), rng_of(seed))
    done = [
        apply(
            drawn,
            Patch(given.image, np.where(unknown, other, given.image[:1]), weight),
            output_shape=(70, 70),
        )
        for other in (np.float32(0), np.float32(1))
    ]
    counted = done[0].weight > 0
    assert 0.1 < counted.mean() < 0.9
    # Positions in float32 may miss by a thousandth of a pixel.
    np.testing.assert_allclose(done[0].target[0][counted], done[1].target[0][counted], atol=2e-3)


def test_a_source_of_the_named_shape_is_never_mirrored():
    config = AugmentationConfig(**STILL)
    for seed in range(10):
        drawn = draw(config, (40, 56), np.random.default_rng(seed))
        height, width = source_shape(drawn, (40, 56))
        assert (height - 40) % 2 == (width - 56) % 2 == 0
        padded = np.zeros((1, height + 60, width + 60), np.float32)
        padded[:, 30:-30, 30:-30] = np.random.default_rng(seed).random((height, width))
        inner = Patch(
            padded[:, 30:-30, 30:-30],
            np.zeros((height, width), np.uint8),
            np.ones((height, width), np.float32),
        )
        outer = Patch(
            padded,
            np.zeros(padded.shape[1:], np.uint8),
            np.ones(padded.shape[1:], np.float32),
        )
        np.testing.assert_allclose(
            apply(drawn, inner, output_shape=(40, 56)).image,
            apply(drawn, outer, output_shape=(40, 56)).image,
            atol=1e-3,
        )


def test_the_same_seed_augments_alike_and_another_otherwise():
    def augmented(seed):
        drawn = draw(AugmentationConfig(), (50, 50), np.random.default_rng(seed))
        return apply(drawn, patch((80, 80)), output_shape=(50, 50))

    assert np.array_equal(augmented(1).image, augmented(1).image)
    assert np.array_equal(augmented(1).weight, augmented(1).weight)
    assert not np.array_equal(augmented(1).image, augmented(2).image)


def test_the_given_patch_is_left_alone():
    given = patch()
    before = given.image.copy(), given.target.copy(), given.weight.copy()
    apply(draw(AugmentationConfig(), (64, 80), np.random.default_rng(0)), given)
    for after, was in zip((given.image, given.target, given.weight), before, strict=True):
        assert np.array_equal(after, was)


def test_a_configuration_of_zeros_draws_nothing():
    config = AugmentationConfig(
        elastic_sigma=0, flips=False, rotation=0, scaling=0, interpolation="linear", **STILL
    )
    drawn = draw(config, (20, 20), np.random.default_rng(0))
    assert np.array_equal(drawn.matrix, np.eye(2))
    assert drawn.controls is None
    given = patch((20, 20))
    np.testing.assert_allclose(apply(drawn, given).image, given.image, atol=1e-5)


def test_scales_and_angles_stay_within_their_limits():
    config = AugmentationConfig(scaling=0.25, rotation=30, flips=False)
    rng = np.random.default_rng(0)
    matrices = [draw(config, (20, 20), rng).matrix for _ in range(200)]
    scales = np.sqrt([np.linalg.det(matrix) for matrix in matrices])
    angles = [np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])) for matrix in matrices]
    assert 0.8 - 1e-9 <= scales.min() < 0.85
    assert 1.2 < scales.max() <= 1.25 + 1e-9
    assert -30 <= min(angles) < -25
    assert 25 < max(angles) <= 30


def test_types_are_those_of_a_patch():
    done = apply(draw(AugmentationConfig(), (30, 30), np.random.default_rng(0)), patch((30, 30)))
    assert done.image.dtype == done.weight.dtype == np.float32
    assert done.target.dtype == np.uint8


def test_a_patch_smaller_than_its_output_is_refused():
    with pytest.raises(ValueError, match=r"\(65, 80\) is larger than the patch \(64, 80\)"):
        apply(geometry(), patch(), output_shape=(65, 80))


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), r"\(1, 4, 5\), \(4, 4\) and \(4, 5\)"),
        (np.zeros((2, 4, 5), np.uint8), r"\(1, 4, 5\), \(2, 4, 5\) and \(4, 5\)"),
        (np.zeros((4, 5), np.float32), r"\(1, 4, 5\), \(4, 5\) and \(4, 5\)"),
    ],
)
def test_parts_of_a_patch_must_fit(target, sentence):
    with pytest.raises(ValueError, match=sentence):
        Patch(np.zeros((1, 4, 5), np.float32), target, np.zeros((4, 5), np.float32))


@pytest.mark.parametrize(
    "wrong", [{"grid": 1}, {"rotation": 200}, {"scaling": -0.1}, {"interpolation": "sinc"}]
)
def test_options_are_held_to_their_limits(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is"):
        AugmentationConfig(**wrong)
