"""The fast weight map equals the definition, written as a slow loop here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.annotations import class_balance, weight_map


def slow_weight_map(labels, w0=10.0, sigma=5.0, class_weights=(1.0, 1.0)):
    cells = [value for value in np.unique(labels) if value]
    base = np.where(labels > 0, class_weights[1], class_weights[0])
    if len(cells) < 2:
        return base
    distances = np.sort(
        [ndimage.distance_transform_edt(labels != value) for value in cells], axis=0
    )
    border = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return base + np.where(labels == 0, border, 0)


def discs(seed, cells=12, size=120):
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size - 17), np.uint16)
    for value in rng.permutation(np.arange(1, cells + 1) * 7):
        centre = rng.uniform(0, size - 17, 2)
        away = np.indices(labels.shape) - centre[:, None, None]
        labels[(np.hypot(*away) < rng.uniform(2, 15)) & (labels == 0)] = value
    return labels


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_its_definition(seed):
    labels = discs(seed)
    fast = weight_map(labels)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow_weight_map(labels), rtol=1e-4)


@given(
    st.integers(0, 1000),
    st.integers(0, 6),
    st.floats(0, 1000),
    st.floats(0.3, 12),
    st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
)
@settings(max_examples=40, deadline=None)
def test_it_equals_its_definition_for_any_parameters(seed, cells, w0, sigma, class_weights):
    labels = discs(seed, cells, size=60)
    np.testing.assert_allclose(
        weight_map(labels, w0=w0, sigma=sigma, class_weights=class_weights),
        slow_weight_map(labels, w0, sigma, class_weights),
        rtol=1e-4,
    )


def test_cells_at_the_border_and_far_apart():
    labels = np.zeros((200, 300), int)
    labels[0:10, 0:20], labels[0:10, 25:40], labels[190:, 290:] = 1, 2, 3
    np.testing.assert_allclose(weight_map(labels), slow_weight_map(labels), rtol=1e-4)


def test_a_cell_within_another():
    labels = np.zeros((60, 60), int)
    labels[5:55, 5:55] = 1
    labels[15:45, 15:45] = 0
    labels[25:35, 25:35] = 2
    np.testing.assert_allclose(weight_map(labels), slow_weight_map(labels), rtol=1e-4)


def test_a_cell_in_two_pieces_is_one_cell():
    labels = np.zeros((30, 30), int)
    labels[5:10, 5:10] = labels[5:10, 13:18] = 1
    assert (weight_map(labels) == 1).all()


def test_numbers_far_above_the_count_of_pixels():
    labels = discs(1, size=60).astype(np.int64)
    high = np.where(labels > 0, labels * 10_000_000_000, 0)
    assert np.array_equal(weight_map(high), weight_map(labels))


@pytest.mark.parametrize("cells", [0, 1])
def test_fewer_than_two_cells_add_nothing(cells):
    labels = np.zeros((20, 20), int)
    labels[5:9, 5:9] = cells
    weights = weight_map(labels, class_weights=(0.5, 2.0))
    assert np.array_equal(weights, np.where(labels > 0, 2.0, 0.5))


def test_a_gap_of_one_pixel_weighs_most():
    labels = np.zeros((9, 9), int)
    labels[:, :4], labels[:, 5:] = 1, 2
    assert weight_map(labels)[:, 4] == pytest.approx(1 + 10 * np.exp(-4 / 50))
    assert (weight_map(labels)[labels > 0] == 1).all()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"w0": -1}, "w0 must be at least 0, got -1"),
        ({"w0": np.nan}, "w0 must be"),
        ({"sigma": 0}, "sigma must be above 0 pixels, got 0"),
        ({"class_weights": (1, 2, 3)}, "two numbers"),
    ],
)
def test_parameters_have_limits(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        weight_map(np.zeros((4, 4), int), **wrong)


def test_a_stack_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        weight_map(np.zeros((2, 4, 4), int))


def test_balanced_classes_count_alike_and_weigh_one_on_average():
    rng = np.random.default_rng(0)
    targets = [rng.choice(3, (20, 30), p=[0.8, 0.15, 0.05]).astype(np.uint8) for _ in range(3)]
    masks = [rng.random((20, 30)) < 0.7 for _ in targets]
    balance = np.array(class_balance(targets, masks))
    counted = np.concatenate([t[m] for t, m in zip(targets, masks, strict=True)])
    sums = np.bincount(counted, weights=balance[counted])
    assert sums == pytest.approx([sums[0]] * 3)
    assert balance[counted].mean() == pytest.approx(1)


def test_what_is_not_annotated_does_not_change_the_balance():
    target = np.array([[0, 0, 1, 1, 1, 1]], np.uint8)
    mask = np.array([[True, True, True, True, False, False]])
    assert class_balance([target], [mask]) == pytest.approx((1, 1))


def test_classes_that_do_not_occur_weigh_one():
    target, mask = np.zeros((2, 2), np.uint8), np.ones((2, 2), bool)
    assert class_balance([target], [mask], classes=3) == (1, 1, 1)
    assert class_balance([target], [~mask], classes=2) == (1, 1)
    assert class_balance([], [], classes=2) == (1, 1)
