"""The demo: a fair comparison on a picture that was not trained on, and files that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_unet import demo
from napari_unet.files import read_image

if TYPE_CHECKING:
    from pathlib import Path


NAME = "touching_cells.tif"


def test_the_held_out_picture_was_not_trained_on() -> None:
    trained, _ = demo.training_picture()
    held_out, _ = demo.held_out_picture()
    assert trained.shape == held_out.shape
    correlation = np.corrcoef(trained.ravel(), held_out.ravel())[0, 1]
    assert abs(correlation) < 0.5


def test_the_sample_is_hard_without_training() -> None:
    _, truth = demo.held_out_picture()
    scores = demo.compare(truth)
    assert scores.scores.ap50 == 1
    assert scores.baseline_scores.ap50 is not None
    assert scores.baseline_scores.ap50 < 0.4


def test_the_picture_shows_image_truth_and_prediction() -> None:
    _, truth = demo.held_out_picture()
    height, width = truth.shape
    empty = demo.draw_picture(demo.compare(np.zeros_like(truth)))
    full = demo.draw_picture(demo.compare(truth))
    assert full.shape == empty.shape
    assert full.shape[1] >= 3 * width
    assert full.shape[0] > height
    panels = [slice(start, start + width) for start in (0, full.shape[1] - width)]
    below = slice(full.shape[0] - height, None)
    assert np.array_equal(full[below, panels[0]], empty[below, panels[0]])
    assert not np.array_equal(full[below, panels[1]], empty[below, panels[1]])


def test_the_files_of_the_demo_tell_the_size_of_their_pixels(tmp_path: Path) -> None:
    demo.write_inputs(tmp_path)
    files = sorted(tmp_path.glob("*/*/*.tif"))
    assert len(files) == 4
    sizes = [read_image(path).pixel_size for path in files]
    assert sizes == pytest.approx([demo.PIXEL_SIZE] * 4, rel=1e-4)


def test_only_a_folder_of_its_own_is_written_to(tmp_path: Path) -> None:
    assert demo.is_free_or_demo(tmp_path / "new")
    assert demo.is_free_or_demo(tmp_path)
    (tmp_path / "thesis.tex").write_text("precious")
    assert not demo.is_free_or_demo(tmp_path)
    (tmp_path / "README.txt").write_text("About my thesis")
    assert not demo.is_free_or_demo(tmp_path)
    demo.write_inputs(tmp_path / "new")
    assert demo.is_free_or_demo(tmp_path / "new")
