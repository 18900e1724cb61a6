"""Tiles: whatever their size, what they bring together is the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.network import Geometry
from napari_unet.prediction import mirrored, plan_tiles


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    tile=st.integers(1, 100),
    depth=st.integers(0, 3),
    padding=st.sampled_from(["valid", "same"]),
    up=st.sampled_from(["transposed", "upsample"]),
)
def test_an_identity_prediction_is_stitched_unchanged(shape, tile, depth, padding, up):
    geometry = Geometry(depth, padding, up)
    image = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(1, *shape)
    out = np.full_like(image, np.nan)
    for part in plan_tiles(shape, tile, geometry):
        window = mirrored(image, part.read, part.size)
        cropped = [
            slice(geometry.offset(n), geometry.offset(n) + geometry.output_size(n))
            for n in part.size
        ]
        seen = window[(slice(None), *cropped)]  # what a perfect network would return
        out[(slice(None), *part.write)] = seen[(slice(None), *part.keep)]
    assert np.array_equal(out, image)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_every_tile_has_the_phase_of_the_pooling(padding):
    geometry = Geometry(4, padding, "transposed")
    tiles = plan_tiles((300, 500), 100, geometry)
    assert len(tiles) > 4
    phases = {(part.read[0] % 16, part.read[1] % 16) for part in tiles}
    assert len(phases) == 1


def test_tiles_keep_at_most_what_was_asked_for():
    for part in plan_tiles((300, 500), 100, Geometry(4, "same")):
        kept = [s.stop - s.start for s in part.write]
        assert max(kept) <= 100


def test_mirroring_equals_numpy_reflection():
    image = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)
    padded = np.pad(image, ((0, 0), (12, 12), (12, 12)), mode="reflect")
    assert np.array_equal(mirrored(image, (-12, -12), (29, 31)), padded)


def test_a_single_pixel_is_mirrored_into_a_constant():
    assert np.array_equal(
        mirrored(np.full((1, 1, 1), 3.0, np.float32), (-2, -2), (5, 5)), np.full((1, 5, 5), 3.0)
    )
