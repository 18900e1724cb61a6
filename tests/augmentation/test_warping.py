"""The warp equals scipy's, and nothing moves where nothing is displaced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.augmentation import draw_displacement, warp
from napari_unet.augmentation.warping import interpolate_controls


def slow_warp(array, displacement, order):
    read = np.indices(array.shape) + displacement
    return ndimage.map_coordinates(array, read, order=order, mode="mirror")


def smooth(shape, seed=0):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.random(shape), 1).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_zero_is_the_identity(order, dtype):
    array = np.random.default_rng(0).integers(0, 200, (2, 9, 13)).astype(dtype)
    warped = warp(array, np.zeros((2, 9, 13), np.float32), order=order)
    assert np.array_equal(warped, array)
    assert warped is not array


@pytest.mark.parametrize("order", [0, 1, 3])
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.3, 3, 30]), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_it_equals_scipy_mirrored_outside(order, height, width, sigma, seed):
    array = smooth((height, width), seed)
    displacement = draw_displacement((height, width), sigma=sigma, rng=np.random.default_rng(seed))
    expected = slow_warp(array, displacement, order)
    if order == 0:
        # In float32 a place half way between two pixels may fall to either.
        read = np.indices(array.shape) + displacement
        clear = (np.abs(read % 1 - 0.5) > 1e-4).all(axis=0)
        assert np.array_equal(warp(array, displacement, order=0)[clear], expected[clear])
    else:
        np.testing.assert_allclose(warp(array, displacement, order=order), expected, atol=2e-4)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("step", [(3, 0), (0, -2), (-1, 4)])
def test_whole_pixels_are_moved_as_they_are(order, step):
    array = smooth((12, 15))
    displacement = np.ones((2, 12, 15), np.float32) * np.reshape(step, (2, 1, 1))
    inner = warp(array, displacement, order=order)[5:-5, 5:-5]
    y, x = step
    np.testing.assert_allclose(inner, array[5 + y : -5 + y or None, 5 + x : -5 + x], atol=1e-5)


def test_every_leading_axis_is_warped_alike():
    array = smooth((2, 3, 10, 12))
    displacement = draw_displacement((10, 12), sigma=3, rng=np.random.default_rng(1))
    for order in (0, 1, 3):
        warped = warp(array, displacement, order=order)
        assert warped.shape == array.shape
        alone = warp(array[1, 2], displacement, order=order)
        np.testing.assert_allclose(warped[1, 2], alone, atol=1e-6)


def test_labels_keep_their_values_and_type():
    labels = np.random.default_rng(0).choice([0, 7, 2**53 + 1], (20, 20))
    displacement = draw_displacement((20, 20), rng=np.random.default_rng(2))
    warped = warp(labels, displacement, order=0)
    assert warped.dtype == labels.dtype
    assert set(np.unique(warped)) <= {0, 7, 2**53 + 1}


def test_integers_become_float32_between_pixels():
    displacement = np.full((2, 1, 4), [[[0.0]], [[0.5]]], np.float32)
    warped = warp(np.array([[0, 10, 20, 30]], np.uint8), displacement, order=1)
    assert warped.dtype == np.float32
    np.testing.assert_allclose(warped, [[5, 15, 25, 25]], atol=1e-4)


@pytest.mark.parametrize("grid", [2, 3, 5])
def test_control_points_stand_on_corners_and_evenly_between(grid):
    shape = (8 * (grid - 1) + 1, 4 * (grid - 1) + 1)
    displacement = draw_displacement(shape, grid=grid, rng=np.random.default_rng(5))
    controls = np.random.default_rng(5).normal(0, 10, (2, grid, grid))
    np.testing.assert_allclose(displacement[:, ::8, ::4], controls, atol=1e-5)


def test_between_control_points_lies_scipys_cubic_spline():
    controls = np.random.default_rng(0).normal(0, 10, (2, 3, 3))
    at = np.meshgrid(np.linspace(0, 2, 33), np.linspace(0, 2, 50), indexing="ij")
    expected = [ndimage.map_coordinates(c, at, order=3, mode="mirror") for c in controls]
    np.testing.assert_allclose(interpolate_controls(controls, (33, 50)), expected, atol=1e-4)


def test_displacements_are_as_large_as_asked_and_reproducible():
    first = draw_displacement((30, 40), sigma=4, rng=np.random.default_rng(1))
    assert first.shape == (2, 30, 40)
    assert first.dtype == np.float32
    assert np.array_equal(first, draw_displacement((30, 40), sigma=4, rng=np.random.default_rng(1)))
    rng = np.random.default_rng(0)
    corners = [draw_displacement((9, 9), sigma=4, rng=rng)[:, ::8, ::8] for _ in range(300)]
    assert np.std(corners) == pytest.approx(4, rel=0.1)
    assert not draw_displacement((9, 9), sigma=0, rng=rng).any()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"grid": 1}, "at least 2 control points"), ({"sigma": -1}, "sigma must be at least 0")],
)
def test_displacements_have_limits(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw_displacement((9, 9), rng=np.random.default_rng(0), **wrong)


def test_a_displacement_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        draw_displacement((0, 9), rng=np.random.default_rng(0))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 4, 5\) does not fit the array \(5, 4\)"):
        warp(np.zeros((5, 4)), np.zeros((2, 4, 5)), order=1)
    with pytest.raises(ValueError, match="order must be 0"):
        warp(np.zeros((4, 5)), np.zeros((2, 4, 5)), order=2)
