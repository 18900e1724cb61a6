"""Stacks on disk: the same labels as in memory, one slice at a time, and resumable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_unet.prediction import PredictionError, labels_from, number_uniquely, predict
from napari_unet.scale import predict_volume
from tests.prediction.models import lively_model


@pytest.fixture
def stack():
    return np.random.default_rng(0).normal(100, 20, (4, 1, 50, 60)).astype(np.float32)


class Watched:
    """A stack that remembers what was read of it."""

    def __init__(self, data):
        self.data = data
        self.shape = data.shape
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return self.data[index]


def test_a_volume_on_disk_gets_the_labels_it_would_get_in_memory(stack, tmp_path):
    model = lively_model(depth=2, seed=4)
    reports = list(predict_volume(model, stack, tmp_path / "labels.zarr"))
    expected = number_uniquely(labels_from(model, p) for p in predict(model, stack))
    assert expected.max() > 4, "an empty result would prove nothing"
    assert np.array_equal(zarr.open_array(tmp_path / "labels.zarr")[:], expected)
    assert [(r.done, r.total) for r in reports] == [(n, 4) for n in range(1, 5)]
    assert reports[-1].cells == expected.max()


def test_a_volume_with_other_pixels_is_seen_at_the_size_trained_on(stack, tmp_path):
    model = lively_model(depth=2, seed=4, pixel_size=0.4)
    reports = list(predict_volume(model, stack, tmp_path / "labels.zarr", pixel_size=0.8))
    assert "enlarged 2 times" in reports[0].message
    assert not any(report.message for report in reports[1:])
    probabilities = predict(model, stack, pixel_size=0.8)
    expected = number_uniquely(labels_from(model, p, pixel_size=0.8) for p in probabilities)
    assert np.array_equal(zarr.open_array(tmp_path / "labels.zarr")[:], expected)
    assert not np.array_equal(
        expected, number_uniquely(labels_from(model, p) for p in predict(model, stack))
    )
    with pytest.raises(PredictionError, match="another model"):
        next(predict_volume(model, stack, tmp_path / "labels.zarr"))


def test_only_single_slices_are_read(stack, tmp_path):
    watched = Watched(stack)
    list(predict_volume(lively_model(depth=2, seed=4), watched, tmp_path / "labels.zarr"))
    assert all(isinstance(index, int) for index in watched.read)


def test_a_stopped_volume_goes_on_where_it_ended(stack, tmp_path):
    model = lively_model(depth=2, seed=4)
    whole, parts = tmp_path / "whole.zarr", tmp_path / "parts.zarr"
    list(predict_volume(model, stack, whole))
    reports = predict_volume(model, stack, parts)
    next(reports)
    reports.close()
    assert [r.done for r in predict_volume(model, stack, parts)] == [2, 3, 4]
    assert np.array_equal(zarr.open_array(parts)[:], zarr.open_array(whole)[:])


def test_stopping_leaves_whole_slices(stack, tmp_path):
    path = tmp_path / "labels.zarr"
    assert not list(predict_volume(lively_model(), stack, path, should_stop=lambda: True))
    assert zarr.open_array(path).attrs["slices_done"] == 0


def test_another_volume_in_its_place_is_refused(stack, tmp_path):
    path = tmp_path / "labels.zarr"
    model = lively_model(depth=2, seed=4)
    list(predict_volume(model, stack, path))
    with pytest.raises(PredictionError, match="another volume"):
        next(predict_volume(model, stack[:2], path))
    with pytest.raises(PredictionError, match="another model"):
        next(predict_volume(lively_model(depth=2, seed=3), stack, path))
    (tmp_path / "file").write_text("hello")
    with pytest.raises(PredictionError, match="no zarr array"):
        next(predict_volume(model, stack, tmp_path / "file"))
    with pytest.raises(PredictionError, match=r"expected \(Z, C, Y, X\)"):
        next(predict_volume(model, stack[0], tmp_path / "other.zarr"))


def test_another_stack_of_the_same_intensities_is_no_continuation(stack, tmp_path):
    path = tmp_path / "labels.zarr"
    model = lively_model(depth=2, seed=4)
    reports = predict_volume(model, stack, path)
    next(reports)
    reports.close()
    with pytest.raises(PredictionError, match="another volume"):
        next(predict_volume(model, stack[:, :, ::-1], path))


class Killed(BaseException):
    """Ends a program where it stands."""


def test_a_volume_that_ended_while_it_was_made_is_made_again(stack, tmp_path, monkeypatch):
    path = tmp_path / "labels.zarr"
    model = lively_model(depth=2, seed=4)
    usual = Path.replace

    def end(self, target):
        if self.suffix == ".partial":
            raise Killed
        return usual(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", end)
        with pytest.raises(Killed):
            next(predict_volume(model, stack, path))
    assert path.is_dir(), "or the end came too early to prove anything"
    assert [report.done for report in predict_volume(model, stack, path)] == [1, 2, 3, 4]


def test_a_slice_that_is_written_but_not_counted_is_predicted_again(stack, tmp_path, monkeypatch):
    whole, path = tmp_path / "whole.zarr", tmp_path / "labels.zarr"
    model = lively_model(depth=2, seed=4)
    list(predict_volume(model, stack, whole))

    def end(*_):
        raise Killed

    reports = predict_volume(model, stack, path)
    next(reports)
    with monkeypatch.context() as patched:
        patched.setattr("zarr.core.attributes.Attributes.update", end)
        with pytest.raises(Killed):
            next(reports)
    assert np.any(zarr.open_array(path)[1]), "written before it is counted"
    assert [report.done for report in predict_volume(model, stack, path)] == [2, 3, 4]
    assert np.array_equal(zarr.open_array(path)[:], zarr.open_array(whole)[:])


def test_values_are_no_labels_and_nothing_is_written(stack, tmp_path):
    with pytest.raises(PredictionError, match="values, not labels"):
        next(predict_volume(lively_model(task="regression"), stack, tmp_path / "labels.zarr"))
    assert not list(tmp_path.iterdir())


def test_a_slice_with_pixels_that_are_no_numbers_is_named(tmp_path):
    stack = np.random.default_rng(0).random((40, 1, 32, 32), np.float32)
    stack[1, 0, 5, 5] = np.nan  # none of those on which intensities are measured
    with pytest.raises(PredictionError, match="slice 1 of the stack"):
        list(predict_volume(lively_model(), stack, tmp_path / "a.zarr", device="cpu"))


def test_a_stack_without_a_slice_is_refused_and_nothing_is_written(stack, tmp_path):
    with pytest.raises(PredictionError, match=r"\(0, 1, 50, 60\); expected \(Z, C, Y, X\)"):
        list(predict_volume(lively_model(), stack[:0], tmp_path / "labels.zarr"))
    assert not (tmp_path / "labels.zarr").exists()
