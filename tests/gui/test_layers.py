"""Layers become arrays of the engine and back, wherever they lie in the world."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Shapes
from napari.layers._layer_actions import _duplicate_layer

from napari_unet.gui import layers
from napari_unet.gui.layers import LayerError
from napari_unet.gui.marks import rasterise


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


PLACES = [
    {},
    {"scale": (0.25, 0.25)},
    {"scale": (0.5, 2.0), "translate": (10, -7), "units": ("um", "um")},
    {"rotate": 30.0, "shear": [0.2], "translate": (3, 4)},
]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Image(picture(20, 30)), (1, 1, 20, 30)),
        (Image(picture(5, 20, 30)), (5, 1, 20, 30)),
        (Image(picture(20, 30, 3), rgb=True), (1, 3, 20, 30)),
        (Image(picture(20, 30, 4), rgb=True), (1, 3, 20, 30)),
        (Image(picture(5, 20, 30, 3), rgb=True), (5, 3, 20, 30)),
    ],
)
def test_images_become_z_c_y_x(layer: Image, shape: tuple[int, ...]) -> None:
    array = layers.image_stack([layer]).whole
    assert array.shape == shape
    assert layers.image_stack([layer])[shape[0] - 1].shape == shape[1:]
    assert np.array_equal(layers.image_stack([layer])[shape[0] - 1], array[-1])
    assert not np.shares_memory(array, layer.data)


@pytest.mark.parametrize("shape", [(20, 30), (5, 20, 30), (20, 30, 3), (5, 20, 30, 3)])
def test_a_stack_reads_the_slices_that_the_layers_had(shape: tuple[int, ...]) -> None:
    image = Image(picture(*shape), rgb=shape[-1] == 3)
    other = Image(picture(*shape).astype(np.float32) / 2, rgb=shape[-1] == 3)
    expected = layers.image_stack([image, other]).whole
    stack = layers.image_stack([image, other])
    image.data = np.zeros_like(image.data)
    assert (stack.shape, stack.dtype) == (expected.shape, expected.dtype)
    for z in range(stack.shape[0]):
        assert np.array_equal(stack[z], expected[z])
        assert not np.shares_memory(stack[z], other.data)


def test_several_layers_are_channels_in_order() -> None:
    red, green = Image(picture(4, 20, 30)), Image(picture(4, 20, 30) // 2)
    array = layers.image_stack([red, green]).whole
    assert np.array_equal(array[:, 0], red.data)
    assert np.array_equal(array[:, 1], green.data)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "no image yet"),
        ([Image([picture(64, 64), picture(32, 32)], multiscale=True)], "multiscale"),
        ([Image(picture(2, 3, 20, 30))], "4 dimensions"),
        ([Image(picture(20, 30)), Image(picture(20, 31))], "differ in size"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(images: list[Image], said: str) -> None:
    with pytest.raises(LayerError, match=said):
        layers.image_stack(images)


@pytest.mark.parametrize("place", PLACES)
def test_a_new_labels_layer_lies_on_its_image(viewer: Any, place: dict[str, Any]) -> None:
    image = viewer.add_image(picture(20, 30), **place)
    labels = layers.add_labels(viewer, [image], role="labels", name="x")
    for corner in ((0, 0), (19, 0), (7, 29)):
        np.testing.assert_allclose(labels.data_to_world(corner), image.data_to_world(corner))
    assert labels.units == image.units


@pytest.mark.parametrize("place", PLACES)
def test_a_drawn_rectangle_covers_the_pixels_inside_it(place: dict[str, Any]) -> None:
    image = Image(picture(20, 30), **place)
    regions = Shapes(ndim=2, **place)
    regions.add_rectangles(np.array([[3.6, 4.6], [8.4, 12.4]]))
    mask = rasterise(layers.outlines(regions, image), (1, 20, 30))
    expected = np.zeros((1, 20, 30), dtype=bool)
    expected[0, 4:9, 5:13] = True
    assert np.array_equal(mask, expected)


def test_regions_are_measured_in_pixels_of_the_image_not_of_their_own_layer() -> None:
    image = Image(picture(20, 30), scale=(0.5, 0.5), translate=(2, 0))
    regions = Shapes(ndim=2)
    regions.add_rectangles(np.array([[3.8, 2.3], [6.2, 6.2]]))
    mask = rasterise(layers.outlines(regions, image), (1, 20, 30))
    assert mask is not None
    assert np.array_equal(np.argwhere(mask)[[0, -1]], [[0, 4, 5], [0, 8, 12]])


def test_a_region_counts_on_its_slice_and_lines_have_no_inside() -> None:
    image = Image(picture(4, 20, 30))
    corners = np.array([[2.0, 3, 3], [2, 3, 9], [2, 9, 9], [2, 9, 3]])
    drawn = [corners, corners - [-1, 0, 0], corners[:2] - [1, 0, 0]]
    regions = Shapes(drawn, shape_type=["polygon", "ellipse", "line"])
    mask = rasterise(layers.outlines(regions, image), (4, 20, 30))
    assert mask is not None
    per_slice = mask.sum(axis=(1, 2))
    assert list(per_slice > 0) == [False, False, True, True]
    assert per_slice[3] < per_slice[2]


def test_outlines_drawn_back_are_the_same() -> None:
    place = {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3)}
    image, regions = Image(picture(4, 20, 30), **place), Shapes(ndim=3)
    corners = np.array([[2.0, 3, 3], [2, 3, 9], [2, 9, 9]])
    first = Shapes([corners], shape_type="polygon", **place)
    (outline,) = layers.outlines(first, image)
    layers.add_outlines(regions, [outline], image)
    (back,) = layers.outlines(regions, image)
    assert back.z == outline.z == 2
    np.testing.assert_allclose(back.points, outline.points)


@pytest.mark.parametrize(
    ("units", "scale", "size"),
    [(("um", "um"), 0.25, 0.25), (("nm", "nm"), 250, 0.25), (("pixel", "pixel"), 1, None)],
)
def test_pixel_size_is_in_micrometres(
    units: tuple[str, ...], scale: float, size: float | None
) -> None:
    layer = Image(picture(20, 30), scale=(scale, scale), units=units)
    assert layers.pixel_size(layer) == pytest.approx(size)


def test_pixels_that_are_not_square_have_no_size_as_in_files() -> None:
    layer = Image(picture(20, 30), scale=(0.5, 0.25), units=("um", "um"))
    assert layers.pixel_size(layer) is None
    layer.units, layer.scale = ("nm", "um"), (250, 0.25)
    assert layers.pixel_size(layer) == pytest.approx(0.25)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_written_slice_can_be_undone(ndim: int) -> None:
    before = np.zeros((3, 20, 30)[3 - ndim :], dtype=np.int32)
    layer = Labels(before.copy())
    values = np.arange(600).reshape(20, 30)
    layers.write_slice(layer, ndim - 2, values)
    assert np.array_equal(layers.read_labels_slice(layer, ndim - 2), values)
    layer.undo()
    assert np.array_equal(layer.data, before)
    layer.redo()
    assert np.array_equal(layers.read_labels_slice(layer, ndim - 2), values)


def test_what_is_written_takes_little_memory_to_be_undone() -> None:
    cells = np.kron(np.arange(25).reshape(5, 5), np.ones((60, 80), int))
    layer = Labels(np.roll(cells, 7))
    layers.write_slice(layer, 0, cells)
    ((_, before, after),) = layer._undo_history[-1]
    assert (before.nbytes + after.nbytes) * 10 < cells.nbytes


def test_writing_what_is_there_is_nothing_to_undo() -> None:
    layer = Labels(np.eye(20, dtype=int))
    layers.write_slice(layer, 0, np.eye(20, dtype=int))
    assert not layer._undo_history


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_slice_is_looked_at_without_copying_it(ndim: int) -> None:
    layer = Labels(np.arange(1800).reshape(3, 20, 30)[(0,) * (3 - ndim)])
    seen = layers.view_labels_slice(layer, 0)
    assert np.shares_memory(seen, layer.data)
    assert np.array_equal(seen, layers.read_labels_slice(layer, 0))


def test_layers_are_found_again_after_renaming(viewer: Any) -> None:
    image = viewer.add_image(picture(20, 30), name="a")
    other = viewer.add_image(picture(20, 30), name="b")
    labels = layers.add_labels(viewer, [image], role="labels", name="a labels")
    image.name, labels.name = "renamed", "mine"
    assert layers.find(viewer, "labels", [image]) is labels
    assert layers.find(viewer, "labels", [other]) is None


def test_showing_again_keeps_the_layer_and_what_the_user_set(viewer: Any) -> None:
    image = viewer.add_image(picture(3, 20, 30), scale=(2, 1, 1))
    shown = {"role": "weights", "name": "weights"}
    first = layers.put_image(viewer, [image], picture(20, 30), z=1, colormap="magma", **shown)
    first.colormap = "viridis"
    second = layers.put_image(viewer, [image], picture(20, 30), z=2, colormap="magma", **shown)
    assert second is first
    assert second.colormap.name == "viridis"
    assert second.extent.world[0][0] == 4
    assert first not in layers.image_layers(viewer)


def test_the_layer_in_hand_stays_in_hand(viewer: Any) -> None:
    image = viewer.add_image(picture(20, 30))
    layers.add_labels(viewer, [image], role="labels", name="x")
    assert viewer.layers.selection.active is image


def test_a_duplicate_plays_no_role(viewer: Any) -> None:
    image = viewer.add_image(np.zeros((3, 20, 30)))
    labels = layers.add_labels(viewer, [image], role="labels", name="labels")
    viewer.layers.selection = {labels}
    _duplicate_layer(viewer.layers)
    copy = next(layer for layer in viewer.layers if layer not in (image, labels))
    assert viewer.layers.index(copy) > viewer.layers.index(labels)
    assert layers.find(viewer, "labels", [image]) is labels
    layers.set_fact(copy, layers.COMPLETE, [1])
    assert layers.fact(labels, layers.COMPLETE) is None
    layers.link(viewer, copy, "labels", [image])
    assert layers.find(viewer, "labels", [image]) is copy


def slow_fingerprint(image: Image) -> str:
    """Take it from whole slices, as it is written into older recovery files."""
    stack = layers.image_stack([image])
    known = (layers.volume_shape(image), image.rgb, str(image.dtype))
    digest = hashlib.sha256(repr(known).encode())
    for at in sorted({0, stack.shape[0] // 2}):
        digest.update(np.ascontiguousarray(stack[at][:, ::8, ::8]).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("kind", ["numpy", "turned", "big-endian", "dask", "zarr"])
@pytest.mark.parametrize("shape", [(41, 30), (5, 41, 30), (41, 30, 3), (41, 30, 4), (5, 41, 30, 3)])
def test_a_fingerprint_is_what_older_recovery_files_hold(shape: tuple[int, ...], kind: str) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape)
    data = data.astype(np.uint8 if shape[-1] < 5 else np.uint16)
    made = {
        "numpy": lambda: data,
        "turned": lambda: data[::-1],
        "big-endian": lambda: data.astype(data.dtype.newbyteorder(">")),
        "dask": lambda: dask.array.from_array(data, chunks=16),
        "zarr": lambda: zarr.array(data, chunks=tuple(min(n, 16) for n in shape)),
    }
    image = Image(made[kind](), rgb=shape[-1] < 5)
    assert layers.Fingerprint(image).read() == slow_fingerprint(image)


def test_a_fingerprint_stays_what_it_was() -> None:
    stack = np.arange(3 * 20 * 30, dtype=np.uint16).reshape(3, 20, 30)
    assert layers.Fingerprint(Image(stack)).read() == "fe1f48ac00f85e1c"


class Watched:
    """An array on disk: what is read is counted, and it cannot be turned into one in memory."""

    def __init__(self, data: np.ndarray) -> None:
        self.dtype, self.shape, self.ndim, self.size = data.dtype, data.shape, data.ndim, data.size
        self._data = data
        self.read = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self._data[key]
        self.read += part.size
        return part


def test_a_fingerprint_reads_every_eighth_row_and_column_only() -> None:
    data = Watched(picture(4, 80, 160))
    image = Image(data, contrast_limits=(0, 255))
    data.read = 0
    fingerprint = layers.Fingerprint(image)
    assert data.read == 0
    assert not fingerprint.known
    assert fingerprint.read() == fingerprint.read() == fingerprint.known != ""
    assert data.read == 2 * 10 * 20


def test_a_fingerprint_is_taken_once_of_each_array_of_a_layer() -> None:
    data = Watched(picture(4, 80, 160))
    image, other = Image(data, contrast_limits=(0, 255)), Image(picture(4, 80, 160) // 2)
    taken = layers.Fingerprints()
    first = taken.of(image).read()
    data.read = 0
    assert taken.of(image).known == first == layers.Fingerprint(Image(data._data)).read()
    assert data.read == 0
    assert taken.of(other).read() == layers.Fingerprint(other).read()
    image.data = other.data
    assert taken.of(image).read() == taken.of(other).read() != first


def test_what_fingerprints_were_taken_of_is_not_kept_alive() -> None:
    data = picture(20, 30)
    image = Image(data)
    taken = layers.Fingerprints()
    holders = sys.getrefcount(data), sys.getrefcount(image)
    taken.of(image).read()
    assert (sys.getrefcount(data), sys.getrefcount(image)) == holders


def test_a_layer_that_lies_on_its_image_is_not_laid_there_again() -> None:
    image = Image(picture(3, 20, 30), scale=(2, 1, 1), translate=(1, 2, 3), units=("um",) * 3)
    labels = Labels(np.zeros((3, 20, 30), int), **layers.placement(image))
    moved = []
    for name in ("scale", "translate", "rotate", "shear", "affine", "units"):
        getattr(labels.events, name).connect(lambda event: moved.append(event.type))
    layers.lie_on(labels, image)
    assert not moved
    image.scale = (4, 1, 1)
    layers.lie_on(labels, image)
    assert tuple(labels.scale) == (4, 1, 1)
    assert set(moved) == {"scale"}


@pytest.mark.parametrize("place", [*PLACES[1:], {"affine": [[0, 2, 1], [-1, 0, 3], [0, 0, 1]]}])
def test_labels_lie_on_an_image_that_has_more_or_fewer_axes(place: dict[str, Any]) -> None:
    flat = Image(picture(20, 30), **place)
    stacked = Image(picture(1, 20, 30))
    layers.lie_on(stacked, flat)
    painted = Labels(np.zeros((20, 30), int))
    layers.lie_on(painted, stacked)
    for pixel in ((0, 0), (7, 12)):
        np.testing.assert_allclose(
            stacked.data_to_world((0, *pixel))[1:], flat.data_to_world(pixel)
        )
        np.testing.assert_allclose(painted.data_to_world(pixel), flat.data_to_world(pixel))
    assert painted.units == flat.units == stacked.units[1:]


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_one_slice_lies_on_its_slice_of_a_turned_stack() -> None:
    turned = [[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]
    image = Image(picture(4, 20, 30), scale=(3, 1, 1), rotate=turned, translate=(5, 6, 7))
    plane = Labels(np.zeros((1, 20, 30), int))
    layers.lie_on(plane, image, 2)
    np.testing.assert_allclose(plane.data_to_world((0, 5, 9)), image.data_to_world((2, 5, 9)))
