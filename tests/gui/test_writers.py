"""napari's File > Save writes labels that read back equal, with their pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Labels

from napari_unet.files import read_image
from napari_unet.gui.writers import write_labels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_labels_come_back_equal_with_their_pixel_size(tmp_path: Path, suffix: str) -> None:
    layer = Labels(np.arange(600).reshape(20, 30), scale=(0.5, 0.5), units=("um", "um"))
    data, attributes, kind = layer.as_layer_data_tuple()
    assert kind == "labels"
    path = str(tmp_path / f"cells{suffix}")
    assert write_labels(path, data, attributes) == [path]
    back = read_image(path)
    assert np.array_equal(back.data[0, 0], layer.data)
    assert back.pixel_size == pytest.approx(0.5)
