"""Tests of the Export dock in real napari."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from napari_unet.files import read_labels, read_values, write_values
from napari_unet.gui import layers
from napari_unet.gui.export import ExportDock, with_ending
from napari_unet.gui.slices import sign


@pytest.fixture
def dock(viewer: Any) -> ExportDock:
    made = ExportDock(viewer)
    viewer.window.add_dock_widget(made, name="Export")
    return made


@pytest.fixture
def labels(viewer: Any) -> Any:
    data = np.arange(3 * 20 * 24).reshape(3, 20, 24) % 7
    place = {"scale": (2, 0.5, 0.5), "units": ("um", "um", "um")}
    return viewer.add_labels(data, name="cells: a/b", **place)


def write(dock: ExportDock, path: Path, press: Any, qtbot: Any) -> None:
    line = dock._path
    line.clear()
    QTest.keyClicks(line, str(path))
    press(dock, "Export")
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)


def answer(dock: ExportDock, qtbot: Any, text: str) -> None:
    qtbot.waitUntil(lambda: dock.findChildren(QMessageBox) != [])
    box = dock.findChildren(QMessageBox)[0]
    named = [b for b in box.buttons() if b.text().replace("&", "") == text]
    QTest.mouseClick(named[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)


def test_without_labels_one_sentence_says_what_to_do(dock, press):
    press(dock, "Export")
    assert "no Labels layer yet" in dock.message


@pytest.mark.parametrize("ending", [".tif", ".zarr"])
def test_a_layer_comes_back_from_its_file(dock, labels, ending, press, qtbot, tmp_path):
    dock._format.setCurrentIndex(dock._format.findData(ending))
    path = tmp_path / f"out{ending}"
    write(dock, path, press, qtbot)
    assert str(path) in dock.message
    np.testing.assert_array_equal(read_labels(path), labels.data)


def as_table(dock: ExportDock) -> None:
    dock._format.setCurrentIndex(dock._format.findData(".csv"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_tells_size_and_brightness_of_every_cell(dock, viewer, press, qtbot, tmp_path):
    place = {"scale": (2, 0.5, 0.5), "units": ("um", "um", "um")}
    rng = np.random.default_rng(0)
    red = viewer.add_image(rng.random((3, 20, 24)), name="red", **place)
    green = viewer.add_image(rng.random((3, 20, 24)), name="green", **place)
    data = np.zeros((3, 20, 24), int)
    data[0, 2:6, 2:6] = 4
    data[2, 10:15, 10:20] = 9
    labels = viewer.add_labels(data, name="cells", **place)
    layers.assign(labels, layers.LABELS, [red, green])
    as_table(dock)
    assert dock._path.text().endswith("cells.csv")
    write(dock, tmp_path / "cells.csv", press, qtbot)
    assert dock.message == f"Written: {tmp_path / 'cells.csv'}, 2 cells."
    assert not dock.warned
    first, second = rows(tmp_path / "cells.csv")
    assert (first["slice"], first["label"], first["area"]) == ("0", "4", "16")
    assert float(first["area_um2"]) == 4
    mean = green.data[2][data[2] == 9].mean()
    assert float(second["green_mean"]) == pytest.approx(mean, rel=1e-5)


def test_a_table_of_labels_without_an_image_says_what_it_lacks(
    dock, labels, press, qtbot, tmp_path
):
    as_table(dock)
    write(dock, tmp_path / "cells.csv", press, qtbot)
    assert "No image belongs to this layer" in dock.message
    assert {row["slice"] for row in rows(tmp_path / "cells.csv")} == {"0", "1", "2"}


def test_values_are_no_cells(dock, viewer, press, tmp_path):
    like = viewer.add_image(np.zeros((8, 9), np.float32), name="picture")
    layers.add_image(viewer, [like], np.ones((8, 9), np.float32), role="values 0", name="v")
    as_table(dock)
    QTest.keyClicks(dock._path, str(tmp_path / "t.csv"))
    press(dock, "Export")
    assert "A table lists cells" in dock.message


def test_measuring_can_be_stopped_and_leaves_nothing(dock, labels, qtbot, tmp_path, monkeypatch):
    def endless(*_):
        while True:
            time.sleep(0.001)
            yield None

    monkeypatch.setattr("napari_unet.evaluation.cell_properties", endless)
    monkeypatch.setattr("napari_unet.evaluation.property_row", lambda *_: [])
    as_table(dock)
    dock._path.setText(str(tmp_path / "t.csv"))
    assert not dock._stop.isEnabled()
    dock._export.click()
    assert dock._stop.isEnabled()
    qtbot.waitUntil(lambda: "cells so far" in dock.message, timeout=20_000)
    dock._stop.click()
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)
    assert dock.message == "Stopped; nothing was written."
    assert not dock._stop.isEnabled()
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_told_until_it_is_there(viewer, dock, press):
    press(dock, "Export")
    viewer.add_labels(np.ones((20, 24), np.int32), name="cells")
    assert not dock.message
    dock._path.clear()
    press(dock, "Export")
    assert "no file name yet" in dock.message
    QTest.keyClicks(dock._path, "a")
    assert not dock.message


def test_a_name_without_a_folder_is_told_with_it(dock, labels, press, qtbot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(dock, "out.tif", press, qtbot)
    assert f"Written: {tmp_path / 'out.tif'}" in dock.message


def test_slices_that_are_not_predicted_are_told(dock, labels, press, qtbot, tmp_path):
    layers.assign(labels, layers.PREDICTION, [])
    sign(labels, 1, "one model")
    sign(labels, 2, "another model")
    write(dock, tmp_path / "out.tif", press, qtbot)
    assert f"Written: {tmp_path / 'out.tif'}. ⚠ Not predicted" in dock.message
    assert "0 in the file: slice 0" in dock.message
    assert "From another model than the rest: slice 1." in dock.message


def test_the_ending_of_the_format_is_added(dock, labels, press, qtbot, tmp_path):
    write(dock, tmp_path / "day 3.5", press, qtbot)
    assert (tmp_path / "day 3.5.tif").exists()


def test_the_suggested_name_is_one_that_a_disk_takes(dock, labels):
    assert dock._path.text().endswith("cells_ a_b.tif")


def test_nothing_is_replaced_without_a_yes(dock, labels, press, qtbot, tmp_path):
    path = tmp_path / "out.tif"
    path.write_text("mine")
    write(dock, path, press, qtbot)
    answer(dock, qtbot, "No")
    assert path.read_text() == "mine"
    write(dock, path, press, qtbot)
    answer(dock, qtbot, "Yes")
    np.testing.assert_array_equal(tifffile.imread(path), labels.data)


def test_labels_never_take_the_place_of_an_image(dock, labels, press, qtbot, tmp_path):
    dock._format.setCurrentIndex(dock._format.findData(".zarr"))
    path = write_values(tmp_path / "cells.zarr", np.full((1, 20, 24), 7.0))
    write(dock, path, press, qtbot)
    assert dock.message.startswith("⚠")
    assert "may be an image" in dock.message
    assert not dock.findChildren(QMessageBox)
    assert read_values(path).max() == 7
    write(dock, tmp_path / "labels.zarr", press, qtbot)
    write(dock, tmp_path / "labels.zarr", press, qtbot)
    answer(dock, qtbot, "Yes")
    assert "Written" in dock.message


def test_a_folder_that_is_not_there_gives_one_sentence(dock, labels, press, qtbot, tmp_path):
    write(dock, tmp_path / "nowhere" / "out.tif", press, qtbot)
    assert dock.message.startswith("⚠")
    assert "nowhere" in dock.message


def test_the_list_follows_the_layers_and_their_names(viewer, dock, labels):
    viewer.add_labels(np.zeros((4, 4), int), name="second")
    names = [dock._layer.itemText(n) for n in range(dock._layer.count())]
    assert names == ["second", "cells: a/b"]
    assert dock._layer.currentText() == "cells: a/b"
    labels.name = "renamed"
    assert dock._layer.currentText() == "renamed"
    viewer.layers.clear()
    assert dock._layer.count() == 0
    assert dock._path.text() == ""


def type_path(dock: ExportDock, path: Path) -> None:
    dock._path.selectAll()
    QTest.keyClicks(dock._path, str(path))


def pick(dock: ExportDock, name: str) -> None:
    at = dock._layer.findText(name)
    dock._layer.setCurrentIndex(at)
    dock._layer.activated.emit(at)


def test_the_suggested_name_follows_the_layers_name(dock, labels):
    labels.name = "day 3"
    assert Path(dock._path.text()).name == "day 3.tif"


def test_another_layer_goes_into_the_folder_that_was_typed(viewer, dock, labels, tmp_path):
    viewer.add_labels(np.ones((4, 4), int), name="second")
    type_path(dock, tmp_path / "cells_ a_b.tif")
    pick(dock, "second")
    assert dock._path.text() == str(tmp_path / "second.tif")


def test_a_typed_name_stays_whatever_layer_is_chosen(viewer, dock, labels, tmp_path):
    viewer.add_labels(np.ones((4, 4), int), name="second")
    type_path(dock, tmp_path / "mine.tif")
    labels.name = "renamed"
    pick(dock, "second")
    assert dock._path.text() == str(tmp_path / "mine.tif")


def test_the_next_layer_gets_a_name_of_its_own(viewer, dock, labels, press, qtbot, tmp_path):
    viewer.add_labels(np.ones((4, 4), int), name="second")
    write(dock, tmp_path / "mine.tif", press, qtbot)
    labels.name = "renamed"
    assert dock._path.text() == str(tmp_path / "mine.tif")
    pick(dock, "second")
    assert dock._path.text() == str(tmp_path / "second.tif")


@pytest.mark.parametrize(
    ("path", "ending", "becomes"),
    [
        ("/data/run1/cells.10x", ".zarr", "/data/run1/cells.10x.zarr"),
        ("/data/run1.tif/cells", ".zarr", "/data/run1.tif/cells.zarr"),
        ("~/cells.TIFF", ".zarr", "~/cells.zarr"),
        ("cells.ome.zarr", ".tif", "cells.ome.tif"),
        ("cells.tif", ".tif", "cells.tif"),
    ],
)
def test_only_the_ending_of_a_format_gives_way_to_another(path, ending, becomes):
    assert with_ending(path, ending) == becomes


def test_the_chosen_format_changes_the_ending_alone(dock, labels, tmp_path):
    type_path(dock, tmp_path / "cells.10x")
    dock._format.setCurrentIndex(dock._format.findData(".zarr"))
    assert dock._path.text() == str(tmp_path / "cells.10x.zarr")


def test_return_in_the_line_of_the_file_writes_it(dock, labels, qtbot, tmp_path):
    path = tmp_path / "out.tif"
    type_path(dock, path)
    QTest.keyClick(dock._path, Qt.Key.Key_Return)
    qtbot.waitUntil(path.exists, timeout=20_000)
    qtbot.waitUntil(lambda: not dock._job.running, timeout=20_000)
    QTest.keyClick(dock._path, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert len(dock.findChildren(QMessageBox)) == 1
    answer(dock, qtbot, "No")


def a_prediction() -> Labels:
    """Make the layer that a prediction leaves behind."""
    made = Labels(np.ones((5, 6), int), name="prediction")
    layers.assign(made, layers.PREDICTION, [])
    return made


def test_what_is_replaced_is_what_was_asked_about(viewer, dock, labels, press, qtbot, tmp_path):
    path = tmp_path / "out.tif"
    path.write_text("mine")
    write(dock, path, press, qtbot)
    dock._picked = False
    viewer.add_layer(a_prediction())
    assert dock._layer.currentText() == "prediction"
    answer(dock, qtbot, "Yes")
    np.testing.assert_array_equal(tifffile.imread(path), labels.data)


def test_a_typed_name_keeps_its_layer(viewer, dock, labels):
    QTest.keyClicks(dock._path, "2")
    text = dock._path.text()
    viewer.add_layer(a_prediction())
    assert dock._layer.currentText() == "cells: a/b"
    assert dock._path.text() == text


@pytest.mark.parametrize("shape", [(20, 24), (3, 20, 24)])
def test_predicted_values_are_offered_and_come_back(viewer, dock, shape, press, qtbot, tmp_path):
    image = viewer.add_image(np.zeros(shape), name="cells", scale=(0.5,) * len(shape))
    viewer.add_labels(np.ones(shape, int), name="mine")
    values = np.random.default_rng(0).normal(0, 50, shape).astype(np.float32)
    layers.add_image(viewer, [image], values, role="values 0", name="cells height")
    assert dock._layer.currentText() == "cells height"
    write(dock, tmp_path / "out.tif", press, qtbot)
    assert tifffile.imread(tmp_path / "out.tif").dtype == np.float32
    found = read_values(tmp_path / "out.tif")
    np.testing.assert_array_equal(found[:, 0], values.reshape(-1, 20, 24))
