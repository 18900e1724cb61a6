"""The prediction of one viewer: slices become layers as they come, whether a dock shows or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_unet.gui import layers
from napari_unet.gui.changes import Change
from napari_unet.gui.corrections import Corrections
from napari_unet.gui.layers import (
    CLASSES,
    CORRECTED,
    LABELS,
    OUTPUT,
    PREDICTED,
    PREDICTION,
    TASK,
    VALUES,
    LayerError,
)
from napari_unet.gui.slices import by_other_models, in_words, sign

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_unet.gui.jobs import ShouldStop
    from napari_unet.gui.layers import ImageStack
    from napari_unet.gui.session import Session
    from napari_unet.network import TrainedModel
    from napari_unet.prediction import IntensityRange

__all__ = ["Order", "Predictor"]

PROBABILITY = "probability"
_MOST_KEPT = 1 << 30  # bytes of probabilities, to cut cells from again


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be predicted.

    Attributes
    ----------
    whole
        All slices; else the one that is shown.
    probabilities
        Also show how sure the network is.
    device
        Name of the processor, or "auto".
    use_pixel_size
        Show the network the image at the size it knows, where the layer tells its pixel size.
    """

    whole: bool
    probabilities: bool
    device: str
    use_pixel_size: bool = True


@dataclass(frozen=True, eq=False)
class _Progress:
    """How far it is; with a slice's results, when one is complete."""

    done: int
    total: int
    z: int | None = None
    change: Change | None = None
    probabilities: NDArray[Any] | None = None
    message: str = ""
    model: str = ""  # its fingerprint


class _Ranges:
    """The range of intensities of the last image, which is read as a whole to measure it."""

    def __init__(self) -> None:
        self._known: tuple[ImageStack, dict[str, float], IntensityRange] | None = None

    def forget(self) -> None:
        """Let go of the image."""
        self._known = None

    def of(
        self, image: ImageStack, percentiles: Mapping[str, float], should_stop: ShouldStop
    ) -> IntensityRange:
        """Return the range of an image, measured once as long as its layers hold these arrays."""
        from napari_unet.prediction import measure_range

        wanted = dict(percentiles)
        known = self._known  # the GUI thread may let go of it
        if known and known[0].reads_as(image) and known[1] == wanted:
            return known[2]
        found = measure_range(image, wanted, should_stop)
        if not should_stop():
            self._known = image, wanted, found
        return found


def _predict(
    model: TrainedModel,
    image: ImageStack,
    slices: list[int],
    planes: NDArray[Any],
    first: int | None,
    device: str,
    pixel_size: float | None,
    ranges: _Ranges,
    should_stop: ShouldStop,
) -> Iterator[_Progress]:
    """Predict slice by slice; cells get numbers from `first` on that no other slice has.

    `planes` (Z, Y, X) are the labels as they are; where `first` is None they say what is free.
    The image is read here, in the worker, and one slice of it is held at a time: its grey values
    are measured on all slices, whichever are predicted. A regression has no labels; its values
    stand where the probabilities do.
    """
    from napari_unet.prediction import free_number, labels_from, number_on, predict_slices

    fits = image.shape[1] == model.channels  # else it is refused before it is read
    reports = predict_slices(
        model,
        image,
        slices=slices,
        device=device,
        pixel_size=pixel_size,
        normalisation=ranges.of(image, model.normalisation, should_stop) if fits else None,
        should_stop=should_stop,
    )
    last = (free_number(planes, without=slices) if first is None else first) - 1
    by = model.fingerprint
    for report in reports:
        change = None
        if report.probabilities is not None and model.task != "regression":
            labels = labels_from(model, report.probabilities, pixel_size=pixel_size)
            if model.task == "instances":
                labels, last = number_on(labels, last)
            change = Change.of(planes[report.index], labels).prepared()
        yield _Progress(
            report.done,
            report.total,
            report.index,
            change,
            report.probabilities,
            report.message,
            by,
        )


class Predictor(QObject):
    """Predict the session's image with the session's model, into layers of its own.

    A part of the session (``session.part(Predictor)``). The user's labels are never touched:
    results go into a layer "NAME prediction", and only the `Corrector` copies them. The values of a
    regression go into one Image layer per output.

    Attributes
    ----------
    changed : Signal()
        A report came in, or the prediction began or ended.
    share : float
        How much is done, 0 to 1.
    outcome : str
        What happened in the end, in one sentence; empty meanwhile.
    problem : str
        Why it went wrong, empty otherwise.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._corrections = session.part(Corrections)
        self._job = session.job("predict")
        self.share = 0.0
        self.outcome = ""
        self.problem = ""
        self._message = ""
        self._strokes = self._mixture = self._pixels = ""
        self._told: set[str] = set()  # the images whose pixels it was told of
        self._by = ""
        self._order = Order(whole=False, probabilities=False, device="auto")
        self._images: tuple[Image, ...] = ()
        self._model: TrainedModel | None = None
        self._layers: dict[str, Any] = {}
        self._written: list[int] = []
        self._shape = (0, 0, 0)
        self._kept: dict[int, NDArray[Any]] = {}
        self._kept_for: tuple[Any, ...] = ()
        self._ranges = _Ranges()
        session.image_changed.connect(self._ranges.forget)
        self._job.reported.connect(self._on_report)
        self._job.failed.connect(self._on_failed)
        self._job.finished.connect(self._on_finished)

    @property
    def running(self) -> bool:
        """Whether a prediction is at work."""
        return self._job.running

    @property
    def note(self) -> str:
        """What a person should know of this prediction; mostly empty."""
        message = f"{self._message}." if self._message else ""
        return " ".join(filter(None, (message, self._pixels, self._strokes, self._mixture)))

    def start(self, order: Order) -> None:
        """Predict; results of an earlier prediction are replaced slice by slice.

        Raises
        ------
        LayerError
            Without a model or an image, saying what to do.
        """
        session = self._session
        model = session.model
        if model is None:
            raise LayerError("There is no model yet; train one, or load one from a file.")
        image = session.image_stack()
        slices = list(range(session.slice_count)) if order.whole else [session.current_slice]
        self._order, self._images, self._model = order, session.image_layers, model
        self._layers, self._written = {}, []
        self._shape = layers.volume_shape(self._images[0])
        self.share, self.outcome, self.problem = 0.0, "", ""
        self._message = self._strokes = self._mixture = ""
        self._pixels = self._pixel_note(model) if order.use_pixel_size else ""
        size = layers.pixel_size(self._images[0]) if order.use_pixel_size else None
        kept_for = (model.network, session.channels, size)
        if self._kept_for != kept_for:
            self._kept, self._kept_for = {}, kept_for
        first = 1 if order.whole else None
        planes = self._planes()
        self._job.start(
            lambda stop: _predict(
                model, image, slices, planes, first, order.device, size, self._ranges, stop
            )
        )
        self.changed.emit()

    def _pixel_note(self, model: TrainedModel) -> str:
        """Say once of an image why its pixels are not brought to the size trained on."""
        image = self._images[0]
        key, note = layers.identity(image), layers.pixel_note(image)
        if model.pixel_size is None or not note or key in self._told:
            return ""
        self._told.add(key)
        return f"{note}."

    def cancel(self) -> None:
        """Stop soon; slices that are done stay."""
        self._job.stop()
        if self.running:
            self.outcome = "Cancelled; the slices that were done are kept."

    def planes(self) -> NDArray[Any]:
        """Return the prediction (Z, Y, X) as it is, not a copy.

        Raises
        ------
        LayerError
            If its layer was removed.
        """
        return layers.view_labels(self._labels_layer())

    def _labels_layer(self) -> Labels:
        layer = self.labels_layer
        if layer is None:
            raise LayerError("The layer of the prediction was removed; predict again.")
        return layer

    def _planes(self) -> NDArray[Any]:
        """Return the labels that are about to be predicted anew; none where there are none yet."""
        layer = self.labels_layer
        if layer is not None and self._fits(layer, PREDICTION):
            return layers.view_labels(layer)
        return np.broadcast_to(np.int32(0), self._shape)

    def part_numbers(self, written: Collection[int]) -> None:
        """Give the cells on these slices numbers above those on others, unless they have them.

        Many slices are numbered from 1. Where that came to an end early, cells of an earlier
        prediction are left on other slices, under the same numbers.
        """
        if self.labels_layer is not None:
            self._part(self.labels_layer, written)

    def kept(self, model: TrainedModel | None) -> dict[int, NDArray[Any]]:
        """Return the probabilities (C, Y, X) of slices that this network predicted, by slice.

        Of the chosen image, and as many as fit into a gigabyte.
        """
        if model is None or self._kept_for[:2] != (model.network, self._session.channels):
            return {}
        return dict(self._kept)

    @property
    def kept_pixel_size(self) -> float | None:
        """The pixel size that the kept probabilities were predicted at."""
        return self._kept_for[2] if self._kept_for else None

    def write_labels(self, z: int, change: Change, *, undoable: bool) -> str:
        """Put other cells in place of those that were found on a slice.

        Parameters
        ----------
        undoable
            Whether the user can undo it; see `Corrections.write`.

        Returns
        -------
        str
            Where what was painted there is kept, in one sentence; empty for nothing.

        Raises
        ------
        LayerError
            If the layer of the prediction was removed.
        """
        return self._corrections.write(self._labels_layer(), z, change, undoable=undoable)

    def forget_history(self) -> None:
        """Let nothing on the prediction be undone any more: many slices are about to be written."""
        if self.labels_layer is not None:
            layers.forget_history(self.labels_layer)

    def show(self) -> None:
        """Let what was predicted for the session's image be seen; correcting has hidden it."""
        if self.labels_layer is not None:
            self._show(self.labels_layer)

    def _show(self, layer: Any) -> None:
        """Let a prediction of cells or classes be seen above what is painted on its image."""
        if layers.role_of(layer) == PREDICTION:
            viewer = self._session.viewer
            images = layers.linked_images(viewer, layer)
            layers.show_above(viewer, layer, layers.find(viewer, LABELS, images))

    def _keep(self, z: int, probabilities: NDArray[Any]) -> None:
        """Keep probabilities to cut cells from again; the oldest ones give way."""
        self._kept.pop(z, None)
        self._kept[z] = probabilities
        while len(self._kept) > 1 and len(self._kept) * probabilities.nbytes > _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))

    @property
    def has_source(self) -> bool:
        """Whether there is anything to correct; no pixel is read for it."""
        return bool(self._sources())

    def _sources(self) -> list[Labels]:
        """List what can be copied from, the best first."""
        session = self._session
        found = layers.find_all(session.viewer, CORRECTED, session.image_layers)
        kept = [layer for layer in found if isinstance(layer, Labels)]
        in_hand = [layer for layer in kept if layer is session.viewer.layers.selection.active]
        predicted = [] if self.labels_layer is None else [self.labels_layer]
        return [*in_hand, *predicted, *kept]

    @property
    def source(self) -> Labels | None:
        """What is copied to be corrected: the prediction, where it has something on this slice.

        Or a layer with slices of earlier ones on which a person had painted, if that is in hand or
        there is no prediction here. None without any of them.
        """
        session, candidates = self._session, self._sources()
        z = session.current_slice
        here = (
            layer
            for layer in candidates
            if layers.fits(layer, session.image_layers[0])
            and np.count_nonzero(layers.view_labels_slice(layer, z))
        )
        return next(here, next(iter(candidates), None))

    @property
    def labels_layer(self) -> Labels | None:
        """The layer with what was predicted for the session's image; None without one."""
        found = layers.find(self._session.viewer, PREDICTION, self._session.image_layers)
        return found if isinstance(found, Labels) else None

    # --------------------------------------------------------------------------------- reports

    def _on_report(self, report: _Progress) -> None:
        self.share = report.done / max(report.total, 1)
        self._message = report.message or self._message
        if report.z is not None and not self.problem:
            self._by = report.model
            try:
                if not self._written:
                    self._set_aside_probabilities()
                self._write(report.z, report.change, report.probabilities)
                self._written.append(report.z)
            except LayerError as error:
                self.problem = str(error)
                self._job.stop()
        self.changed.emit()

    def _write(self, z: int, change: Change | None, probabilities: NDArray[Any] | None) -> None:
        """Put one slice into its layers, which the first slice makes."""
        if change is None:
            self._write_values(z, probabilities)
            return
        layer, many = self._layer(PREDICTION), self._order.whole and self._shape[0] > 1
        if many and not self._written:
            layers.forget_history(layer)
        kept = self._corrections.write(layer, z, change, undoable=not many)
        self._strokes = kept or self._strokes
        sign(layer, z, self._by)
        if not self._written:
            self._bring_to_sight(layer)
        if probabilities is not None and self._task() == "instances":
            self._keep(z, probabilities)
        if self._order.probabilities and probabilities is not None:
            for c in range(1, len(probabilities)):
                layer = self._layer(f"{PROBABILITY} {c}")
                layers.fill_slice(layer, z, probabilities[c])
                sign(layer, z, self._by)

    def _write_values(self, z: int, values: NDArray[Any] | None) -> None:
        for k, plane in enumerate(() if values is None else values):
            layer = self._layer(f"{VALUES} {k}")
            layers.fill_slice(layer, z, plane)
            layers.widen_contrast(layer, plane, anew=not self._written)
            sign(layer, z, self._by)

    def _set_aside_probabilities(self) -> None:
        """Let probabilities of other models go that this prediction does not write anew.

        They are not those of the cells or classes that are shown from now on.
        """
        outputs = 0 if self._model is None else len(self._model.classes)
        written = {f"{PROBABILITY} {c}" for c in range(outputs) if self._order.probabilities}
        for layer in layers.outputs(self._session.viewer, PROBABILITY, self._images):
            made_by = {*layers.fact(layer, PREDICTED, {}).values()}
            if layers.role_of(layer) not in written and made_by - {self._by}:
                _set_aside(layer)

    def _layer(self, role: str) -> Any:
        """Return the layer of a role, made when it is first written to.

        Raises
        ------
        LayerError
            If the user has removed it, or the image, meanwhile.
        """
        known = self._layers.get(role)
        if known is None:
            self._layers[role] = self._layer_to_fill(role)
        elif known not in self._session.viewer.layers:
            raise LayerError(f"“{known.name}” was removed, so the prediction was stopped.")
        elif layers.role_of(known) != role:  # it became the user's annotation meanwhile
            self._layers[role] = self._layer_to_fill(role)
            self._written = []
        return self._layers[role]

    def _layer_to_fill(self, role: str) -> Any:
        """Find or make a layer that lies on the image, is described and watched."""
        viewer, image = self._session.viewer, self._images[0]
        if image not in viewer.layers:
            raise LayerError("The image was removed, so the prediction was stopped.")
        layer: Any = layers.find(viewer, role, self._images)
        if self._fits(layer, role):
            layers.lie_on(layer, image)
        else:
            if layer is not None and role.startswith(PROBABILITY):
                _set_aside(layer)
            layer = self._new_layer(role)
        self._describe(layer, role)
        if role == PREDICTION:
            self._corrections.watch(layer)
        else:
            self._bring_to_sight(layer)
        return layer

    def _bring_to_sight(self, layer: Any) -> None:
        """Let a result be seen with its image, which may not be the chosen one any more."""
        self._show(layer)
        if self._images[0] not in self._session.image_layers:
            layers.put_away([layer])

    def _fits(self, found: Any, role: str) -> bool:
        """Whether an earlier result has the image's size, and numbers of the same meaning."""
        if found is None or found.ndim != self._images[0].ndim:
            return False
        if layers.volume_shape(found) != self._shape:
            return False
        task = self._task()
        if layers.fact(found, TASK, task) != task:
            return False
        return role == PREDICTION or layers.fact(found, OUTPUT) == self._output(role)

    def _task(self) -> str | None:
        return None if self._model is None else self._model.task

    def _output(self, role: str) -> str:
        """Return what the values of a role are called, or the class of its probabilities."""
        return "values" if self._model is None else self._model.classes[_number(role)].name

    def _new_layer(self, role: str) -> Image | Labels:
        viewer, name = self._session.viewer, self._images[0].name
        if role == PREDICTION:
            # Seen only when it is written: napari draws all that is seen at every change.
            made = layers.add_labels(
                viewer, self._images, role=role, name=f"{name} prediction", visible=False
            )
            layers.link(viewer, made, role, self._images)
            return made
        if role.startswith(VALUES):
            return self._new_values(role)
        made = layers.add_image(
            viewer,
            self._images,
            np.zeros(self._shape, np.float32),
            role=role,
            name=f"{name} probability{self._class_name(role)}",
            colormap="magma",
            opacity=0.6,
            contrast_limits=(0, 1),
        )
        layers.set_fact(made, OUTPUT, self._output(role))
        return made

    def _describe(self, layer: Labels | Image, role: str) -> None:
        """Keep with a prediction what its numbers mean, as the session does with what is painted.

        So it keeps its meaning when it is adopted as annotation.
        """
        if role != PREDICTION:
            return
        layers.set_fact(layer, TASK, self._task())
        if self._model is not None and self._model.task == "classes":
            known = layers.fact(layer, CLASSES, {})
            named = {label.value: label.name for label in self._model.classes if label.value > 0}
            layers.set_fact(layer, CLASSES, known | named)

    def _new_values(self, role: str) -> Image:
        """Add the layer of one output; of several the first one is shown."""
        made = layers.add_image(
            self._session.viewer,
            self._images,
            np.full(self._shape, np.nan, np.float32),  # 0 would pass for a predicted value
            role=role,
            name=_values_name(self._images[0].name, self._output(role)),
            colormap="viridis",
            contrast_limits=(0, 1),
            visible=_number(role) == 0,
        )
        layers.set_fact(made, OUTPUT, self._output(role))
        layers.link(self._session.viewer, made, role, self._images)
        return made

    def _class_name(self, role: str) -> str:
        if self._model is None or len(self._model.classes) < 3:
            return ""
        return f" {self._model.classes[_number(role)].name}"

    def _on_failed(self, problem: str) -> None:
        self.problem = problem

    def _on_finished(self) -> None:
        if not self.outcome and not self.problem and self._layers:
            self.outcome = self._summary()
        self._mixture = self._mixed()
        if self._order.whole and len(self._written) < self._shape[0]:
            self._part_leftovers()
        self._layers, self._images, self._model = {}, (), None
        self.changed.emit()

    def _mixed(self) -> str:
        """Say which slices of the result are still those of another model; mostly empty."""
        for layer in self._layers.values():
            others = by_other_models(layer)
            if others:
                return f"“{layer.name}” still shows what another model found on {in_words(others)}."
        return ""

    def _part_leftovers(self) -> None:
        """Let no number of a stack that came to an end early occur on the slices left out."""
        layer = self._layers.get(PREDICTION)
        if layer in self._session.viewer.layers and layers.role_of(layer) == PREDICTION:
            self._part(layer, self._written)

    def _part(self, layer: Labels, written: Collection[int]) -> None:
        from napari_unet.prediction import free_number

        first = free_number(layers.view_labels(layer), without=written)
        found = {z: layers.read_labels_slice(layer, z) for z in written}
        lowest = min((int(p[p > 0].min(initial=first)) for p in found.values()), default=first)
        if lowest < first and layers.fact(layer, TASK) == "instances":
            for z, plane in found.items():
                numbers = np.where(plane > 0, plane + (first - 1), 0)
                self._corrections.renumber(layer, z, numbers)

    def _summary(self) -> str:
        count = len(self._written)
        what = f"{count} slices are" if count != 1 else "The result is"
        if PREDICTION in self._layers:
            name = self._layers[PREDICTION].name
            return f"{what} in “{name}”. Where it is wrong: Correct, paint, and train again."
        names = " and ".join(f"“{layer.name}”" for layer in self._layers.values())
        return f"{what} in {names}. Move the mouse over it to read values; “Export” writes them."


def _set_aside(layer: Image) -> None:
    layers.set_aside(layer)
    layer.name = f"{layer.name} (earlier model)"


def _number(role: str) -> int:
    """Return the number of the class or output behind a role."""
    return int(role.split()[-1])


def _values_name(image: str, output: str) -> str:
    """Return what the layer of predicted values is called.

    An output is called as the layer that it was learnt from, often with the image's name in it.
    """
    return f"{output} prediction" if output.startswith(image) else f"{image} {output}"
