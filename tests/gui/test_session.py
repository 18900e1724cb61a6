"""One session per viewer; it follows its layers through everything that users do to them."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QObject

from napari_unet.gui import layers
from napari_unet.gui.class_names import ClassNames
from napari_unet.gui.layers import LayerError, channels_of
from napari_unet.gui.overlay import NAME, Overlay
from napari_unet.gui.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image, Labels

    from napari_unet.gui.jobs import ShouldStop


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def rectangle(z: int, top: float, left: float, bottom: float, right: float) -> np.ndarray:
    return np.array([[z, top, left], [z, top, right], [z, bottom, right], [z, bottom, left]])


def paint(labels: Labels, z: int, y: slice, x: slice, value: int) -> None:
    index = np.mgrid[z : z + 1, y, x].reshape(3, -1)
    labels.data_setitem(tuple(index)[3 - labels.ndim :], value)


def test_one_session_per_viewer(make_napari_viewer: Callable[..., Any]) -> None:
    one, other = make_napari_viewer(), make_napari_viewer()
    assert Session.of(one) is Session.of(one)
    assert Session.of(one) is Session.of(PublicOnlyProxy(one))
    assert Session.of(one) is not Session.of(other)


def test_an_empty_viewer_is_fine(session: Session) -> None:
    assert session.image_layers == ()
    assert session.labels_layer is None
    assert session.slice_count == 0
    with pytest.raises(LayerError, match="no image yet"):
        session.snapshot()
    with pytest.raises(LayerError, match="no image yet"):
        session.create_annotation()


def test_the_first_image_is_chosen_when_it_comes(qtbot: Any, viewer: Any, session: Session) -> None:
    with qtbot.waitSignals([session.image_changed, session.layers_changed]):
        image = viewer.add_image(picture(20, 30))
    assert session.image_layers == (image,)
    viewer.add_image(picture(20, 30))
    assert session.image_layers == (image,)


def test_images_that_cannot_be_used_are_passed_over(viewer: Any, session: Session) -> None:
    many = viewer.add_image(picture(2, 3, 20, 30))
    assert session.image_layers == ()
    with pytest.raises(LayerError, match="4 dimensions"):
        session.choose([many])
    good = viewer.add_image(picture(20, 30))
    assert session.image_layers == (good,)


def test_annotation_layers_lie_on_the_image(session: Session, stack: Image) -> None:
    labels = session.create_annotation()
    regions = session.regions_layer
    assert (labels.name, regions and regions.name) == ("cells labels", "cells regions")
    for layer in (labels, regions):
        assert layer is not None
        assert tuple(layer.scale) == tuple(stack.scale)
        assert tuple(layer.translate) == tuple(stack.translate)
        assert layer.units == stack.units
    assert session.create_annotation() is labels


_TURNED = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
MOVES = {
    "scale": (2, 0.25, 0.25),
    "translate": (9, -4, 7),
    "rotate": _TURNED,
    "shear": [0.1, 0.2, 0.3],
    "affine": np.vstack([np.hstack([2 * _TURNED, [[1], [2], [3]]]), [[0, 0, 0, 1]]]),
    "units": ("mm", "mm", "mm"),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_belongs_to_an_image_moves_with_it(
    qtbot: Any, viewer: Any, session: Session, stack: Image, move: str
) -> None:
    labels, regions = session.create_annotation(), session.regions_layer
    ignored, second = session.region_layer("ignored"), viewer.add_image(stack.data, name="green")
    session.set_channels([stack, second])
    session.part(Overlay)
    session.set_complete(2, True)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=5000)
    other = viewer.add_labels(np.zeros((3, 40, 48), int), name="of somebody else")
    place, revision = layers.placement(other), session.revision
    setattr(stack, move, MOVES[move])
    pixel = np.array([2, 5, 9])
    for layer in (labels, regions, ignored):
        assert layer is not None
        np.testing.assert_allclose(layer.data_to_world(pixel), stack.data_to_world(pixel))
        assert layer.units == stack.units
    veil = viewer.layers[NAME]
    assert veil.units == stack.units
    shown = np.array([session.current_slice, 5, 9])
    qtbot.waitUntil(
        lambda: np.allclose(veil.data_to_world((0, 5, 9)), stack.data_to_world(shown)), timeout=5000
    )
    assert session.revision == revision  # nothing was painted
    assert str(layers.placement(other)) == str(place)


def test_everything_is_found_again_by_a_new_session(
    viewer: Any, session: Session, stack: Image
) -> None:
    labels = session.create_annotation()
    session.task = "classes"
    session.part(ClassNames).choose({1: "background", 2: "nucleus", 3: "fibre"})
    session.set_complete(2, True)
    stack.name, labels.name = "renamed", "painted"
    viewer.add_image(picture(5, 6), name="something else")
    again = Session(viewer)
    assert again.image_layers == (stack,)
    assert again.labels_layer is labels
    assert again.task == "classes"
    assert again.part(ClassNames).all[3] == "fibre"
    assert again.complete == {2}


def test_the_current_slice_is_one_of_data_not_of_the_world(
    viewer: Any, session: Session, stack: Image
) -> None:
    for z in (0, 2, 1):
        viewer.dims.set_current_step(0, z)
        assert session.current_slice == z
        assert np.array_equal(session.image_stack()[session.current_slice], stack.data[None, z])


@pytest.mark.parametrize("what", ["paint", "undo", "redo", "fill", "region", "complete", "data"])
def test_every_kind_of_change_is_told(
    qtbot: Any, session: Session, stack: Image, what: str
) -> None:
    labels = session.create_annotation()
    regions = session.regions_layer
    assert regions is not None
    acts: dict[str, Callable[[], object]] = {
        "paint": lambda: labels.paint((0, 10, 10), 3),
        "undo": labels.undo,
        "redo": labels.redo,
        "fill": lambda: labels.fill((0, 0, 0), 9),
        "region": lambda: regions.add_rectangles(rectangle(0, 1, 1, 9, 9)),
        "complete": lambda: session.set_complete(1, True),
        "data": lambda: setattr(labels, "data", np.ones_like(labels.data)),
    }
    if what in ("undo", "redo"):
        labels.paint((0, 20, 20), 1)
    if what == "redo":
        labels.undo()
    qtbot.wait(300)
    before = session.revision
    with qtbot.waitSignal(session.annotations_changed):
        acts[what]()
    assert session.revision > before


@pytest.mark.parametrize("what", ["undo", "redo"])
def test_undo_is_noticed_on_hidden_labels(
    qtbot: Any, session: Session, stack: Image, what: str
) -> None:
    labels = session.create_annotation()
    labels.paint((0, 20, 20), 1)
    if what == "redo":
        labels.undo()
    qtbot.wait(800)
    labels.visible = False
    before = session.revision
    with qtbot.waitSignal(session.annotations_changed, timeout=2000):
        getattr(labels, what)()
    assert session.revision == before + 1
    qtbot.wait(800)
    assert session.revision == before + 1


def test_only_another_size_of_the_image_is_a_change(
    qtbot: Any, session: Session, stack: Image
) -> None:
    session.create_annotation()
    before = session.revision
    stack.data = stack.data + 1
    assert session.revision == before
    with qtbot.waitSignal(session.image_changed):
        stack.data = stack.data[:, 1:]
    assert session.slice_count == 3


def test_looking_at_another_slice_is_no_change(
    qtbot: Any, viewer: Any, session: Session, stack: Image
) -> None:
    session.create_annotation()
    viewer.dims.set_current_step(0, 2)
    before = session.revision
    with qtbot.waitSignal(session.slice_changed):
        viewer.dims.set_current_step(0, 0)
    viewer.dims.set_current_step(0, 1)
    assert session.revision == before


def test_a_snapshot_is_a_copy_of_what_counts(session: Session, stack: Image) -> None:
    labels, regions = session.create_annotation(), session.regions_layer
    assert regions is not None
    paint(labels, 0, slice(5, 10), slice(5, 10), 1)
    regions.add_rectangles(rectangle(1, 3.6, 4.6, 8.4, 12.4))
    session.region_layer("ignored").add_rectangles(rectangle(2, -1, -1, 40, 9.5))
    session.set_complete(2, True)
    shot = session.snapshot()
    paint(labels, 0, slice(0, 40), slice(0, 48), 7)
    stack.data = np.zeros_like(stack.data)
    (annotated,) = [shot.annotated_image()]
    assert annotated.name == "cells"
    assert annotated.pixel_size == pytest.approx(0.5)
    assert annotated.labels.max() == 1
    assert annotated.image.any()
    # A painted cell and its rim of 5; inside the region; the complete slice but for the ignored.
    assert annotated.annotated[0, 0:15, 7].all()
    assert not annotated.annotated[0, 16:].any()
    assert annotated.annotated[1].sum() == 5 * 8
    assert annotated.annotated[2].sum() == 40 * 38


def test_scribbles_count_only_where_painted(session: Session, stack: Image) -> None:
    labels = session.create_annotation()
    session.task = "classes"
    session.set_complete(0, True)
    paint(labels, 0, slice(5, 10), slice(5, 10), 1)
    image = session.snapshot().annotated_image()
    assert image.annotated.sum() == 25


def test_labels_of_another_size_are_refused(viewer: Any, session: Session, stack: Image) -> None:
    wrong = viewer.add_labels(np.zeros((3, 40, 47), dtype=int))
    with pytest.raises(LayerError, match="differ in size"):
        session.adopt(wrong)
    assert session.labels_layer is None


def test_adopted_labels_take_the_place_of_others(
    viewer: Any, session: Session, stack: Image
) -> None:
    first = session.create_annotation()
    session.set_complete(1, True)
    other = viewer.add_labels(np.ones((3, 40, 48), dtype=int))
    session.adopt(other)
    assert session.labels_layer is other
    assert session.complete == set()
    session.adopt(first)
    assert session.complete == {1}
    assert first in viewer.layers


@pytest.mark.parametrize("drawn_meanwhile", [False, True])
def test_an_image_that_is_opened_again_has_the_regions_of_its_labels(
    viewer: Any, session: Session, stack: Image, drawn_meanwhile: bool
) -> None:
    labels = session.create_annotation()
    regions, ignored = session.regions_layer, session.region_layer(layers.IGNORED)
    assert regions is not None
    regions.add_polygons([rectangle(1, 10, 10, 20, 20)])
    ignored.add_polygons([rectangle(0, 0, 0, 9, 9)])
    before = session.snapshot()
    place = layers.placement(stack)
    viewer.layers.remove(stack)
    again = viewer.add_image(stack.data, name="cells", **place)
    assert session.regions_layer is None
    if drawn_meanwhile:
        session.create_annotation()
        session.region_layer(layers.REGIONS).add_polygons([rectangle(2, 1, 1, 9, 9)])
    session.adopt(labels)
    assert session.image_layers == (again,)
    assert (session.regions_layer, session.ignored_layer) == (regions, ignored)
    seen = session.snapshot()
    count = len(before.region_outlines)
    np.testing.assert_allclose(seen.region_outlines[0].points, before.region_outlines[0].points)
    assert [o.z for o in seen.region_outlines[count:]] == [2] * drawn_meanwhile
    assert len(seen.ignored_outlines) == 1
    assert len([layer for layer in viewer.layers if layers.role_of(layer) == layers.REGIONS]) == 1


def test_labels_that_go_to_another_image_leave_the_regions_with_theirs(
    viewer: Any, session: Session, stack: Image
) -> None:
    labels = session.create_annotation()
    regions = session.regions_layer
    other = viewer.add_image(stack.data, name="other")
    session.choose([other])
    session.adopt(labels)
    assert session.regions_layer not in (None, regions)
    session.choose([stack])
    assert session.regions_layer is regions


def test_several_layers_are_channels_of_one_annotation(
    viewer: Any, session: Session, stack: Image
) -> None:
    labels = session.create_annotation()
    second = viewer.add_image(picture(3, 40, 48), name="green")
    session.set_channels([stack, second])
    assert session.image_stack().whole.shape == (3, 2, 40, 48)
    assert session.labels_layer is labels
    assert channels_of(session.viewer, second) == [stack, second]
    viewer.layers.remove(stack)
    assert session.image_layers == (second,)
    assert session.labels_layer is labels


def test_deleted_layers_are_let_go(qtbot: Any, viewer: Any, session: Session) -> None:
    image = viewer.add_image(picture(20, 30), name="a")
    session.create_annotation()
    with qtbot.waitSignal(session.image_changed):
        viewer.layers.remove(session.labels_layer)
    assert session.labels_layer is None
    session.create_annotation()
    viewer.layers.clear()
    assert session.image_layers == ()
    gone = weakref.ref(image)
    del image
    gc.collect()
    assert gone() is None


def test_a_session_is_freed_with_its_window_without_a_collection(qtbot: Any, viewer: Any) -> None:
    viewer.add_image(picture(20, 30))
    window = QObject()
    session = Session(viewer, window)
    session.create_annotation()
    gone = weakref.ref(session)
    gc.collect()
    gc.disable()
    try:
        del session
        window.deleteLater()
        qtbot.waitUntil(lambda: gone() is None, timeout=2000)
    finally:
        gc.enable()


def test_closing_the_viewer_stops_the_jobs(
    qtbot: Any, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    job = Session.of(viewer).job("endless")

    def endless(should_stop: ShouldStop) -> Iterator[int]:
        while not should_stop():
            yield 0

    job.start(endless)
    (thread,) = [t for t in threading.enumerate() if t.name == "napari-unet endless"]
    viewer.close()
    qtbot.waitUntil(lambda: not thread.is_alive())


def test_a_channel_that_comes_and_goes_leaves_each_image_its_own_annotation(
    viewer: Any, session: Session, stack: Image
) -> None:
    first = session.create_annotation()
    regions = session.regions_layer
    second = viewer.add_image(picture(3, 40, 48), name="green")
    session.choose([second])
    other = session.create_annotation()
    assert other is not first
    session.choose([stack])
    session.set_channels([stack, second])
    assert session.labels_layer is first
    assert session.regions_layer is regions
    session.set_channels([stack])
    assert session.labels_layer is first
    assert channels_of(session.viewer, second) == [second]
    session.choose([second])
    assert session.labels_layer is other
    assert session.regions_layer is not regions


@pytest.mark.parametrize("place", [{}, {"scale": (1, 3, 3), "units": ("px", "mm", "mm")}])
def test_the_pixel_size_is_that_of_the_image(
    viewer: Any, session: Session, stack: Image, place: dict[str, Any]
) -> None:
    labels = viewer.add_labels(np.zeros((3, 40, 48), dtype=int), **place)
    session.adopt(labels)
    paint(labels, 0, slice(5, 10), slice(5, 10), 1)
    assert session.snapshot().pixel_size == pytest.approx(0.5)
    stack.scale = (2, 0.25, 0.25)
    shot = session.snapshot()
    assert shot.pixel_size == pytest.approx(0.25)
    annotated = shot.annotated_image()
    assert annotated.annotated[0, 0:15, 7].all()
    assert not annotated.annotated[0, 16:].any()


def test_channels_are_read_in_the_order_of_the_layer_list(
    viewer: Any, session: Session, stack: Image
) -> None:
    second = viewer.add_image(picture(3, 40, 48) // 2, name="green")
    third = viewer.add_image(picture(3, 40, 48) // 4, name="blue")
    expected = np.stack([stack.data, second.data, third.data], axis=1)
    for images in ([stack, second, third], [third, stack, second]):
        session.choose(images)
        assert session.name == images[0].name
        assert session.channels == (stack, second, third)
        np.testing.assert_array_equal(session.image_stack().whole, expected)
        np.testing.assert_array_equal(session.image_stack()[1], expected[1])
    viewer.layers.move(0, 3)
    assert session.channels == (second, third, stack)


@pytest.fixture
def apart(viewer: Any, session: Session, stack: Image) -> tuple[Image, Image]:
    """Annotate two images by themselves, then make the second one a channel of the first."""
    session.create_annotation()
    session.region_layer("ignored").add_rectangles(rectangle(1, 2, 2, 9, 9))
    second = viewer.add_image(picture(3, 40, 48), name="green")
    session.choose([second])
    paint(session.create_annotation(), 1, slice(5, 10), slice(5, 10), 3)
    session.choose([stack])
    session.set_channels([stack, second])
    return stack, second


def test_new_labels_of_several_channels_leave_each_channel_its_own(
    viewer: Any, session: Session, apart: tuple[Image, Image]
) -> None:
    first, second = apart
    session.adopt(viewer.add_labels(np.ones((3, 40, 48), dtype=int)))
    assert channels_of(session.viewer, second) == [second]
    session.choose([second])
    assert session.labels_layer is viewer.layers["green labels"]
    session.choose(channels_of(session.viewer, first))
    assert session.image_layers == (first, second)


def test_what_is_ignored_in_an_image_is_not_in_its_further_channels(
    session: Session, apart: tuple[Image, Image]
) -> None:
    first, second = apart
    assert len(session.snapshot().ignored_outlines) == 1
    session.choose([second])
    assert session.ignored_layer is None
    assert session.snapshot().ignored_outlines == ()
    assert session.region_layer("ignored").name == "green ignored"
    session.choose([first, second])
    assert len(session.snapshot().ignored_outlines) == 1


def test_labels_whose_image_was_removed_belong_to_the_next_channel(
    viewer: Any, session: Session, apart: tuple[Image, Image]
) -> None:
    first, second = apart
    labels = session.labels_layer
    viewer.layers.remove("green labels")
    viewer.layers.remove(first)
    session.choose([second])
    assert session.labels_layer is labels
    assert len(session.snapshot().ignored_outlines) == 1
