"""What all docks of one viewer share: the chosen image, its annotation, the model, the jobs.

Docks never talk to each other: they ask the session and listen to its signals. There is one
session per viewer, a child of the viewer's Qt window: it is found again by looking for it there,
lives exactly as long as the window, and no module has to remember it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari.layers import Image, Labels, Layer, Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.gui import layers
from napari_unet.gui.jobs import Job
from napari_unet.gui.layers import COMPLETE, IGNORED, LABELS, REGIONS, TASK, LayerError
from napari_unet.gui.placing import Placing
from napari_unet.gui.values import Values
from napari_unet.gui.watching import Watch
from napari_unet.gui.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.components import ViewerModel

    from napari_unet.annotations import Task
    from napari_unet.gui.layers import ImageStack
    from napari_unet.gui.marks import Marks, Snapshot
    from napari_unet.network import TrainedModel

__all__ = ["Session"]

_Part = TypeVar("_Part", bound=QObject)

_SETTLE_MS = 250


class Session(QObject):
    """The state that the docks of one viewer share. Use `Session.of`.

    Attributes
    ----------
    layers_changed : Signal()
        Layers came, went or were renamed: choices have to be listed again.
    image_changing : Signal()
        Another image or annotation is about to be chosen: last look at the present one.
    image_changed : Signal()
        Other channels were chosen, or the annotation layers of the chosen ones changed.
    edited : Signal(object)
        A Labels or Shapes layer of an annotation was changed at this moment, whichever image it
        belongs to.
    annotations_changed : Signal()
        On the chosen image something was painted, drawn, undone or called complete (a moment ago:
        bundled).
    slice_changed : Signal()
        The viewer shows another slice.
    model_changed : Signal()
        `model` is another one.
    closing : Signal()
        The viewer is closing: last chance to write something.
    """

    layers_changed = Signal()
    image_changing = Signal()
    image_changed = Signal()
    edited = Signal(object)
    annotations_changed = Signal()
    slice_changed = Signal()
    model_changed = Signal()
    closing = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = weakref.ref(viewer)
        self._own: list[Layer] = []
        self._sizes: list[tuple[int, ...]] = []
        self._jobs: dict[str, Job] = {}
        self._model: TrainedModel | None = None
        self._model_path: Path | None = None
        self._revision = 0
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self.annotations_changed)
        # Not kept as an attribute: the two would keep each other, and layers, from being freed.
        watch = self.part(Watch)
        watch.edited.connect(self._on_edited)
        watch.replaced.connect(self._on_replaced)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        viewer.layers.events.reordered.connect(self._on_layers)
        viewer.dims.events.point.connect(self._on_slice)
        self._images: list[Image] = layers.first_choice(viewer)
        self._watch()
        self.part(Placing)

    @classmethod
    def of(cls, viewer: Any) -> Session:
        """Return the session of a viewer; made when first asked for.

        Parameters
        ----------
        viewer
            A napari viewer with a window, or napari's proxy of one.
        """
        inner = layers.unwrap(viewer)
        # napari has no public way to its QMainWindow; this one is what plugins rely on.
        window = inner.window._qt_window
        for child in window.children():
            if isinstance(child, cls):
                return child
        session = cls(inner, parent=window)
        session.part(Window)
        return session

    @property
    def viewer(self) -> ViewerModel:
        """The viewer that this session belongs to."""
        viewer = self._viewer()
        if viewer is None:
            raise LayerError("The viewer has been closed.")
        return viewer

    # ------------------------------------------------------------------------------ the image

    @property
    def image_layers(self) -> tuple[Image, ...]:
        """The chosen Image layers, the one under “Image” first; empty before any image is there.

        In which order they are read, `channels` says.
        """
        return tuple(self._images)

    @property
    def channels(self) -> tuple[Image, ...]:
        """The chosen Image layers as a network sees them: in the order of the layer list.

        So the order does not hang on which of them is chosen first.
        """
        return layers.as_channels(self.viewer, self._images)

    def choose(self, images: Sequence[Image]) -> None:
        """Work on these Image layers as the channels of one image.

        Raises
        ------
        LayerError
            With a sentence, when they cannot be used; the choice then stays what it was.
        """
        for image in images:
            layers.check_image(image)
        if len(images) > 1:
            layers.check_same_size(images)
        if list(images) != self._images:
            self.image_changing.emit()
            self._images = list(images)
            self.refresh()

    def set_channels(self, images: Sequence[Image]) -> None:
        """Choose other channels for the same annotation. Raises LayerError as `choose`."""
        own = {LABELS: self.labels_layer, REGIONS: self.regions_layer, IGNORED: self.ignored_layer}
        layers.check_same_size(images)
        for role, layer in own.items():
            if layer is not None:
                layers.assign(layer, role, images)
        self.choose(images)

    @property
    def name(self) -> str:
        """What the image is called, after its first channel; empty without one."""
        return self._images[0].name if self._images else ""

    @property
    def current_slice(self) -> int:
        """The slice of the image that the viewer shows; 0 for a 2D picture or without image."""
        image = self._first
        return 0 if image is None else layers.current_slice(self.viewer, image)

    @property
    def slice_count(self) -> int:
        """How many slices the image has; 0 without image."""
        image = self._first
        return 0 if image is None else layers.volume_shape(image)[0]

    @property
    def _first(self) -> Image | None:
        """The image; None where it is just being given an array that cannot be used."""
        usable = self._images and layers.usable(self._images[0])
        return self._images[0] if usable else None

    def check_chosen(self) -> None:
        """Raise LayerError if there is no image, or none that can be used: what to do about it."""
        if self._images:
            return
        for image in reversed(layers.image_layers(self.viewer)):
            layers.check_image(image)
        layers.check_same_size(())

    def check_fit(self) -> None:
        """Raise LayerError if image and labels do not fit each other any more: what to do."""
        self.check_chosen()
        layers.check_same_size(self._images)
        labels = self.labels_layer
        if labels is not None and self.task != "regression":
            layers.check_fit(labels, self._images[0])

    def image_stack(self) -> ImageStack:
        """Return what reads the image slice by slice, in any thread. LayerError without one."""
        self.check_chosen()
        return layers.image_stack(self.channels)

    # ------------------------------------------------------------------------- the annotation

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that belongs to the chosen image, None before there is one."""
        return self._find(LABELS, Labels)

    @property
    def regions_layer(self) -> Shapes | None:
        """The Shapes layer of annotated regions."""
        return self._find(REGIONS, Shapes)

    @property
    def ignored_layer(self) -> Shapes | None:
        """The Shapes layer of ignored regions."""
        return self._find(IGNORED, Shapes)

    def _find(self, role: str, kind: type[Layer]) -> Any:
        if not self._images:
            return None
        found = layers.find(self.viewer, role, self._images)
        return found if isinstance(found, kind) else None

    def adopt(self, labels: Labels) -> None:
        """Take an existing Labels layer as the annotation of the chosen image.

        What was said about it before (complete slices, task, classes) still holds, and so do its
        regions where their image was removed: it may have been opened anew.

        Parameters
        ----------
        labels
            A layer of the image's size.

        Raises
        ------
        LayerError
            If its size differs from the image's.
        """
        layers.check_labels(labels, self._images)
        self.image_changing.emit()
        layers.adopt(self.viewer, labels, LABELS, self._images)
        layers.set_fact(labels, COMPLETE, layers.fact(labels, COMPLETE, []))
        self.region_layer(REGIONS)
        self.refresh()

    def create_annotation(self) -> Labels:
        """Return the labels layer of the chosen image, made (with regions) if need be.

        Raises
        ------
        LayerError
            If no image is chosen.
        """
        self.check_chosen()
        labels = self.labels_layer
        if labels is None:
            name = f"{self.name} labels"
            self.region_layer(REGIONS)
            # Seen only when it is in its place: napari draws all that is seen at every change.
            labels = layers.add_labels(
                self.viewer, self._images, role=LABELS, name=name, visible=False
            )
            layers.set_fact(labels, TASK, "instances")  # an adopted layer may hold anything
            layers.show(labels)
        self.region_layer(REGIONS)
        return labels

    def region_layer(self, role: str) -> Shapes:
        """Return the Shapes layer of `role` ("regions" or "ignored"), made if need be."""
        found = self.regions_layer if role == REGIONS else self.ignored_layer
        if found is not None:
            return found
        colour = "#ffd400" if role == REGIONS else "#ff4d4d"
        name = f"{self.name} {role}"
        return layers.add_regions(self.viewer, self._images, role=role, name=name, colour=colour)

    def _remembered(self, key: str, default: Any) -> Any:
        labels = self.labels_layer
        return default if labels is None else layers.fact(labels, key, default)

    def _remember(self, key: str, value: Any) -> None:
        layers.set_fact(self.create_annotation(), key, value)
        self.touch()

    @property
    def task(self) -> Task:
        """What is learnt: "instances" (single cells), "classes", or "regression" (values)."""
        return "regression" if layers.learns_values(self._images) else self.painted_task

    @task.setter
    def task(self, task: Task) -> None:
        """Learn something else; what is painted stays, and so do the chosen values."""
        labels, before = self.create_annotation(), self.task
        if task != "regression":
            layers.set_fact(labels, TASK, task)
        if (task == "regression") == (before == "regression"):
            self.touch()
            return
        layers.set_fact(self._images[0], TASK, task if task == "regression" else None)
        self.refresh()

    @property
    def painted_task(self) -> Task:
        """What the numbers in the labels mean, whether they or values are learnt."""
        return cast("Task", self._remembered(TASK, "instances"))

    @property
    def task_is_open(self) -> bool:
        """Whether nobody has said, nor shown by painting, what the numbers of the labels mean."""
        return self._remembered(TASK, None) is None

    @property
    def complete(self) -> frozenset[int]:
        """The slices that the user called complete."""
        return frozenset(self._remembered(COMPLETE, ()))

    def set_complete(self, z: int, complete: bool) -> None:
        """Say that on slice `z` everything is painted, or take it back."""
        slices = self.complete | {z} if complete else self.complete - {z}
        self._remember(COMPLETE, sorted(slices))

    def set_all_complete(self) -> None:
        """Say that on every slice everything is painted."""
        self._remember(COMPLETE, list(range(self.slice_count)))

    @property
    def revision(self) -> int:
        """Grows with every change of the annotation; to see whether a copy is still the newest."""
        return self._revision

    def refresh(self) -> None:
        """Listen to the layers that belong to the image now, and tell everybody of them."""
        self._watch()
        self._notify_image()

    def touch(self) -> None:
        """Count a change of the annotation, and tell everybody when it has settled."""
        self._revision += 1
        labels = self.labels_layer
        if labels is not None:
            self.edited.emit(labels)
        if not self._settle.isActive():
            self._settle.start()

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Copy what was painted and drawn, for a job that reads image and values itself.

        Parameters
        ----------
        before
            An earlier snapshot of this image, so that pixels are read once; by default anew.

        Raises
        ------
        LayerError
            Without image, labels or values, or when they no longer fit each other.
        """
        self.check_chosen()
        if self.task == "regression":
            return self.part(Values).snapshot(before)
        labels = self.labels_layer
        if labels is None:
            raise LayerError(f"“{self.name}” has no labels yet; start with “Annotate”.")
        return layers.snapshot_of(self.viewer, labels, self._images, before)

    def marks(self) -> Marks | None:
        """Return the annotation without copying the labels: for reading soon, one slice or all.

        Somebody may paint meanwhile, so use it only for what is computed again after a change.
        None without labels or values, or when they do not fit the image.
        """
        if self.task == "regression":
            return self.part(Values).marks()
        labels = self.labels_layer
        if labels is None or not self._images or not layers.fits(labels, self._images[0]):
            return None
        return layers.marks_of(self.viewer, labels)

    # ------------------------------------------------------------------------ model and jobs

    @property
    def model(self) -> TrainedModel | None:
        """The network to predict with: trained here, or opened from a file."""
        return self._model

    @property
    def model_path(self) -> Path | None:
        """Where the model is stored; None for one that was not saved yet."""
        return self._model_path

    def set_model(self, model: TrainedModel | None, path: Path | None = None) -> None:
        """Predict with another network from now on."""
        self._model, self._model_path = model, path
        self.model_changed.emit()

    def job(self, name: str) -> Job:
        """Return the job of that name; it outlives the dock that started it."""
        if name not in self._jobs:
            self._jobs[name] = Job(self, name=name)
        return self._jobs[name]

    def part(self, kind: type[_Part]) -> _Part:
        """Return the session's one object of a class, made from the session when first asked for.

        What must outlive the docks and exist only once (saving, shortcuts, the overlay) is such a
        part: ``session.part(Autosave)``.
        """
        for child in self.children():
            if isinstance(child, kind):
                return child
        return kind(self)

    def close(self) -> None:
        """Stop all jobs; called when the viewer closes."""
        self.closing.emit()
        for job in self._jobs.values():
            job.stop()

    # -------------------------------------------------------------------------------- watching

    def _on_layers(self, event: Any = None) -> None:
        present = [image for image in layers.image_layers(self.viewer) if layers.usable(image)]
        kept = [image for image in self._images if image in present]
        before, self._images = self._images, kept or layers.first_choice(self.viewer)
        own = self._own
        self._watch()
        self.layers_changed.emit()
        if before != self._images or own != self._own:
            self._notify_image()

    def _notify_image(self) -> None:
        self.image_changed.emit()
        self.touch()

    def _watch(self) -> None:
        """Listen to what is painted and drawn on any image, to their arrays, and to all names."""
        for layer in self.viewer.layers:
            layer.events.name.connect(self._on_name)
        targets = layers.targets_of(self.viewer, self._images)
        found = (self.labels_layer, self.regions_layer, self.ignored_layer, *targets)
        self._own = [layer for layer in found if layer is not None]
        self._sizes = [tuple(image.data.shape) for image in self._images]
        images = layers.image_layers(self.viewer)
        self.part(Watch).follow([*layers.annotation_layers(self.viewer), *images])

    def _on_name(self, event: Any = None) -> None:
        self.layers_changed.emit()

    def _on_edited(self, layer: Layer) -> None:
        """Take note of a change, on the chosen image or elsewhere."""
        if layer in self._own:
            self.touch()
        else:
            self.edited.emit(layer)

    def _on_replaced(self, layer: Layer) -> None:
        """Take note of another array; the image's own matters here where its size differs."""
        sizes, own = self._sizes, layer in self._own
        if isinstance(layer, Image):
            self._on_layers()  # with this array it may be one that can be used, or no longer
        if own or sizes != self._sizes:
            self._notify_image()
        elif not isinstance(layer, Image):
            self.edited.emit(layer)

    def _on_slice(self, event: Any = None) -> None:
        self.slice_changed.emit()
