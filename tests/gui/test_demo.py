"""The demo in a napari of its own: it goes through the workbench and leaves what it promises."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from napari_unet.demo import write_inputs
from napari_unet.training import PRESETS, configuration

small = replace(PRESETS["quick"], width=2, depth=2, patch=32, batch=1)
configuration.PRESETS = {**PRESETS, "quick": small}
from napari_unet.gui.demo import run_demo

out = Path(sys.argv[1])
write_inputs(out)
done = run_demo(out, minutes=0.4, say=print, should_stop=lambda: False, grace=0)
print(f"found {done.scores.n_predicted} of {done.scores.n_true}")
"""


def test_the_demo_in_napari_runs_to_its_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "of 210" in done.stdout
    assert (tmp_path / "test" / "predicted" / "touching_cells.tif").is_file()
    assert (tmp_path / "model.safetensors").is_file()
    shots = sorted((tmp_path / "screenshots").iterdir())
    assert [path.stem.split(" ", 1)[1] for path in shots] == [
        *("annotate", "weight map", "elastic warp", "train", "trained"),
        *("predict", "export", "result"),
    ]
    for path in shots:
        with Image.open(path) as shot:
            low, high = shot.convert("L").getextrema()
        assert low != high
