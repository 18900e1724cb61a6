from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.network import Geometry
from napari_unet.prediction import PredictionError, predict
from napari_unet.prediction.views import VIEWS, Part, average_views, usable_views
from tests.prediction.models import lively_model


def model(**options):
    return lively_model(depth=2, **options)


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("turn", [lambda a: np.rot90(a, 1, (-2, -1)), lambda a: a[..., ::-1]])
def test_the_average_of_eight_views_turns_with_the_image(image, padding, turn):
    trained = model(padding=padding)
    turned = predict(trained, turn(image).copy(), views=8)
    assert np.abs(turned - turn(predict(trained, image, views=8))).max() < 2e-2
    single = predict(trained, turn(image).copy(), views=1)
    assert np.abs(single - turn(predict(trained, image, views=1))).max() > 2e-2


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_averaged_views_do_not_depend_on_the_tile_size(image, padding):
    trained = model(padding=padding)
    small, large = (predict(trained, image, views=8, tile=tile) for tile in (16, 64))
    assert np.abs(small - large).max() < 1e-5


PART = Part(slice(1, 3), slice(2, 6), 4, 7)


@pytest.mark.parametrize("views", VIEWS)
def test_a_part_of_the_views_comes_back_to_where_it_was_seen(views):
    image = torch.arange(28.0).reshape(1, 1, 4, 7)

    def look(seen, keep):
        return seen[(..., *keep)]

    found = average_views(look, image, PART, views)
    assert torch.equal(found, image[..., PART.rows, PART.columns])


@pytest.mark.parametrize("views", VIEWS)
def test_every_view_is_another_one(views):
    seen = []

    def look(image, keep):
        seen.append(image)
        return image

    whole = Part(slice(0, 4), slice(0, 4), 4, 4)
    average_views(look, torch.arange(16.0).reshape(1, 1, 4, 4), whole, views)
    assert len({tuple(image.ravel().tolist()) for image in seen}) == views


def test_the_model_says_how_many_views_it_was_made_for(image):
    trained = model(padding="same")
    eight = replace(trained, configuration={"views": 8})
    assert np.array_equal(predict(eight, image), predict(trained, image, views=8))


def test_outputs_that_are_off_the_centre_have_one_view():
    geometry = Geometry(2, "same", "upsample")
    size = geometry.input_size_for(16)
    assert usable_views(8, geometry, (size, size)) == 1
    assert usable_views(8, Geometry(2, "valid"), (44, 44)) == 8


def test_another_number_of_views_is_refused(image):
    with pytest.raises(PredictionError, match="3 views cannot be averaged; choose 1, 2, 4 or 8"):
        predict(model(padding="same"), image, views=3)


def test_a_network_that_saw_no_turned_images_is_shown_none(image):
    trained = model(padding="same")
    upright = replace(trained, configuration={"views": 8, "rotate": False})
    assert np.array_equal(predict(upright, image), predict(trained, image, views=1))
    asked = predict(upright, image, views=2)
    assert np.array_equal(asked, predict(trained, image, views=2))
