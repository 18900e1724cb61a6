"""What a session has to do with its viewer's window: it sees it close, and warns in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.gui.recovery import Autosave

if TYPE_CHECKING:
    from napari_unet.gui.session import Session

__all__ = ["Window"]


class Window(QObject):
    """Closes the session with its window; a part of every session that has one.

    What is painted is saved whichever dock is open, so it is told here when that fails.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._closed = False
        self._warned: set[str] = set()
        cast("QObject", session.parent()).installEventFilter(self)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(session.close)
        session.closing.connect(self._on_closing)
        autosave = session.part(Autosave)
        autosave.failed.connect(self._on_unsaved)
        autosave.recovered.connect(self._on_saved_again)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See the window close; a close that the user cancels leaves it visible.

        napari may ask first, which runs events: what waits for the close then comes too early, and
        the next that is heard is that the window is destroyed. So the strokes are saved at once.
        """
        kind = None if event is None else event.type()
        if kind == QEvent.Type.Close:
            self._session.part(Autosave).save()
            QTimer.singleShot(0, self._after_close)
        elif kind == QEvent.Type.DeferredDelete and not self._closed:
            self._session.close()
        return False

    def _after_close(self) -> None:
        window = cast("Any", self._session.parent())
        if window is not None and not window.isVisible():
            self._session.close()

    def _on_closing(self) -> None:
        self._closed = True

    def _on_unsaved(self, why: str) -> None:
        """Tell a reason once, not at every new attempt."""
        if why not in self._warned:
            self._warned.add(why)
            show_warning(why)

    def _on_saved_again(self, sentence: str) -> None:
        self._warned.clear()
        show_info(sentence)
