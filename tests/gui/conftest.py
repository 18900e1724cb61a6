"""What GUI tests share: images, viewers with a session, and hands and eyes of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_unet.gui.corrector import Corrector
from napari_unet.gui.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image


def picture(*shape: int) -> np.ndarray:
    """Draw noise; every call with the same shape gives the same."""
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def button(qtbot: Any) -> Callable[[QWidget, str], Any]:
    """Find the visible button that starts with a text, once it has its place."""

    def placed(button: QAbstractButton) -> bool:
        return button.isVisible() and button.height() >= button.minimumSizeHint().height()

    def named(root: QWidget, text: str) -> list[Any]:
        found = [b for b in root.findChildren(QAbstractButton) if placed(b)]
        return [b for b in found if b.text().startswith(text)]

    def find(root: QWidget, text: str) -> Any:
        qtbot.waitUntil(lambda: bool(named(root, text)), timeout=3000)
        return named(root, text)[0]

    return find


@pytest.fixture
def press(button: Callable[[QWidget, str], Any]) -> Callable[[QWidget, str], None]:
    """Press a button, found by its text, with the mouse."""

    def click(root: QWidget, text: str) -> None:
        target = button(root, text)
        assert target.isEnabled(), f"{text!r} cannot be pressed"
        # A radio button or checkbox reacts to its mark and text, which stand at the left.
        where = QPoint(10, target.height() // 2)
        QTest.mouseClick(target, Qt.MouseButton.LeftButton, pos=where)

    return click


@pytest.fixture
def correct(press: Callable[[QWidget, str], None], qtbot: Any) -> Callable[[Any], None]:
    """Press “Correct” in a Predict dock, and wait until the slice is copied."""

    def copied(dock: Any) -> None:
        press(dock, "Correct")
        corrector = dock.session.part(Corrector)
        qtbot.waitUntil(lambda: not corrector.running, timeout=20_000)

    return copied


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """Open a shown viewer, as large as on a small screen."""
    made = make_napari_viewer(show=True)
    made.window.resize(1280, 800)
    return made


@pytest.fixture
def session(viewer: Any) -> Session:
    """Return the session of an empty viewer."""
    return Session.of(viewer)


@pytest.fixture
def stack(viewer: Any, session: Session) -> Image:
    """Open a stack of three slices with scale, place and unit."""
    place = {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3), "units": ("um", "um", "um")}
    return viewer.add_image(picture(3, 40, 48), name="cells", **place)
