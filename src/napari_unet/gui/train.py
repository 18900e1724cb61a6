"""The Train dock: choose how long and on what, watch the network learn, stop when it is good."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_unet.gui.border import Border
from napari_unet.gui.dock import Dock, add_field, button, combo, fields, row, words
from napari_unet.gui.file_dialog import MODEL, ask_to_save, plain_name
from napari_unet.gui.form import OptionsForm
from napari_unet.gui.jobs import Job
from napari_unet.gui.loss_plot import DARK, LIGHT, LossPlot
from napari_unet.gui.settings import remember, remembered
from napari_unet.gui.start_choice import StartChoice
from napari_unet.gui.teaching import other_annotations
from napari_unet.gui.trainer import Trainer
from napari_unet.training import (
    PRESETS,
    TrainingConfig,
    depending_options,
    devices,
    encoder_advice,
    gpu_advice,
    network_options,
    without_effect,
)

if TYPE_CHECKING:
    from napari_unet.network import TrainedModel

__all__ = ["TrainDock"]

_FIRST = ("minutes", "until_stopped", "device")
_HIDDEN = ("preset", "task")
_OF_VALUES = ("regression_loss",)
_SCORES = {"instances": "score", "classes": "mean IoU", "regression": "R²"}
_MEANT = {"instances": ", the mean of F1 and SEG"}
_OF_PRESETS = frozenset(
    each.name
    for each in dataclass_fields(TrainingConfig)
    if len({getattr(preset, each.name) for preset in PRESETS.values()}) > 1
)
_REDRAW_MS = 250
_PLAIN_WORDS = {
    "quick": "A small network, useful after minutes on any computer.",
    "balanced": "A larger network: better with a GPU, or over lunch.",
    "best": "Three small networks share the time; their mean predicts. For an hour, or a night.",
    "paper": "The network of 2015, literally; needs a GPU and hours.",
}
_ONE_WITHOUT_END = (
    "Several networks have to know the time that they share: until you stop, one learns."
)
_GOING_ON = (
    "Goes on with the network of the model, at a cell size that it knows; the preset decides "
    "the rest."
)


class TrainDock(Dock):
    """Train a network on what is painted in this viewer.

    The training belongs to the session's `Trainer`; this dock only shows it, and may be closed
    and opened again meanwhile.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._trainer = self.session.part(Trainer)
        self._border = self.session.part(Border)
        self._saving = Job(self, name="save model")
        self._advising = Job(self, name="look for what encoders need")
        self._advice: str | None = None  # what encoders lack, once it is known
        self._refusal = ""
        self._note = ""
        self._task = self.session.task
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(_REDRAW_MS)
        self._redraw.timeout.connect(self._show_training)
        self._build_choices()
        self._build_others()
        self._build_training()
        self._connect()
        self.apply_theme()
        self._show_training()

    # -------------------------------------------------------------------------------- building

    def _build_choices(self) -> None:
        self._preset = combo("Values that suit a purpose; every one can be changed.")
        for name in PRESETS:
            self._preset.addItem(name.capitalize(), name)
        kept = self._preset.findData(remembered("train/preset", next(iter(PRESETS))))
        self._preset.setCurrentIndex(max(kept, 0))
        self._shown = self._preset.currentData()
        self._from = StartChoice(self.session)
        form = fields()
        add_field(form, "Preset", self._preset)
        add_field(form, "Start from", self._from)
        self.column.addLayout(form)
        self._about = words()
        self.column.addWidget(self._about)
        self._form = self._options_form()
        self.column.addWidget(self._form)
        advice = gpu_advice()
        if advice:
            self.column.addWidget(words(f"⚠ {advice}"))

    def _options_form(self) -> OptionsForm:
        found = devices()
        names = {"auto": "Fastest available"}
        names |= {device.name: device.description for device in found}
        options = [f.name for f in dataclass_fields(TrainingConfig) if "tooltip" in f.metadata]
        others = [name for name in options if name not in (*_FIRST, *_HIDDEN)]
        form = OptionsForm(
            self._from_preset(),
            names=[*_FIRST, *others],
            plain=_FIRST,
            choices={"device": names},
        )
        return form

    def _build_others(self) -> None:
        self._count_others = QTimer(self)
        self._count_others.setSingleShot(True)
        self._count_others.setInterval(_REDRAW_MS)
        self._count_others.timeout.connect(self._show_others)
        self._others = QCheckBox()
        self._others.setToolTip(
            "<qt>Learn from every image of this window on which the same is painted, not from the "
            "chosen one alone; for cells also from those without any that are called complete or "
            "have a region. A model that you start from does not forget the images that it knows, "
            "if they are among them. Their channels have to be in the same order in the layer "
            "list.</qt>"
        )
        self._others.setChecked(remembered("train/other images", True))
        self._others.toggled.connect(lambda on: remember("train/other images", on))
        self.column.addWidget(self._others)

    def _on_edited(self, _layer: object) -> None:
        self._count_others.start()

    def _show_others(self) -> None:
        """Offer the other annotated images, where there are any."""
        count = len(other_annotations(self.session))
        self._others.setVisible(count > 0)
        also = "another annotated image" if count == 1 else f"{count} other annotated images"
        self._others.setText(f"Also learn from {also}")

    def _build_training(self) -> None:
        self._start = button(
            "Start training",
            "Learn from what is painted, or from the values that are chosen in “Annotate”. "
            "Painting may go on meanwhile: it joins the training (Ctrl+Return).",
            self._on_start,
        )
        self.bind_key("Ctrl+Return", self._start)
        self._stop = button("Stop", "End now and keep the best network so far.", self._trainer.stop)
        self.foot.addLayout(row(self._start, self._stop))
        self._progress = QProgressBar()
        self._progress.setRange(0, 1000)
        self._progress.setTextVisible(False)
        self._progress.setFixedHeight(8)
        self._progress.setAccessibleName("Progress of the training")
        self._progress.setToolTip(
            "<qt>How much of the time is used up; it runs to and fro until you press Stop.</qt>"
        )
        self.foot.addWidget(self._progress)
        self._clock = words()
        self._clock.setToolTip(
            "<qt>Time since the start, time left, and how good the best network is on what is kept "
            "back: for cells the mean of F1 at IoU 0.5, which counts what is found, and SEG, which "
            "rates outlines; for classes the mean IoU of those painted; for values R².</qt>"
        )
        self.foot.addWidget(self._clock)
        self._plot = LossPlot()
        self._plot.setMaximumHeight(280)
        self.foot.addWidget(self._plot, 100)  # before the empty room at the end
        self._save = button(
            "Save model as…",
            "Keep the model under a name of your own. Every trained model is kept in the "
            "plugin's folder anyway.",
            self._on_save,
        )
        self._so_far = button(
            "Predict with it so far",
            "Let the Predict dock use the best network until now, while the training goes on. How "
            "cells are cut is tuned at the end.",
            self._on_so_far,
        )
        self.foot.addLayout(row(self._so_far, self._save))
        self.finish()

    def _connect(self) -> None:
        self._preset.currentIndexChanged.connect(self._on_preset)
        self._from.changed.connect(self._show_choices)
        self._form.changed.connect(self._on_option)
        self._trainer.changed.connect(self._on_training)
        self.session.annotations_changed.connect(self._on_painted)
        self.session.image_changed.connect(self._on_task)
        self.session.annotations_changed.connect(self._on_task)
        self._border.changed.connect(self._on_border)
        self.session.model_changed.connect(self._show_buttons)
        for changed in (
            self.session.layers_changed,
            self.session.image_changed,
            self.session.annotations_changed,
        ):
            changed.connect(self._show_others)
        self.session.edited.connect(self._on_edited)
        self._show_others()
        self._advising.reported.connect(self._on_advice)
        self._saving.reported.connect(self._on_saved)
        self._saving.failed.connect(self.warn)
        self._saving.finished.connect(self._show_buttons)
        self._show_choices()

    def apply_theme(self) -> None:
        """Draw the curves on the background of napari's theme."""
        if not hasattr(self, "_plot"):
            return
        theme = get_theme(self.session.viewer.theme)
        colors = LIGHT if theme.type == "light" else DARK
        background, text = theme.background.as_hex("long"), theme.text.as_hex("long")
        self._plot.set_colors(colors._replace(background=background, text=text))

    # ----------------------------------------------------------------------------- the options

    def _from_preset(self, name: str | None = None) -> TrainingConfig:
        """Return a preset, the chosen one, with what is remembered and what the session decides."""
        name = name or self._preset.currentData()
        w0, sigma = self._border.weights
        minutes = PRESETS[name].minutes or 1.0
        return TrainingConfig.from_preset(
            name,
            task=self._task,
            minutes=remembered(f"train/minutes {name}", minutes),
            until_stopped=remembered("train/until stopped", False),
            device=remembered("train/device", "auto"),
            w0=w0,
            sigma=sigma,
        )

    def _changed_by_hand(self, before: TrainingConfig) -> dict[str, Any]:
        """Return what the form says otherwise than the preset that it was filled from."""
        edited = self._form.values()
        return {name: v for name, v in edited.items() if v != getattr(before, name)}

    def _on_preset(self) -> None:
        """Take the values of another preset; what is the same in all of them stays as it was set.

        A preset is only what it is called with all values that make it different from the others.
        """
        before, self._shown = self._shown, self._preset.currentData()
        changed = self._changed_by_hand(self._from_preset(before))
        remember("train/preset", self._shown)
        kept = {name: value for name, value in changed.items() if name not in _OF_PRESETS}
        preset = self._from_preset()
        reset = [n for n, v in changed.items() if n not in kept and v != getattr(preset, n)]
        if self.message == self._note:
            self.say("")
        self._form.set_value(preset, **kept)
        self._show_choices()
        self._tell_changed(reset, list(kept))

    def _tell_changed(self, reset: list[str], kept: list[str]) -> None:
        """Say what became of options that a person has changed before choosing a preset."""
        said = []
        if reset:
            said.append(f"{self._titles(reset)}: what you had set gave way to the preset.")
        if kept:
            said.append(f"{self._titles(kept)}: kept as you have set it.")
        self._note = " ".join(said)
        if said and not self.warned:
            self.say(self._note)

    def _titles(self, names: list[str]) -> str:
        return ", ".join(map(self._form.title, names))

    def _on_task(self) -> None:
        """Learn something else; options that nobody has changed become those that suit it."""
        if self._task == self.session.task:
            return
        changed = self._changed_by_hand(self._from_preset())
        self._task = self.session.task
        self._form.set_value(self._from_preset(), **changed)
        self._show_training()

    def _show_choices(self) -> None:
        """Say what preset and start mean, and let nobody edit what does nothing."""
        goes_on = self._from.start is not None
        self._form.show_rows(_OF_VALUES, self._task == "regression")
        try:
            config = self._config()
        except ValueError as error:
            self._form.enable(network_options(), not goes_on)
            self._refuse(error)
            return
        if self._refusal and self.message == self._refusal:
            self.say("")
        about = _GOING_ON if goes_on else _PLAIN_WORDS.get(self._preset.currentData(), "")
        if config.until_stopped and config.networks > 1 and not goes_on:
            about = _ONE_WITHOUT_END
        advice = self._encoder_advice() if config.encoder is not None and not goes_on else ""
        self._about.setText(f"⚠ {advice}" if advice else about)
        self._enable_options(config, goes_on=goes_on)

    def _encoder_advice(self) -> str:
        """Say what encoders lack on this computer, as soon as it is found out: that takes time."""
        if self._advice is None and not self._advising.running:
            self._advising.start(_look_for_encoders)
        return self._advice or ""

    def _on_advice(self, advice: str) -> None:
        self._advice = advice
        self._show_choices()

    def _config(self) -> TrainingConfig:
        """Return what is chosen.

        Where a model is gone on from, nobody can edit the options of its network: they are those
        of the preset until the model's take their place, so that none of them can be wrong.
        """
        if self._from.start is None:
            return cast("TrainingConfig", self._form.value())
        preset = self._from_preset()
        names = network_options() - {"cell_diameter"}
        values = {name: getattr(preset, name) for name in names}
        return cast("TrainingConfig", self._form.value(**values))

    def _refuse(self, error: ValueError) -> None:
        """Say what is wrong with the options, until it is put right."""
        self.warn(str(error))
        self._refusal = self.message

    def _enable_options(self, config: TrainingConfig, *, goes_on: bool) -> None:
        # The network of a model in a file is not known before it is read.
        unknown = ("network", "encoder") if goes_on else ()
        idle = without_effect(config, goes_on=goes_on, unknown=unknown)
        self._form.enable(depending_options() - idle.keys(), True)
        self._form.enable(idle, False)
        self._form.enable(["minutes"], not config.until_stopped)

    def _on_option(self) -> None:
        try:
            config = self._config()
        except ValueError as error:
            self._refuse(error)
            return
        if config.minutes is not None:
            remember(f"train/minutes {config.preset}", config.minutes)
        remember("train/until stopped", config.until_stopped)
        remember("train/device", config.device)
        self._show_choices()
        self._border.choose(config.w0, config.sigma)

    def _on_border(self) -> None:
        for name, value in zip(("w0", "sigma"), self._border.weights, strict=True):
            widget: Any = self._form.widget(name)
            widget.setValue(value)

    # ---------------------------------------------------------------------------- the training

    def _on_start(self) -> None:
        self.say("")
        self._on_task()
        try:
            others = other_annotations(self.session) if self._others.isChecked() else []
            self._trainer.start(self._config(), self._from.start, self._from.name, others)
        except ValueError as error:
            self.warn(str(error))

    def _on_so_far(self) -> None:
        self._trainer.use_checkpoint()
        self.say("The Predict dock has the best network so far; the training goes on.")

    def _on_training(self) -> None:
        """Show the beginning and the end at once, what lies between now and then."""
        report = self._trainer.report
        if report is None or not self._trainer.running or self._trainer.stopping:
            self._show_training()
        elif not self._redraw.isActive():
            self._redraw.start()

    def _on_painted(self) -> None:
        """Take back what was wrong with the annotation before it changed.

        A training that failed after its first step failed for another reason, which stays.
        """
        report = self._trainer.report
        learnt = report is not None and report.step > 0
        if self.warned and not self._trainer.running and not learnt:
            self._trainer.problem = ""
            self.say("")

    def _show_training(self) -> None:
        trainer = self._trainer
        task = self._task if trainer.report is None else trainer.task
        self._plot.name_score(f"Validation {_SCORES[task]}")
        self._plot.show_curves(trainer.curve.loss, trainer.curve.validation)
        # Before there are any, the room is for the options.
        self._plot.setVisible(trainer.running or trainer.report is not None)
        self._show_progress()
        self._clock.setText(self._times())
        self._show_buttons()
        self._show_words()

    def _show_progress(self) -> None:
        report = self._trainer.report
        endless = self._trainer.running and report is not None and report.progress is None
        self._progress.setRange(0, 0 if endless else 1000)
        if not endless:
            self._progress.setValue(round(1000 * (report.progress or 0.0)) if report else 0)

    def _times(self) -> str:
        trainer, report = self._trainer, self._trainer.report
        if trainer.stopping:
            learnt = report is not None and report.step > 0
            return "Stopping; the best network is being finished…" if learnt else "Stopping…"
        if report is None:
            return "Preparing…" if trainer.running else ""
        if trainer.running and report.message and report.phase == "training":
            return f"{report.message}…"
        past = f"{_clock(report.seconds)} · step {report.step}"
        if trainer.running and report.networks > 1:
            past = f"{past} · network {report.network} of {report.networks}"
        if trainer.running and report.seconds_left is not None:
            past = f"{past} · {_clock(report.seconds_left)} left"
        scores = [score for _, score in trainer.curve.validation]
        name, meant = _SCORES[trainer.task], _MEANT.get(trainer.task, "")
        return f"{past} · best {name} {max(scores):.2f}{meant}" if scores else past

    def _show_words(self) -> None:
        if self._trainer.problem:
            self.warn(self._trainer.problem)
        elif self._trainer.notes:
            self.say(" ".join(f"{note.rstrip('.')}." for note in self._trainer.notes[-3:]))

    def _show_buttons(self) -> None:
        running = self._trainer.running
        self._start.setEnabled(not running)
        self._stop.setEnabled(running and not self._trainer.stopping)
        busy = running or self._saving.running
        self._save.setEnabled(self.session.model is not None and not busy)
        self._so_far.setEnabled(self._trainer.checkpoint is not None)

    # ------------------------------------------------------------------------- saving the model

    def _on_save(self) -> None:
        name = Path(f"{plain_name(self.session.name) or 'model'}{MODEL.ending}")
        ask_to_save(self, "Save the model", MODEL, self._save_to, suggested=name)

    def _save_to(self, name: str) -> None:
        model, path = self.session.model, Path(name)
        if model is None:
            return

        def save(should_stop: object) -> list[tuple[TrainedModel, Path]]:
            from napari_unet.files import save_model

            return [(model, save_model(model, path, overwrite=True))]

        self._saving.start(save)
        self._show_buttons()

    def _on_saved(self, saved: tuple[TrainedModel, Path]) -> None:
        model, path = saved
        if self.session.model is model:  # a training may have ended meanwhile
            self.session.set_model(model, path)
        self.say(f"The model is saved as {path}.")


def _look_for_encoders(_: object) -> list[str]:
    return [encoder_advice()]


def _clock(seconds: float) -> str:
    """Write 83 seconds as 1:23, and hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
