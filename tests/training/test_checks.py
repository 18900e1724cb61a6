"""What nothing can be learnt from is refused with a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.annotations import annotate
from napari_unet.training import TrainingConfig, TrainingError, train
from napari_unet.training.checks import check_annotations, find_classes, refuse_pictures
from tests.training.pictures import bright_discs, small


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "add an image and paint"),
        ([replace(bright_discs(), annotated=np.zeros((1, 96, 96), bool))], "nothing is annotated"),
        ([annotate(np.zeros((9, 9)), np.zeros((9, 9), int))], "no cell is painted"),
        ([annotate(np.zeros((9, 9)), np.ones((9, 9), bool))], "binary_to_instances"),
        (
            [bright_discs(), annotate(np.zeros((1, 3, 9, 9)), np.ones((9, 9), int))],
            "1 and 3 channels",
        ),
    ],
)
def test_nothing_to_learn_is_a_sentence(images, sentence):
    with pytest.raises(TrainingError, match=sentence):
        check_annotations(images, TrainingConfig())


def test_a_single_class_cannot_be_learnt():
    image = annotate(np.zeros((9, 9)), np.zeros((9, 9), int))
    with pytest.raises(TrainingError, match="paint at least two"):
        find_classes([image], "classes", None)


def test_a_picture_in_the_place_of_labels_is_refused_before_anything_takes_long():
    picture = bright_discs()
    grey = np.random.default_rng(0).integers(1, 2**16, picture.labels.shape)
    with pytest.raises(TrainingError, match=r"labels of discs 0 look like the grey values"):
        next(train([replace(picture, labels=grey)], small(steps=1)))


def test_many_cells_are_no_picture():
    labels = np.arange(1, 401).reshape(20, 20).repeat(6, 0).repeat(6, 1)
    refuse_pictures([annotate(np.zeros(labels.shape), labels, name="a mosaic")])
