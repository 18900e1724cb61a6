"""The Weight map dock: how much each pixel will count in training, for the slice that is shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox
from superqt import QLabeledDoubleSlider

from napari_unet.gui import layers
from napari_unet.gui.border import Border
from napari_unet.gui.dock import Dock, add_field, button, fields, row, words
from napari_unet.gui.jobs import Job
from napari_unet.gui.layers import LayerError
from napari_unet.training import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.marks import Marks

__all__ = ["WeightMapDock"]

ROLE = "weight map"
_COMPUTING = "Computing the weight map…"
_DEBOUNCE_MS = 120
# Reach of the sliders: the whole range of the options would leave the usual values no room.
_REACH = {"w0": 40.0, "sigma": 25.0}


@dataclass(frozen=True, eq=False)
class _Request:
    """What one preview is computed from: copies, safe in a worker thread."""

    images: tuple[Image, ...]
    z: int
    marks: Marks
    w0: float
    sigma: float


@dataclass(frozen=True, eq=False)
class _Preview:
    """The weights (Y, X) of a request, and how many cells they are between."""

    request: _Request
    weights: NDArray[Any]
    cells: int


def _compute(request: _Request, should_stop: ShouldStop) -> Iterator[_Preview]:
    """Weigh the pixels of separated cells at full resolution, nothing where nothing counts."""
    from napari_unet.annotations import binary_to_instances, count_cells, separate, weight_map

    annotated = request.marks.annotated()[0]
    if request.marks.task == "classes":
        yield _Preview(request, annotated.astype("float32"), 0)
        return
    [cells] = binary_to_instances([request.marks.labels[0]], [annotated])
    separated = separate(cells)
    if should_stop():
        return
    weights = weight_map(separated, w0=request.w0, sigma=request.sigma)
    weights[~annotated] = 0
    yield _Preview(request, weights, count_cells(cells))


class WeightMapDock(Dock):
    """Preview the weight map of the current slice, and choose w0 and sigma.

    The two values belong to the session: the Train dock uses the same ones.

    Parameters
    ----------
    napari_viewer
        A napari viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._border = self.session.part(Border)
        self._job = Job(self, name="weight map")
        self._stale = False
        self._contrast = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE_MS)
        self._timer.timeout.connect(self._refresh)
        self._sliders = {name: self._slider(name) for name in _REACH}
        self._build()
        self._show_border()
        self._connect()

    def _build(self) -> None:
        self.column.addWidget(
            words(
                "Narrow gaps between cells count more in training, so that touching cells are "
                "kept apart. The preview shows how much."
            )
        )
        form = fields()
        for name, slider in self._sliders.items():
            add_field(form, _option(name).metadata["title"], slider)
        self.column.addLayout(form)
        show = button(
            "Show weight map",
            "Show the weights of the current slice as an image layer (Ctrl+Return).",
            self._on_show,
        )
        self.bind_key("Ctrl+Return", show)
        self._remove = button(
            "Remove", "Take the preview away, or stop computing it.", self._on_remove
        )
        reset = button("Reset", "Back to the values of the paper: 10 and 5 px.", self._on_reset)
        self.column.addLayout(row(show, self._remove, reset))
        self._live = QCheckBox("Live: follow painting and slices")
        self._live.setToolTip(
            "<qt>Compute the preview again when you paint or move to another slice.</qt>"
        )
        self._live.setChecked(True)
        self.column.addWidget(self._live)
        self.finish()

    def _connect(self) -> None:
        session = self.session
        self._border.changed.connect(self._on_border)
        session.annotations_changed.connect(self._on_followed)
        session.slice_changed.connect(self._on_followed)
        session.layers_changed.connect(self._on_layers)
        self._live.toggled.connect(self._on_followed)
        self._job.reported.connect(self._on_preview)
        self._job.failed.connect(self.warn)
        self._job.finished.connect(self._on_finished)
        self._job.started.connect(self._on_layers)
        self.say_while(self._job, _COMPUTING)
        self._on_layers()

    def _slider(self, name: str) -> QLabeledDoubleSlider:
        field = _option(name)
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        slider.setRange(field.metadata["min"], _REACH[name])
        slider.setDecimals(1)
        slider.setSingleStep(field.metadata["step"])
        slider.setToolTip(f"<qt>{field.metadata['tooltip']}</qt>")
        slider.setAccessibleName(field.metadata["title"])
        slider.valueChanged.connect(self._on_slider)
        return slider

    # ---------------------------------------------------------------------------- the controls

    def _on_slider(self) -> None:
        w0, sigma = (round(slider.value(), 1) for slider in self._sliders.values())
        self._border.choose(w0, sigma)

    def _on_border(self) -> None:
        self._show_border()
        if self._layer() is not None:
            self._timer.start()

    def _show_border(self) -> None:
        """Show the session's values, beyond the usual reach of the sliders if need be."""
        for slider, value in zip(self._sliders.values(), self._border.weights, strict=True):
            slider.blockSignals(True)
            slider.setRange(slider.minimum(), max(slider.maximum(), value))
            slider.setValue(value)
            slider.blockSignals(False)

    def _on_reset(self) -> None:
        paper = TrainingConfig()
        self._border.choose(paper.w0, paper.sigma)

    def _on_show(self) -> None:
        self.say("")
        self._refresh()

    def _on_remove(self) -> None:
        self.say("")
        self._timer.stop()
        self._stale = False
        self._job.stop()
        layers.remove_roles(self.session.viewer, [ROLE])
        self._on_layers()

    def _on_followed(self) -> None:
        if self._live.isChecked() and self._layer() is not None and self.in_use:
            self._timer.start()

    def _on_layers(self) -> None:
        computing = self._job.running and not self._job.stopping
        self._remove.setEnabled(computing or self._layer() is not None)

    def _layer(self) -> Image | None:
        return layers.find_image(self.session.viewer, ROLE, self.session.image_layers)

    # ----------------------------------------------------------------------------- the preview

    def _refresh(self) -> None:
        if self._job.running:
            self._stale = True
            if self._job.stopping:  # what was removed comes to an end first
                self.say(_COMPUTING)
            return
        try:
            request = self._request()
        except LayerError as error:
            self.warn(str(error))
            return
        self._job.start(lambda should_stop: _compute(request, should_stop))

    def _request(self) -> _Request:
        session = self.session
        session.check_fit()
        if session.task == "regression":
            raise LayerError("Values have no weight map: every pixel that counts weighs the same.")
        marks = session.marks()
        if marks is None:
            raise LayerError(f"“{session.name}” has no labels yet; start with “Annotate”.")
        here = marks.slice(session.current_slice)
        w0, sigma = self._border.weights
        return _Request(
            images=session.image_layers,
            z=session.current_slice,
            marks=dataclasses.replace(here, labels=here.labels.copy()),
            w0=w0,
            sigma=sigma,
        )

    def _on_preview(self, preview: _Preview) -> None:
        request, session = preview.request, self.session
        if self._job.stopping or request.images != session.image_layers:
            return
        highest = 1 + request.w0
        layer = layers.put_image(
            session.viewer,
            request.images,
            preview.weights,
            role=ROLE,
            name=f"{session.name} weight map",
            z=request.z if session.slice_count > 1 else None,
            colormap="inferno",
            opacity=0.7,
            contrast_limits=(0, highest),
        )
        if self._contrast != highest:
            layers.set_contrast(layer, 0, highest)
            self._contrast = highest
        self._on_layers()
        self.say(self._words(preview))

    def _words(self, preview: _Preview) -> str:
        if preview.request.marks.task == "classes":
            return "For painted classes every painted pixel weighs the same."
        if preview.cells == 0:
            return "No cells are painted on this slice; paint two that are close to each other."
        if preview.cells == 1:
            return "Only one cell is painted here; a gap needs two that are close to each other."
        where = f" on slice {preview.request.z}" if self.session.slice_count > 1 else ""
        return (
            f"The largest weight{where} is {float(preview.weights.max()):.1f}, between "
            f"{preview.cells} cells. Black does not count; inside cells the weight is 1 here. A "
            "training also balances cells and background, and draws the map at its working scale."
        )

    def _on_finished(self) -> None:
        self._on_layers()
        if self._stale:
            self._stale = False
            self._timer.start()


def _option(name: str) -> dataclasses.Field[Any]:
    """Return the option of the training that a slider stands for."""
    return next(field for field in dataclasses.fields(TrainingConfig) if field.name == name)
