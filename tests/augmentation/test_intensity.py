import numpy as np
import pytest

from napari_unet.augmentation import AugmentationConfig, Intensity
from napari_unet.augmentation.intensity import change_intensity, draw_intensity


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return rng.gamma(2, 1, (2, 60, 70)).astype(np.float32)


CHANGES = [
    Intensity(gain=1.4),
    Intensity(offset=-0.3),
    Intensity(gamma=0.7),
    Intensity(noise=0.2, seed=4),
    Intensity(blur=1.5),
    Intensity(1.2, 0.1, 1.2, 0.1, 0.5, 9),
]


def test_the_defaults_change_nothing(image):
    assert np.array_equal(change_intensity(image, Intensity()), image)


@pytest.mark.parametrize("change", CHANGES)
def test_the_given_image_stays_and_the_type_too(image, change):
    before = image.copy()
    changed = change_intensity(image, change)
    assert changed.dtype == np.float32
    assert changed.shape == image.shape
    assert not np.allclose(changed, before)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("change", CHANGES)
def test_it_does_not_matter_in_which_unit_grey_values_are_measured(image, change):
    """An image in other units is changed alike: the amounts are shares of its own spread."""
    there = change_intensity(50 * image + 300, change)
    np.testing.assert_allclose((there - 300) / 50, change_intensity(image, change), atol=1e-3)


@pytest.mark.parametrize("change", CHANGES)
def test_a_flat_channel_stays_flat(change):
    flat = np.full((1, 9, 9), 7, np.float32)
    np.testing.assert_allclose(change_intensity(flat, change), flat, atol=1e-5)


def test_contrast_brightness_and_noise_are_as_large_as_drawn(image):
    spread = image.std(axis=(1, 2))
    lower = change_intensity(image, Intensity(gain=0.5))
    np.testing.assert_allclose(lower.std(axis=(1, 2)), spread / 2, rtol=1e-4)
    np.testing.assert_allclose(lower.mean(axis=(1, 2)), image.mean(axis=(1, 2)), rtol=1e-4)
    brighter = change_intensity(image, Intensity(offset=0.5)) - image
    np.testing.assert_allclose(brighter.mean(axis=(1, 2)), spread / 2, rtol=1e-4)
    noise = change_intensity(image, Intensity(noise=0.3)) - image
    np.testing.assert_allclose(noise.std(axis=(1, 2)), 0.3 * spread, rtol=0.05)


def test_gamma_keeps_the_extremes_and_the_order(image):
    curved = change_intensity(image, Intensity(gamma=1.5))
    np.testing.assert_allclose(curved.min(axis=(1, 2)), image.min(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(curved.max(axis=(1, 2)), image.max(axis=(1, 2)), rtol=1e-5)
    assert (np.diff(curved[0].ravel()[image[0].ravel().argsort()]) >= -1e-5).all()


def test_what_is_drawn_stays_within_the_limits():
    config = AugmentationConfig(gain=0.5, offset=0.4, gamma=0.25, noise=0.3, blur=2)
    rng = np.random.default_rng(0)
    drawn = [draw_intensity(config, rng) for _ in range(300)]
    assert all(1 / 1.5 - 1e-9 <= change.gain <= 1.5 + 1e-9 for change in drawn)
    assert all(-0.4 <= change.offset <= 0.4 for change in drawn)
    assert all(0.8 - 1e-9 <= change.gamma <= 1.25 + 1e-9 for change in drawn)
    assert max(change.noise for change in drawn) == pytest.approx(0.3, rel=0.1)
    assert max(change.blur for change in drawn) == pytest.approx(2, rel=0.1)
    assert 0.35 < np.mean([change.noise == 0 for change in drawn]) < 0.65
