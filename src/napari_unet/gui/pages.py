"""Numbered pages, one open at a time; looks like the rest of napari, as QToolBox does not."""

from __future__ import annotations

from qtpy.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget

__all__ = ["Pages"]


class Pages(QWidget):
    """A column of headings; the page of the chosen one takes the room that is left.

    The methods are those of ``QToolBox``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pages: list[QWidget] = []
        self._titles: list[QPushButton] = []
        self._headings = QButtonGroup(self)
        self._headings.idClicked.connect(self.setCurrentIndex)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 4, 0, 0)
        self._column.setSpacing(2)

    def addItem(self, page: QWidget, title: str, tooltip: str) -> int:
        """Add a page under a heading; the first one is open."""
        index = len(self._pages)
        heading = QPushButton(title)
        heading.setCheckable(True)
        heading.setToolTip(f"<qt>{tooltip}</qt>")
        heading.setStyleSheet("text-align: left; padding: 4px 8px;")
        self._headings.addButton(heading, index)
        self._titles.append(heading)
        self._pages.append(page)
        self._column.addWidget(heading)
        self._column.addWidget(self._pages[index], 1)
        self.setCurrentIndex(max(self.currentIndex(), 0))
        return index

    def count(self) -> int:
        """Return the number of pages."""
        return len(self._pages)

    def itemText(self, index: int) -> str:
        """Return the heading of a page."""
        return str(self._titles[index].text())

    def currentIndex(self) -> int:
        """Return which page is open; -1 without pages."""
        return int(self._headings.checkedId())

    def setCurrentIndex(self, index: int) -> None:
        """Open one page and close the others."""
        self._titles[index].setChecked(True)
        for n, page in enumerate(self._pages):
            page.setVisible(n == index)
