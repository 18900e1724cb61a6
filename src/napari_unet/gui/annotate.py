"""The dock where a person says what is what: image, labels, regions, and how much is done."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.gui import layers
from napari_unet.gui.class_list import ClassList
from napari_unet.gui.class_names import ClassNames, nameless
from napari_unet.gui.dock import Dock, button, fit_lines, row, words
from napari_unet.gui.layers import LayerError
from napari_unet.gui.overlay import Overlay
from napari_unet.gui.question import Question
from napari_unet.gui.recovery import Autosave
from napari_unet.gui.removed_regions import RemovedRegions
from napari_unet.gui.survey import Survey
from napari_unet.gui.tools import KEYS, Tools
from napari_unet.gui.value_list import ValueList
from napari_unet.gui.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image, Labels

    from napari_unet.annotations import Task
    from napari_unet.files.recovery import RecoveryEntry

__all__ = ["AnnotateDock"]

_NEW = "New labels"
_MOST_CHANNELS = 4  # that are listed without scrolling
_CHANNELS = (
    "Tick the layers that show the same cells in another colour. The network sees them together, "
    "in the order of the layer list from its lower end, whichever is the Image."
)
_FIRST = {
    "classes": "Pick a class and scribble; what stays bare says nothing.",
    "regression": "What you have painted is kept; NaN in a ticked layer says nothing.",
}
_REGION = (
    "Drag a rectangle in which you paint every cell. Inside, everything that is not painted "
    "counts as background; outside, nothing counts."
)
_IGNORE = "Draw around what the network should not learn from: dirt, blur, doubtful cells."
_VALUE_REGION = (
    "Drag a rectangle: then only values inside of such regions count. Without any, every pixel "
    "counts that has a number in all ticked layers."
)
_COMPLETE = "Everything on this slice is painted; what is not painted counts as background."
_SHOW = (
    "Green is what the network learns from. Without regions these are the painted cells and a "
    "narrow rim around each."
)
_SHOW_VALUES = "Green is what the network learns from: pixels with a number in all ticked layers."
_LEARN: dict[Task, tuple[str, str]] = {
    "instances": ("Single cells", "Each cell gets a number of its own."),
    "classes": (
        "Classes",
        "Scribble into each kind of tissue with its class; nothing needs to be filled in.",
    ),
    "regression": (
        "Values",
        "Nothing is painted: the network learns the numbers that other layers hold for each pixel, "
        "such as a distance or a better picture.",
    ),
}


class AnnotateDock(Dock):
    """Choose an image, paint its cells or classes or choose its values, and see what counts.

    Parameters
    ----------
    napari_viewer
        A napari viewer; images may come later.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        session = self.session
        self._survey = session.part(Survey)
        self._overlay = session.part(Overlay)
        self._tools = session.part(Tools)
        self._autosave = session.part(Autosave)
        self._removed = session.part(RemovedRegions)
        self._candidates: list[Image] = []
        self._labels_choices: list[Labels] = []
        self._said: tuple[str, int] | None = None
        self._obstacle = ""
        self._build()
        self._wire()
        self.refresh()
        self._on_offer(self._autosave.offer)
        self._on_removed_regions()

    # ----------------------------------------------------------------------------- building

    def _build(self) -> None:
        self._offer = Question("Restore", "Discard")
        self._regions_offer = Question("Restore", "Discard")
        self._adoption = Question("Every cell", "Only some")
        self._renewal = Question("New labels", "Keep painting")
        offers, questions = (self._offer, self._regions_offer), (self._adoption, self._renewal)
        start = self._start_button()
        for widget in (*offers, self._choices(), self._task_row(), *questions, start):
            self.column.addWidget(widget)
        self._work = QWidget()
        column = QVBoxLayout(self._work)
        column.setContentsMargins(0, 0, 0, 0)
        self._classes = ClassList()
        self._values = ValueList()
        column.addWidget(self._classes)
        column.addWidget(self._values)
        column.addWidget(self._buttons())
        self._counts = words()
        self._share = words()
        column.addWidget(self._counts)
        column.addWidget(self._share)
        self._show = QCheckBox("Show what counts as annotated")
        column.addWidget(self._show)
        self.column.addWidget(self._work)
        self.finish()

    def _choices(self) -> QWidget:
        """Make the rows that say which layers are worked on."""
        self._image = _combo("The image to paint on.")
        self._channels = QListWidget()
        self._channels.setToolTip(f"<qt>{_CHANNELS}</qt>")
        self._channels.setAccessibleName("Further channels")
        self._labels = _combo("The Labels layer that holds what you paint.")
        panel = QWidget()
        form = QFormLayout(panel)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self._image)
        self._channels_label = QLabel("Channels")
        form.addRow(self._channels_label, self._channels)
        self._labels_label = QLabel("Labels")
        form.addRow(self._labels_label, self._labels)
        return panel

    def _start_button(self) -> QPushButton:
        self._start = button(
            "Start annotating",
            "Add a Labels layer to paint on, and a layer for regions.",
            self._on_start,
        )
        return self._start

    def _task_row(self) -> QWidget:
        self._tasks: dict[Task, QRadioButton] = {}
        for task, (text, tooltip) in _LEARN.items():
            self._tasks[task] = QRadioButton(text)
            self._tasks[task].setToolTip(f"<qt>{tooltip}</qt>")
        self._task = QWidget()
        layout = row(QLabel("Learn"), *self._tasks.values())
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addStretch(1)
        self._task.setLayout(layout)
        return self._task

    def _buttons(self) -> QWidget:
        self._new_cell = button(
            f"New cell ({KEYS['new_cell']})",
            "Take the brush with the next free number. Key in the canvas: " + KEYS["new_cell"],
            self._tools.new_cell,
        )
        self._region = button(
            "Draw region", f"{_REGION} Key: {KEYS['draw_region']}", self._tools.draw_region
        )
        self._ignored = button(
            "Ignore region", f"{_IGNORE} Key: {KEYS['draw_ignored']}", self._tools.draw_ignored
        )
        self._complete = QPushButton("Slice complete")
        self._complete.setCheckable(True)
        self._complete.setToolTip(f"<qt>{_COMPLETE} Key: {KEYS['toggle_complete']}</qt>")
        panel = QWidget()
        grid = QGridLayout(panel)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        grid.addWidget(self._new_cell, 0, 0)
        grid.addWidget(self._complete, 0, 1)
        grid.addWidget(self._region, 1, 0)
        grid.addWidget(self._ignored, 1, 1)
        return panel

    def _wire(self) -> None:
        session = self.session
        session.layers_changed.connect(self.refresh)
        session.image_changed.connect(self.refresh)
        session.annotations_changed.connect(self._show_state)
        session.slice_changed.connect(self._show_state)
        self._survey.changed.connect(self._show_counts)
        self._overlay.shown_changed.connect(self._show.setChecked)
        self._tools.failed.connect(self._on_failed)
        self._tools.acted.connect(self.say)
        self._autosave.offered.connect(self._on_offer)
        self._autosave.failed.connect(self.warn)
        self._autosave.recovered.connect(self.say)
        self._autosave.discarded.connect(self.say)
        self._image.activated.connect(self._on_image)
        self._channels.itemChanged.connect(self._on_channels)
        self._labels.activated.connect(self._on_labels)
        for choice in self._tasks.values():
            choice.clicked.connect(self._on_task)
        self._values.chosen.connect(self._on_values)
        self._complete.clicked.connect(self._tools.set_complete)
        self._show.clicked.connect(self._overlay.set_shown)
        self._classes.picked.connect(self._tools.pick_class)
        self._classes.renamed.connect(self._on_names)
        self._offer.accepted.connect(self._autosave.restore)
        self._offer.declined.connect(self._autosave.discard)
        self._removed.changed.connect(self._on_removed_regions)
        self._regions_offer.accepted.connect(self._removed.restore)
        self._regions_offer.declined.connect(self._removed.discard)
        self._adoption.accepted.connect(self._on_every_cell)
        self._adoption.declined.connect(self._on_some_cells)
        self._renewal.accepted.connect(self._on_new_labels)

    # ------------------------------------------------------------------------------ showing

    def refresh(self) -> None:
        """Show which layers there are, and which are chosen."""
        session = self.session
        self._candidates = layers.image_layers(session.viewer)
        chosen = session.image_layers
        _fill(self._image, [i.name for i in self._candidates], "Open an image first")
        if chosen:
            self._image.setCurrentIndex(self._candidates.index(chosen[0]))
        self._show_channels()
        self._show_labels()
        self._show_values()
        self._start.setEnabled(bool(chosen))
        self._show_obstacle()
        self._show_state()
        self._show_counts()

    def _show_obstacle(self) -> None:
        """Say why no image can be chosen, or not be learnt from, until one can."""
        before, self._obstacle = self._obstacle, ""
        if self._candidates:
            try:
                self.session.check_fit()
            except LayerError as problem:
                self._obstacle = str(problem)
        if self._obstacle:
            self.warn(self._obstacle)
        elif before and self.warned:
            self.say("")

    def _show_channels(self) -> None:
        chosen = self.session.image_layers
        targets = self.session.part(Values).chosen
        others = [i for i in self._candidates if chosen and _belongs(i, chosen[0])]
        others = [i for i in others if i not in targets]
        with QSignalBlocker(self._channels):
            self._channels.clear()
            for image in others:
                item = QListWidgetItem(image.name)
                item.setToolTip(f"<qt><b>{escape(image.name)}</b>: {_CHANNELS}</qt>")
                item.setData(Qt.ItemDataRole.UserRole, layers.identity(image))
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                ticked = image in chosen
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                self._channels.addItem(item)
        fit_lines(self._channels, _MOST_CHANNELS)
        for widget in (self._channels, self._channels_label):
            widget.setVisible(bool(others))

    def _show_labels(self) -> None:
        chosen, current = self.session.image_layers, self.session.labels_layer
        viewer = self.session.viewer
        self._labels_choices = layers.labels_layers(viewer, chosen[0]) if chosen else []
        names = [layer.name for layer in self._labels_choices]
        _fill(self._labels, names if current else [_NEW, *names], _NEW)
        if current in self._labels_choices:
            self._labels.setCurrentIndex(self._labels_choices.index(current))
        values = self.session.task == "regression"
        for widget in (self._labels, self._labels_label):
            widget.setVisible(bool(names) and not values)
        self._task.setVisible(bool(chosen))
        self._start.setVisible(current is None and not values)
        self._work.setVisible(current is not None or values)
        if current is not None and self._adoption.about is not current:
            self._adoption.drop()
        if self._renewal.about is not None and self._renewal.about[0] is not current:
            self._renewal.drop()

    def _show_state(self) -> None:
        """Show task, classes or values, and whether the shown slice is complete."""
        session = self.session
        classes, values = session.task == "classes", session.task == "regression"
        self._tasks[session.task].setChecked(True)
        for widget in (self._new_cell, self._complete):
            widget.setVisible(session.task == "instances")
        self._region.setVisible(not classes)
        inside = _VALUE_REGION if values else _REGION
        self._region.setToolTip(f"<qt>{inside} Key: {KEYS['draw_region']}</qt>")
        self._show.setToolTip(f"<qt>{_SHOW_VALUES if values else _SHOW}</qt>")
        self._complete.setChecked(session.current_slice in session.complete)
        self._classes.setVisible(classes)
        self._show.setChecked(self._overlay.shown)
        self._show_counts()

    def _show_values(self) -> None:
        session = self.session
        others = [i for i in self._candidates if i not in session.image_layers]
        listed = others if session.task == "regression" else []
        self._values.show_layers(listed, session.part(Values).chosen, session.image_layers)

    def _show_counts(self) -> None:
        session, survey = self.session, self._survey
        if session.task == "regression":
            self._count_values()
            return
        if session.task == "classes":
            painted = {value: nameless(value) for value in survey.values}
            names = painted | session.part(ClassNames).all
            self._classes.show_classes(names, session.labels_layer)
        here = survey.by_slice.get(session.current_slice)
        what = "classes" if session.task == "classes" else "cells"
        stack = session.slice_count > 1
        if here is None:
            self._counts.setText("" if self._obstacle else "Counting …")
            self._share.setText("")
            return
        text = f"<b>{_count(here.cells, what)}</b> on this {'slice' if stack else 'image'}"
        if stack and what == "cells":
            slices = _count(survey.annotated_slices, "slices")
            text += f", {survey.cells} in all on {slices}"
        self._counts.setText(text)
        counts = f"{_percent(here.share)} of it counts as annotated"
        if here.outside:
            counts += f"; ⚠ nothing is learnt from {_count(here.outside, what)} outside of it"
        self._share.setText(counts)

    def _count_values(self) -> None:
        session, chosen = self.session, self.session.part(Values).chosen
        problems = [layers.target_problem(target, session.image_layers) for target in chosen]
        problem = next(filter(None, problems), "")
        here = self._survey.by_slice.get(session.current_slice)
        self._share.setText("")
        if problem:
            self._counts.setText(f"⚠ {problem}")
        elif not chosen:
            self._counts.setText(
                "Tick the layers that hold the values."
                if self._values.count()
                else f"Open what “{session.name}” should become: images of its size that hold the "
                "values."
            )
        elif here is None:
            self._counts.setText("Counting …")
        else:
            where = "slice" if session.slice_count > 1 else "image"
            self._counts.setText(
                f"<b>{_count(len(chosen), 'values')}</b> for each pixel of this {where}"
            )
            why = (
                "" if here.share else ": no number in all ticked layers, or outside of the regions"
            )
            self._share.setText(f"{_percent(here.share)} of it counts as annotated{why}")

    # ------------------------------------------------------------------------------- acting

    def _on_image(self, index: int) -> None:
        if 0 <= index < len(self._candidates):
            image = self._candidates[index]
            self._choose(lambda: self._tools.choose(image))

    def _on_channels(self, item: QListWidgetItem) -> None:
        ticked = [self.session.image_layers[0]]
        by_id = {layers.identity(image): image for image in self._candidates}
        for n in range(self._channels.count()):
            one = self._channels.item(n)
            if one is not None and one.checkState() == Qt.CheckState.Checked:
                ticked.append(by_id[one.data(Qt.ItemDataRole.UserRole)])
        self._choose(lambda: self.session.set_channels(ticked))

    def _choose(self, choose: Callable[[], None]) -> None:
        try:
            choose()
            self.say("")
        except LayerError as problem:
            self.warn(str(problem))
        self.refresh()

    def _on_failed(self, why: str) -> None:
        """Say why nothing happened; a button that was pressed shows again how things are."""
        self.warn(why)
        self._show_state()

    def _on_start(self) -> None:
        index = self._labels.currentIndex() - 1
        if index >= 0:
            self._adopt(self._labels_choices[index])
        else:
            self._tools.start()

    def _on_labels(self, index: int) -> None:
        """Adopt another layer; before the start, the button does it."""
        if self.session.labels_layer is not None and 0 <= index < len(self._labels_choices):
            self._adopt(self._labels_choices[index])

    def _adopt(self, labels: Labels) -> None:
        """Take a layer that exists; whether it is complete is asked once."""
        asked = layers.fact(labels, layers.COMPLETE) is not None
        try:
            self.session.adopt(labels)
        except LayerError as problem:
            self.warn(str(problem))
            return
        layers.select(self.session.viewer, labels)
        if not asked:
            one = self.session.slice_count == 1
            slices = "" if one else f" on all {self.session.slice_count} slices"
            question = f"Does “{labels.name}” show every cell{slices}, or only some?"
            self._adoption.ask(question, about=labels)

    def _on_every_cell(self) -> None:
        if self._adoption.about is self.session.labels_layer:
            self.session.set_all_complete()
        self._show_state()

    def _on_some_cells(self) -> None:
        self.say("Then only the painted cells and a narrow rim around each count.")

    def _on_task(self) -> None:
        """Learn something else; numbers that are painted already keep what they mean."""
        session, task = self.session, self._wanted_task()
        labels = session.labels_layer
        self._renewal.drop()
        kept = task in ("regression", session.painted_task)
        if labels is None or kept or not layers.view_labels(labels).any():
            self._paint(task)
            return
        if session.task_is_open or self._said == (layers.identity(labels), session.revision):
            self._take_numbers_for(task, labels)
            return
        holds, wanted = ("classes", "single cells")[:: 1 if task == "instances" else -1]
        question = f"“{labels.name}” holds {holds}. Start new labels for {wanted}? It is kept."
        self._renewal.ask(question, about=(labels, task))
        self._show_state()

    def _take_numbers_for(self, task: Task, labels: Labels) -> None:
        """Say what the numbers of labels from elsewhere mean; until the next change it is free."""
        self._adoption.drop()
        self._paint(task)
        self._said = layers.identity(labels), self.session.revision
        if task == "classes":
            self.say(f"The numbers of “{labels.name}” are the classes; 0 says nothing.")

    def _wanted_task(self) -> Task:
        return next(task for task, choice in self._tasks.items() if choice.isChecked())

    def _on_new_labels(self) -> None:
        """Put new labels beside the old ones, which can be chosen again under “Labels”."""
        session, (old, task) = self.session, self._renewal.about
        self._renewal.drop()
        if old is not session.labels_layer:
            return
        name = f"{session.name} {'classes' if task == 'classes' else 'labels'}"
        new = layers.add_labels(session.viewer, session.image_layers, role=layers.LABELS, name=name)
        session.adopt(new)
        layers.hide(old)
        self._paint(task)

    def _paint(self, task: Task) -> None:
        self.session.task = task
        self.say(_FIRST.get(task, ""))
        self._tools.start()
        self._show_state()

    def _on_values(self, targets: list[Image]) -> None:
        try:
            self.session.part(Values).choose(targets)
            self.say("")
        except LayerError as problem:
            self.warn(str(problem))
        self.refresh()

    def _on_names(self, names: dict[int, str]) -> None:
        self.session.part(ClassNames).choose(names)
        self._show_state()

    def _on_offer(self, entry: RecoveryEntry | None) -> None:
        if entry is None:
            self._offer.drop()
            return
        count = entry.facts.get("cells")
        what = "the regions" if count == 0 else "the annotation"
        if count:
            what = _count(int(count), "annotations")
        if entry.facts.get("corrected"):
            what = "the corrected prediction"
        when = entry.saved.astimezone().strftime("%d %b %H:%M")
        name = entry.facts.get("name", "this image")
        self._offer.ask(f"Restore {what} of “{name}” from {when}?", about=entry)

    def _on_removed_regions(self) -> None:
        count = self._removed.count
        if count:
            which = f"{_count(count, 'regions')} of “{self.session.name}”"
            self._regions_offer.ask(f"Restore {which}, whose layer was removed?", about=count)
        else:
            self._regions_offer.drop()


def _combo(tooltip: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(f"<qt>{tooltip}</qt>")
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    return box


def _fill(box: QComboBox, names: Sequence[str], empty: str) -> None:
    """List names; `empty` says what is missing when there are none."""
    with QSignalBlocker(box):
        box.clear()
        box.addItems(list(names) or [empty])
    box.setEnabled(bool(names))


def _belongs(other: Image, first: Image) -> bool:
    """Whether `other` could be a further channel of `first`."""
    if other is first or other.multiscale or other.ndim not in (2, 3):
        return False
    return layers.volume_shape(other) == layers.volume_shape(first)


def _percent(share: float) -> str:
    return f"{'under 1' if 0 < share < 0.01 else f'{100 * share:.0f}'} %"


def _count(n: int, what: str) -> str:
    """``_count(1, "cells")`` is "1 cell"."""
    one = {"classes": "class"}.get(what, what.removesuffix("s"))
    return f"{n} {one if n == 1 else what}"
