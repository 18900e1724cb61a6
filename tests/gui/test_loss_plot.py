"""Tests of the training curves."""

from __future__ import annotations

from napari_unet.gui.loss_plot import LIGHT, LossPlot


def test_curves_hold_what_was_measured_and_nothing_else(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.add(6.0, loss=0.5, validation=None)
    plot.add(12.0, loss=None, validation=0.25)
    plot.add(18.0, loss=0.25, validation=0.75)
    assert plot.loss_points == [(0.1, 0.5), (0.3, 0.25)]
    assert plot.validation_points == [(0.2, 0.25), (0.3, 0.75)]
    plot.clear()
    assert plot.loss_points == plot.validation_points == []


def test_both_curves_are_drawn_in_the_colours_of_the_theme(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(360, 200)
    plot.set_colors(LIGHT)
    plot.add(0.0, loss=1.0, validation=0.1)
    plot.add(60.0, loss=0.1, validation=0.9)
    with qtbot.waitExposed(plot):
        plot.show()
    picture = plot.grab().toImage()
    colors = {
        picture.pixelColor(x, y).name()
        for x in range(picture.width())
        for y in range(picture.height())
    }
    assert {LIGHT.background, LIGHT.loss, LIGHT.validation} <= colors
