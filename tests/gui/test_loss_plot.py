"""Tests of the training curves."""

from __future__ import annotations

from napari_unet.gui.loss_plot import LIGHT, LossPlot


def test_both_curves_are_drawn_in_the_colours_of_the_theme(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(360, 200)
    plot.set_colors(LIGHT)
    plot.show_curves([(0.0, 1.0), (60.0, 0.1)], [(0.0, 0.1), (60.0, 0.9)])
    with qtbot.waitExposed(plot):
        plot.show()
    assert {LIGHT.background, LIGHT.loss, LIGHT.validation} <= _colors(plot)


def test_empty_curves_leave_no_line(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(360, 200)
    plot.show_curves([(0.0, 1.0), (60.0, 0.1)], [(60.0, 0.9)])
    plot.show_curves([], [])
    plot.set_colors(LIGHT._replace(loss="#010203", validation="#030201"))
    with qtbot.waitExposed(plot):
        plot.show()
    middle = _colors(plot, inside=80)
    assert not middle & {"#010203", "#030201"}


def test_half_a_minute_stays_half_a_minute_in_another_theme(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(360, 200)
    plot.show_curves([(0.0, 0.5), (30.0, 0.1)], [(30.0, 0.9)])
    with qtbot.waitExposed(plot):
        plot.show()
    plot.set_colors(LIGHT)
    plot.show_curves([(0.0, 0.5), (36.0, 0.1)], [(36.0, 0.9)])
    for side in ("bottom", "left", "right"):
        axis = plot._item.getAxis(side)
        assert axis.tickStrings([0.2], axis.scale * axis.autoSIPrefixScale, 0.2) == ["0.2"]


def _colors(plot: LossPlot, inside: int = 0) -> set[str]:
    picture = plot.grab().toImage()
    return {
        picture.pixelColor(x, y).name()
        for x in range(inside, picture.width() - inside)
        for y in range(picture.height() - inside)
    }
