import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.annotations import annotate, annotate_values, count_cells, split


def grid_of_cells(shape=(96, 96), step=12):
    labels = np.zeros(shape, int)
    for value, corner in enumerate(np.ndindex(shape[0] // step, shape[1] // step), start=1):
        y, x = np.multiply(corner, step) + 2
        labels[y : y + 8, x : x + 8] = value
    return labels


def picture(labels, annotated=None, name=""):
    return annotate(np.zeros(labels.shape), labels, annotated=annotated, name=name)


def cells_of(images):
    return sum(count_cells(np.where(image.annotated, image.labels, 0)) for image in images)


def halves(images, seed=0, **changes):
    options = {"fraction": 0.2, "gap": 5} | changes
    return split(images, rng=np.random.default_rng(seed), **options)


@given(st.integers(5, 12), st.integers(0, 100), st.sampled_from([0.2, 0.5]))
@settings(max_examples=40, deadline=None)
def test_pictures_are_never_mixed_and_validation_is_one_run(number, seed, fraction):
    images = [picture(grid_of_cells((24, 36)), name=str(n)) for n in range(number)]
    training, validation = halves(images, seed, fraction=fraction)
    names = [int(image.name) for image in validation]
    assert names == list(range(names[0], names[0] + len(names)))
    assert 1 <= len(names) <= max(1, fraction * number + 0.5)
    assert sorted([*names, *(int(image.name) for image in training)]) == list(range(number))


@pytest.mark.parametrize(("number", "fraction"), [(2, 0.2), (4, 0.2), (9, 0.1)])
def test_of_few_pictures_each_teaches(number, fraction):
    images = [picture(grid_of_cells(), name=str(n)) for n in range(number)]
    training, validation = halves(images, fraction=fraction)
    names = [str(n) for n in range(number)]
    assert [image.name for image in training] == names
    assert [image.name for image in validation] == names
    for taught, tested in zip(training, validation, strict=True):
        assert not (taught.annotated & tested.annotated).any()
        assert tested.annotated.sum() == pytest.approx(96 * 96 / 4, rel=0.05)


def test_of_few_pictures_without_room_for_a_gap_one_is_kept_back():
    images = [picture(grid_of_cells(), name=str(n)) for n in range(3)]
    training, validation = halves(images, gap=60)
    assert len(validation) == 1
    assert sorted(image.name for image in [*training, *validation]) == ["0", "1", "2"]


def test_a_picture_with_few_cells_is_no_validation():
    full = [picture(grid_of_cells(), name=str(n)) for n in range(4)]
    poor = np.where(grid_of_cells() <= 2, grid_of_cells(), 0)
    for seed in range(20):
        _, validation = halves([*full, picture(poor, name="poor")], seed)
        assert validation[0].name != "poor"


def test_pictures_that_say_nothing_are_left_out():
    silent = picture(grid_of_cells(), np.zeros((96, 96)), name="silent")
    images = [picture(grid_of_cells(), name="a"), silent, picture(grid_of_cells(), name="b")]
    training, validation = halves(images)
    assert {image.name for image in [*training, *validation]} == {"a", "b"}


@pytest.mark.parametrize("empty", range(9))
def test_empty_pictures_keep_no_cell_from_being_measured(empty):
    nothing = np.zeros((96, 96), int)
    images = [picture(grid_of_cells(), name="cells")]
    images += [picture(nothing, np.ones((96, 96)), name="empty") for _ in range(empty)]
    training, validation = halves(images)
    assert [image.name for image in validation] == ["cells"]
    assert validation[0].annotated.sum() == pytest.approx(96 * 96 / 4, rel=0.05)
    assert [image.name for image in training] == ["cells"] + ["empty"] * empty


def test_slices_of_a_stack_are_never_mixed():
    stack = picture(
        np.stack([grid_of_cells()] * 10), np.arange(10)[:, None, None] + np.zeros((10, 96, 96))
    )
    for seed in range(10):
        (training,), (validation,) = halves([stack], seed)
        taught, tested = (part.annotated.any(axis=(1, 2)) for part in (training, validation))
        assert not (taught & tested).any()
        assert np.array_equal(taught | tested, stack.annotated.any(axis=(1, 2)))
        assert tested.sum() == 2
        assert np.diff(np.flatnonzero(tested)).tolist() == [1]
        assert training.image is stack.image


@pytest.mark.parametrize("gap", [0, 7, 20])
def test_parts_of_one_slice_lie_behind_a_gap(gap):
    for seed in range(8):
        (training,), (validation,) = halves([picture(grid_of_cells())], seed, gap=gap)
        taught, tested = np.argwhere(training.annotated[0]), np.argwhere(validation.annotated[0])
        between = np.maximum(tested.min(0) - taught.max(0), taught.min(0) - tested.max(0)) - 1
        assert between.max() == gap
        assert len(tested) == pytest.approx(96 * 96 / 4, rel=0.05)


def test_a_quarter_is_a_quarter_of_what_is_annotated():
    annotated = np.zeros((96, 96), bool)
    annotated[50:, 10:90] = True
    (training,), (validation,) = halves([picture(grid_of_cells(), annotated)])
    assert validation.annotated.sum() == pytest.approx(annotated.sum() / 4, rel=0.1)
    assert not (training.annotated | validation.annotated)[0][~annotated].any()


def test_a_gap_that_leaves_too_little_means_no_validation():
    training, validation = halves([picture(grid_of_cells())], gap=60)
    assert validation == []
    assert cells_of(training) == 64


@pytest.mark.parametrize(("cells", "expected"), [(7, 0), (8, 1)])
def test_below_eight_cells_all_of_them_teach(cells, expected):
    labels = grid_of_cells((24, 96))
    _, validation = halves([picture(np.where(labels <= cells, labels, 0))], gap=0)
    assert len(validation) == expected


def test_scribbles_are_split_however_few_values_they_have():
    labels = np.ones((40, 40), int)
    _, validation = halves([picture(labels), picture(labels)], task="classes", fraction=0.5)
    assert len(validation) == 1


def test_the_same_seed_splits_alike():
    images = [picture(grid_of_cells((24, 60)), name=str(n)) for n in range(9)]
    first, second = halves(images, 5), halves(images, 5)
    assert [i.name for i in first[1]] == [i.name for i in second[1]]


@pytest.mark.parametrize("seed", range(5))
def test_turns_keep_other_pictures_back(seed):
    images = [picture(grid_of_cells((24, 36)), name=str(n)) for n in range(10)]
    kept = [halves(images, seed, turn=turn)[1] for turn in (0, 1 / 3, 2 / 3)]
    names = [image.name for each in kept for image in each]
    assert len(names) == len(set(names)) == 6


def test_turns_keep_other_sides_of_a_slice_back():
    image = picture(grid_of_cells())
    kept = [halves([image], turn=turn)[1][0].annotated for turn in (0, 0.25, 0.5, 0.75)]
    assert len({mask.tobytes() for mask in kept}) == 4


def test_no_fraction_no_validation():
    images = [picture(grid_of_cells())] * 3
    assert halves(images, fraction=0) == (images, [])
    assert halves([]) == ([], [])


@pytest.mark.parametrize("wrong", [{"fraction": -0.1}, {"fraction": 0.6}, {"gap": -1}])
def test_limits_are_named(wrong):
    with pytest.raises(ValueError, match=r"must be"):
        halves([picture(grid_of_cells())], **wrong)


@pytest.mark.parametrize("case", ["images", "slices", "quarter"])
def test_values_are_split_as_labels_are(case):
    shapes = {"images": [(40, 40)] * 5, "slices": [(6, 40, 40)], "quarter": [(80, 80)]}
    images = [annotate_values(np.zeros(shape), np.ones(shape)) for shape in shapes[case]]
    training, validation = halves(images, task="regression")
    counts = [sum(int(image.annotated.sum()) for image in part) for part in (training, validation)]
    total = sum(int(image.annotated.sum()) for image in images)
    assert counts[0] >= total / 2
    assert total / 10 < counts[1] < total / 2
    if case == "quarter":
        assert not (training[0].annotated & validation[0].annotated).any()
        assert sum(counts) < total
    else:
        assert sum(counts) == total


def _stripes(shape, values):
    """Paint a class per stripe, from the left to the right."""
    labels = np.ones(shape, int)
    for number, value in enumerate(values):
        labels[..., number * shape[-1] // len(values) :] = value
    return labels


def test_a_class_of_one_picture_is_never_kept_back():
    common, rare = _stripes((32, 32), (1, 2)), _stripes((32, 32), (1, 2, 3))
    images = [picture(common, name=str(n)) for n in range(4)] + [picture(rare, name="rare")]
    for seed in range(20):
        training, validation = halves(images, seed, task="classes")
        assert validation
        assert "rare" in {image.name for image in training}


def test_a_class_of_one_slice_is_never_kept_back():
    labels = np.stack([_stripes((32, 32), (1, 2))] * 5)
    labels[3, :, :4] = 7
    for seed in range(20):
        training, validation = halves([picture(labels)], seed, task="classes")
        assert validation[0].annotated.any()
        assert training[0].annotated[3].any()


def test_a_class_at_one_side_is_never_kept_back():
    labels = _stripes((96, 96), (3, 1, 2, 2, 1, 1, 2, 2, 1, 2, 2, 1))
    kept = set()
    for seed in range(20):
        training, validation = halves([picture(labels)], seed, task="classes")
        assert set(np.unique(training[0].labels[training[0].annotated])) == {1, 2, 3}
        kept.add(int(np.nonzero(validation[0].annotated[0])[1].min()))
    assert len(kept) > 1


def test_classes_that_each_have_their_own_picture_all_teach():
    images = [picture(np.full((16, 16), value), name=str(value)) for value in (1, 2, 3)]
    assert halves(images, task="classes") == (images, [])


def test_many_pictures_that_each_have_a_class_of_their_own_are_split_within():
    images = [picture(np.full((40, 40), value), name=str(value)) for value in range(1, 7)]
    training, validation = halves(images, task="classes")
    for part in (training, validation):
        assert [image.name for image in part] == ["1", "2", "3", "4", "5", "6"]


def test_the_slices_of_a_stack_are_not_copied_to_be_counted(monkeypatch):
    stack = picture(np.stack([grid_of_cells()] * 10))
    counted = []

    def count(labels):
        counted.append(len(labels))
        return count_cells(labels)

    monkeypatch.setattr("napari_unet.annotations.splitting.count_cells", count)
    _, validation = halves([stack])
    assert validation
    assert counted == [10] + [1] * 10
