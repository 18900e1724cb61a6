"""A question in a dock: it waits for its answer and stops nobody from working."""

from __future__ import annotations

from html import escape
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from napari_unet.gui.dock import words

__all__ = ["Question"]


class Question(QFrame):
    """One sentence and two answers; hidden while there is nothing to ask.

    Parameters
    ----------
    yes, no
        What the two buttons say.

    Attributes
    ----------
    accepted, declined : Signal()
        The answer; the question is hidden by then.
    about
        What `ask` was told the question is about; None while nothing is asked.
    """

    accepted = Signal()
    declined = Signal()

    def __init__(self, yes: str, no: str) -> None:
        super().__init__()
        self.about: Any = None
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._text = words()
        buttons = QHBoxLayout()
        self._buttons = [QPushButton(text) for text in (yes, no)]
        for button, answer in zip(self._buttons, (self.accepted, self.declined), strict=True):
            button.clicked.connect(lambda _=False, answer=answer: self._answer(answer))
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(self._text)
        column.addLayout(buttons)
        self.setStyleSheet("Question { border: 1px solid #d29b1f; border-radius: 4px; }")
        self.hide()

    @property
    def text(self) -> str:
        """The sentence."""
        return str(self._text.text())

    def ask(self, sentence: str, *, about: Any) -> None:
        """Show the question."""
        self.about = about
        self._text.setText(sentence)
        for button in self._buttons:
            button.setToolTip(f"<qt>{escape(sentence)} {button.text()}.</qt>")
        self.show()

    def drop(self) -> None:
        """Take the question back."""
        self.about = None
        self.hide()

    def _answer(self, answer: Any) -> None:
        self.hide()
        answer.emit()
