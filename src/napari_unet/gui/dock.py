"""What the docks have in common: a column of controls above a line of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unet.gui.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_unet.gui.jobs import Job

__all__ = ["Dock", "Docked", "add_field", "button", "combo", "fields", "fit_lines", "row", "words"]

_WIDTH = 300
_LEAST_HEIGHT = 120  # of the controls that scroll
_WARNING = "⚠ "
_MOMENT_MS = 300
_AIR = 2  # around each line of a list


class _Controls(QScrollArea):
    """Controls in a column: they take the height they need, and scroll where there is less."""

    def __init__(self) -> None:
        super().__init__()
        self.body = QWidget()
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(6, 6, 6, 6)
        self.column.setSpacing(6)
        self.setWidget(self.body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Tab goes from control to control
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        """Ask for as much height as the controls have at this width."""
        hint, room = self.body.sizeHint(), self.maximumViewportSize()
        height = hint.height()
        if self.column.hasHeightForWidth():
            least = self.column.totalMinimumSize().height()
            height = max(least, self.column.totalHeightForWidth(room.width()))
        return QSize(hint.width(), height + self.height() - room.height())

    def minimumSizeHint(self) -> QSize:
        """Do with some height, or with less where there is not more to show."""
        hint = super().minimumSizeHint()
        return QSize(hint.width(), min(_LEAST_HEIGHT, self.sizeHint().height()))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Need another height at another width: words wrap."""
        super().resizeEvent(event)
        if event is not None and event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Make room where a control was shown, hidden or folded."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


class Docked(QWidget):
    """What stands in a dock of napari, and ends with it."""

    @property
    def in_use(self) -> bool:
        """Whether it is still in a window; napari takes what it closes out of theirs."""
        return self.parent() is not None or self.isVisible()

    def changeEvent(self, event: QEvent | None) -> None:
        """Notice that napari has closed the dock."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.ParentChange:
            QTimer.singleShot(0, self._end)

    def _end(self) -> None:
        """Live on, and listen, only where a script has docked it again."""
        if not self.in_use:
            self.deleteLater()


class Dock(Docked):
    """A dock of one viewer: controls in `column`, what is always seen in `foot`, and one sentence.

    Where the window is too low for all of it, the column scrolls; the foot and the sentence stay.

    Parameters
    ----------
    viewer
        A napari viewer; its `Session` is what docks share.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.session = Session.of(viewer)
        self._keys: dict[str, QAbstractButton] = {}
        self._controls = _Controls()
        self.column = self._controls.column
        self.foot = QVBoxLayout()
        self.foot.setContentsMargins(6, 0, 6, 6)
        self.foot.setSpacing(6)
        self._message = words()
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._message.setAccessibleName("Message")
        self._message.hide()

    def finish(self) -> None:
        """Put the foot and the line of words under the controls; called last in a constructor."""
        self.foot.addWidget(self._message)
        self.foot.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self._controls)
        outer.addLayout(self.foot, 1)

    def sizeHint(self) -> QSize:
        """Ask for the room in which nothing has to be scrolled."""
        hint = super().sizeHint()
        return QSize(max(hint.width(), _WIDTH), hint.height())

    def minimumSizeHint(self) -> QSize:
        """Never be narrower than the controls and their scroll bar; what is too high scrolls."""
        hint, bar = super().minimumSizeHint(), self._controls.verticalScrollBar()
        width = self._controls.body.minimumSizeHint().width()
        if bar is not None:
            width += bar.sizeHint().width()
        return QSize(max(width, hint.width()), hint.height())

    def say(self, sentence: str) -> None:
        """Tell the user something; an empty sentence hides the line."""
        self._message.setText(sentence)
        self._message.setVisible(bool(sentence))

    def warn(self, sentence: str) -> None:
        """Tell the user what went wrong, and what to do."""
        self.say(f"{_WARNING}{sentence[:1].upper()}{sentence[1:]}")

    def say_while(self, job: Job, sentence: str) -> None:
        """Tell the user what is being done whenever a job takes longer than a moment."""
        soon = QTimer(self)
        soon.setSingleShot(True)
        soon.setInterval(_MOMENT_MS)
        soon.timeout.connect(lambda: self.say(sentence) if not job.stopping else None)
        job.started.connect(soon.start)
        job.reported.connect(lambda _: soon.stop())  # there is something else to say
        job.finished.connect(soon.stop)
        job.finished.connect(lambda: self.say("") if self.message == sentence else None)

    @property
    def warned(self) -> bool:
        """Whether what the user is being told is that something went wrong."""
        return self.message.startswith(_WARNING)

    @property
    def message(self) -> str:
        """What the user is being told."""
        return self._message.text()

    def bind_key(self, keys: str, target: QAbstractButton) -> None:
        """Press `target` with a key while the keyboard is in this dock.

        napari may use the key too, as it does Ctrl+O: of two shortcuts Qt would take neither, so
        the dock takes the key before any shortcut gets it.
        """
        self._keys[QKeySequence(keys).toString()] = target

    def event(self, event: QEvent | None) -> bool:
        """Claim the keys of this dock, which then arrive as pressed keys."""
        claims = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if claims and self._bound(cast("QKeyEvent", event)) is not None:
            cast("QKeyEvent", event).accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Press the button of a key."""
        target = None if event is None else self._bound(event)
        if target is None:
            super().keyPressEvent(event)
        else:
            target.click()

    def _bound(self, event: QKeyEvent) -> QAbstractButton | None:
        return self._keys.get(QKeySequence(event.keyCombination()).toString())

    def changeEvent(self, event: QEvent | None) -> None:
        """Notice another theme: napari gives the window a new style sheet."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self.apply_theme()

    def apply_theme(self) -> None:
        """Take over the colours of napari's theme, where the style sheet does not."""


def button(
    text: str, tooltip: str, clicked: Callable[[], object], *, shortcut: str = ""
) -> QPushButton:
    """Make a push button; its shortcut works while the keyboard is in its dock."""
    made = QPushButton(text)
    keys = f" ({shortcut})" if shortcut else ""
    made.setToolTip(f"<qt>{tooltip}{keys}</qt>")
    made.clicked.connect(clicked)
    return made


def combo(tooltip: str) -> QComboBox:
    """Make a list to choose from that keeps its width, however long its entries are."""
    box = QComboBox()
    box.setToolTip(f"<qt>{tooltip}</qt>")
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(14)
    return box


def fit_lines(box: QListWidget, most: int) -> None:
    """Let a list be as high as its lines, up to so many; long names are cut in their middle.

    What tells layers apart stands at either end of a name.
    """
    box.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    box.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    box.setSpacing(_AIR)
    box.ensurePolished()
    line = box.sizeHintForRow(0) + 2 * _AIR
    box.setFixedHeight(line * min(box.count(), most) + 2 * box.frameWidth())


def row(*widgets: QWidget) -> QHBoxLayout:
    """Lay widgets side by side."""
    layout = QHBoxLayout()
    layout.setSpacing(6)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def fields() -> QFormLayout:
    """Make an empty two-column form whose right side takes the width there is."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


def add_field(form: QFormLayout, title: str, field: QWidget) -> None:
    """Add a field whose label says the same in its tooltip, and names it for screen readers."""
    label = QLabel(title)
    label.setToolTip(field.toolTip())
    label.setBuddy(field)
    field.setAccessibleName(title)
    form.addRow(label, field)


class _Words(QLabel):
    """Text that wraps: as high as it is at the width that it has."""

    def minimumSizeHint(self) -> QSize:
        """Need one line, not as many as there were if it was narrow."""
        return QSize(0, self.fontMetrics().height())


def words(text: str = "") -> QLabel:
    """Make a label that wraps and never asks for more width than there is."""
    label = _Words(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
