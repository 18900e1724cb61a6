"""The Annotate dock in real napari, with a mouse and a keyboard."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QListWidget

from napari_unet.gui import layers
from napari_unet.gui.annotate import AnnotateDock
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.elastic_warp import ElasticWarpDock
from napari_unet.gui.layers import LayerError
from napari_unet.gui.overlay import NAME
from napari_unet.gui.session import Session

if TYPE_CHECKING:
    from napari.layers import Image, Labels

Press = Callable[[Any, str], None]
Find = Callable[[Any, str], Any]


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def dock(viewer: Any) -> AnnotateDock:
    made = AnnotateDock(viewer)
    viewer.window.add_dock_widget(made, name="Annotate", area="right")
    return made


class Canvas:
    """The canvas of a viewer, under a mouse and a keyboard."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._native = viewer.window._qt_viewer.canvas.native

    def _at(self, y: float, x: float) -> QPoint:
        camera, size = self._viewer.scene.camera, self._native.size()
        right = (x - camera.center[-1]) * camera.zoom + size.width() / 2
        down = (y - camera.center[-2]) * camera.zoom + size.height() / 2
        return QPoint(round(right), round(down))

    def drag(self, *path: tuple[float, float]) -> None:
        """Press, move along world coordinates (y, x), let go."""
        left = Qt.MouseButton.LeftButton
        QTest.mouseMove(self._native, self._at(*path[0]))
        QTest.mousePress(self._native, left, pos=self._at(*path[0]))
        for point in path[1:]:
            # QTest's own moves know of no button that is held.
            at = QPointF(self._at(*point))
            held = (Qt.MouseButton.NoButton, left, Qt.KeyboardModifier.NoModifier)
            world = QPointF(self._native.mapToGlobal(at.toPoint()))
            event = QMouseEvent(QEvent.Type.MouseMove, at, world, *held)
            QApplication.sendEvent(self._native, event)
            QTest.qWait(50)  # napari takes so many moves per second, and no more
        QTest.mouseRelease(self._native, left, pos=self._at(*path[-1]))

    def key(self, key: Qt.Key, *modifiers: Qt.KeyboardModifier) -> None:
        """Press and release a key."""
        pressed = modifiers[0] if modifiers else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self._native, key, pressed)


@pytest.fixture
def canvas(viewer: Any, qtbot: Any) -> Canvas:
    qtbot.waitExposed(viewer.window._qt_window)
    return Canvas(viewer)


def labels_of(dock: AnnotateDock) -> Labels:
    labels = dock.session.labels_layer
    assert labels is not None
    return labels


def text_of(dock: AnnotateDock) -> str:
    return f"{dock._counts.text()} {dock._share.text()}"


def test_before_any_image_the_dock_says_what_to_do(dock: AnnotateDock, button: Find) -> None:
    assert dock.findChildren(QComboBox)[0].currentText() == "Open an image first"
    assert not button(dock, "Start annotating").isEnabled()


def test_paint_two_cells_and_undo(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    labels = labels_of(dock)
    assert labels.name == "cells labels"
    canvas.drag((20, 20), (20, 30))
    assert set(np.unique(labels.data)) == {0, 1}
    qtbot.waitUntil(lambda: "1 cell<" in text_of(dock), timeout=5000)
    canvas.key(Qt.Key.Key_N)
    canvas.drag((40, 20), (40, 30))
    assert set(np.unique(labels.data)) == {0, 1, 2}
    qtbot.waitUntil(lambda: "2 cells<" in text_of(dock), timeout=5000)
    labels.undo()
    qtbot.waitUntil(lambda: "1 cell<" in text_of(dock), timeout=5000)
    press(dock, "New cell")
    assert labels.selected_label == 2


def test_a_stroke_lands_where_it_is_seen_after_the_scale_was_set(
    viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    image = viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    image.scale, image.translate, image.units = (0.25, 0.25), (3, 5), ("um", "um")
    viewer.reset_view()
    labels = labels_of(dock)
    labels.brush_size = 1
    canvas.drag(image.data_to_world((20, 30)), image.data_to_world((20, 40)))
    y, x = np.nonzero(labels.data)
    assert abs(y - 20).max() <= 1
    assert (abs(x.min() - 30), abs(x.max() - 40)) <= (1, 1)


def test_a_new_cell_draws_nothing_anew(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    drawn: list[Any] = []
    labels_of(dock).events.set_data.connect(drawn.append)
    press(dock, "New cell")
    assert not drawn
    labels_of(dock).visible = False
    press(dock, "New cell")
    assert labels_of(dock).visible


def test_the_veil_follows_what_counts(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    viewer.add_image(picture(3, 64, 64), name="cells", scale=(2, 1, 1))
    press(dock, "Start annotating")
    canvas.drag((20, 20), (20, 30))
    painted = labels_of(dock).data[dock.session.current_slice] > 0
    # The veil may have been laid for the first half of the stroke.
    whole = lambda: NAME in viewer.layers and viewer.layers[NAME].data[0][painted].all()  # noqa: E731
    qtbot.waitUntil(whole, timeout=5000)
    veil = viewer.layers[NAME]
    assert painted.sum() < veil.data.sum() < 64 * 64 / 2
    assert viewer.layers.index(veil) < viewer.layers.index(labels_of(dock))
    press(dock, "Slice complete")
    qtbot.waitUntil(lambda: bool(viewer.layers[NAME].data.all()), timeout=5000)
    assert "100 %" in text_of(dock)
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: not viewer.layers[NAME].data.any(), timeout=5000)
    press(dock, "Show what counts")
    assert not veil.visible
    veil.visible = True
    assert dock._show.isChecked()


def test_a_region_drawn_with_the_mouse_counts(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    press(dock, "Draw region")
    canvas.drag((10, 10), (20, 30), (30, 40))
    regions = dock.session.regions_layer
    assert regions is not None
    assert len(regions.data) == 1
    annotated = dock.session.marks().annotated()[0]
    assert annotated[15:25, 15:35].all()
    assert not annotated[:5].any()
    share = f"{100 * annotated.mean():.0f} %"
    qtbot.waitUntil(lambda: share in text_of(dock), timeout=5000)


def test_cells_that_a_region_leaves_out_are_told(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    canvas.drag((50, 20), (50, 30))
    qtbot.waitUntil(lambda: "1 cell<" in text_of(dock), timeout=5000)
    assert "nothing is learnt" not in text_of(dock)
    press(dock, "Draw region")
    canvas.drag((10, 10), (20, 30), (30, 40))
    said = "nothing is learnt from 1 cell outside"
    qtbot.waitUntil(lambda: said in text_of(dock), timeout=5000)
    press(dock, "Slice complete")
    qtbot.waitUntil(lambda: said not in text_of(dock), timeout=5000)


@pytest.mark.parametrize(
    ("key", "modifier", "layer", "mode"),
    [
        (Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier, "cells labels", "paint"),
        (Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier, "cells regions", "add_rectangle"),
        (Qt.Key.Key_I, Qt.KeyboardModifier.ShiftModifier, "cells ignored", "add_polygon_lasso"),
    ],
)
def test_keys_take_the_right_tool(
    viewer: Any,
    dock: AnnotateDock,
    canvas: Canvas,
    key: Qt.Key,
    modifier: Qt.KeyboardModifier,
    layer: str,
    mode: str,
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    canvas.key(key, modifier)
    assert viewer.layers.selection.active.name == layer
    assert viewer.layers.selection.active.mode == mode


def test_the_keys_are_free_in_napari() -> None:
    from napari.utils.key_bindings import coerce_keybinding
    from napari.utils.shortcuts import default_shortcuts

    from napari_unet.gui.tools import KEYS

    taken = {binding for bindings in default_shortcuts.values() for binding in bindings}
    assert not {coerce_keybinding(key) for key in KEYS.values()} & taken


def test_the_complete_key_toggles(
    viewer: Any, dock: AnnotateDock, canvas: Canvas, button: Find, press: Press
) -> None:
    viewer.add_image(picture(3, 64, 64), name="cells")
    press(dock, "Start annotating")
    canvas.key(Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert dock.session.complete == {dock.session.current_slice}
    canvas.key(Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert not dock.session.complete


@pytest.mark.parametrize("view", ["3D", "from a side"])
def test_where_no_slice_is_seen_none_can_be_drawn_on_or_complete(
    viewer: Any, dock: AnnotateDock, press: Press, button: Find, canvas: Canvas, view: str
) -> None:
    viewer.add_image(picture(3, 40, 48), name="cells")
    press(dock, "Start annotating")
    if view == "3D":
        viewer.dims.ndisplay = 3
    else:
        viewer.dims.order = (1, 0, 2)
    for name in ("Draw region", "Ignore region", "Slice complete"):
        dock.say("")
        press(dock, name)
        assert dock.message.startswith("⚠")
        assert "2D view of slices" in dock.message
    canvas.key(Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert not button(dock, "Slice complete").isChecked()
    assert not dock.session.complete
    assert dock.session.ignored_layer is None
    viewer.dims.ndisplay, viewer.dims.order = 2, (0, 2, 1)
    press(dock, "Slice complete")
    press(dock, "Draw region")
    assert dock.session.complete
    assert viewer.layers.selection.active is dock.session.regions_layer


@pytest.mark.parametrize(("answer", "complete"), [("Every cell", {0, 1, 2}), ("Only some", set())])
def test_adopting_asks_once_what_is_missing(
    viewer: Any,
    dock: AnnotateDock,
    press: Press,
    answer: str,
    complete: set[int],
) -> None:
    viewer.add_image(picture(3, 64, 64), name="cells")
    mine = viewer.add_labels(np.ones((3, 64, 64), dtype=np.uint16), name="mine")
    choice = dock._labels
    choice.setCurrentText("mine")
    choice.activated.emit(choice.currentIndex())
    press(dock, "Start annotating")
    assert dock.session.labels_layer is mine
    press(dock, answer)
    assert dock.session.complete == complete
    dock._adopt(mine)
    assert not dock._adoption.isVisible()


def test_labels_from_elsewhere_can_be_classes(
    viewer: Any, dock: AnnotateDock, press: Press, button: Find
) -> None:
    viewer.add_image(picture(64, 64), name="tissue")
    mask = viewer.add_labels(np.repeat([[1], [2]], 32, axis=0).repeat(64, axis=1), name="mask")
    dock._labels.setCurrentText("mask")
    press(dock, "Start annotating")
    assert dock.session.labels_layer is mask
    press(dock, "Classes")
    assert dock.session.task == "classes"
    assert "numbers of “mask” are the classes" in dock.message
    assert not dock._renewal.isVisible()
    assert not dock._adoption.isVisible()
    press(dock, "Single cells")  # nothing was painted yet, so the other way is free as well
    assert dock.session.task == "instances"
    press(dock, "Classes")
    mask.data_setitem((np.array([5]), np.array([5])), np.array([2]))
    press(dock, "Single cells")
    assert dock.session.task == "classes"
    assert "holds classes" in dock._renewal.text


def test_labels_from_elsewhere_in_which_a_cell_was_painted_are_cells(
    viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    mine = viewer.add_labels(np.ones((64, 64), int), name="mine")
    dock.session.adopt(mine)
    press(dock, "New cell")
    press(dock, "Classes")
    assert dock.session.task == "instances"
    assert "holds single cells" in dock._renewal.text


def test_classes_are_named_and_picked(viewer: Any, dock: AnnotateDock, press: Press) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    press(dock, "Classes")
    press(dock, "Add class")
    classes = dock._classes.findChild(QListWidget)
    assert labels_of(dock).selected_label == 3
    item = classes.item(1)
    item.setText("nucleus")
    assert dock.session.part(ClassNames).all == {1: "background", 2: "nucleus", 3: "class 2"}
    QTest.mouseClick(
        classes.viewport(),
        Qt.MouseButton.LeftButton,
        pos=classes.visualItemRect(item).center(),
    )
    assert labels_of(dock).selected_label == 2
    assert labels_of(dock).mode == "paint"


def test_the_class_that_the_brush_paints_is_marked(
    viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    press(dock, "Classes")
    press(dock, "Add class")
    classes = dock._classes.findChild(QListWidget)
    assert (labels_of(dock).selected_label, classes.currentRow()) == (3, 2)
    labels_of(dock).selected_label = 1  # as napari's spinner does
    assert classes.currentRow() == 0
    labels_of(dock).selected_label = 9
    assert classes.currentRow() == -1


def test_a_class_that_is_painted_is_listed_by_its_number(
    viewer: Any, dock: AnnotateDock, press: Press, qtbot: Any
) -> None:
    viewer.add_image(picture(64, 64), name="tissue")
    press(dock, "Start annotating")
    press(dock, "Classes")
    labels_of(dock).selected_label = 4  # as napari's spinner does
    labels_of(dock).paint((5, 5), 4)
    classes = dock._classes.findChild(QListWidget)
    listed = lambda: [classes.item(n).text() for n in range(classes.count())]  # noqa: E731
    qtbot.waitUntil(lambda: listed() == ["background", "class 1", "class 3"], timeout=5000)
    classes.item(2).setText("nerve")
    assert dock.session.part(ClassNames).all == {1: "background", 2: "class 1", 4: "nerve"}


def choose(dock: AnnotateDock, name: str) -> None:
    dock._image.setCurrentText(name)
    dock._image.activated.emit(dock._image.currentIndex())


def test_the_chosen_image_is_the_one_that_is_seen_and_painted_on(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    first = viewer.add_image(picture(64, 64), name="first")
    never = viewer.add_image(picture(8, 8), name="never chosen")
    others = viewer.add_labels(np.zeros((9, 9), int), name="of somebody else")
    press(dock, "Start annotating")
    canvas.drag((20, 20), (20, 30))
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=5000)
    second = viewer.add_image(255 - picture(64, 64), name="second")
    choose(dock, "second")
    assert viewer.layers.selection.active is second
    assert (first.visible, second.visible, never.visible) == (False, True, True)
    press(dock, "Start annotating")
    canvas.drag((40, 20), (40, 30))
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=5000)
    choose(dock, "first")
    before = np.count_nonzero(viewer.layers["second labels"].data)
    canvas.drag((50, 20), (50, 30))
    assert labels_of(dock).data[50, 25] == 1
    assert np.count_nonzero(viewer.layers["second labels"].data) == before
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=5000)
    seen = {layer.name for layer in viewer.layers if layer.visible}
    assert seen == {"first", never.name, others.name, "first labels", "first regions", NAME}
    assert dock._show.isChecked()


def test_nobody_paints_on_an_image_that_another_one_covers(
    viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press
) -> None:
    first = viewer.add_image(picture(64, 64), name="first")
    press(dock, "Start annotating")
    above = viewer.add_image(255 - picture(64, 64), name="above", blending="additive")
    viewer.add_image(picture(64, 64), name="beside", translate=(0, 100))
    covering = viewer.add_image(picture(80, 80), name="covering")
    canvas.key(Qt.Key.Key_N)
    assert {layer.name for layer in (first, above, covering) if layer.visible} == {"first", "above"}
    assert viewer.layers["beside"].visible
    assert "“covering” is hidden now: you paint on “first”" in dock.message
    assert "choose it under “Image”" in dock.message
    assert viewer.layers.selection.active is labels_of(dock)
    covering.visible = True  # who shows it again wants to see it
    press(dock, "New cell")
    assert covering.visible
    assert "hidden" not in dock.message
    choose(dock, "covering")
    assert covering.visible
    assert not first.visible


@pytest.mark.parametrize("hidden", [False, True])
def test_a_stroke_with_napari_own_brush_brings_its_image_to_sight(
    viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press, hidden: bool
) -> None:
    first = viewer.add_image(picture(64, 64), name="first")
    press(dock, "Start annotating")
    labels = labels_of(dock)
    covering = viewer.add_image(picture(64, 64), name="covering")
    first.visible = not hidden
    viewer.layers.selection.active = labels
    labels.mode = "paint"
    canvas.drag((20, 20), (20, 30))
    assert labels.data.any()
    assert (first.visible, covering.visible) == (True, False)
    assert labels.mode == "paint"
    assert "you paint on “first”" in dock.message


@pytest.mark.parametrize("by_button", [True, False])
def test_nobody_paints_on_a_warped_picture(
    qtbot: Any, viewer: Any, dock: AnnotateDock, canvas: Canvas, press: Press, by_button: bool
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    warp = ElasticWarpDock(viewer)
    viewer.window.add_dock_widget(warp, name="Elastic warp")
    warped = lambda: [layer for layer in viewer.layers if "warp" in layer.name]  # noqa: E731
    press(warp, "Draw a new warp")
    qtbot.waitUntil(lambda: len(warped()) == 3, timeout=20_000)
    if by_button:
        press(dock, "New cell")
    else:
        canvas.drag((20, 20), (20, 30))
        assert labels_of(dock).data.any()
    assert not warped()
    assert "warp is taken away" in dock.message


def test_a_channel_with_labels_of_its_own_is_chosen_and_left_again(
    viewer: Any, dock: AnnotateDock
) -> None:
    first = viewer.add_image(picture(64, 64), name="first")
    second = viewer.add_image(picture(64, 64), name="second")
    dock.session.choose([second])
    dock.session.create_annotation()
    dock.session.choose([first])
    dock.session.create_annotation()
    dock.session.set_channels([first, second])
    hidden = lambda: {layer.name for layer in viewer.layers if not layer.visible}  # noqa: E731
    choose(dock, "second")
    assert hidden() == {"first", "first labels", "first regions"}
    choose(dock, "first")
    assert dock.session.image_layers == (first, second)
    assert hidden() == {"second labels", "second regions"}


def test_results_are_seen_again_with_their_image_if_they_were_seen(
    viewer: Any, dock: AnnotateDock
) -> None:
    images = [viewer.add_image(picture(64, 64), name="first")]
    viewer.add_image(picture(64, 64), name="second")
    dock.session.choose(images)
    for name, visible in (("seen", True), ("unseen", False)):
        found = layers.add_labels(viewer, images, role=layers.PREDICTION, name=name)
        found.visible = visible
    choose(dock, "second")
    assert not viewer.layers["seen"].visible
    choose(dock, "first")
    assert viewer.layers["seen"].visible
    assert not viewer.layers["unseen"].visible


def test_ticking_a_layer_makes_it_a_channel(viewer: Any, dock: AnnotateDock) -> None:
    first = viewer.add_image(picture(64, 64), name="red")
    second = viewer.add_image(picture(64, 64), name="green")
    viewer.add_image(picture(32, 64), name="other size")
    channels = dock.findChildren(QListWidget)[0]
    assert [channels.item(n).text() for n in range(channels.count())] == ["green"]
    channels.item(0).setCheckState(Qt.CheckState.Checked)
    assert dock.session.image_layers == (first, second)
    assert dock.session.image_stack().shape == (1, 2, 64, 64)


@pytest.mark.parametrize("count", [1, 3])
def test_channels_with_long_names_are_seen_as_a_whole(
    qtbot: Any, viewer: Any, dock: AnnotateDock, count: int
) -> None:
    viewer.add_image(picture(64, 64), name="red")
    for number in range(count):
        viewer.add_image(picture(64, 64), name=f"{'a long name from a microscope ' * 3}{number}")
    channels = dock.findChildren(QListWidget)[0]
    lines = [channels.visualItemRect(channels.item(n)) for n in range(count)]
    height = lambda: channels.viewport().height()  # noqa: E731
    qtbot.waitUntil(lambda: height() > lines[-1].bottom(), timeout=3000)
    assert all(below.top() > above.bottom() + 1 for above, below in pairwise(lines))


def test_the_image_that_is_left_when_another_is_removed_is_seen(
    viewer: Any, dock: AnnotateDock
) -> None:
    first = viewer.add_image(picture(64, 64), name="first")
    second = viewer.add_image(picture(64, 64), name="second")
    choose(dock, "first")
    found = layers.add_labels(viewer, [first], role=layers.PREDICTION, name="found")
    choose(dock, "second")
    assert not first.visible
    viewer.layers.remove(second)
    assert dock.session.image_layers == (first,)
    assert (first.visible, found.visible) == (True, True)


def test_an_unusable_image_gets_one_sentence(viewer: Any, dock: AnnotateDock) -> None:
    good = viewer.add_image(picture(64, 64), name="good")
    viewer.add_image(picture(2, 3, 64, 64), name="film")
    choice = dock._image
    choice.setCurrentText("film")
    choice.activated.emit(choice.currentIndex())
    assert "4 dimensions" in dock.message
    assert dock.session.image_layers == (good,)
    assert choice.currentText() == "good"


def test_where_no_image_can_be_used_the_dock_says_how_it_could(
    viewer: Any, dock: AnnotateDock, button: Find
) -> None:
    film = viewer.add_image(picture(2, 3, 64, 64), name="film")
    assert dock.message.startswith("⚠")
    assert "4 dimensions" in dock.message
    assert "Split stack" in dock.message
    assert not button(dock, "Start annotating").isEnabled()
    with pytest.raises(LayerError, match="4 dimensions"):
        dock.session.image_stack()
    with pytest.raises(LayerError, match="4 dimensions"):
        dock.session.create_annotation()
    viewer.layers.remove(film)
    assert not dock.message
    with pytest.raises(LayerError, match="no image yet"):
        dock.session.image_stack()
    viewer.add_image([picture(64, 64), picture(32, 32)], multiscale=True, name="pyramid")
    assert "multiscale" in dock.message
    viewer.add_image(picture(3, 64, 64), name="good")
    assert not dock.message
    assert button(dock, "Start annotating").isEnabled()


@pytest.mark.parametrize("size", [(32, 32), (5, 64, 64), (2, 3, 64, 64)])
def test_an_image_that_no_longer_fits_its_labels_is_told_at_once(
    viewer: Any, dock: AnnotateDock, press: Press, canvas: Canvas, size: tuple[int, ...]
) -> None:
    image = viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    labels_of(dock).paint((10, 10), 1)
    image.data = picture(*size)
    assert dock.message.startswith("⚠")
    assert ("4 dimensions" if len(size) == 4 else "no longer have the same size") in dock.message
    assert "Counting" not in text_of(dock)
    canvas.key(Qt.Key.Key_N)
    assert dock.message.startswith("⚠")
    image.data = picture(64, 64)
    assert not dock.warned
    assert labels_of(dock).data.any()
    press(dock, "New cell")
    assert labels_of(dock).selected_label == 2


def test_a_reopened_dock_goes_on(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press, button: Find
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    labels = labels_of(dock)
    viewer.window.remove_dock_widget(dock)
    labels.paint((10, 10), 1)
    again = AnnotateDock(viewer)
    viewer.window.add_dock_widget(again, name="Annotate", area="right")
    assert again.session.labels_layer is labels
    assert button(again, "New cell").isVisible()
    qtbot.waitUntil(lambda: "1 cell<" in text_of(again), timeout=5000)


def test_every_layer_may_be_deleted_while_counting(
    qtbot: Any, viewer: Any, dock: AnnotateDock, press: Press, button: Find
) -> None:
    viewer.add_image(picture(20, 128, 128), name="cells")
    press(dock, "Start annotating")
    labels_of(dock).paint((0, 10, 10), 1)
    viewer.layers.remove(labels_of(dock))
    assert button(dock, "Start annotating").isEnabled()
    viewer.layers.clear()
    qtbot.wait(400)
    assert not button(dock, "Start annotating").isEnabled()


def test_rgb_and_two_docks_share_one_session(viewer: Any, press: Press) -> None:
    image: Image = viewer.add_image(picture(64, 64, 3), rgb=True, name="colour")
    docks = [AnnotateDock(viewer), AnnotateDock(viewer)]
    for dock, area in zip(docks, ("left", "right"), strict=True):
        viewer.window.add_dock_widget(dock, name=f"Annotate {area}", area=area)
    press(docks[0], "Start annotating")
    assert Session.of(viewer).labels_layer is labels_of(docks[1])
    assert labels_of(docks[1]).data.shape == image.data.shape[:2]


def test_a_layer_without_a_free_number_gets_one_sentence(
    viewer: Any, dock: AnnotateDock, press: Press
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    full = viewer.add_labels(np.full((64, 64), 255, dtype=np.uint8), name="mine")
    dock._adopt(full)
    press(dock, "New cell")
    assert "can only hold numbers up to 255" in dock.message
    assert full.selected_label == 1


def test_painted_cells_never_become_classes(
    viewer: Any, dock: AnnotateDock, press: Press, button: Find
) -> None:
    viewer.add_image(picture(64, 64), name="cells")
    press(dock, "Start annotating")
    cells = labels_of(dock)
    cells.data_setitem((np.array([5, 9]), np.array([5, 9])), np.array([1, 2]))
    press(dock, "Classes")
    assert dock.session.task == "instances"
    assert button(dock, "Single cells").isChecked()
    press(dock, "Keep painting")
    assert labels_of(dock) is cells
    press(dock, "Classes")
    press(dock, "New labels")
    classes = labels_of(dock)
    assert classes is not cells
    assert classes.name == "cells classes"
    assert dock.session.task == "classes"
    assert button(dock, "Classes").isChecked()
    assert not classes.data.any()
    assert classes.mode == "paint"
    dock._adopt(cells)
    assert dock.session.task == "instances"
    assert set(np.unique(cells.data)) == {0, 1, 2}
    press(dock, "Classes")
    dock._adopt(classes)
    assert not dock._renewal.isVisible()
