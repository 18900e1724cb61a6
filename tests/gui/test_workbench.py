"""The workbench holds every dock in the order of the work and fits beside the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QWidget

from napari_unet.gui.dock import Dock
from napari_unet.gui.session import Session
from napari_unet.gui.train import TrainDock
from napari_unet.gui.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = ["Annotate", "Weight map", "Elastic warp", "Train", "Predict", "Export"]


@pytest.fixture
def bench(qtbot: Any, viewer: Any) -> Workbench:
    made = Workbench(viewer)
    viewer.window.add_dock_widget(made, name="U-Net workbench", area="right")
    qtbot.waitUntil(made.isVisible)
    return made


def cut_off(page: QWidget) -> list[str]:
    """Which buttons and labels need more width than they have."""
    shown = [w for w in page.findChildren((QPushButton, QLabel)) if w.isVisible() and w.text()]
    fixed = [w for w in shown if not (isinstance(w, QLabel) and w.wordWrap())]
    return [w.text() for w in fixed if w.minimumSizeHint().width() > w.width()]


def hidden_by_the_bar(page: QWidget) -> list[int]:
    """By how many pixels what is shown would lie under a vertical scroll bar."""
    areas = [area for area in page.findChildren(QScrollArea) if area.isVisible()]
    bar = max(area.verticalScrollBar().sizeHint().width() for area in areas)
    over = [area.widget().minimumSizeHint().width() + bar - area.width() for area in areas]
    return [pixels for pixels in over if pixels > 0]


def scrolled(page: QWidget) -> list[int]:
    """How many pixels have to be scrolled, where something has to be."""
    areas = [area for area in page.findChildren(QScrollArea) if area.isVisible()]
    return [most for area in areas if (most := area.verticalScrollBar().maximum()) > 0]


def test_pages_stand_in_the_order_of_the_work(bench: Workbench) -> None:
    titles = [bench.pages.itemText(n) for n in range(bench.pages.count())]
    assert titles == [f"{n}  {title}" for n, title in enumerate(ORDER, start=1)]
    assert bench.pages.currentIndex() == 0


def test_a_heading_opens_its_page_and_closes_the_others(
    bench: Workbench, press: Callable[[QWidget, str], None]
) -> None:
    docks = bench.findChildren(Dock)
    for n, title in enumerate(ORDER):
        press(bench, f"{n + 1}  {title}")
        assert bench.pages.currentIndex() == n
        assert [dock for dock in docks if dock.isVisible()] == [docks[n]]


def test_it_fits_a_small_screen_and_cuts_nothing_off(
    qtbot: Any, viewer: Any, bench: Workbench
) -> None:
    viewer.add_image(np.zeros((3, 64, 64), dtype=np.uint8), name="a name of usual length")
    window = viewer.window._qt_window
    window.resize(1280, 800)
    for n in range(len(ORDER)):
        bench.pages.setCurrentIndex(n)
        qtbot.wait(50)
        assert not cut_off(bench), ORDER[n]
        assert not hidden_by_the_bar(bench), ORDER[n]
        assert not scrolled(bench), ORDER[n]
    assert window.width() <= 1280
    assert window.height() <= 800
    assert bench.width() <= 400


def test_what_a_training_says_is_seen_on_a_small_screen(
    qtbot: Any, viewer: Any, bench: Workbench
) -> None:
    viewer.add_image(np.zeros((3, 64, 64), dtype=np.uint8), name="cells")
    viewer.window._qt_window.resize(1280, 800)
    bench.pages.setCurrentIndex(ORDER.index("Train"))
    dock = bench.findChild(TrainDock)
    dock._plot.show()
    qtbot.wait(50)
    empty = dock._plot.height()
    dock.say("Trained for so many steps in so many minutes, and what to do then. " * 3)
    qtbot.wait(100)
    message = dock._message
    assert message.visibleRegion().boundingRect() == message.rect()
    assert empty > dock._plot.height(), "the curves give way"


def test_large_letters_cut_nothing_off(qtbot: Any, viewer: Any, bench: Workbench) -> None:
    viewer.add_image(np.zeros((3, 64, 64), dtype=np.uint8), name="cells")
    appearance = get_settings().appearance
    usual = bench.width()
    appearance.font_size = int(appearance.font_size * 1.5)
    try:
        qtbot.waitUntil(lambda: bench.width() > usual)
        wide = bench.width()
        for n, dock in enumerate(bench.findChildren(Dock)):
            bench.pages.setCurrentIndex(n)
            qtbot.wait(50)
            assert not cut_off(bench), ORDER[n]
            assert not hidden_by_the_bar(bench), ORDER[n]
            assert dock.width() >= dock.foot.minimumSize().width(), ORDER[n]
            assert bench.width() == wide, "no page changes the width"
        bench.findChild(TrainDock)._form.advanced.expand()
        bench.pages.setCurrentIndex(ORDER.index("Train"))
        qtbot.wait(50)
        assert not cut_off(bench)
        assert not hidden_by_the_bar(bench)
    finally:
        appearance.reset()


def alive(kind: type[QWidget]) -> int:
    return sum(isinstance(widget, kind) for widget in QApplication.allWidgets())


def test_what_is_closed_is_gone(qtbot: Any, viewer: Any, bench: Workbench) -> None:
    viewer.window.remove_dock_widget(bench)
    qtbot.waitUntil(lambda: alive(Workbench) == alive(TrainDock) == 0)
    docked, _ = viewer.window.add_plugin_dock_widget("napari-unet", "U-Net workbench")
    assert alive(TrainDock) == 1
    docked.title.close_button.click()
    qtbot.waitUntil(lambda: alive(Workbench) == alive(TrainDock) == 0)
    viewer.add_image(np.zeros((64, 64), dtype=np.uint8), name="cells")
    with qtbot.waitSignal(Session.of(viewer).annotations_changed):
        Session.of(viewer).create_annotation()


def test_what_a_script_docks_again_lives_on(qtbot: Any, viewer: Any, bench: Workbench) -> None:
    viewer.window.remove_dock_widget(bench)
    viewer.window.add_dock_widget(bench, name="again")
    qtbot.wait(50)
    assert bench.isVisible()
    assert alive(TrainDock) == 1


def test_tab_goes_from_control_to_control(qtbot: Any, viewer: Any, bench: Workbench) -> None:
    viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(viewer.window._qt_window.isActiveWindow)
    bench.pages.setCurrentIndex(ORDER.index("Train"))
    at = bench.findChild(TrainDock)._preset
    at.setFocus()
    stops = []
    while bench.isAncestorOf(at) and len(stops) < 40:
        stops.append(at)
        QTest.keyClick(at, Qt.Key.Key_Tab)
        at = QApplication.focusWidget()
    assert len(stops) > 3
    assert not [stop for stop in stops if isinstance(stop, QScrollArea)]
    assert not [stop for stop in stops if stop.visibleRegion().isEmpty()]
