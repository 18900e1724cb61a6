"""The curves of a training: its loss and, on a second axis, its score on the validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyqtgraph  # qtpy has chosen the Qt binding before; pyqtgraph takes the same one
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QResizeEvent

__all__ = ["DARK", "LIGHT", "LossPlot", "PlotColors"]


class PlotColors(NamedTuple):
    """The colours of a plot, as anything that Qt takes for a colour name."""

    background: str
    text: str
    loss: str
    validation: str


# Blue and vermilion of Okabe and Ito's palette, which colour-blind people can tell apart.
DARK = PlotColors("#262930", "#f0f1f2", "#56b4e9", "#ff9f40")
LIGHT = PlotColors("#efebe9", "#3b3a39", "#0072b2", "#c04a00")


class LossPlot(QWidget):
    """Show the loss (left axis) and the validation score (right axis) over minutes.

    Parameters
    ----------
    parent
        The widget that holds the plot.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plot = pyqtgraph.PlotWidget(self, enableMenu=False)
        self._item = self._plot.getPlotItem()
        self._scores = pyqtgraph.ViewBox(enableMenu=False)
        self._loss_curve = self._item.plot([], [])
        self._score_curve = pyqtgraph.PlotDataItem([], [], symbol="o", symbolSize=5)
        self._score_name = "Validation score"
        self._build()
        self.set_colors(DARK)

    def _build(self) -> None:
        item = self._item
        # pyqtgraph makes this menu without a parent, even when it is never shown.
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.showAxis("right")
        for side in ("bottom", "left", "right"):
            # Before it is seen: a visible axis scales although it is told not to.
            item.getAxis(side).enableAutoSIPrefix(False)
        item.scene().addItem(self._scores)
        item.getAxis("right").linkToView(self._scores)
        self._scores.setXLink(item)
        self._scores.setMouseEnabled(x=False, y=False)
        self._scores.setYRange(0, 1, padding=0.06)
        self._scores.addItem(self._score_curve)
        item.vb.sigResized.connect(self._align)
        self._loss_curve.setDownsampling(auto=True, method="mean")
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)
        self.setMinimumHeight(130)  # beside a long message, in a window of 800 pixels
        self.setAccessibleName("Training curves")
        self.setToolTip(
            "Loss (left axis, lower is better): the error on patches that the network is learning "
            "from.\nValidation score or R² (right axis, 1 is perfect): how good it is on annotated "
            "areas kept apart from training."
        )

    def set_colors(self, colors: PlotColors) -> None:
        """Draw with these colours, for instance after the theme of napari changed."""
        self._plot.setBackground(colors.background)
        self._loss_curve.setPen(pyqtgraph.mkPen(colors.loss, width=2))
        self._score_curve.setPen(pyqtgraph.mkPen(colors.validation, width=2))
        self._score_curve.setSymbolBrush(colors.validation)
        self._score_curve.setSymbolPen(None)
        for side, text, color in (
            ("bottom", "Minutes", colors.text),
            ("left", "Loss", colors.loss),
            ("right", self._score_name, colors.validation),
        ):
            axis = self._item.getAxis(side)
            axis.setPen(colors.text)
            axis.setTextPen(color)
            axis.setLabel(text, color=color)

    def name_score(self, name: str) -> None:
        """Say what the score is, on its axis."""
        self._score_name = name
        self._item.getAxis("right").setLabel(name)

    def show_curves(
        self, loss: Sequence[tuple[float, float]], validation: Sequence[tuple[float, float]]
    ) -> None:
        """Draw both curves anew.

        Parameters
        ----------
        loss
            Seconds since the start of the training, and loss.
        validation
            Seconds, and score in 0..1.
        """
        for curve, points in ((self._loss_curve, loss), (self._score_curve, validation)):
            curve.setData([seconds / 60 for seconds, _ in points], [value for _, value in points])
        self._item.setXRange(0, max([t / 60 for t, _ in (*loss, *validation)], default=1) or 1)
        self._item.setYRange(0, max([value for _, value in loss], default=1) or 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the two curves on one rectangle."""
        super().resizeEvent(event)
        self._align()

    def _align(self) -> None:
        self._scores.setGeometry(self._item.vb.sceneBoundingRect())
        self._scores.linkedViewChanged(self._item.vb, self._scores.XAxis)
