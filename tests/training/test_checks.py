"""What nothing can be learnt from is refused with a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.annotations import annotate
from napari_unet.training import TrainingConfig, TrainingError
from napari_unet.training.checks import check_annotations, find_classes
from tests.training.pictures import bright_discs


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
