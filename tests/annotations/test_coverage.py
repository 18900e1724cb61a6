import numpy as np
import pytest

from napari_unet.annotations import coverage


@pytest.fixture
def labels():
    painted = np.zeros((3, 30, 40), int)
    painted[:, 10:15, 10:15] = 4
    painted[0, 20:22, 30:34] = 1
    return painted


def test_nothing_painted_says_nothing():
    assert not coverage(np.zeros((2, 9, 9), int)).any()


@pytest.mark.parametrize("rim", [0, 1, 2.5, 5, 100])
def test_cells_count_with_a_rim_as_wide_as_asked(labels, rim):
    counted = coverage(labels, rim=rim)
    places = np.argwhere(np.ones(labels.shape[1:], bool))
    for plane, mask in zip(labels, counted, strict=True):
        away = places[:, None] - np.argwhere(plane)[None]
        nearest = np.sqrt((away**2).sum(axis=-1).min(axis=1)).reshape(plane.shape)
        assert np.array_equal(mask, nearest <= rim)


def test_painting_one_cell_says_nothing_about_the_others(labels):
    assert not coverage(labels)[0, :4].any()


def test_a_complete_slice_counts_whole_and_no_other(labels):
    counted = coverage(labels, complete=[False, True, False])
    assert counted[1].all()
    assert not counted[0].all()
    assert not counted[2].all()


def test_regions_replace_the_rim_on_their_slice_only(labels):
    regions = np.zeros(labels.shape, bool)
    regions[1, :8, :8] = True
    counted = coverage(labels, regions=regions)
    assert np.array_equal(counted[1], regions[1])
    assert np.array_equal(counted[::2], coverage(labels)[::2])


def test_what_is_ignored_never_counts(labels):
    ignored = np.zeros(labels.shape, np.uint8)
    ignored[:, 12:, :] = 255
    regions = np.zeros(labels.shape, bool)
    regions[2, 5:20] = True
    counted = coverage(labels, regions=regions, ignored=ignored, complete=[True, False, False])
    assert not counted[ignored > 0].any()
    assert counted[0][ignored[0] == 0].all()
    assert counted[2, 5:12].all()


def test_a_picture_is_a_stack_of_one(labels):
    assert np.array_equal(coverage(labels[0]), coverage(labels)[0])
    assert coverage(labels[0], complete=[True]).all()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"rim": -1}, "at least 0 pixels wide, got -1"),
        ({"regions": np.ones((30, 40))}, r"regions have shape \(30, 40\)"),
        ({"ignored": np.ones((1, 30, 40))}, r"ignored have shape \(1, 30, 40\)"),
        ({"complete": [True]}, "names 1 slices, but the labels have 3"),
    ],
)
def test_what_does_not_fit_is_refused(labels, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        coverage(labels, **wrong)
