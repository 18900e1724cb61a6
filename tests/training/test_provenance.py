"""What a model remembers of the images and the cells that it learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.training.fingerprints import fingerprint
from napari_unet.training.provenance import cells_learnt, provenance
from tests.prediction.models import lively_model
from tests.training.pictures import bright_discs


def _facts(images, **more):
    values = {
        "device": torch.device("cpu"),
        "dtype": None,
        "steps": 3,
        "seconds": 1.234,
        "cells": {},
        "parent": None,
        "scores": {},
        "scored_on": [],
        "contrast": {},
        **more,
    }
    return provenance(images, **values)


def test_what_was_not_there_is_not_told():
    facts = _facts([bright_discs(1)])
    assert (facts["device"], facts["precision"], facts["seconds"]) == ("cpu", "float32", 1.2)
    assert facts["threads"] == torch.get_num_threads()
    assert facts["scored_on"] == "the training images"
    assert not {"parent", "cells"} & facts.keys()
    kept_back = _facts([bright_discs(1)], scored_on=[bright_discs(2)], dtype=torch.bfloat16)
    assert kept_back["scored_on"] == ["discs 2"]
    assert kept_back["precision"] == "bfloat16"


@pytest.mark.parametrize("part", ["image", "labels", "annotated"])
def test_the_data_are_known_by_their_pixels_and_not_by_their_names(part):
    image = bright_discs()
    changed = getattr(image, part).copy()
    changed.flat[0] = changed.flat[0] == 0
    other = replace(image, **{part: changed})
    known = fingerprint([image])
    assert fingerprint([replace(image, name="another")]) == known
    assert fingerprint([other]) != known
    turned = np.asfortranarray(getattr(image, part))
    assert fingerprint([replace(image, **{part: turned})]) == known


def test_the_diameter_is_that_of_the_new_cells_as_the_network_saw_them():
    new, old = bright_discs(cells=5, radius=10), bright_discs(cells=40, radius=4)
    alone = cells_learnt([new], [], 1.0, None, None)
    both = cells_learnt([new], [old], 0.5, None, None)
    assert alone["cell_diameter"] == pytest.approx(20, rel=0.2)
    assert both["cell_diameter"] == pytest.approx(alone["cell_diameter"] / 2, abs=0.1)
    assert both["cells"] > alone["cells"]


def test_with_few_cells_the_model_that_was_gone_on_from_knows_their_diameter():
    two = bright_discs(cells=2)
    knows = replace(lively_model(), provenance={"cell_diameter": 31.0})
    assert cells_learnt([two], [], 1.0, None, knows) == {"cells": 2, "cell_diameter": 31.0}
    assert cells_learnt([two], [], 1.0, None, lively_model()) == {"cells": 2}
    assert cells_learnt([two], [], 1.0, None, None)["cell_diameter"] == pytest.approx(14, rel=0.2)
