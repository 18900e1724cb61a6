import re

import numpy as np
import pytest

from napari_unet.annotations import AnnotatedImage, annotate, annotate_values


def make(**changes):
    given = {
        "image": np.zeros((2, 3, 4, 5)),
        "labels": np.zeros((2, 4, 5), int),
        "annotated": np.ones((2, 4, 5), bool),
    }
    return AnnotatedImage(**{**given, **changes})


@pytest.mark.parametrize(
    ("shape", "channel_axis", "expected"),
    [
        ((4, 5), None, (1, 1, 4, 5)),
        ((6, 4, 5), None, (6, 1, 4, 5)),
        ((3, 4, 5), 0, (1, 3, 4, 5)),
        ((4, 5, 3), -1, (1, 3, 4, 5)),
        ((6, 3, 4, 5), None, (6, 3, 4, 5)),
        ((6, 4, 5, 3), 3, (6, 3, 4, 5)),
        ((3, 6, 4, 5), 0, (6, 3, 4, 5)),
    ],
)
def test_missing_axes_are_added(shape, channel_axis, expected):
    labels = np.zeros((expected[0], 4, 5), int)
    annotated = annotate(np.zeros(shape), labels, channel_axis=channel_axis)
    assert annotated.image.shape == expected
    assert annotated.annotated.all()


def test_channels_keep_their_pixels():
    image = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    annotated = annotate(image, np.zeros((4, 5), int), channel_axis=2)
    assert np.array_equal(annotated.image[0, 1], image[..., 1])


def test_what_is_unlabelled_does_not_count():
    labels = np.array([[0, 1, -1], [2, -1, 0]])
    annotated = annotate(np.zeros((2, 3)), labels, unlabelled=-1)
    assert np.array_equal(annotated.annotated[0], labels != -1)
    assert np.array_equal(annotated.labels[0], [[0, 1, 0], [2, 0, 0]])


def test_an_unlabelled_value_and_a_mask_both_count():
    mask = np.array([[255, 255, 0]])
    annotated = annotate(np.zeros((1, 3)), np.array([[9, 1, 1]]), annotated=mask, unlabelled=9)
    assert annotated.annotated.tolist() == [[[False, True, False]]]


def test_the_painted_array_is_left_alone():
    labels = np.array([[9, 1]])
    annotate(np.zeros((1, 2)), labels, unlabelled=9)
    assert labels.tolist() == [[9, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float16, np.float32, bool])
def test_any_real_image_is_taken(dtype):
    assert make(image=np.ones((2, 3, 4, 5), dtype)).image.dtype == dtype


def test_a_bright_float16_image_is_finite():
    make(image=np.full((2, 3, 4, 5), 6e4, np.float16))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": np.zeros((4, 5))}, "must have the axes (Z, C, Y, X), got shape (4, 5)"),
        ({"image": np.zeros((2, 3, 0, 5))}, "holds no pixel"),
        ({"image": np.zeros((2, 3, 4, 5), complex)}, "real numbers, got complex128"),
        ({"image": np.full((2, 3, 4, 5), np.nan)}, "120 of 120 values that are NaN or infinite"),
        ({"labels": np.zeros((2, 4, 5))}, "labels must be integers, got float64"),
        ({"labels": np.full((2, 4, 5), -1)}, "must not be negative, got -1"),
        ({"labels": np.zeros((2, 5, 4), int)}, "labels have shape (2, 5, 4)"),
        ({"annotated": np.ones((4, 5), bool)}, "annotated has shape (4, 5)"),
        ({"annotated": np.ones((2, 4, 5))}, "annotated must be bool, got float64"),
        ({"pixel_size": 0.0}, "pixel size must be positive"),
        ({"labels": np.zeros((2, 7, 5, 4))}, "the image needs (2, 7, 4, 5) (Z, K, Y, X)"),
        ({"labels": np.zeros((2, 0, 4, 5))}, "the image needs (2, 1, 4, 5)"),
        ({"labels": np.full((2, 1, 4, 5), np.nan)}, "40 of the annotated values are NaN"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make(**changes)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (np.ones((3, 3)), "weights have shape (1, 3, 3), but the values have (1, 4, 5)"),
        (np.full((4, 5), -1.0), "some weights are negative"),
        (np.full((4, 5), np.nan), "some weights are negative, NaN"),
    ],
)
def test_bad_weights_are_refused(weights, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        annotate_values(np.zeros((4, 5)), np.zeros((4, 5)), weights=weights)


def test_weights_of_cells_are_refused():
    with pytest.raises(ValueError, match="weights belong to values"):
        make(weights=np.ones((2, 4, 5), np.float32))


def test_what_weighs_nothing_is_not_annotated():
    weights = np.ones((4, 5))
    weights[0], weights[1, 1] = 0, np.nan
    values = np.zeros((4, 5))
    values[1, 1] = np.nan
    image = annotate_values(np.zeros((4, 5)), values, weights=weights)
    assert image.annotated.sum() == 14
    assert np.isfinite(image.weights).all()


def test_nan_on_a_slice_that_nobody_learns_from_does_no_harm():
    image = np.zeros((2, 3, 4, 5))
    image[1, 2, 3, 4] = np.nan
    annotated = np.zeros((2, 4, 5), bool)
    annotated[0] = True
    make(image=image, annotated=annotated)
    with pytest.raises(ValueError, match="1 of 120 values"):
        make(image=image, annotated=annotated[::-1].copy())


def test_infinities_that_cancel_are_still_found():
    image = np.zeros((2, 3, 4, 5))
    image[0, 0, 0, :2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="2 of 120"):
        make(image=image, name="cell 7")


def test_the_sentence_names_the_picture():
    with pytest.raises(ValueError, match="'frame 3': labels"):
        make(labels=np.zeros((2, 4, 5)), name="frame 3")


@pytest.mark.parametrize("shape", [(5,), (1, 1, 1, 4, 5)])
def test_images_of_other_axes_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        annotate(np.zeros(shape), np.zeros((4, 5), int))


def test_a_channel_axis_must_exist():
    with pytest.raises(ValueError, match="channel axis 4"):
        annotate(np.zeros((3, 4, 5)), np.zeros((4, 5), int), channel_axis=4)


@pytest.mark.parametrize(
    ("image", "values", "expected"),
    [
        ((4, 5), (4, 5), (1, 1, 4, 5)),
        ((4, 5), (3, 4, 5), (1, 3, 4, 5)),
        ((6, 4, 5), (6, 4, 5), (6, 1, 4, 5)),
        ((6, 4, 5), (6, 3, 4, 5), (6, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int32, bool])
def test_values_get_an_axis_of_outputs(image, values, expected, dtype):
    given = np.arange(np.prod(values)).reshape(values).astype(dtype)
    made = annotate_values(np.zeros(image), given)
    assert made.holds_values
    assert made.labels.dtype == np.float32
    assert np.array_equal(made.labels, given.reshape(expected))
    assert made.annotated.all()


def test_a_pixel_without_a_value_in_any_output_is_not_annotated():
    values = np.ones((2, 3, 4))
    values[0, 0, 0] = values[1, 2, 3] = np.nan
    values[1, 1, 1] = -9
    mask = np.ones((3, 4))
    mask[0, 1] = 0
    made = annotate_values(np.zeros((3, 4)), values, annotated=mask, unlabelled=-9)
    silent = {(0, 0), (2, 3), (1, 1), (0, 1)}
    assert set(zip(*np.nonzero(~made.annotated[0]), strict=True)) == silent
    assert np.array_equal(made.labels[0] == 0, np.broadcast_to(~made.annotated, (2, 3, 4)))


def test_numbers_of_cells_are_no_values():
    assert not make().holds_values


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (np.full((4, 5), np.inf), {}, "20 of the annotated values are NaN or infinite"),
        (np.full((4, 5), 1e300), {}, "20 of the annotated values are NaN or infinite"),
        (np.zeros((5, 4)), {}, "labels have shape (1, 1, 5, 4)"),
        (np.zeros((2, 1, 4, 5)), {}, "labels have shape (2, 1, 4, 5)"),
        (np.zeros(5), {}, "got (5,)"),
        (np.zeros((4, 5), complex), {}, "got complex128"),
        (np.zeros((4, 5)), {"annotated": np.ones((4, 4))}, "annotated has shape (1, 4, 4)"),
    ],
)
def test_bad_values_are_refused_with_a_sentence(values, options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        annotate_values(np.zeros((4, 5)), values, **options)


def test_what_is_infinite_where_nothing_counts_is_left_out():
    values = np.array([[np.inf, 2.0]])
    made = annotate_values(np.zeros((1, 2)), values, annotated=[[0, 1]])
    assert made.labels.tolist() == [[[[0, 2]]]]


def test_a_colour_picture_is_not_taken_for_thin_slices():
    with pytest.raises(ValueError, match="channel_axis=-1"):
        annotate(np.zeros((40, 50, 3)), np.zeros((40, 50), int))
    thin = annotate(np.zeros((5, 50, 3)), np.zeros((5, 50, 3), int))
    assert thin.image.shape == (5, 1, 50, 3)
