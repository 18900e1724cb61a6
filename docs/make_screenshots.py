"""Make the screenshots of the documentation by doing the work in real napari.

``python docs/make_screenshots.py`` paints, trains for three minutes, predicts and writes
``docs/images/*.png``. On Linux without a display it starts itself again under Xvfb.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = Path(__file__).parent / "images"
SAMPLE = ("napari-unet", "touching_cells")
WINDOW = (1280, 800)
REGION = ((12.0, 12.0), (268.0, 300.0))  # two corners, y and x, in pixels
MINUTES = 3.0


def main() -> None:
    """Do the work of the first steps, and take a picture of each."""
    from qtpy.QtWidgets import QApplication

    from napari_unet.gui.launch import viewer_with_workbench
    from napari_unet.gui.workbench import Workbench

    viewer = viewer_with_workbench()
    window = viewer.window._qt_window
    window.resize(*WINDOW)
    workbench = window.findChild(Workbench)
    work = Work(viewer, workbench, QApplication.processEvents)
    work.open_sample()
    work.annotate()
    work.show("Annotate", "annotate")
    work.preview("Weight map", "Show weight map", "weight-map")
    work.press("Remove")
    work.preview("Elastic warp", "Draw a new warp", "elastic-warp")
    work.press("Remove preview")
    work.train()
    work.predict()
    work.show("Export", "export")
    viewer.close()


class Work:
    """A user at the workbench: presses buttons by their text and looks at the window."""

    def __init__(self, viewer: Any, workbench: Any, let_qt_work: Callable[[], None]) -> None:
        self.viewer = viewer
        self.workbench = workbench
        self._let_qt_work = let_qt_work

    def open_sample(self) -> None:
        """Open the sample; its truth plays the part of the person who paints."""
        image, truth = self.viewer.open_sample(*SAMPLE)
        self.truth = np.array(truth.data)
        self.viewer.layers.remove(truth)
        self.viewer.layers.selection.active = image
        self.wait(1)
        self.viewer.reset_view()

    def annotate(self) -> None:
        """Paint the cells of one region, and draw the region around them."""
        from napari_unet.gui.session import Session

        self.page("Annotate")
        self.press("Start annotating")
        session = Session.of(self.viewer)
        labels = session.labels_layer
        painted = self._cells_of_the_region()
        labels.data_setitem(np.nonzero(painted), painted[np.nonzero(painted)])
        self.press("Draw region")
        session.regions_layer.add_rectangles(np.array(REGION))
        self.viewer.layers.selection.active = labels
        labels.mode = "pan_zoom"  # no round cursor in the picture
        show = self._button("Show what counts as annotated")
        if not show.isChecked():
            show.click()
        self.wait(3)

    def preview(self, page: str, text: str, name: str) -> None:
        """Press the button of a preview and take a picture of what it shows."""
        self.page(page)
        self.press(text)
        self.wait(2.5)
        self.picture(name)

    def train(self) -> None:
        """Train, and take a picture shortly before the end and the buttons change back."""
        from qtpy.QtWidgets import QDoubleSpinBox

        self.page("Train")
        boxes = self.workbench.findChildren(QDoubleSpinBox)
        minutes = next(box for box in boxes if box.isVisible() and box.suffix() == " min")
        minutes.setValue(MINUTES)
        self.press("Start training")
        self.wait(MINUTES * 60 * 0.9)
        self.picture("train")
        self.wait_until(lambda: self._button("Start training").isEnabled(), 300)

    def predict(self) -> None:
        """Predict the slice and take a picture of the cells that were found."""
        self.page("Predict")
        before = len(self.viewer.layers)
        self.press("Predict")
        self.wait_until(lambda: len(self.viewer.layers) > before, 120)
        self.wait_until(lambda: self._button("Predict").isEnabled(), 120)
        for layer in self.viewer.layers:
            if "annotat" in layer.name.lower() or "region" in layer.name.lower():
                layer.visible = False
        self.wait(1)
        self.picture("predict")

    def show(self, page: str, name: str) -> None:
        """Turn to a page and take a picture of the window."""
        self.page(page)
        self.wait(1)
        self.picture(name)

    def picture(self, name: str) -> None:
        """Write the whole window as ``docs/images/NAME.png``."""
        self.viewer.screenshot(str(IMAGES / f"{name}.png"), canvas_only=False, flash=False)

    def page(self, title: str) -> None:
        """Turn to the page of the workbench with this title."""
        pages = self.workbench.pages
        titles = [pages.itemText(n).split(maxsplit=1)[-1] for n in range(pages.count())]
        pages.setCurrentIndex(titles.index(title))
        self.wait(0.3)

    def press(self, text: str) -> None:
        """Press the visible button that starts with this text."""
        self._button(text).click()
        self.wait(0.3)

    def wait(self, seconds: float) -> None:
        """Let napari work for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._let_qt_work()
            time.sleep(0.01)

    def wait_until(self, done: Callable[[], bool], seconds: float) -> None:
        """Let napari work until something is true."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} seconds in vain")
            self.wait(0.1)

    def _button(self, text: str) -> Any:
        from qtpy.QtWidgets import QAbstractButton

        buttons = self.workbench.findChildren(QAbstractButton)
        found = [b for b in buttons if b.isVisible() and b.text().startswith(text)]
        if not found:
            shown = sorted({b.text() for b in buttons if b.isVisible() and b.text()})
            raise LookupError(f"no button {text!r}; there are {', '.join(shown)}")
        return found[0]

    def _cells_of_the_region(self) -> np.ndarray:
        """Return the true cells that reach into the region, the others as 0."""
        (top, left), (bottom, right) = np.array(REGION, dtype=int)
        inside = np.unique(self.truth[top:bottom, left:right])
        return np.where(np.isin(self.truth, inside), self.truth, 0)


def run_under_xvfb() -> None:
    """Start this program again on a display that nobody sees."""
    starter = shutil.which("xvfb-run")
    if starter is None:
        sys.exit("there is no display and no xvfb-run; run scripts/system-packages.sh")
    screen = "--server-args=-screen 0 1600x1200x24"
    os.execv(starter, [starter, "--auto-servernum", screen, sys.executable, __file__])


if __name__ == "__main__":
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        run_under_xvfb()
    with tempfile.TemporaryDirectory() as home:
        # Neither the settings nor the recovery files of whoever runs this.
        os.environ["NAPARI_CONFIG"] = str(Path(home, "settings.yaml"))
        os.environ["NAPARI_UNET_HOME"] = str(Path(home, "unet"))
        main()
