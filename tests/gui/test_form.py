"""A form shows what the dataclass says, and gives back what was edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QToolButton, QWidget

from napari_unet.gui.form import OptionsForm
from napari_unet.options import option
from napari_unet.training import PRESETS, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    rate: float = option(1e-3, "Step size.", title="Learning rate", min=1e-6, max=1.0)
    steps: int = option(3, "How often.", min=1, max=10)
    minutes: float | None = option(None, "How long.", min=0.5, max=60.0, step=0.5, unit="min")
    padding: Literal["valid", "same"] = option("same", "What happens at the border.")
    flips: bool = option(True, "Mirror the image.")
    device: str = option("auto", "Where to compute.", choices=("auto", "cpu"))
    note: str = option("", "Words.")
    source: str | None = option("hub", "Where from.", none="nowhere", files="All files (*)")
    known: str | None = option("hub", "What.", none="nothing", words={"hub": "The Hub"})
    shape: str | None = option(None, "What.", choices=(None, "round"), none="any")
    depth: int = option(4, "Levels.", min=1, max=6, advanced=True)
    hidden: int = 7


@pytest.fixture
def form(qtbot: Any) -> OptionsForm:
    made = OptionsForm(Options(hidden=8))
    qtbot.addWidget(made)
    made.show()
    return made


def test_unedited_gives_back_what_was_shown(form: OptionsForm) -> None:
    assert form.value() == Options(hidden=8)
    other = Options(
        rate=0.5,
        steps=9,
        minutes=2.5,
        padding="valid",
        flips=False,
        device="cpu",
        note="x",
        source=None,
        known="/a/path",
        shape="round",
        depth=2,
    )
    form.set_value(other)
    assert form.value() == other


@pytest.mark.parametrize(
    ("name", "act", "value"),
    [
        ("rate", ("setValue", 1e-6), 1e-6),
        ("steps", ("setValue", 99), 10),
        ("minutes", ("setValue", 1.5), 1.5),
        ("padding", ("setCurrentText", "valid"), "valid"),
        ("flips", ("click",), False),
        ("device", ("setCurrentText", "cpu"), "cpu"),
        ("note", ("setText", "hello"), "hello"),
        ("source", ("setText", "a file"), "a file"),
        ("source", ("clear",), None),
        ("known", ("setEditText", "a file"), "a file"),
        ("known", ("setEditText", "the hub "), "hub"),
        ("known", ("setEditText", "hub"), "hub"),
        ("known", ("setCurrentText", "nothing"), None),
        ("known", ("clearEditText",), None),
        ("shape", ("setCurrentText", "round"), "round"),
        ("depth", ("setValue", 2), 2),
    ],
)
def test_each_kind_of_option_can_be_edited(
    qtbot: Any, form: OptionsForm, name: str, act: tuple[Any, ...], value: Any
) -> None:
    with qtbot.waitSignal(form.changed):
        getattr(form.widget(name), act[0])(*act[1:])
    assert getattr(form.value(), name) == value


def test_a_value_with_words_is_shown_in_them_and_a_path_can_be_typed(form: OptionsForm) -> None:
    known = form.widget("known")
    assert known.currentText() == "The Hub"
    assert [known.itemText(n) for n in range(known.count())] == ["The Hub", "nothing"]
    known.setFocus()
    known.lineEdit().selectAll()
    QTest.keyClicks(known.lineEdit(), "/the/hub/file.pth")
    assert form.value().known == "/the/hub/file.pth"
    form.set_value(Options(known=None))
    assert known.currentText() == "nothing"


def test_rows_can_show_other_values_whether_they_suit_each_other_or_not(form: OptionsForm) -> None:
    form.set_value(Options(steps=5), steps=7, depth=2)
    assert form.value() == Options(steps=7, depth=2)
    assert form.values()["steps"] == 7
    assert "hidden" not in form.values()
    assert [form.title(name) for name in ("rate", "flips")] == ["Learning rate", "Flips"]


def test_none_is_shown_in_words(form: OptionsForm) -> None:
    assert form.widget("source").placeholderText() == "nowhere"
    assert form.widget("shape").currentText() == "any"
    assert form.widget("minutes").specialValueText() == "automatic"


def test_titles_tooltips_and_what_is_hidden(qtbot: Any, form: OptionsForm) -> None:
    assert "Learning rate" in {label.text() for label in form.findChildren(QLabel)}
    assert "Step size." in form.widget("rate").toolTip()
    assert form.widget("depth").visibleRegion().isEmpty()
    form.advanced.toggleButton().click()
    qtbot.waitUntil(lambda: not form.widget("depth").visibleRegion().isEmpty())
    with pytest.raises(KeyError):
        form.widget("hidden")


def test_keys_do_not_reach_what_a_closed_fold_holds(qtbot: Any, form: OptionsForm) -> None:
    title, depth = form.advanced.toggleButton(), form.widget("depth")
    assert title.toolTip()

    def follows() -> QWidget:
        title.setFocus()
        QTest.keyClick(title, Qt.Key.Key_Tab)
        return QApplication.focusWidget()

    form.activateWindow()
    qtbot.waitUntil(form.isActiveWindow)
    assert not depth.isAncestorOf(follows())
    assert follows() is not depth
    title.click()
    assert depth.isVisible()
    assert follows() is depth
    title.click()
    assert not depth.isVisible()


def test_choices_of_this_machine_replace_the_fields_own(qtbot: Any) -> None:
    form = OptionsForm(Options(), names=["device"], choices={"device": {"cuda:0": "NVIDIA H200"}})
    qtbot.addWidget(form)
    assert form.widget("device").currentText() == "NVIDIA H200"
    assert form.value().device == "cuda:0"


def test_scrolling_over_a_form_changes_nothing(form: OptionsForm) -> None:
    box = form.widget("steps")
    box.clearFocus()
    centre = QPointF(box.rect().center())
    wheel = QWheelEvent(
        centre,
        box.mapToGlobal(centre),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, wheel)
    assert form.value().steps == 3


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_form_that_nobody_edits_changes_no_option(qtbot: Any, preset: str) -> None:
    config = TrainingConfig.from_preset(preset)
    form = OptionsForm(config)
    qtbot.addWidget(form)
    assert form.value() == config


def test_a_path_can_be_chosen_beside_a_line_of_text(form: OptionsForm, monkeypatch: Any) -> None:
    asked = []
    monkeypatch.setattr(
        "napari_unet.gui.form.ask_to_open",
        lambda parent, title, kind, chosen: asked.append((title, kind.shown, chosen)),
    )
    line = form.widget("source")
    [button] = line.parentWidget().findChildren(QToolButton)
    button.click()
    [(title, files, chosen)] = asked
    assert (title, files) == ("Source", "All files (*)")
    assert form.value().source == "hub"
    chosen("/a/path")
    assert form.value().source == "/a/path"
    form.enable(["source"], False)
    assert not line.isEnabled()
    assert not button.isEnabled()
