"""Tests of the Elastic warp dock in real napari."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from napari_unet import augmentation
from napari_unet.augmentation import draw_displacement, warp
from napari_unet.gui.elastic_warp import ElasticWarpDock
from napari_unet.gui.layers import ImageStack


@pytest.fixture
def dock(viewer: Any) -> ElasticWarpDock:
    made = ElasticWarpDock(viewer)
    viewer.window.add_dock_widget(made, name="Elastic warp")
    return made


def wait(dock: ElasticWarpDock, qtbot: Any) -> None:
    qtbot.waitUntil(
        lambda: not dock._job.running and not dock._timer.isActive() and not dock._stale,
        timeout=20_000,
    )


def test_without_an_image_one_sentence_says_what_to_do(dock, press):
    press(dock, "Draw a new warp")
    assert "no image yet" in dock.message


def test_image_labels_and_grid_are_warped_alike_by_the_seed(
    viewer, dock, session, stack, press, qtbot
):
    labels = session.create_annotation()
    labels.data_setitem((np.array([1]), np.array([20]), np.array([20])), 3)
    viewer.dims.set_current_step(0, 1)
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    rng = np.random.default_rng(dock._seed.value())
    displacement = draw_displacement((40, 48), grid=3, sigma=10.0, rng=rng)
    expected = warp(stack.data[1].astype(np.float32), displacement, order=1)
    np.testing.assert_allclose(viewer.layers["cells warped"].data[0], expected)
    np.testing.assert_array_equal(
        viewer.layers["cells labels warped"].data[0],
        warp(labels.data[1], displacement, order=0),
    )
    assert "cells warp grid" in viewer.layers
    np.testing.assert_allclose(viewer.layers["cells warped"].scale, stack.scale)


def test_a_new_warp_has_a_new_number_and_the_old_number_brings_it_back(
    viewer, dock, stack, press, qtbot
):
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    first, seed = viewer.layers["cells warped"].data.copy(), dock._seed.value()
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    assert not np.array_equal(viewer.layers["cells warped"].data, first)
    dock._seed.setValue(seed)
    wait(dock, qtbot)
    np.testing.assert_array_equal(viewer.layers["cells warped"].data, first)


def test_the_image_is_read_in_the_background(viewer, dock, press, qtbot, monkeypatch):
    threads, read = [], ImageStack.__getitem__

    def watched(stack: ImageStack, z: int) -> np.ndarray:
        threads.append(threading.current_thread().name)
        return read(stack, z)

    monkeypatch.setattr(ImageStack, "__getitem__", watched)
    viewer.add_image(np.ones((3, 40, 48)), name="cells")
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    assert threads == ["napari-unet elastic warp"]


def test_what_takes_long_is_told_and_can_be_cancelled(
    viewer, dock, stack, press, qtbot, monkeypatch
):
    go = threading.Event()

    def later(*args: Any, **options: Any) -> np.ndarray:
        go.wait(20)
        return draw_displacement(*args, **options)

    monkeypatch.setattr(augmentation, "draw_displacement", later)
    press(dock, "Draw a new warp")
    qtbot.waitUntil(lambda: dock.message == "Computing the warp…", timeout=5000)
    press(dock, "Remove preview")
    assert not dock.message
    assert not dock._remove.isEnabled()
    go.set()
    wait(dock, qtbot)
    assert len(viewer.layers) == 1
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    assert dock.message.startswith("Warp with seed 2")


def test_no_strength_changes_nothing(viewer, dock, stack, press, qtbot):
    dock._form.widget("elastic_sigma").setValue(0)
    viewer.dims.set_current_step(0, 0)
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    np.testing.assert_allclose(viewer.layers["cells warped"].data[0], stack.data[0], atol=1e-3)


def test_remove_preview_leaves_the_users_layers(viewer, dock, session, stack, press, qtbot):
    session.create_annotation()
    before = list(viewer.layers)
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    assert len(viewer.layers) == len(before) + 3
    press(dock, "Remove preview")
    assert list(viewer.layers) == before


def test_colour_pictures_are_warped_channel_by_channel(viewer, dock, session, press, qtbot):
    viewer.add_image(np.zeros((32, 32, 3), np.uint8), name="rgb", rgb=True)
    press(dock, "Draw a new warp")
    wait(dock, qtbot)
    assert {"rgb R warped", "rgb G warped", "rgb B warped"} <= {
        layer.name for layer in viewer.layers
    }
