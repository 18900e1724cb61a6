"""Otsu's threshold with a distance watershed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_unet.evaluation import evaluate, otsu_watershed
from napari_unet.files import match_labels, read_image, read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def discs(*centres: tuple[int, int], radius: int = 9) -> NDArray[Any]:
    y, x = np.mgrid[:64, :96]
    labels = np.zeros((64, 96), dtype=np.int32)
    for number, (cy, cx) in enumerate(centres, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number
    return labels


def test_bright_discs_are_found_and_touching_ones_split() -> None:
    truth = discs((20, 20), (20, 36), (45, 70))
    noise = np.random.default_rng(0).normal(0, 5, truth.shape)
    found = otsu_watershed((truth > 0) * 100 + 1000 + noise)
    assert found.dtype == np.int32
    assert sorted(np.unique(found)) == [0, 1, 2, 3]
    assert evaluate([(truth, found)]).ap50 == 1.0


def test_channels_are_averaged() -> None:
    picture = (discs((20, 20), (45, 70)) > 0) * 100.0
    np.testing.assert_array_equal(
        otsu_watershed(np.stack([picture, picture])), otsu_watershed(picture)
    )


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 7, 7)])
def test_an_image_of_one_value_has_no_cell(shape: tuple[int, ...]) -> None:
    found = otsu_watershed(np.full(shape, 7))
    assert found.shape == shape[-2:]
    assert not found.any()


def test_on_real_nuclei_it_reaches_what_the_benchmark_says(real_data: Path) -> None:
    nuclei = real_data / "dsb2018_nuclei"
    pairs = [
        (read_labels(labels), otsu_watershed(read_image(image).data[0])[None])
        for image, labels in match_labels(nuclei / "images", nuclei / "labels")[-20:]
    ]
    assert evaluate(pairs).ap50 == pytest.approx(0.72, abs=0.01)
