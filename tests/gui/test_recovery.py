"""What was painted is on disk seconds later, and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
from napari._qt.qt_main_window import _QtMainWindow
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog

from napari_unet.files import FileError, recovery
from napari_unet.gui import layers
from napari_unet.gui import recovery as writer
from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.copies import unpack
from napari_unet.gui.export import ExportDock
from napari_unet.gui.predict import PredictDock
from napari_unet.gui.recovery import Autosave
from napari_unet.gui.session import Session
from napari_unet.gui.settings import remember, remembered
from napari_unet.gui.train import TrainDock

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Shapes

Press = Callable[[Any, str], None]
REGION = np.array([[1, 2, 2], [1, 2, 9], [1, 9, 9], [1, 9, 2]])


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, 32, 48)).astype(np.uint8)


def files() -> list[Path]:
    return sorted(recovery.recovery_folder().glob("*.npz"))


def entries() -> tuple[recovery.RecoveryEntry, ...]:
    return recovery.list_recoveries(recovery.recovery_folder()).entries


def annotate(viewer: Any) -> Session:
    viewer.add_image(picture(), name="cells")
    session = Session.of(viewer)
    session.part(Autosave)
    labels = session.create_annotation()
    labels.paint((1, 10, 10), 4)
    labels.paint((2, 20, 20), 5)
    assert session.regions_layer is not None
    session.regions_layer.add_polygons(REGION)
    session.set_complete(2, True)
    return session


@pytest.fixture
def crashed(qtbot: Any, make_napari_viewer: Callable[..., Any]) -> np.ndarray:
    """Paint in a viewer that is gone; return what was painted."""
    viewer = make_napari_viewer()
    session = annotate(viewer)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10000):
        pass
    assert session.labels_layer is not None
    labels = session.labels_layer.data.copy()
    viewer.close()
    qtbot.waitUntil(lambda: [e.process for e in entries()] == [None], timeout=5000)
    return labels


@pytest.fixture
def dock(viewer: Any) -> AnnotateDock:
    made = AnnotateDock(viewer)
    viewer.window.add_dock_widget(made, name="Annotate", area="right")
    return made


def test_every_change_is_on_disk_within_three_seconds(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    session = annotate(make_napari_viewer())
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=3000):
        pass
    (entry,) = recovery.list_recoveries(recovery.recovery_folder()).entries
    assert entry.facts["name"] == "cells"
    assert entry.facts["cells"] == 2
    assert session.labels_layer is not None
    session.labels_layer.undo()
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=3000):
        pass
    saved = recovery.load_recovery(recovery.recovery_folder(), entry.key)
    assert np.array_equal(saved.labels, session.labels_layer.data)


def test_labels_that_no_longer_fit_are_saved_for_the_image_that_they_were_painted_on(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    session = annotate(make_napari_viewer())
    (image,), labels = session.image_layers, session.labels_layer
    assert labels is not None
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=3000):
        pass
    (before,) = entries()
    image.data = picture()[:, :20]
    labels.paint((0, 25, 30), 7)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        pass
    (entry,) = entries()
    assert entry.facts["image"] == before.facts["image"]
    saved = recovery.load_recovery(recovery.recovery_folder(), entry.key)
    assert np.array_equal(saved.labels, labels.data)
    assert saved.labels[0, 25, 30] == 7


def test_what_was_painted_last_is_saved_when_its_layer_or_viewer_goes(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    annotate(viewer)
    viewer.close()
    qtbot.waitUntil(lambda: len(files()) == 1, timeout=5000)


def test_it_is_offered_and_restored(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    assert not dock._offer.isVisible()
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    assert "Restore 2 annotations of “cells” from" in dock._offer.text
    before = files()
    press(dock, "Restore")
    session = dock.session
    qtbot.waitUntil(lambda: session.labels_layer is not None, timeout=5000)
    qtbot.waitUntil(lambda: session.complete == {2}, timeout=5000)
    labels, regions = session.labels_layer, session.regions_layer
    assert labels is not None
    assert regions is not None
    assert np.array_equal(labels.data, crashed)
    np.testing.assert_allclose(regions.data[0], REGION)
    # The old file goes only after its content is in the new one.
    qtbot.waitUntil(lambda: len(files()) == 1 and files() != before, timeout=8000)
    (entry,) = recovery.list_recoveries(recovery.recovery_folder()).entries
    saved = recovery.load_recovery(recovery.recovery_folder(), entry.key)
    assert np.array_equal(saved.labels, crashed)
    assert not dock._offer.isVisible()


def test_what_is_restored_is_seen_and_not_under_other_labels(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(), name="cells")
    truth = viewer.add_labels(np.ones((3, 32, 48), int), name="truth")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Restore")
    qtbot.waitUntil(lambda: dock.session.complete == {2}, timeout=5000)
    assert dock.session.labels_layer is not None
    assert dock.session.labels_layer.visible
    assert not truth.visible


@pytest.mark.parametrize("readable_again", [False, True])
def test_labels_of_an_image_that_cannot_be_read_are_saved_and_known_by_its_name(
    qtbot: Any,
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    readable_again: bool,
) -> None:
    def unreadable(*_: Any) -> str:
        raise OSError("the server is gone")

    viewer = make_napari_viewer()
    with monkeypatch.context() as patched:
        patched.setattr(layers.Fingerprint, "_read", unreadable)
        session = annotate(viewer)
        with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
            pass
        (entry,) = entries()
        viewer.close()
    qtbot.waitUntil(lambda: [e.process for e in entries()] == [None], timeout=5000)
    assert entry.facts["cells"] == 2
    if not readable_again:
        monkeypatch.setattr(layers.Fingerprint, "_read", unreadable)
    again = make_napari_viewer()
    part = Session.of(again).part(Autosave)
    again.add_image(picture(), name="others")
    qtbot.waitUntil(lambda: not part._look_job.running, timeout=5000)
    assert part.offer is None
    again.layers[0].name = "cells"
    with qtbot.waitSignal(part.offered, timeout=5000, check_params_cb=lambda e: e is not None):
        part._look()
    assert part.offer is not None
    assert part.offer.key == entry.key


def test_what_is_not_restored_is_not_overwritten(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Start annotating")
    labels = dock.session.labels_layer
    assert labels is not None
    labels.paint((0, 5, 5), 9)
    qtbot.waitUntil(lambda: len(files()) == 2, timeout=8000)
    assert dock._offer.isVisible()
    press(dock, "Restore")
    qtbot.waitUntil(lambda: dock.session.labels_layer is not labels, timeout=5000)
    restored = dock.session.labels_layer
    assert restored is not None
    assert np.array_equal(restored.data, crashed)
    assert labels in viewer.layers
    assert labels.data.max() == 9


def test_discarded_is_put_away_and_the_dock_says_where(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Discard")
    qtbot.waitUntil(lambda: not files(), timeout=5000)
    assert not dock._offer.isVisible()
    (kept,) = recovery.recovery_folder().glob("discarded/*.npz")
    assert f"kept for 30 days: {kept}." in dock.message


@pytest.mark.parametrize("change", ["pixels", "size"])
def test_it_is_offered_for_the_same_image_only(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, change: str
) -> None:
    image = picture()[:, : 30 if change == "size" else None]
    image = image[::-1] if change == "pixels" else image
    viewer.add_image(image, name="cells")
    qtbot.wait(1000)
    assert not dock._offer.isVisible()
    assert len(files()) == 1


def test_it_is_offered_for_a_renamed_image(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock
) -> None:
    viewer.add_image(picture(), name="others")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    assert "“cells”" in dock._offer.text


def test_deleted_labels_outlive_the_empty_ones_that_follow(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    session = annotate(viewer)
    labels = session.labels_layer
    assert labels is not None
    painted = labels.data.copy()
    # The regions go first, so that a copy made before the labels go would be without them.
    for layer in (session.regions_layer, labels):
        viewer.layers.remove(layer)
    empty = session.create_annotation()
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        session.part(Autosave).save()
    qtbot.wait(2500)
    assert len(files()) == 1
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Restore")
    qtbot.waitUntil(lambda: np.array_equal(empty.data, painted), timeout=5000)
    assert session.regions_layer is not None
    qtbot.waitUntil(lambda: len(session.regions_layer.data) == 1, timeout=5000)
    qtbot.wait(500)
    assert not dock._offer.isVisible()
    assert len(files()) == 1


def test_labels_that_another_layer_replaces_keep_their_file(
    qtbot: Any, viewer: Any, dock: AnnotateDock
) -> None:
    session = annotate(viewer)
    labels = session.labels_layer
    assert labels is not None
    other = viewer.add_labels(np.zeros((3, 32, 48), np.int32))
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        session.part(Autosave).save()
    session.adopt(other)
    other.paint((1, 10, 10), 7)
    qtbot.waitUntil(lambda: len(files()) == 2, timeout=5000)
    qtbot.wait(500)
    assert not dock._offer.isVisible()
    viewer.layers.remove(labels)
    session.part(Autosave)._look()
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    assert "2 annotations" in dock._offer.text


def test_labels_deleted_by_mistake_come_back(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(), name="cells")
    press(dock, "Start annotating")
    labels = dock.session.labels_layer
    assert labels is not None
    labels.paint((1, 10, 10), 1)
    painted = labels.data.copy()
    viewer.layers.remove(labels)
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Restore")
    qtbot.waitUntil(lambda: dock.session.labels_layer is not None, timeout=5000)
    qtbot.waitUntil(
        lambda: np.array_equal(dock.session.labels_layer.data, painted),  # type: ignore[union-attr]
        timeout=5000,
    )


@pytest.fixture
def regions(qtbot: Any, viewer: Any, dock: AnnotateDock) -> Shapes:
    """Annotate and save, with an ignored region too; return the layer of regions."""
    session = annotate(viewer)
    session.region_layer(layers.IGNORED).add_polygons(REGION)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        session.part(Autosave).save()
    assert session.regions_layer is not None
    return session.regions_layer


def outlines_saved() -> dict[str, int]:
    """Count the outlines in the recovery file."""
    (entry,) = entries()
    arrays = recovery.load_recovery(recovery.recovery_folder(), entry.key).arrays
    return {role: len(unpack(arrays[role])) for role in (layers.REGIONS, layers.IGNORED)}


def test_regions_deleted_by_mistake_stay_saved_and_come_back(
    qtbot: Any, viewer: Any, dock: AnnotateDock, regions: Shapes, press: Press
) -> None:
    session = dock.session
    for layer in (regions, session.ignored_layer):
        viewer.layers.remove(layer)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        pass
    assert outlines_saved() == {layers.REGIONS: 1, layers.IGNORED: 1}
    assert "Restore 2 regions of “cells”" in dock._regions_offer.text
    session.region_layer(layers.REGIONS).add_polygons(np.add(REGION, (0, 20, 20)))
    press(dock, "Restore")
    assert session.regions_layer is not None
    assert session.ignored_layer is not None
    np.testing.assert_allclose(session.regions_layer.data[1], REGION)
    np.testing.assert_allclose(session.ignored_layer.data[0], REGION)
    assert not dock._regions_offer.isVisible()
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=5000):
        pass
    assert outlines_saved() == {layers.REGIONS: 2, layers.IGNORED: 1}


def test_deleted_regions_are_discarded_when_a_person_says_so(
    qtbot: Any, viewer: Any, dock: AnnotateDock, regions: Shapes, press: Press
) -> None:
    viewer.layers.remove(regions)
    press(dock, "Discard")
    assert not dock._regions_offer.isVisible()
    qtbot.waitUntil(
        lambda: outlines_saved() == {layers.REGIONS: 0, layers.IGNORED: 1}, timeout=5000
    )


def test_deleted_regions_are_offered_for_their_own_image_only(
    viewer: Any, dock: AnnotateDock, regions: Shapes
) -> None:
    viewer.layers.remove(regions)
    (image,) = dock.session.image_layers
    other = viewer.add_image(picture(), name="other")
    dock.session.choose([other])
    assert not dock._regions_offer.isVisible()
    dock.session.choose([image])
    assert dock._regions_offer.isVisible()


def test_an_unwritable_folder_is_said_once_and_painting_goes_on(
    qtbot: Any,
    viewer: Any,
    dock: AnnotateDock,
    press: Press,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "file"))
    viewer.add_image(picture(), name="cells")
    press(dock, "Start annotating")
    labels = dock.session.labels_layer
    assert labels is not None
    with qtbot.waitSignal(dock.session.part(Autosave).failed, timeout=5000):
        labels.paint((1, 10, 10), 1)
    assert "cannot be made" in dock.message


def test_what_could_not_be_written_is_tried_again_without_another_stroke(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, attempts = recovery.save_recovery, []

    def save(*what: Any, **more: Any) -> None:
        attempts.append(what)
        if len(attempts) < 3:
            raise FileError("the disk is full")
        write(*what, **more)

    monkeypatch.setattr(recovery, "save_recovery", save)
    monkeypatch.setattr(writer, "_RETRY_MS", 200)
    viewer.add_image(picture(), name="cells")
    press(dock, "Start annotating")
    labels = dock.session.labels_layer
    assert labels is not None
    with qtbot.waitSignal(dock.session.part(Autosave).failed, timeout=5000):
        labels.paint((1, 10, 10), 1)
    assert "disk is full" in dock.message
    qtbot.waitUntil(lambda: "safe again" in dock.message, timeout=8000)
    assert len(attempts) == 3
    entry = recovery.list_recoveries(recovery.recovery_folder()).entries[0]
    found = recovery.load_recovery(recovery.recovery_folder(), entry.key)
    np.testing.assert_array_equal(found.labels, labels.data)


def test_an_annotation_that_cannot_be_written_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_unet.gui.copies import Copy, Waiting

    written = []

    def save(copy: Copy, cells: int) -> None:
        if copy.key == "bad":
            raise FileError("too large")
        written.append((copy.key, cells))

    monkeypatch.setattr(Copy, "save", save)
    waiting = Waiting()
    for key in ("bad", "good"):
        waiting.put(Copy(key, np.ones((1, 4, 4), int), {}, {}))
    for _ in range(2):
        with pytest.raises(FileError):
            list(waiting.write())
    assert written == [("good", 1)]
    assert waiting, "the bad one is still to be written"


def test_what_was_painted_is_saved_when_another_image_is_chosen_at_once(
    qtbot: Any, viewer: Any
) -> None:
    session = annotate(viewer)
    other = viewer.add_image(picture()[::-1], name="others")
    first = session.labels_layer
    session.choose([other])
    second = session.create_annotation()
    second.paint((0, 5, 5), 1)
    assert first is not second
    qtbot.waitUntil(lambda: len(files()) == 2, timeout=8000)
    entries = recovery.list_recoveries(recovery.recovery_folder()).entries
    assert {entry.facts["name"]: entry.facts["cells"] for entry in entries} == {
        "cells": 2,
        "others": 1,
    }


def test_docks_open_without_a_folder_for_settings(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "file"))
    remember("export/folder", "somewhere")
    assert remembered("export/folder", "elsewhere") == "elsewhere"
    for kind in (AnnotateDock, ExportDock, PredictDock, TrainDock):
        viewer.window.add_dock_widget(kind(viewer))


def test_what_a_session_finds_is_saved_without_any_dock(qtbot: Any, viewer: Any) -> None:
    image = viewer.add_image(picture(), name="cells")
    labels = layers.add_labels(viewer, [image], role="labels", name="labels")
    labels.data[1, 4, 4] = 3
    Session.of(viewer)
    qtbot.waitUntil(lambda: len(files()) == 1, timeout=5000)


def cells_by_name() -> dict[str, int]:
    """Tell what the recovery files hold: of each image, how many cells."""
    entries = recovery.list_recoveries(recovery.recovery_folder()).entries
    return {entry.facts["name"]: entry.facts["cells"] for entry in entries}


def saved_of(name: str) -> recovery.Recovery:
    folder = recovery.recovery_folder()
    (key,) = [e.key for e in recovery.list_recoveries(folder).entries if e.facts["name"] == name]
    return recovery.load_recovery(folder, key)


@pytest.fixture
def two(qtbot: Any, viewer: Any) -> Session:
    """Annotate two images; the second one is chosen, and everything is saved."""
    session = annotate(viewer)
    session.choose([viewer.add_image(picture()[::-1], name="others")])
    session.create_annotation().paint((0, 5, 5), 1)
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2, "others": 1}, timeout=8000)
    return session


def paint_with_the_mouse(viewer: Any, labels: Any) -> None:
    """Take a layer from the list and make a stroke, whatever the docks have chosen."""
    viewer.layers.selection.active = labels
    labels.mode, labels.selected_label, labels.brush_size = "paint", 7, 5
    canvas = viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())


def test_painting_on_an_image_that_is_not_chosen_is_saved(
    qtbot: Any, viewer: Any, two: Session
) -> None:
    qtbot.waitExposed(viewer.window._qt_window)
    other = viewer.layers["cells labels"]
    viewer.dims.set_current_step(0, 0)
    paint_with_the_mouse(viewer, other)
    assert other.data[0].any()
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 3, "others": 1}, timeout=8000)
    assert np.array_equal(saved_of("cells").labels, other.data)
    other.undo()
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2, "others": 1}, timeout=8000)
    assert two.name == "others"
    viewer.layers["cells regions"].add_polygons(REGION + np.array([1, 0, 0]))
    qtbot.waitUntil(lambda: len(np.unique(saved_of("cells").arrays["regions"][:, 0])) == 2)
    saved = saved_of("cells")
    assert list(saved.arrays["complete"]) == [2]
    assert not len(saved_of("others").arrays["regions"])


def test_painting_on_an_image_that_is_not_chosen_is_no_change_of_the_chosen(
    qtbot: Any, viewer: Any, two: Session
) -> None:
    qtbot.wait(300)
    before = two.revision
    with qtbot.waitSignal(two.edited):
        viewer.layers["cells labels"].paint((0, 9, 9), 7)
    assert two.revision == before


def test_labels_that_others_took_the_place_of_are_saved_when_painted_on(
    qtbot: Any, viewer: Any
) -> None:
    session = annotate(viewer)
    first = session.labels_layer
    assert first is not None
    session.adopt(viewer.add_labels(np.zeros((3, 32, 48), np.int32), name="second"))
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2}, timeout=8000)
    first.paint((0, 9, 9), 7)
    qtbot.waitUntil(
        lambda: any(
            entry.facts["cells"] == 3
            for entry in recovery.list_recoveries(recovery.recovery_folder()).entries
        ),
        timeout=8000,
    )


def test_labels_are_saved_after_their_image_was_removed(
    qtbot: Any, viewer: Any, two: Session
) -> None:
    viewer.layers.remove("cells")
    viewer.layers["cells labels"].paint((0, 9, 9), 7)
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 3, "others": 1}, timeout=8000)


def test_all_that_was_painted_last_is_saved_when_the_viewer_goes(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    session = annotate(viewer)
    session.choose([viewer.add_image(picture()[::-1], name="others")])
    session.create_annotation().paint((0, 5, 5), 1)
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2, "others": 1}, timeout=8000)
    viewer.layers["cells labels"].paint((0, 9, 9), 7)
    viewer.close()
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 3, "others": 1}, timeout=8000)


def test_everything_that_a_session_finds_is_saved(qtbot: Any, viewer: Any) -> None:
    for name, data in (("a", picture()), ("b", picture()[::-1])):
        image = viewer.add_image(data, name=name)
        labels = layers.add_labels(viewer, [image], role="labels", name=name)
        labels.data[1, 4, 4] = 3
    Session.of(viewer)
    qtbot.waitUntil(lambda: cells_by_name() == {"a": 1, "b": 1}, timeout=8000)


def test_labels_without_class_names_come_back_without(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Restore")
    qtbot.waitUntil(lambda: dock.session.complete == {2}, timeout=5000)
    assert dock.session.part(ClassNames).all == {1: "background", 2: "class 1"}


@contextmanager
def asking(answer: str) -> Iterator[None]:
    """Let a window ask whether it shall close, as napari does; the question runs events."""

    def ask(self: Any, event: Any) -> None:
        dialog = ConfirmCloseDialog(self)
        QTimer.singleShot(200, getattr(dialog, answer))
        event.setAccepted(dialog.exec_() == QDialog.DialogCode.Accepted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_QtMainWindow, "closeEvent", ask)
        yield


def test_what_was_painted_last_is_saved_when_the_window_asked_whether_to_close(
    qtbot: Any, viewer: Any
) -> None:
    session = annotate(viewer)
    closings = []
    session.closing.connect(lambda: closings.append(1))
    window = viewer.window._qt_window  # its X leaves the viewer holding it, `close` does not
    with asking("accept"):
        viewer.window.close()
    assert not window.isVisible()
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2}, timeout=1000)
    qtbot.waitUntil(lambda: closings == [1], timeout=1000)


def test_a_close_that_is_cancelled_saves_and_closes_nothing(qtbot: Any, viewer: Any) -> None:
    session = annotate(viewer)
    labels = session.labels_layer
    assert labels is not None
    with asking("reject"), qtbot.assertNotEmitted(session.closing, wait=300):
        QApplication.sendEvent(viewer.window._qt_window, QCloseEvent())
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 2}, timeout=1000)
    labels.paint((0, 5, 5), 9)
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 3}, timeout=5000)


def test_a_number_below_zero_is_saved_counted_and_said(
    qtbot: Any, viewer: Any, dock: AnnotateDock
) -> None:
    session = annotate(viewer)
    labels = session.labels_layer
    assert labels is not None
    labels.paint((1, 25, 40), -1)
    qtbot.waitUntil(lambda: cells_by_name() == {"cells": 3}, timeout=8000)
    np.testing.assert_array_equal(saved_of("cells").labels, labels.data)
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: "2 cells" in dock._counts.text(), timeout=5000)
    with pytest.raises(ValueError, match="“cells” has pixels painted with -1 on slice 1, but"):
        session.snapshot().annotated_image()
    labels.fill((1, 25, 40), 0)
    session.snapshot().annotated_image()


def test_what_cannot_be_counted_is_saved_and_offered(
    qtbot: Any, make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet import annotations

    def fail(labels: np.ndarray) -> int:
        raise MemoryError

    monkeypatch.setattr(annotations, "count_cells", fail)
    first = make_napari_viewer()
    with qtbot.waitSignal(annotate(first).part(Autosave).saved, timeout=10000):
        pass
    (entry,) = recovery.list_recoveries(recovery.recovery_folder()).entries
    assert "cells" not in entry.facts
    first.close()
    viewer = make_napari_viewer(show=True)
    dock = AnnotateDock(viewer)
    viewer.window.add_dock_widget(dock)
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    assert "Restore the annotation of “cells”" in dock._offer.text


def test_what_another_window_is_at_work_on_is_offered_once_that_is_closed(
    qtbot: Any,
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_LOOK_MS", 100)
    first = make_napari_viewer()
    with qtbot.waitSignal(annotate(first).part(Autosave).saved, timeout=10000):
        pass
    viewer = make_napari_viewer(show=True)
    viewer.add_image(picture(), name="cells")
    autosave = Session.of(viewer).part(Autosave)
    qtbot.wait(1000)
    assert autosave.offer is None
    Session.of(first).close()  # closed by its X, a window may be there for long, unseen
    qtbot.waitUntil(lambda: autosave.offer is not None, timeout=5000)


def test_what_another_process_is_at_work_on_is_not_offered(
    qtbot: Any,
    viewer: Any,
    crashed: np.ndarray,
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_LOOK_MS", 100)
    viewer = make_napari_viewer()
    autosave = Session.of(viewer).part(Autosave)
    with monkeypatch.context() as patch:
        patch.setattr(recovery, "in_use", lambda entry: True)
        viewer.add_image(picture(), name="cells")
        qtbot.wait(1000)
        assert autosave.offer is None
    qtbot.waitUntil(lambda: autosave.offer is not None, timeout=5000)


def test_a_closed_window_leaves_its_files_to_anybody(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    session = annotate(viewer)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10000):
        pass
    session.choose([viewer.add_image(picture()[::-1], name="others")])
    session.create_annotation().paint((0, 5, 5), 1)
    viewer.close()
    qtbot.waitUntil(lambda: [e.process for e in entries()] == [None, None], timeout=5000)
    assert cells_by_name() == {"cells": 2, "others": 1}


def test_closing_does_not_wait_for_a_file_that_takes_long(
    qtbot: Any, make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, goes_on = recovery.save_recovery, threading.Event()

    def save(*what: Any, **more: Any) -> None:
        goes_on.wait(20)
        write(*what, **more)

    monkeypatch.setattr(recovery, "save_recovery", save)
    viewer = make_napari_viewer()
    session = annotate(viewer)
    session.part(Autosave).save()
    assert session.labels_layer is not None
    session.labels_layer.paint((0, 5, 5), 9)
    began = time.monotonic()
    session.close()
    assert time.monotonic() - began < 3
    goes_on.set()
    qtbot.waitUntil(lambda: [e.process for e in entries()] == [None], timeout=5000)
    assert cells_by_name() == {"cells": 3}


def test_a_file_is_replaced_once(
    qtbot: Any, viewer: Any, crashed: np.ndarray, dock: AnnotateDock, press: Press
) -> None:
    folder = recovery.recovery_folder()
    (old,) = recovery.list_recoveries(folder).entries
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(dock._offer.isVisible, timeout=5000)
    press(dock, "Restore")
    qtbot.waitUntil(lambda: len(files()) == 1 and not old.path.exists(), timeout=8000)
    # Somebody else may have it again: a window that was at work on it all the time.
    recovery.save_recovery(folder, old.key, crashed, facts=old.facts)
    labels = dock.session.labels_layer
    assert labels is not None
    qtbot.wait(100)
    with qtbot.waitSignal(dock.session.part(Autosave).saved, timeout=8000):
        labels.paint((0, 5, 5), 9)
    assert old.path.exists()


def test_a_save_that_fails_is_said_once_whichever_dock_is_open(
    qtbot: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, attempts, reasons = [], [], ["full", "full", "gone"]

    def hear(notification: Any) -> None:
        said.append((str(notification.severity), notification.message))

    def save(*what: Any, **more: Any) -> None:
        attempts.append(what)
        if reasons:
            raise FileError(f"the disk is {reasons.pop(0)}")

    monkeypatch.setattr(recovery, "save_recovery", save)
    monkeypatch.setattr(writer, "_RETRY_MS", 100)
    notification_manager.notification_ready.connect(hear)
    session = annotate(viewer)
    qtbot.waitUntil(lambda: len(attempts) >= 4, timeout=8000)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=8000):
        assert session.labels_layer is not None
        session.labels_layer.paint((0, 5, 5), 9)
    notification_manager.notification_ready.disconnect(hear)
    full, gone, safe = said
    assert [severity for severity, _ in said] == ["warning", "warning", "info"]
    assert full[1].startswith("What you paint is not being saved")
    assert full[1].endswith("the disk is full")
    assert gone[1].endswith("the disk is gone")
    assert safe[1].startswith("Your annotation is safe again")


def test_an_image_is_recognised_by_being_read_once(
    qtbot: Any, viewer: Any, crashed: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recovery.recovery_folder()
    (entry,) = recovery.list_recoveries(folder).entries
    for key in "abc":
        recovery.save_recovery(folder, key, crashed, facts={**entry.facts, "image": key})
    plain, threads = layers.Fingerprint._read, []

    def watched(*args: Any) -> str:
        threads.append(threading.current_thread().name)
        return plain(*args)

    monkeypatch.setattr(layers.Fingerprint, "_read", watched)
    autosave = Session.of(viewer).part(Autosave)
    viewer.add_image(picture(), name="cells")
    qtbot.waitUntil(lambda: autosave.offer is not None, timeout=5000)
    labels = Session.of(viewer).create_annotation()
    with qtbot.waitSignal(autosave.saved, timeout=8000):
        labels.paint((0, 5, 5), 9)
    assert threads == ["napari-unet look for recovery files"]


def test_an_image_is_read_for_its_recovery_file_in_the_background(
    qtbot: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, threads = layers.Fingerprint._read, []

    def watched(*args: Any) -> str:
        threads.append(threading.current_thread().name)
        return plain(*args)

    monkeypatch.setattr(layers.Fingerprint, "_read", watched)
    session = annotate(viewer)
    with qtbot.waitSignal(session.part(Autosave).saved, timeout=10000):
        pass
    assert threads == ["napari-unet save a recovery file"]
