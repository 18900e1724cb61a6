"""The demo in napari: the workbench's own buttons do the main job where anyone can watch it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image, Labels
from PIL import Image as Picture
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit

from napari_unet.demo import (
    Comparison,
    compare,
    held_out_picture,
    segmented_file,
    training_picture,
    write_comparison,
)
from napari_unet.files import read_labels
from napari_unet.gui import layers
from napari_unet.gui.launch import viewer_with_workbench
from napari_unet.gui.predictor import Predictor
from napari_unet.gui.session import Session
from napari_unet.gui.settings import remember
from napari_unet.gui.trainer import Trainer
from napari_unet.gui.workbench import Workbench
from napari_unet.samples import PIXEL_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from napari import Viewer
    from numpy.typing import NDArray

__all__ = ["DemoError", "run_demo"]

_TICK_MS = 50
_PATIENCE = 60.0  # seconds until a button is taken for missing
_STROKES = 30  # in which the cells are painted
_PLACE: dict[str, Any] = {"scale": (PIXEL_SIZE,) * 2, "units": ("um",) * 2}
_USER_EVENTS = (QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress, QEvent.Type.Wheel)

Step = float | Callable[[], bool]
"""Seconds to wait, or what has to become true before the demo goes on."""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def run_demo(
    out: Path,
    *,
    minutes: float,
    say: Callable[[str], object],
    should_stop: Callable[[], bool],
    grace: float = 20.0,
) -> Comparison | None:
    """Open napari and do the main job in it; return when its window is closed.

    The window closes by itself some time after the end, unless somebody has touched it.

    Parameters
    ----------
    out
        Folder for labels, model, picture, scores and screenshots.
    minutes
        Time to train.
    say
        Told what is being done, sentence by sentence.
    should_stop
        The window is closed once it returns True.
    grace
        Seconds that the window stays at the end when nobody has touched it.

    Returns
    -------
    Comparison or None
        What was found; None if the window was closed before.

    Raises
    ------
    DemoError
        If training, prediction or export failed.
    """
    with _own_settings():
        remember("train/preset", "quick")
        remember("train/minutes quick", float(minutes))
        demo = _Demo(viewer_with_workbench(), out, say, should_stop, grace)
        napari.run()
    if demo.error is not None:
        raise DemoError(str(demo.error)) from demo.error
    return demo.comparison


@contextmanager
def _own_settings() -> Iterator[None]:
    """Keep the demo's models and settings out of the user's."""
    name = "NAPARI_UNET_HOME"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(
        prefix="napari-unet-demo-", ignore_cleanup_errors=True
    ) as home:
        os.environ[name] = home
        try:
            yield
        finally:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


class _Demo(QObject):
    """Goes through the steps of the demo while the event loop runs."""

    def __init__(
        self,
        viewer: Viewer,
        out: Path,
        say: Callable[[str], object],
        should_stop: Callable[[], bool],
        grace: float,
    ) -> None:
        super().__init__()
        self.comparison: Comparison | None = None
        self.error: BaseException | None = None
        self._viewer = viewer
        self._session = Session.of(viewer)
        self._out = out
        self._say_on = say
        self._should_stop = should_stop
        self._grace = grace
        self._touched = False
        self._shots = 0
        self._steps = self._script()
        self._until: Callable[[], bool] = _after(1.0)
        viewer.window.resize(1400, 900)
        viewer.text_overlay.visible = True
        viewer.text_overlay.font_size = 12
        self._watch()

    def _watch(self) -> None:
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_tick)
        self._session.closing.connect(self._timer.stop)
        self._timer.start(_TICK_MS)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See whether somebody uses the window: then it stays open."""
        if event is not None and event.type() in _USER_EVENTS and event.spontaneous():
            self._touched = True
        return False

    def _on_tick(self) -> None:
        if self._should_stop():
            self._close()
        elif self._until():
            self._advance()

    def _advance(self) -> None:
        """Take the next step; close the window after the last one and after an error."""
        going_on = False
        try:
            step = next(self._steps, None)
            going_on = step is not None
            if step is not None:
                self._until = step if callable(step) else _after(step)
        finally:
            if not going_on:
                self.error = sys.exc_info()[1]
                self._close()

    def _close(self) -> None:
        self._timer.stop()
        QTimer.singleShot(0, self._viewer.close)

    # ----------------------------------------------------------------------------- the script

    def _script(self) -> Iterator[Step]:
        image, truth = training_picture()
        yield from self._paint(image, truth)
        yield from self._preview()
        yield from self._train()
        yield from self._predict()
        yield from self._export()
        yield from self._end()

    def _paint(self, image: NDArray[Any], truth: NDArray[Any]) -> Iterator[Step]:
        self._say("Painting cells")
        self._page("Annotate")
        self._viewer.add_image(image, name="cells", colormap="gray", **_PLACE)
        yield 1.0
        yield from self._press("Start annotating")
        yield 1.0
        labels = self._session.labels_layer
        assert labels is not None
        for highest in np.linspace(0, truth.max(), _STROKES + 1)[1:]:
            layers.fill_slice(labels, 0, np.where(truth <= highest, truth, 0))
            yield 0.1
        yield from self._press("Slice complete")
        yield 1.5
        self._shoot("annotate")

    def _preview(self) -> Iterator[Step]:
        self._say("Between touching cells the network has to look closely")
        self._page("Weight map")
        yield from self._press("Show weight map")
        yield 3.0
        self._shoot("weight map")
        yield from self._press("Remove")
        self._say("Warping makes many pictures of one")
        self._page("Elastic warp")
        yield from self._press("Draw a new warp")
        yield 3.0
        self._shoot("elastic warp")
        yield from self._press("Remove preview")
        yield 0.5

    def _train(self) -> Iterator[Step]:
        self._say("Training")
        trainer = self._session.part(Trainer)
        self._page("Train")
        yield from self._press("Start training")
        half = time.monotonic() + 30
        yield lambda: not trainer.running or time.monotonic() > half
        self._shoot("train")
        yield lambda: not trainer.running
        self._refuse(trainer.problem)
        yield 1.0
        self._shoot("trained")

    def _predict(self) -> Iterator[Step]:
        self._say("Finding the cells of a picture that was not trained on")
        image, _ = held_out_picture()
        for layer in self._viewer.layers:
            layers.hide(layer)
        new = self._viewer.add_image(image, name="other cells", colormap="gray", **_PLACE)
        assert isinstance(new, Image)
        self._session.choose([new])
        self._page("Predict")
        yield 2.0
        predictor = self._session.part(Predictor)
        yield from self._press("Predict")
        yield lambda: not predictor.running
        self._refuse(predictor.problem)
        yield 1.5
        self._shoot("predict")

    def _export(self) -> Iterator[Step]:
        self._say("Exporting the labels")
        target = segmented_file(self._out)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        self._page("Export")
        choice = self._field(QComboBox, "Layer")
        choice.setCurrentIndex(choice.findText("other cells prediction"))
        yield 0.5
        self._field(QLineEdit, "File").setText(str(target))
        yield 1.0
        job = self._session.job("export")
        yield from self._press("Export")
        yield lambda: not job.running
        self._refuse(job.error or "")
        yield 1.0
        self._shoot("export")

    def _end(self) -> Iterator[Step]:
        comparison = compare(read_labels(segmented_file(self._out))[0])
        write_comparison(comparison, self._session.model, self._out)
        self.comparison = comparison
        truth = self._viewer.add_labels(comparison.truth, name="truth", **_PLACE)
        assert isinstance(truth, Labels)
        truth.contour = 1
        score = comparison.scores.ap50 or 0
        self._say(f"{comparison.scores.n_predicted} cells found, AP50 {score:.2f}; outlines: truth")
        yield 2.0
        self._shoot("result")
        self._say("The demo is over; click into the window to keep it open")
        end = time.monotonic() + self._grace
        yield lambda: self._touched or time.monotonic() > end
        if self._touched:
            self._say("Go on by yourself; close the window when you are done")
            yield lambda: False

    # ---------------------------------------------------------------------------- the controls

    def _say(self, sentence: str) -> None:
        self._viewer.text_overlay.text = sentence
        self._say_on(sentence)

    def _page(self, title: str) -> None:
        pages = self._child(Workbench, lambda _: True, "workbench").pages
        titles = [pages.itemText(index) for index in range(pages.count())]
        pages.setCurrentIndex(next(n for n, text in enumerate(titles) if title in text))

    def _press(self, text: str) -> Iterator[Step]:
        """Wait until a button can be pressed, and press it."""

        def wanted(button: QAbstractButton) -> bool:
            return button.isVisible() and button.isEnabled() and button.text() == text

        end = time.monotonic() + _PATIENCE
        yield lambda: self._found(QAbstractButton, wanted) is not None or time.monotonic() > end
        self._child(QAbstractButton, wanted, text).click()

    def _field(self, kind: type[Any], name: str) -> Any:
        return self._child(kind, lambda w: w.isVisible() and w.accessibleName() == name, name)

    def _child(self, kind: type[Any], wanted: Callable[[Any], bool], name: str) -> Any:
        found = self._found(kind, wanted)
        if found is None:
            raise DemoError(f"the workbench shows no {name!r} that can be used now")
        return found

    def _found(self, kind: type[Any], wanted: Callable[[Any], bool]) -> Any:
        # napari has no public way to its QMainWindow; this one is what plugins rely on.
        children = self._viewer.window._qt_window.findChildren(kind)
        return next((widget for widget in children if wanted(widget)), None)

    def _refuse(self, problem: str) -> None:
        if problem:
            raise DemoError(problem)

    def _shoot(self, name: str) -> None:
        """Leave a picture of the whole window."""
        self._shots += 1
        folder = self._out / "screenshots"
        folder.mkdir(exist_ok=True)
        pixels = self._viewer.screenshot(canvas_only=False, flash=False)
        file = folder / f"{self._shots:02d} {name}.png"
        Picture.fromarray(pixels[..., :3]).save(file)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
