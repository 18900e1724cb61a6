"""What a person does while annotating, and the keys for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_unet.gui import layers
from napari_unet.gui.layers import LayerError
from napari_unet.gui.survey import Survey
from napari_unet.gui.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels, Layer

    from napari_unet.gui.session import Session

__all__ = ["KEYS", "Tools"]

KEYS = {
    "new_cell": "N",
    "draw_region": "Shift+R",
    "draw_ignored": "Shift+I",
    "toggle_complete": "Shift+C",
}
"""The keys, as a person reads them; none is used by napari's Labels, Shapes, Image or viewer."""
_STROKES = ("paint", "fill", "erase", "polygon")  # modes of a Labels layer
_LEFT_OUT = "Draw around what is to be left out."


class Tools(QObject):
    """The acts of annotating; a part of the session, so that the keys are bound once.

    Attributes
    ----------
    failed : Signal(str)
        Why nothing happened, in one sentence.
    acted : Signal(str)
        What to do now, in one sentence.
    """

    failed = Signal(str)
    acted = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._survey = session.part(Survey)
        self._uncovered: set[tuple[str, str]] = set()  # images, and what was hidden over them
        self._image = ""
        session.image_changed.connect(self._on_image)
        session.edited.connect(self._on_edited)
        acts: dict[str, Callable[[], None]] = {
            "new_cell": self.new_cell,
            "draw_region": self.draw_region,
            "draw_ignored": self.draw_ignored,
            "toggle_complete": self.toggle_complete,
        }
        for name, act in acts.items():
            _bind(session.viewer, KEYS[name], act)

    def choose(self, image: Image) -> None:
        """Work on an image: it is seen in place of the one before, its labels are in hand.

        Raises
        ------
        LayerError
            With a sentence, when it cannot be used; then all stays as it was.
        """
        session, before = self._session, self._session.image_layers
        session.choose(layers.channels_of(session.viewer, image))
        now = session.image_layers
        if before and before[0] is not now[0]:
            seen = (*now, *session.part(Values).chosen)
            gone = [other for other in before if other not in seen]
            layers.put_away([*gone, *layers.belonging(session.viewer, before[0])])
        layers.bring_back([*now, *layers.belonging(session.viewer, now[0])])
        layers.show(now[0])
        if session.labels_layer is None or session.task == "regression":
            layers.select(session.viewer, now[0])
        else:
            layers.select(session.viewer, session.labels_layer, "paint")

    def _on_image(self) -> None:
        """Let an image be seen that is worked on because another one was removed."""
        now, before = self._session.image_layers, self._image
        self._image = layers.identity(now[0]) if now else ""
        if now and self._image != before:
            layers.bring_back([*now, *layers.belonging(self._session.viewer, now[0])])

    def start(self) -> None:
        """Make the layers to paint on, and take the brush."""
        self._try(self._start)

    def new_cell(self) -> None:
        """Take the brush with the next free number."""
        self._try(self._new_cell)

    def pick_class(self, value: int) -> None:
        """Take the brush with the number of a class."""
        self._try(lambda: self._say(self._take_brush(self._session.create_annotation(), value)))

    def draw_region(self) -> None:
        """Take the rectangle tool for a region in which everything is painted."""
        self._try(lambda: self._draw(layers.REGIONS))

    def draw_ignored(self) -> None:
        """Take the polygon tool for a region that is to be left out."""
        self._try(lambda: self._draw(layers.IGNORED))

    def toggle_complete(self) -> None:
        """Call the shown slice complete, or take it back."""
        if self._session.task == "regression":
            self.failed.emit("Of values a slice counts as a whole, or where its regions are.")
            return
        here = self._session.current_slice
        self.set_complete(here not in self._session.complete)

    def set_complete(self, complete: bool) -> None:
        """Say whether everything on the shown slice is painted."""
        self._try(lambda: self._set_complete(complete))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            self._session.check_fit()
            act()
        except LayerError as problem:
            self.failed.emit(str(problem))

    def _start(self) -> None:
        session = self._session
        if session.labels_layer is None and session.image_layers:
            # The brush is seen on the image, not on somebody's finished labels.
            for other in layers.labels_layers(session.viewer, session.image_layers[0]):
                other.visible = False
        labels = session.create_annotation()
        if session.task == "regression":  # nothing is painted; the picture and its values are seen
            layers.hide(labels)
            layers.select(session.viewer, session.image_layers[0])
        elif session.task == "classes":
            self._say(self._take_brush(labels, 1))
        else:
            self._new_cell()

    def _new_cell(self) -> None:
        labels = self._session.create_annotation()
        if self._session.task == "classes":
            raise LayerError("In classes there are no single cells; choose a class to paint.")
        if self._session.task == "regression":
            raise LayerError("Values are not painted; choose “Single cells” to paint cells.")
        if self._session.task_is_open:
            self._session.task = "instances"
        uncovered = self._take_brush(labels, self._highest(labels) + 1)
        self._say(
            f"Paint cell {labels.selected_label}, then {KEYS['new_cell']} for the next.", uncovered
        )

    def _highest(self, labels: Labels) -> int:
        """Return the highest painted number, also of slices that are not counted yet."""
        counted = len(self._survey.by_slice) == self._session.slice_count
        here = self._session.current_slice
        seen = layers.view_labels_slice(labels, here) if counted else layers.view_labels(labels)
        return max(self._survey.highest, int(seen.max(initial=0)))

    def _take_brush(self, labels: Labels, value: int) -> str:
        """Take the brush, and return what has to be said of it."""
        layers.check_room(labels, value)
        uncovered = self._bring_to_sight()
        layers.select(self._session.viewer, labels, "paint")
        labels.selected_label = value
        return uncovered

    def _on_edited(self, layer: Layer) -> None:
        """Let nobody paint unseen, who has taken the brush in napari's own controls."""
        session = self._session
        in_hand = layer is session.labels_layer and layer is session.viewer.layers.selection.active
        if in_hand and getattr(layer, "mode", "") in _STROKES:
            self._say(self._bring_to_sight())

    def _bring_to_sight(self) -> str:
        """Let the image be seen that is painted on, and return in a sentence what was hidden.

        Nothing is hidden twice: who shows it again wants to paint on this image and see another.
        A warped picture of it goes: cells lie elsewhere on it.
        """
        session = self._session
        straight = "The warp is taken away: you paint on the image as it is."
        warped = straight if layers.remove_warp(session.viewer) else ""
        return " ".join(filter(None, (warped, self._uncover())))

    def _uncover(self) -> str:
        """Hide other images that lie over the one that is painted on."""
        session = self._session
        seen = (*session.image_layers, *session.part(Values).chosen)
        image = seen[0]
        pairs = {
            (layers.identity(image), layers.identity(other)): other
            for other in layers.covering(session.viewer, seen)
        }
        hidden = [other for pair, other in pairs.items() if pair not in self._uncovered]
        if not hidden:
            return ""
        self._uncovered.update(pairs)
        layers.put_away(hidden)
        layers.show(image)
        names = " and ".join(f"“{other.name}”" for other in hidden)
        return (
            f"{names} {'is' if len(hidden) == 1 else 'are'} hidden now: you paint on "
            f"“{image.name}”. To paint on another image, choose it under “Image”."
        )

    def _say(self, *sentences: str) -> None:
        """Tell what to do now, if anything."""
        said = " ".join(filter(None, sentences))
        if said:
            self.acted.emit(said)

    def _set_complete(self, complete: bool) -> None:
        layers.check_slice_seen(self._session.viewer)
        self._session.set_complete(self._session.current_slice, complete)

    def _draw(self, role: str) -> None:
        layers.check_slice_seen(self._session.viewer)
        self._session.create_annotation()
        shapes = self._session.region_layer(role)
        uncovered = self._bring_to_sight()
        mode = "add_rectangle" if role == layers.REGIONS else "add_polygon_lasso"
        layers.select(self._session.viewer, shapes, mode)
        values = self._session.task == "regression"
        inside = "only values inside count" if values else "inside it every cell must be painted"
        what = f"Drag a rectangle; {inside}." if role == layers.REGIONS else _LEFT_OUT
        brush = "" if values else f" {KEYS['new_cell']} goes back to the brush."
        self._say(f"{what}{brush}", uncovered)


def _bind(viewer: Any, key: str, act: Callable[[], None]) -> None:
    """Bind a key of the canvas; napari hands the viewer to what it calls."""
    viewer.bind_key(key.replace("+", "-"), lambda _: act(), overwrite=True)
