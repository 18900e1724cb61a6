"""What `demo` writes without a window, and where it writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from napari_unet import demo
from napari_unet.files import load_model, match_labels, read_image, read_labels
from napari_unet.training import TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


def test_a_folder_with_other_files_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    done = run("demo", "--headless", "--out", tmp_path)
    assert done.code == 1
    assert "holds other files" in done.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.usefixtures("tiny")
def test_without_a_window_it_trains_segments_and_scores(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = TrainingConfig.from_preset

    def two_steps(name: str, *, minutes: float) -> TrainingConfig:
        """Train as long as it takes: a busy machine may need any time for a first step."""
        assert minutes == 0.5
        return usual(name, steps=2)

    monkeypatch.setattr(TrainingConfig, "from_preset", two_steps)
    out = tmp_path / "demo"
    demo.write_inputs(out)  # an earlier demo is replaced
    done = run("demo", "--headless", "--out", out, "--minutes", 0.5)
    assert (done.code, done.err) == (0, "")
    assert "U-Net" in done.out
    assert "Otsu" in done.out
    assert load_model(out / "model.safetensors").task == "instances"
    for part in ("training", "test"):
        [pair] = match_labels(out / part / "images", out / part / "labels")
        assert read_labels(pair.labels).shape == read_image(pair.image).data[:, 0].shape
    assert read_labels(demo.segmented_file(out)).shape == (1, 512, 512)
    with Image.open(out / "picture.png") as picture:
        assert picture.size[0] > 3 * 512
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores) == {"unet", "otsu_watershed"}
    assert scores["otsu_watershed"]["ap50"] < 0.4
