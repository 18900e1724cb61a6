"""Rows of Qt widgets made from a configuration dataclass, so that an option has one home.

Title, limits and tooltip of a row come from the field's `option` metadata (see
`napari_unet.options.option`); a field without a tooltip is not shown and keeps its value.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, cast

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_unet.gui.file_dialog import FileKind, ask_to_open

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["OptionsForm", "fold"]

_BIG = 2**31 - 1
_TINY = 1e-5


@dataclass(frozen=True)
class _Row:
    """One option on the screen."""

    widget: QWidget
    get: Callable[[], Any]
    set: Callable[[Any], None]
    advanced: bool
    label: QLabel | None
    shown: QWidget  # the widget, or what holds it and its button


class OptionsForm(QWidget):
    """Edit a configuration dataclass; options marked ``advanced`` wait behind a fold.

    Attributes
    ----------
    changed : Signal()
        The user, or `set_value`, changed an option.

    Examples
    --------
    >>> form = OptionsForm(TrainingConfig.from_preset("quick"))
    >>> form.changed.connect(lambda: print(form.value().minutes))
    """

    changed = Signal()

    def __init__(
        self,
        value: DataclassInstance,
        *,
        names: Iterable[str] | None = None,
        choices: Mapping[str, Sequence[Any] | Mapping[Any, str]] | None = None,
        plain: Iterable[str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Make the rows.

        Parameters
        ----------
        value
            An instance of a dataclass made with `option` fields; shown at first.
        names
            The fields to show, in this order; by default all that have a tooltip.
        choices
            Choices known only now (devices of this machine, ...), by field name: values, or
            value -> text. They take the place of the field's own ``choices``.
        plain
            The fields that stay outside the fold, whatever is marked ``advanced``.
        """
        super().__init__(parent)
        self._value = value
        self._rows: dict[str, _Row] = {}
        hints = typing.get_type_hints(type(value))
        fields = {f.name: f for f in dataclasses.fields(value)}
        shown = [n for n, f in fields.items() if "tooltip" in f.metadata]
        outside = None if plain is None else set(plain)
        for name in shown if names is None else names:
            limits = dict(fields[name].metadata)
            if outside is not None:
                limits["advanced"] = name not in outside
            if choices is not None and name in choices:
                limits["choices"] = choices[name]
            row = _make_row(name, hints[name], limits, self.changed.emit)
            if row is not None:
                self._rows[name] = row
        self._lay_out()
        self.set_value(value)

    def value(self, **instead: Any) -> Any:
        """Return what was edited, as a new instance of the class; its ValueErrors come through.

        Parameters
        ----------
        **instead
            Values of options that take the place of what the form says.
        """
        return dataclasses.replace(self._value, **{**self.values(), **instead})

    def values(self) -> dict[str, Any]:
        """Return what every row says, whether an instance can be made of it or not."""
        return {name: row.get() for name, row in self._rows.items()}

    def set_value(self, value: DataclassInstance, **instead: Any) -> None:
        """Show another instance of the same dataclass (a preset, a stored one).

        Parameters
        ----------
        value
            The instance.
        **instead
            Values that rows show in place of those of `value`.
        """
        self._value = value
        for name, row in self._rows.items():
            blocked = row.widget.blockSignals(True)
            row.set(instead.get(name, getattr(value, name)))
            row.widget.blockSignals(blocked)
        self.changed.emit()

    def title(self, name: str) -> str:
        """Return what one option is called on the screen."""
        row = self._rows[name]
        return row.label.text() if row.label else cast("QCheckBox", row.widget).text()

    def widget(self, name: str) -> QWidget:
        """Return the widget of one option."""
        return self._rows[name].widget

    def enable(self, names: Iterable[str], enabled: bool) -> None:
        """Let some options be edited, or not; those that are not shown are left alone."""
        for name in names:
            if name in self._rows:
                self._rows[name].shown.setEnabled(enabled)

    def show_rows(self, names: Iterable[str], shown: bool) -> None:
        """Show some options, or hide them, which keep their values; others are left alone."""
        for name in names:
            if name in self._rows:
                row = self._rows[name]
                row.shown.setVisible(shown)
                if row.label is not None:
                    row.label.setVisible(shown)

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        plain = [row for row in self._rows.values() if not row.advanced]
        advanced = [row for row in self._rows.values() if row.advanced]
        outer.addLayout(_form_layout(plain))
        if advanced:
            inside = QWidget()
            inside.setLayout(_form_layout(advanced))
            self.advanced = fold(
                "Advanced", "More options; what they say at first suits most images."
            )
            self.advanced.addWidget(inside)
            outer.addWidget(self.advanced)


def fold(title: str, tooltip: str) -> QCollapsible:
    """Return an empty fold, as wide as what stands around it: docks are narrow."""
    made = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    made.setDuration(0)
    made.toggleButton().setToolTip(_wrapped(tooltip))
    _hide_while_closed(made)
    layout = made.layout()
    assert layout is not None
    layout.setContentsMargins(0, 6, 0, 6)
    return made


def _hide_while_closed(made: QCollapsible) -> None:
    """Let no key reach what a closed fold holds, which still counts for the width."""
    content = made.content()
    policy = content.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    content.setSizePolicy(policy)
    content.hide()
    made.toggled.connect(content.setVisible)


def _form_layout(rows: Iterable[_Row]) -> QFormLayout:
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for row in rows:
        if row.label is None:
            layout.addRow(row.shown)
        else:
            layout.addRow(row.label, row.shown)
    return layout


def _make_row(
    name: str, hint: Any, limits: Mapping[str, Any], changed: Callable[[], None]
) -> _Row | None:
    """Make the row of one field; None for a type that no widget can edit."""
    kind, optional = _without_none(hint)
    choices = limits.get("choices")
    if choices is None and typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
    made: tuple[QWidget, Callable[[], Any], Callable[[Any], None]]
    if choices is not None:
        made = _combo(_in_words(choices, limits), changed)
    elif kind is bool:
        made = _check(changed)
    elif kind is int:
        made = _spin(limits, optional, changed)
    elif kind is float:
        made = _double(limits, optional, changed)
    elif kind is str and "words" in limits:
        made = _words_or_text(limits, optional, changed)
    elif kind is str:
        made = _line(limits, optional, changed)
    else:
        return None
    widget, get, set_ = made
    widget.setObjectName(name)
    widget.setToolTip(_wrapped(limits["tooltip"]))
    _ignore_wheel(widget)
    title = limits.get("title") or name.replace("_", " ").capitalize()
    shown = widget
    if "files" in limits:
        shown = _with_file_button(widget, title, limits["files"], set_)
    return _Row(widget, get, set_, bool(limits.get("advanced")), _titled(widget, title), shown)


def _titled(widget: QWidget, title: str) -> QLabel | None:
    """Write the title on a checkbox, or return the label that stands beside another widget."""
    if isinstance(widget, QCheckBox):
        widget.setText(title)
        return None
    label = QLabel(title)
    label.setToolTip(widget.toolTip())
    label.setBuddy(widget)
    return label


def _with_file_button(line: QWidget, title: str, files: str, put: Callable[[str], None]) -> QWidget:
    """Return a line of text beside a button that asks for a file and puts its path there."""
    both = QWidget()
    layout = QHBoxLayout(both)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    browse = QToolButton()
    browse.setText("…")
    browse.setToolTip(_wrapped("Choose a file."))
    browse.setAccessibleName(f"{title}: choose a file")
    browse.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    kind = FileKind(f"options/{line.objectName()} folder", "", files)
    browse.clicked.connect(lambda: ask_to_open(both, title, kind, put))
    layout.addWidget(line, 1)
    layout.addWidget(browse)
    return both


def _without_none(hint: Any) -> tuple[Any, bool]:
    """``float | None`` -> (float, True)."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], len(kinds) < len(typing.get_args(hint))
    return hint, False


def _wrapped(tooltip: str) -> str:
    """Rich text, which Qt wraps; a plain tooltip is one long line."""
    return f"<qt>{tooltip}</qt>"


_Made = tuple[QWidget, Callable[[], Any], Callable[[Any], None]]


def _in_words(
    choices: Sequence[Any] | Mapping[Any, str], limits: Mapping[str, Any]
) -> Mapping[Any, str]:
    """Return value -> text; the text of None is the option's ``none``."""
    if isinstance(choices, Mapping):
        return choices
    return {value: _nothing(limits) if value is None else str(value) for value in choices}


def _nothing(limits: Mapping[str, Any]) -> str:
    """Return what stands for None on the screen."""
    return str(limits.get("none", "automatic"))


def _combo(texts: Mapping[Any, str], changed: Callable[[], None]) -> _Made:
    values = list(texts)
    box = QComboBox()
    box.addItems([texts[value] for value in values])
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.currentIndexChanged.connect(lambda _: changed())

    def put(value: Any) -> None:
        box.setCurrentIndex(values.index(value) if value in values else 0)

    return box, lambda: values[box.currentIndex()], put


def _check(changed: Callable[[], None]) -> _Made:
    box = QCheckBox()
    box.toggled.connect(lambda _: changed())
    return box, box.isChecked, box.setChecked


def _line(limits: Mapping[str, Any], optional: bool, changed: Callable[[], None]) -> _Made:
    """Make a line of text; where None is allowed, an empty line stands for it."""
    line = QLineEdit()
    if optional:
        line.setPlaceholderText(_nothing(limits))
    line.textChanged.connect(lambda _: changed())

    def get() -> str | None:
        text = line.text()
        return None if optional and not text.strip() else text

    return line, get, lambda value: line.setText(value or "")


def _words_or_text(limits: Mapping[str, Any], optional: bool, changed: Callable[[], None]) -> _Made:
    """Make a list of values in words, in which other text can be typed."""
    words: dict[Any, str] = dict(limits["words"])
    if optional:
        words[None] = _nothing(limits)
    box = QComboBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.setCompleter(None)  # it would make a word of the beginning of a path
    box.addItems(list(words.values()))
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.editTextChanged.connect(lambda _: changed())
    values = {text.casefold(): value for value, text in words.items()}

    def get() -> str | None:
        text = box.currentText()
        known = text.strip().casefold()
        if known in values:
            return cast("str | None", values[known])
        return None if optional and not known else text

    return box, get, lambda value: box.setEditText(words.get(value, value))


def _spin(limits: Mapping[str, Any], optional: bool, changed: Callable[[], None]) -> _Made:
    low = int(limits.get("min", 0))
    box = QSpinBox()
    box.setRange(low - optional, int(min(limits.get("max", _BIG), _BIG)))
    box.setSingleStep(int(limits.get("step", 1)))
    return _number(box, limits, low - 1 if optional else None, changed)


def _double(limits: Mapping[str, Any], optional: bool, changed: Callable[[], None]) -> _Made:
    low, high = float(limits.get("min", 0.0)), float(limits.get("max", 1e9))
    step = float(limits.get("step", _step(low, high)))
    box = QDoubleSpinBox()
    # Shares without a step of their own, such as a weight decay, are often tiny.
    finest = step if "step" in limits or high > 1 else _TINY
    box.setDecimals(_decimals(min(finest, low) if low > 0 else finest))
    box.setRange(low - step if optional else low, high)
    box.setSingleStep(step)
    if "step" not in limits:
        box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    return _number(box, limits, low - step if optional else None, changed)


def _step(low: float, high: float) -> float:
    return 0.01 if high <= 1 else 0.1 if high - low <= 100 else 1.0


def _decimals(smallest: float) -> int:
    """How many decimals show `smallest`: 1e-6 needs six."""
    digits = f"{smallest:.12f}".rstrip("0").partition(".")[2]
    return max(1, len(digits))


def _number(
    box: Any,
    limits: Mapping[str, Any],
    nothing: float | None,
    changed: Callable[[], None],
) -> _Made:
    """Wire a spin box; one step below its minimum stands for None, where None is allowed."""
    box.setKeyboardTracking(False)
    if "unit" in limits:
        box.setSuffix(f" {limits['unit']}")
    if nothing is not None:
        box.setSpecialValueText(_nothing(limits))
    box.valueChanged.connect(lambda _: changed())

    # The box rounds to its decimals: what nobody has edited stays exactly what it was.
    exact: Any = None
    shown: Any = None

    def get() -> Any:
        if box.value() == shown:
            return exact
        at_none = nothing is not None and box.value() == box.minimum()
        return None if at_none else box.value()

    def put(value: Any) -> None:
        nonlocal exact, shown
        box.setValue(box.minimum() if value is None else value)
        exact, shown = value, box.value()

    return box, get, put


class _NoWheel(QObject):
    """Scrolling over a form must scroll it, not change the options under the mouse."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Swallow the wheel unless the widget was clicked before."""
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        if isinstance(watched, QWidget) and watched.hasFocus():
            return False
        event.ignore()
        return True


def _ignore_wheel(widget: QWidget) -> None:
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_NoWheel(widget))
