"""The Predict dock: let the network find the cells, and take what it found over as annotation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QProgressBar, QVBoxLayout, QWidget

from napari_unet.gui import layers
from napari_unet.gui.corrections import Corrections
from napari_unet.gui.corrector import Corrector
from napari_unet.gui.cutter import Cutter
from napari_unet.gui.dock import Dock, add_field, button, combo, fields, row, words
from napari_unet.gui.file_dialog import MODEL, ask_to_open
from napari_unet.gui.form import OptionsForm, fold
from napari_unet.gui.jobs import Job
from napari_unet.gui.predictor import Order, Predictor
from napari_unet.gui.settings import remember, remembered
from napari_unet.prediction import InstanceOptions
from napari_unet.training import devices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unet.network import TrainedModel

__all__ = ["PredictDock"]

_SCORES = {
    "f1_50": "F1",
    "seg": "SEG",
    "ap50": "AP50",
    "mean_iou": "mean IoU",
    "pixel_error": "pixel error",
    "r2": "R²",
    "mae": "mean error",
}
_SURE = "Add an image layer of how sure the network is, 0 to 1."
_CORRECT = (
    "Copy what was found on this slice into your labels, except over cells that you have "
    "painted. Then correct it by painting, and train again. Ctrl+Z takes it back."
)
_VALUES = "This model predicts values, not cells or classes"


class PredictDock(Dock):
    """Predict with the session's model, which was trained here or comes from a file.

    The prediction belongs to the session's `Predictor`; this dock only shows it.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._predictor = self.session.part(Predictor)
        self._cutter = self.session.part(Cutter)
        self._corrector = self.session.part(Corrector)
        self._parts = (self._predictor, self._cutter, self._corrector)
        self._loading = Job(self, name="load model")
        self._build_model()
        self._build_prediction()
        self._build_cutting()
        self._build_correction()
        self._connect()
        self._show_model()
        self._show_prediction()
        self._show_cutting()

    # -------------------------------------------------------------------------------- building

    def _build_model(self) -> None:
        self._about = words()
        self._about.setTextFormat(Qt.TextFormat.PlainText)
        self._about.setToolTip(
            "<qt>What the network was trained to find, and how well. F1 and AP50 count the cells "
            "that are found at IoU 0.5, SEG rates their outlines; the score of the Train dock is "
            "the mean of F1 and SEG. Mean IoU is for classes, R² for values.</qt>"
        )
        self.column.addWidget(self._about)
        self._load = button(
            "Load model…", "Use a model that was saved before (Ctrl+O).", self._on_load
        )
        self.bind_key("Ctrl+O", self._load)
        self.column.addWidget(self._load)

    def _build_prediction(self) -> None:
        form = fields()
        self._slices = combo("Which slices of the image to predict.")
        self._slices.addItem("Current slice", False)
        self._slices.addItem("Whole stack", True)
        add_field(form, "Slices", self._slices)
        self._device = combo("The processor that predicts.")
        self._device.addItem("Fastest available", "auto")
        for device in devices():
            self._device.addItem(device.description, device.name)
        kept = self._device.findData(remembered("predict/device", "auto"))
        self._device.setCurrentIndex(max(kept, 0))
        add_field(form, "Device", self._device)
        self.column.addLayout(form)
        self._sure = QCheckBox("Also show probabilities")
        self._sure.setChecked(remembered("predict/probabilities", False))
        self.column.addWidget(self._sure)
        self._sizes = QCheckBox("Use pixel sizes")
        self._sizes.setToolTip(
            "<qt>Where an image has larger or smaller pixels than those trained on, show it to the "
            "network at the size that it knows. Switch it off where files tell wrong sizes.</qt>"
        )
        self._sizes.setChecked(remembered("predict/pixel sizes", True))
        self.column.addWidget(self._sizes)
        self._start = button(
            "Predict",
            "Run the network in the background. The result is a layer of its own; your labels "
            "are not touched (Ctrl+Return).",
            self._on_start,
        )
        self.bind_key("Ctrl+Return", self._start)
        self._cancel = button("Cancel", "Stop; slices that are done are kept.", self._on_cancel)
        self.column.addLayout(row(self._start, self._cancel))
        self._progress = QProgressBar()
        self._progress.setRange(0, 1000)
        self._progress.setTextVisible(False)
        self._progress.setFixedHeight(8)
        self._progress.setAccessibleName("Progress of the prediction")
        self._progress.setToolTip("<qt>How much is predicted.</qt>")
        self.column.addWidget(self._progress)

    def _build_cutting(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        self._options = OptionsForm(InstanceOptions())
        column.addWidget(self._options)
        self._reset = button("Reset", "Go back to what the model was tuned to.", self._cutter.reset)
        self._cut_all = button(
            "Cut all slices",
            "Cut every slice that is predicted in the same way. The slice that is shown follows "
            "by itself.",
            self._on_cut_all,
        )
        column.addLayout(row(self._reset, self._cut_all))
        self._cutting = fold(
            "How cells are cut",
            "From probabilities to cells: tuned by the training on what you painted. Change "
            "it where cells come out in pieces or joined; it belongs to the model then.",
        )
        self._cutting.addWidget(inside)
        self.column.addWidget(self._cutting)

    def _build_correction(self) -> None:
        self._correct = button("Correct", _CORRECT, self._on_correct)
        self.column.addWidget(self._correct)
        self.finish()

    def _connect(self) -> None:
        session = self.session
        session.model_changed.connect(self._show_model)
        session.image_changed.connect(self._show_model)
        session.layers_changed.connect(self._show_model)
        session.part(Corrections).told.connect(self.say)
        self._predictor.changed.connect(self._show_prediction)
        self._options.changed.connect(self._on_options)
        self._cutter.changed.connect(self._on_cut)
        self._corrector.changed.connect(self._on_corrected)
        self._loading.reported.connect(self._on_loaded)
        self._loading.failed.connect(self.warn)
        self._loading.finished.connect(self._show_buttons)

    # -------------------------------------------------------------------------------- the model

    def _show_model(self) -> None:
        model = self.session.model
        lines = [_description(model, self.session.model_path)]
        if model is not None:
            names = layers.channel_names(self.session.channels)
            lines += _channel_lines(list(model.provenance.get("channels", ())), names)
        self._about.setText("\n".join(lines))
        self._show_buttons()

    def _on_load(self) -> None:
        ask_to_open(self, "Load a model", MODEL, self.load)

    def load(self, name: str) -> None:
        """Read a model file in the background and use it."""
        path = Path(name)

        def read(should_stop: object) -> list[tuple[TrainedModel, Path]]:
            from napari_unet.files import load_model

            return [(load_model(path), path)]

        if self._loading.running:
            return
        self.say(f"Loading {path.name}…")
        self._loading.start(read)
        self._show_buttons()

    def _on_loaded(self, loaded: tuple[TrainedModel, Path]) -> None:
        model, path = loaded
        self.say("")
        self.session.set_model(model, path)

    # ------------------------------------------------------------------------------ the cutting

    def _on_options(self) -> None:
        """Let the model cut cells as the form says, unless the form only shows the model's."""
        if self._cutter.options is None:
            return
        try:
            self._cutter.set_options(self._options.value())
        except ValueError as error:
            self.warn(str(error))

    def _on_cut_all(self) -> None:
        self.say("")
        self._cutter.cut(self._cutter.kept)

    def _on_cut(self) -> None:
        if self._cutter.problem:
            self.warn(self._cutter.problem)
        elif self._cutter.outcome:
            self.say(self._cutter.outcome)
        self._show_cutting()

    def _show_cutting(self) -> None:
        options = self._cutter.options
        self._cutting.setVisible(options is not None)
        self._cancel.setEnabled(any(part.running for part in self._parts))
        if self._cutter.running:
            self._progress.setValue(round(1000 * self._cutter.share))
        if options is None:
            return
        if options != self._options.value():
            self._options.set_value(options)
        predicting = self._predictor.running
        self._options.setEnabled(not predicting)
        self._reset.setEnabled(options != self._cutter.tuned and not predicting)
        self._cut_all.setVisible(self.session.slice_count > 1)
        self._cut_all.setEnabled(len(self._cutter.kept) > 1 and not self._cutter.running)

    # --------------------------------------------------------------------------- the prediction

    def _on_start(self) -> None:
        self.say("")
        remember("predict/device", self._device.currentData())
        remember("predict/probabilities", self._sure.isChecked())
        remember("predict/pixel sizes", self._sizes.isChecked())
        order = Order(
            whole=self._slices.currentData(),
            probabilities=self._sure.isChecked(),
            device=self._device.currentData(),
            use_pixel_size=self._sizes.isChecked(),
        )
        self._cutter.cancel()
        try:
            self._predictor.start(order)
        except ValueError as error:
            self.warn(str(error))

    def _on_cancel(self) -> None:
        self._predictor.cancel()
        self._cutter.cancel()
        self._corrector.cancel()

    def _on_correct(self) -> None:
        try:
            self._corrector.start()
        except ValueError as error:
            self.warn(str(error))

    def _on_corrected(self) -> None:
        if self._corrector.running:
            self.say("Copying what was found on this slice…")
        elif self._corrector.problem:
            self.warn(self._corrector.problem)
        elif self._corrector.outcome:
            self.say(self._corrector.outcome)
        self._show_buttons()

    def _show_prediction(self) -> None:
        predictor = self._predictor
        self._progress.setValue(round(1000 * predictor.share))
        if predictor.problem:
            self.warn(predictor.problem)
        elif predictor.outcome or predictor.note:
            self.say(" ".join(filter(None, (predictor.outcome, predictor.note))))
        self._show_buttons()

    def _show_buttons(self) -> None:
        running = self._predictor.running
        self._start.setEnabled(not running and not self._loading.running)
        model = self.session.model
        values = model is not None and model.task == "regression"
        busy = running or self._corrector.running
        self._correct.setEnabled(self._predictor.has_source and not busy and not values)
        self._show_cutting()
        self._correct.setToolTip(
            _because(_CORRECT, f"{_VALUES}: there is nothing to paint.", values)
        )
        self._sure.setEnabled(not values)
        self._sure.setToolTip(_because(_SURE, f"{_VALUES}: they have no probabilities.", values))
        self._slices.setEnabled(self.session.slice_count != 1)


def _because(usual: str, reason: str, disabled: bool) -> str:
    return f"<qt>{reason if disabled else usual}</qt>"


def _description(model: TrainedModel | None, path: Path | None) -> str:
    """Describe a model: where it is from, what it finds, at what scale, how well."""
    if model is None:
        return "No model yet: train one with “Train”, or load one."
    lines = [f"Model: {path.stem if path else 'not saved'}"]
    channels = "1 channel" if model.channels == 1 else f"{model.channels} channels"
    if model.task == "regression":
        outputs = ", ".join(label.name for label in model.classes)
        lines.append(f"Predicts values: {outputs} · for images with {channels}")
    else:
        classes = ", ".join(label.name for label in model.classes[1:])
        lines.append(f"Finds: {classes} · in images with {channels}")
    if members := model.architecture.get("members"):
        lines.append(f"Mean of {members} networks, {members} times slower than one")
    if model.scale != 1:
        lines.append(f"Working scale: {model.scale:.2g}")
    if model.pixel_size is not None:
        lines.append(f"Pixels trained on: {model.pixel_size:.3g} µm")
    scores = _scores(model)
    if scores:
        lines.append(f"Scores: {scores}")
    return "\n".join(lines)


def _channel_lines(known: list[str], here: list[str]) -> list[str]:
    """Say what the channels of a model are, and whether those of the image come in that order."""
    if len(known) < 2:
        return []
    lines = [f"Its channels: {_numbered(known)}"]
    if here != known and sorted(here) == sorted(known):
        lines.append(
            f"⚠ This image has them in another order: {_numbered(here)}. Channels count from the "
            "lower end of the layer list: drag the layers into the order of the model."
        )
    return lines


def _numbered(names: list[str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))


def _scores(model: TrainedModel) -> str:
    kept = model.provenance.get("scores") or {}
    each = kept.get("each") or ()
    if len(each) < 2:
        return _numbers(kept)
    outputs = zip(model.classes, each, strict=False)  # a mean of their errors would mix units
    return "; ".join(f"{label.name} {_numbers(scores)}" for label, scores in outputs)


def _numbers(scores: Mapping[str, Any]) -> str:
    found = [(name, text, scores.get(name)) for name, text in _SCORES.items()]
    return ", ".join(
        f"{text} {value:.3g}" if name == "mae" else f"{text} {value:.2f}"
        for name, text, value in found
        if value is not None
    )
