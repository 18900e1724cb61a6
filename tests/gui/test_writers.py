"""napari's File > Save writes labels that read back equal, with their pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from napari.layers import Labels

from napari_unet.files import FileError, read_image, write_values
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


def test_a_name_without_an_ending_becomes_a_tiff(tmp_path: Path) -> None:
    data, attributes, _ = Labels(np.ones((20, 30), int)).as_layer_data_tuple()
    [written] = write_labels(str(tmp_path / "cells"), data, attributes)
    assert written == str(tmp_path / "cells.tif")
    assert read_image(written).data.max() == 1
    with pytest.raises(FileError, match="exists already"):
        write_labels(str(tmp_path / "cells"), data, attributes)


def test_the_store_of_an_image_is_never_replaced(tmp_path: Path) -> None:
    data, attributes, _ = Labels(np.ones((20, 30), int)).as_layer_data_tuple()
    picture = write_values(tmp_path / "cells.zarr", np.full((1, 20, 30), 7.0))
    with pytest.raises(FileError, match="may be an image"):
        write_labels(str(picture), data, attributes)
    assert read_image(picture).data.max() == 7
    plain = tmp_path / "plain.zarr"
    zarr.save(str(plain), np.full((20, 30), 7))
    with pytest.raises(FileError, match="may be an image"):
        write_labels(str(plain), data, attributes)
    zarr.open_array(plain).attrs["last_label"] = 7  # as a prediction of a volume says it
    write_labels(str(plain), data, attributes)
    assert read_image(plain).data.max() == 1
    labels = str(tmp_path / "labels.zarr")
    for value in (1, 2):
        write_labels(labels, value * data, attributes)
        assert read_image(labels).data.max() == value
