"""What a person paints on a prediction: told once, saved, and kept from what is predicted next."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal

from napari_unet.gui import layers
from napari_unet.gui.changes import Change
from napari_unet.gui.layers import CLASSES, CORRECTED, PAINTED, PREDICTION, TASK, LayerError
from napari_unet.gui.recovery import Autosave
from napari_unet.gui.watching import Listener

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.gui.session import Session

__all__ = ["Corrections"]

_SAFE = "safe"  # a fact: of each slice, the states that nobody has to keep
_FRESH = "fresh number"  # a fact: the number that the brush was given
_LAST = "last number"  # a fact: the highest number that a slice was kept with


class Corrections(Listener):
    """Keeps strokes on predictions; a part of the session (``session.part(Corrections)``).

    No network learns from a prediction, and the next one takes its place. Who paints on it all the
    same is told so, and loses nothing: before a slice with strokes is predicted or cut anew it is
    copied into a layer of its own, which is never written over. Such a slice is neither as it was
    ever written nor as it was kept: a stroke that is not finished counts, one undone does not.

    Attributes
    ----------
    told : Signal(str)
        Somebody paints on a prediction: what to do, which napari shows as a notification too.
    """

    told = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def watch(self, prediction: Labels) -> None:
        """Notice strokes on a layer from now on."""
        prediction.events.paint.connect(self._on_paint)

    def write(self, prediction: Labels, z: int, change: Change, *, undoable: bool = True) -> str:
        """Write a predicted slice.

        Parameters
        ----------
        change
            What a worker has prepared, from the slice as it was then.
        undoable
            Whether the user can undo it; where a person has painted it always can be. Of a whole
            stack that would take much memory.

        Returns
        -------
        str
            Where what was painted on the slice is kept, in one sentence; empty for nothing.

        Raises
        ------
        LayerError
            If it cannot be kept; then nothing is written.
        """
        change = change.since(layers.view_labels_slice(prediction, z))
        painted = _is_painted(prediction, z, change)
        kept = self._keep(prediction, z, change) if painted else ""
        self._write(prediction, z, change, undoable=undoable or painted)
        _take_fresh_number(prediction, change.highest + 1)
        return kept

    def renumber(self, prediction: Labels, z: int, values: NDArray[Any]) -> None:
        """Write a slice on which only the numbers are others; as `write` without undo."""
        change = Change.of(layers.view_labels_slice(prediction, z), values)
        painted = _is_painted(prediction, z, change)
        self._write(prediction, z, change, undoable=painted, safe=not painted)

    def _write(
        self, prediction: Labels, z: int, change: Change, *, undoable: bool, safe: bool = True
    ) -> None:
        with self.unheard():
            if undoable and not change.is_new:
                layers.write_change(prediction, z, change)
            else:
                layers.replace_slice(prediction, z, change.after)
        if safe:
            self._unmark(prediction, z)
            _call_safe(prediction, z, change.digest_after)

    def settle(self, prediction: Labels, z: int, instead: Labels, known: bytes) -> None:
        """Take note that another layer has all of a slice now, and is saved instead.

        Parameters
        ----------
        known
            The slice's `digest`.
        """
        painted = layers.fact(prediction, PAINTED, [])
        self._unmark(prediction, z)
        _call_safe(prediction, z, known)
        if painted == [z]:
            self._session.part(Autosave).replace(prediction, instead)
        self._session.edited.emit(instead)

    def _unmark(self, prediction: Labels, z: int) -> None:
        painted = layers.fact(prediction, PAINTED, [])
        layers.set_fact(prediction, PAINTED, [other for other in painted if other != z])

    def _on_paint(self, event: Any) -> None:
        prediction = event.source
        if not self._listening or layers.role_of(prediction) != PREDICTION:
            return
        known = layers.fact(prediction, PAINTED, [])
        here = layers.painted_slices(self._session.viewer, prediction)
        layers.set_fact(prediction, PAINTED, sorted({*known, *here}))
        self._session.edited.emit(prediction)
        if not known:
            sentence = (
                f"“{prediction.name}” is a prediction: no network learns from what you paint on "
                "it. Press “Correct” in the Predict dock: it copies this slice, with your strokes, "
                "into your labels; go on painting there."
            )
            show_info(sentence)
            self.told.emit(sentence)

    def _keep(self, prediction: Labels, z: int, change: Change) -> str:
        """Copy a slice with strokes to where it stays, and say in one sentence where that is."""
        from napari_unet.prediction import number_on

        found, kept = change.before, self._room(prediction, z)
        if layers.fact(kept, TASK) == "instances":
            last = layers.fact(kept, _LAST)
            found, last = number_on(found, _highest(kept) if last is None else last)
            layers.set_fact(kept, _LAST, last)
        layers.fill_slice(kept, z, found)
        self.settle(prediction, z, kept, change.digest_before)
        return f"What you had painted there is kept in “{kept.name}”."

    def _room(self, prediction: Labels, z: int) -> Labels:
        """Return the layer that keeps slices, a new one where this slice of it is taken."""
        viewer = self._session.viewer
        images = layers.linked_images(viewer, prediction)
        if not images:
            raise LayerError(
                f"The image of “{prediction.name}” was removed, so what you painted on it could "
                "not be kept; nothing was written."
            )
        task = layers.fact(prediction, TASK, "instances")
        for known in layers.find_all(viewer, CORRECTED, images):
            same = isinstance(known, Labels) and layers.fact(known, TASK) == task
            fits = same and layers.fits(known, images[0])
            if fits and not layers.read_labels_slice(known, z).any():
                return known
        classes = layers.fact(prediction, CLASSES, {})
        return layers.add_corrected(viewer, images, task=task, classes=classes, visible=False)


def _safe(prediction: Labels) -> dict[int, frozenset[bytes]]:
    known: dict[int, frozenset[bytes]] = layers.fact(prediction, _SAFE, {})
    return known


def _is_painted(prediction: Labels, z: int, change: Change) -> bool:
    """Whether a slice, before its change, holds something that is nowhere else."""
    return not change.is_new and change.digest_before not in _safe(prediction).get(z, ())


def _call_safe(prediction: Labels, z: int, state: bytes) -> None:
    """Take note that a slice, known by its digest, was written by us, or is kept elsewhere."""
    known = _safe(prediction)
    layers.set_fact(prediction, _SAFE, {**known, z: known.get(z, frozenset()) | {state}})


def _highest(kept: Labels) -> int:
    return int(layers.view_labels(kept).max())


def _take_fresh_number(prediction: Labels, fresh: int) -> None:
    """Let the first stroke be a cell of its own, unless the user has chosen a number."""
    given = layers.fact(prediction, _FRESH, 1)
    if layers.fact(prediction, TASK) != "instances" or prediction.selected_label != given:
        return
    with suppress(LayerError):
        layers.check_room(prediction, max(given, fresh))
        prediction.selected_label = max(given, fresh)
        layers.set_fact(prediction, _FRESH, max(given, fresh))
