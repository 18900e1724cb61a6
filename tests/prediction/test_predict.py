"""Prediction: the law of the tiles, normalisation, and bad input."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import dask.array
import numpy as np
import pytest
import torch

from napari_unet.network import ClassLabel, Standardisation
from napari_unet.prediction import (
    IntensityRange,
    PredictionError,
    labels_from,
    measure_range,
    out_of_memory,
    pixel_ratio,
    predict,
    predict_slices,
    resize,
)
from napari_unet.prediction import predict as predict_function
from napari_unet.prediction.runner import Runner
from napari_unet.training import PRESETS
from tests.prediction.models import lively_encoder, lively_model, lively_windows


def _image(shape=(150, 201), seed=0):
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_the_result_does_not_depend_on_the_tile_size(preset, scale):
    config = PRESETS[preset]
    model = lively_model(
        scale=scale,
        depth=config.depth,
        padding=config.padding,
        up=config.up,
        normalisation=config.normalisation,
    )
    image = _image()
    whole = predict(model, image, tile=10_000)
    assert whole.shape == (2, *image.shape)
    assert whole.std() > 0.05, "a constant prediction would prove nothing"
    for tile in (48, 97):
        assert np.abs(predict(model, image, tile=tile) - whole).max() < 1e-4


def test_upsampling_networks_keep_the_law():
    model = lively_model(up="upsample", depth=3)
    image = _image()
    whole = predict(model, image, tile=10_000)
    assert np.abs(predict(model, image, tile=40) - whole).max() < 1e-4


@pytest.mark.usefixtures("loadable_torchvision")
@pytest.mark.parametrize(
    "encoder", ["resnet18", "resnext50_32x4d", "efficientnet_lite0", "densenet121"]
)
def test_an_encoder_that_sees_no_farther_than_the_context_keeps_the_law(encoder):
    model = lively_encoder(encoder)
    image = _image()
    whole = predict(model, image, tile=10_000)
    assert whole.std() > 0.05, "a constant prediction would prove nothing"
    assert np.abs(predict(model, image, tile=40) - whole).max() < 1e-4


@pytest.mark.usefixtures("loadable_torchvision")
def test_an_efficientnet_sees_the_whole_tile_and_breaks_the_law():
    model = lively_encoder("efficientnet_b0")
    image = _image()
    image[:, 120:] *= 5
    difference = np.abs(predict(model, image, tile=40) - predict(model, image, tile=10_000))
    assert np.isfinite(difference).all()
    assert difference.max() > 0.01, "or else docs should stop to warn"


@pytest.mark.parametrize("normalisation", ["none", "group", "instance"])
def test_a_sliding_window_keeps_the_law(normalisation):
    model = lively_windows(normalisation=normalisation)
    image = _image((50, 67))
    whole = predict(model, image, tile=10_000)
    assert whole.std() > 0.05, "a constant prediction would prove nothing"
    for tile in (None, 1, 13, 48):
        assert np.abs(predict(model, image, tile=tile) - whole).max() < 1e-5, "float32 rounds"


def test_a_sliding_window_predicts_what_it_says_of_each_window_alone():
    model = lively_windows(window=9)
    image = _image((11, 7))
    prepared = measure_range(image[None, None], model.normalisation).apply(image[None])
    padded = np.pad(prepared, ((0, 0), (4, 4), (4, 4)), mode="reflect")
    expected = np.empty((2, 11, 7), np.float32)
    for y, x in np.ndindex(11, 7):
        window = torch.from_numpy(padded[None, :, y : y + 9, x : x + 9])
        with torch.no_grad():
            expected[:, y, x] = model.network.classify(window)[0].softmax(dim=0)
    assert np.allclose(predict(model, image), expected, atol=2e-2)  # bfloat16 where it pays


@pytest.mark.parametrize("normalisation", ["group", "instance"])
def test_normalisations_that_see_the_tile_break_the_law(normalisation):
    model = lively_model(normalisation=normalisation, depth=2)
    image = _image()
    image[:, 120:] *= 5
    difference = np.abs(predict(model, image, tile=32) - predict(model, image, tile=10_000))
    assert np.isfinite(difference).all()
    assert difference.max() > 0.01, "or else docs and tooltips should stop to warn"


def test_probabilities_sum_to_one_at_full_resolution():
    probabilities = predict(lively_model(scale=0.3), _image((75, 64)))
    assert probabilities.shape == (2, 75, 64)
    assert np.allclose(probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("change", [lambda x: x * 7 + 32768, lambda x: x / 1000])
def test_offset_and_gain_of_the_camera_do_not_matter(change):
    model = lively_model()
    image = _image((64, 64)).astype(np.float64)
    assert np.allclose(predict(model, image), predict(model, change(image)), atol=2e-2)


def test_a_hot_pixel_does_not_darken_the_image():
    model = lively_model()
    image = _image((96, 96))
    hot = image.copy()
    hot[0, 0] = 1e6
    assert np.abs(predict(model, hot) - predict(model, image))[:, 90:, 90:].max() < 0.1


def test_one_slice_of_a_stack_is_predicted_as_in_the_whole_stack():
    model = lively_model()
    stack = np.stack([_image((40, 50), seed) * (1 + seed) for seed in range(3)])[:, None]
    whole = predict(model, stack)
    [report] = predict_slices(model, stack, slices=[1])
    assert report.index == 1
    assert np.array_equal(report.probabilities, whole[1])


def test_reports_count_tiles_and_stop_when_asked():
    model = lively_model(depth=2)
    stack = np.zeros((3, 1, 60, 60), np.float32)
    reports = list(predict_slices(model, stack, tile=32))
    assert [report.done for report in reports] == list(range(1, 13))
    assert {report.total for report in reports} == {12}
    assert [report.index for report in reports if report.probabilities is not None] == [0, 1, 2]
    seen = []
    seen.extend(predict_slices(model, stack, tile=32, should_stop=lambda: len(seen) == 2))
    assert len(seen) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 5)])
def test_images_smaller_than_a_tile_are_mirrored(shape):
    probabilities = predict(lively_model(), _image(shape))
    assert probabilities.shape == (2, *shape)
    assert np.isfinite(probabilities).all()


def test_a_constant_image_is_no_error():
    assert np.isfinite(predict(lively_model(), np.full((32, 32), 7, np.uint16))).all()


def test_integer_and_float_images_are_treated_alike():
    image = np.random.default_rng(0).integers(0, 60_000, (48, 48)).astype(np.uint16)
    model = lively_model()
    assert np.array_equal(predict(model, image), predict(model, image.astype(np.float64)))


def test_an_image_with_other_channels_is_refused():
    with pytest.raises(PredictionError, match=r"3 channels .*RGB.* trained on .* 1 channel"):
        predict(lively_model(), np.zeros((1, 3, 20, 20)))


def test_axes_mean_the_same_as_in_an_annotation():
    grey, colour = lively_model(depth=2), lively_model(depth=2, channels=3)
    stack = np.stack([_image((20, 24), seed) for seed in range(3)])
    assert np.array_equal(predict(grey, stack), predict(grey, stack[:, None]))
    assert predict(grey, stack).shape == (3, 2, 20, 24)
    assert predict(grey, stack[:1]).shape == (1, 2, 20, 24)
    first = predict(colour, stack, channel_axis=0)
    assert first.shape == (2, 20, 24)
    assert np.array_equal(first, predict(colour, np.moveaxis(stack, 0, -1), channel_axis=-1))
    assert np.array_equal(first, predict(colour, stack[None])[0])


def test_a_stack_where_channels_are_needed_is_refused_with_the_way_to_say_them():
    with pytest.raises(PredictionError, match="channel_axis"):
        predict(lively_model(channels=3), np.zeros((20, 20, 3)))


@pytest.mark.parametrize(("shape", "axis"), [((5,), None), ((2, 3, 1, 8, 8), None), ((8, 8), 0)])
def test_other_axes_are_refused(shape, axis):
    with pytest.raises(PredictionError, match=r"axes|channel axis"):
        predict(lively_model(), np.zeros(shape), channel_axis=axis)


def test_nan_is_refused_with_a_count():
    image = _image()
    image[3, 4] = np.nan
    with pytest.raises(PredictionError, match="1 pixels that are NaN"):
        predict(lively_model(), image)


def test_memory_grows_by_the_output_alone():
    model = lively_model(depth=1, width=1)
    ranged = IntensityRange(np.zeros(1), np.ones(1))
    peaks = []
    for side in (256, 1024):
        stack = np.zeros((1, 1, side, side), np.uint8)
        tracemalloc.start()
        for _ in predict_slices(model, stack, tile=128, normalisation=ranged):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    output = 2 * 4 * (1024**2 - 256**2)  # two classes in float32
    assert output <= np.diff(peaks) < 1.05 * output


def test_a_tile_below_the_stride_is_refused_with_the_smallest():
    with pytest.raises(PredictionError, match="choose at least 16"):
        predict(lively_model(), _image(), tile=5)


def test_little_memory_means_smaller_tiles_and_the_same_result(monkeypatch):
    model = lively_model()
    image = _image((200, 200))
    expected = predict(model, image)
    original = Runner.__call__

    def little_memory(self, tile, keep):
        if tile.shape[-1] > 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, tile, keep)

    monkeypatch.setattr(Runner, "__call__", little_memory)
    reports = list(predict_slices(model, image[None, None], tile=400))
    assert np.allclose(reports[-1].probabilities, expected, atol=1e-4)


def test_no_memory_at_all_is_a_sentence(monkeypatch):
    def none_left(self, tile, keep):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Runner, "__call__", none_left)
    with pytest.raises(PredictionError, match="not enough memory"):
        predict(lively_model(), _image())


def test_classes_come_back_as_the_painted_values():
    classes = (ClassLabel(1, "background"), ClassLabel(4, "wall"), ClassLabel(9, "lumen"))
    model = lively_model(task="classes", classes=classes)
    probabilities = np.zeros((3, 1, 3), np.float32)
    probabilities[[0, 1, 2], 0, [2, 0, 1]] = 1
    assert labels_from(model, probabilities).tolist() == [[4, 9, 1]]


OUTPUTS = tuple(ClassLabel(k, f"value {k + 1}") for k in range(3))


def test_a_regression_says_values_in_their_own_units_whatever_the_tile():
    plain = lively_model(task="regression", classes=OUTPUTS)
    units = Standardisation((5.0, -300.0, 0.0), (0.1, 40.0, 1.0))
    image = _image((100, 90))
    raw = predict(plain, image)
    values = predict(replace(plain, standardisation=units), image)
    assert raw.shape == (3, 100, 90)
    assert raw.min() < 0, "probabilities would prove nothing"
    np.testing.assert_array_equal(values, units.undo(raw))
    in_tiles = predict(replace(plain, standardisation=units), image, tile=32)
    np.testing.assert_allclose(units.apply(in_tiles), raw, atol=1e-3)


def test_values_are_no_labels():
    model = lively_model(task="regression", classes=OUTPUTS)
    with pytest.raises(PredictionError, match="values, not labels"):
        labels_from(model, np.zeros((3, 4, 5), np.float32))


def test_no_memory_for_the_result_of_a_slice_is_told_at_once(monkeypatch):
    def full(image, shape):
        if image.shape[0] == 2:  # the probabilities, not the picture
            raise MemoryError
        return resize(image, shape)

    calls = []
    original = Runner.__call__
    monkeypatch.setattr(Runner, "__call__", lambda *a: calls.append(1) or original(*a))
    monkeypatch.setitem(predict_function.__globals__, "resize", full)
    with pytest.raises(PredictionError, match="not enough memory for the result of one slice"):
        predict_function(lively_model(scale=0.5), np.zeros((64, 64), np.float32), device="cpu")
    assert len(calls) == 1


@pytest.mark.parametrize("width", [96, 100, 128])
def test_a_black_column_does_not_stand_for_the_picture(width, monkeypatch):
    image = np.random.default_rng(0).integers(500, 1000, (1, 1, 4 * width, width)).astype(np.uint16)
    image[..., 0] = 0
    monkeypatch.setitem(measure_range.__globals__, "_ENOUGH", 4 * width)  # one pixel in a row
    found = measure_range(image, {"low": 1.0, "high": 99.8})
    assert found.high[0] > 900


class Reader:
    """A stack that can only be asked for one slice after the other."""

    def __init__(self, image: np.ndarray) -> None:
        self.shape, self.dtype = image.shape, image.dtype
        self._image = image
        self.read: list[int] = []

    def __getitem__(self, index: int) -> np.ndarray:
        self.read.append(index)
        return self._image[index].copy()


@pytest.mark.parametrize("shape", [(1, 1, 40, 37), (7, 2, 11, 13), (40, 1, 3, 5)])
@pytest.mark.parametrize("enough", [50, 333, 10**6])
def test_the_range_of_slices_is_that_of_the_stack_as_a_whole(shape, enough, monkeypatch):
    image = np.random.default_rng(0).integers(0, 60_000, shape).astype(np.uint16)
    monkeypatch.setitem(measure_range.__globals__, "_ENOUGH", enough)
    step = measure_range.__globals__["_step"](image[:, 0].size, shape[-1])
    for stack in (image, Reader(image), np.moveaxis(np.moveaxis(image, 1, -1).copy(), -1, 1)):
        found = measure_range(stack, {"low": 1.0, "high": 99.8})
        for channel in range(shape[1]):
            sample = image[:, channel].ravel()[::step]
            low, high = np.percentile(sample, [1.0, 99.8])
            assert (found.low[channel], found.high[channel]) == (low, high)


def test_slices_that_are_read_when_asked_for_give_what_the_array_gives():
    model = lively_model()
    image = np.random.default_rng(0).normal(100, 20, (5, 1, 40, 37)).astype(np.float32)
    image[3] *= 4
    reader = Reader(image)
    [expected] = [r.probabilities for r in predict_slices(model, image, slices=[1], tile=1000)]
    [found] = [r.probabilities for r in predict_slices(model, reader, slices=[1], tile=1000)]
    np.testing.assert_array_equal(found, expected)
    assert reader.read[-1] == 1
    assert set(reader.read) == set(range(5))


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_a_stack_is_read_once_to_measure_it_and_once_to_predict(dtype):
    reader = Reader((np.random.default_rng(0).random((3, 1, 40, 40)) * 200).astype(dtype))
    list(predict_slices(lively_model(), reader, tile=1000))
    assert reader.read == [0, 1, 2, 0, 1, 2]


def test_slices_of_dask_are_read_like_others():
    image = np.random.default_rng(0).random((2, 1, 40, 40)).astype(np.float32)
    stack = dask.array.from_array(image, chunks=(1, 1, 40, 40))
    expected = [r.probabilities for r in predict_slices(lively_model(), image, tile=1000)]
    found = [r.probabilities for r in predict_slices(lively_model(), stack, tile=1000)]
    np.testing.assert_array_equal(found, expected)


def test_nan_matters_on_slices_that_are_predicted():
    image = np.random.default_rng(0).random((3, 1, 40, 40)).astype(np.float32)
    model = lively_model()
    image = np.concatenate([image[:1], image[:1], image[:1]])
    [whole] = predict_slices(model, image, slices=[0])
    image[2, 0, 1, :4] = np.nan
    image[2, 0, 2, :4] = np.inf
    for stack in (image, Reader(image)):
        with pytest.raises(PredictionError, match="8 pixels that are NaN"):
            list(predict_slices(model, stack))
        [first] = predict_slices(model, stack, slices=[0])
        np.testing.assert_allclose(first.probabilities, whole.probabilities, atol=0.1)


def test_a_stop_ends_the_reading_of_a_large_stack():
    reader = Reader(np.ones((9, 1, 40, 40), np.float32))
    stopped = predict_slices(lively_model(), reader, slices=[0], should_stop=lambda: True)
    assert not list(stopped)
    assert set(reader.read) == {0}


def test_a_channel_without_a_finite_pixel_has_a_range():
    ranged = measure_range(np.full((1, 1, 4, 4), np.nan), {"low": 1.0, "high": 99.8})
    assert np.isfinite(ranged.low).all()
    assert np.isfinite(ranged.high).all()


def test_cells_brighter_than_the_range_still_differ():
    image = np.random.default_rng(0).normal(100, 3, (1, 1, 400, 400))
    image[0, 0, :6, :6], image[0, 0, :6, 2:4], image[0, 0, 300, 300] = 2000, 300, 1e9
    seen = measure_range(image, {"low": 1.0, "high": 99.8}).apply(image)[0, 0]
    assert seen[0, 0] - seen[0, 2] > 1, "the gap between two cells"
    assert 4 < seen[300, 300] < 25, "a hot pixel"
    assert np.isfinite(seen).all()
    ordinary = np.linspace(0, 1000, 10_000).reshape(1, 1, 100, 100)
    known = measure_range(ordinary, {"low": 1.0, "high": 99.8}).apply(ordinary)
    np.testing.assert_allclose(known, (ordinary - 10) / 988, atol=1e-3)


@pytest.mark.parametrize("where", ["measure_range", "tile_reader"])
def test_no_memory_before_the_first_tile_is_told_in_words(monkeypatch, where):
    def full(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setitem(predict_function.__globals__, where, full)
    with pytest.raises(PredictionError, match="not enough memory"):
        predict_function(lively_model(), np.zeros((64, 64), np.float32), device="cpu")


@pytest.mark.parametrize("said", ["CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"])
def test_what_a_gpu_says_without_memory_is_understood(said):
    assert out_of_memory(RuntimeError(f"cuDNN error: {said} when calling"))
    assert not out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"))


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_a_pixel_size_that_is_none_is_refused_in_words(size):
    with pytest.raises(PredictionError, match="correct the pixel size"):
        pixel_ratio(size, 0.5)
