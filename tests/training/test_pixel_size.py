"""Images with pixels of different sizes are learnt as if all had one size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.transform import rescale

from napari_unet.annotations import annotate
from napari_unet.evaluation import evaluate
from napari_unet.prediction import labels_from, predict
from napari_unet.training import TrainingError, train
from napari_unet.training.checks import find_classes
from napari_unet.training.preparation import prepare
from napari_unet.training.sizes import choose_scale
from napari_unet.training.validation_parts import parts_of, predict_parts
from tests.prediction.models import brightness_model
from tests.training.pictures import bright_discs, small


def _finer(image, times=2):
    """Return the image as a microscope with pixels so many times smaller would take it."""
    pixels = rescale(image.image[0, 0], times, order=1)
    labels = np.kron(image.labels[0], np.ones((times, times), int))
    size = None if image.pixel_size is None else image.pixel_size / times
    return annotate(pixels, labels, name=f"fine {image.name}", pixel_size=size)


def _discs(seed=0, **more):
    """Draw discs through optics: without detail finer than the pixels can show."""
    image = bright_discs(seed, **more)
    blurred = gaussian_filter(image.image, (0, 0, 1.5, 1.5))
    return replace(image, image=blurred, pixel_size=0.5)


def _prepared(image, config, scale, reference):
    classes = find_classes([image], config.task, None)
    rng = np.random.default_rng(0)
    return prepare([image], config, scale, classes, rng, reference=reference)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_finer_picture_of_the_same_cells_is_prepared_alike(scale):
    image = _discs()
    [expected] = _prepared(image, small(), scale, 0.5)
    [found] = _prepared(_finer(image), small(), scale, 0.5)
    assert found.whole.image.shape == expected.whole.image.shape
    assert np.array_equal(found.whole.target, expected.whole.target)
    assert np.allclose(found.whole.weight, expected.whole.weight)
    assert np.abs(found.whole.image - expected.whole.image).mean() < 0.05


def test_the_working_scale_is_measured_in_pixels_of_the_reference():
    image = _discs(shape=(200, 200), radius=16)
    config = small(cell_diameter=16.0)
    expected = choose_scale([image], config, 0.5)
    assert expected == pytest.approx(0.5, rel=0.05)
    assert choose_scale([_finer(image)], config, 0.5) == pytest.approx(expected, rel=0.02)
    assert choose_scale([_finer(image)], config, 0.25) == pytest.approx(expected / 2, rel=0.02)
    assert choose_scale([image, _finer(image)], config, 0.5) == pytest.approx(expected, rel=0.02)


def test_an_absurd_pixel_size_is_refused_with_the_image_that_has_it():
    images = [_discs(seed) for seed in range(3)]
    images.append(replace(_discs(3), pixel_size=50.0))
    with pytest.raises(TrainingError, match=r"discs 3: .*50 µm, 100 times larger.*ignore"):
        list(train(images, small(steps=1)))
    *_, last = train(images, small(steps=1, use_pixel_size=False))
    assert last.model.pixel_size is None


def test_cells_are_judged_at_the_pixel_size_of_the_model():
    image = _discs()
    model = brightness_model(pixel_size=0.5)
    [expected] = predict_parts(model, parts_of([image], model), "cpu")
    [found] = predict_parts(model, parts_of([_finer(image)], model), "cpu")
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.annotated, expected.annotated)
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.02


def test_a_training_mixes_two_pixel_sizes():
    coarse = [_discs(seed) for seed in range(3)]
    images = [*coarse, *(_finer(_discs(seed)) for seed in (3, 4)), bright_discs(5)]
    config = small(steps=60, width=8, learning_rate=1e-2)
    reports = list(train(images, config))
    assert any("0.25 to 0.5 µm" in report.message for report in reports)
    model = reports[-1].model
    assert model.pixel_size == 0.5
    for image in (_discs(7), _finer(_discs(7))):
        size = image.pixel_size
        found = labels_from(
            model, predict(model, image.image[0, 0], pixel_size=size), pixel_size=size
        )
        scores = evaluate([(image.labels[0], found)])
        assert scores.ap50 > 0.5
        assert scores.pixel_error < 0.1


def test_images_of_one_pixel_size_say_nothing_of_it():
    images = [replace(bright_discs(seed), pixel_size=0.5 + 0.01 * seed) for seed in range(2)]
    reports = list(train(images, small(steps=1)))
    assert not any("µm" in report.message for report in reports)
