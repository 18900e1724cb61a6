"""Print how the energy of the preset `paper` falls at several learning rates, on real slices.

    python benchmarks/paper_rate.py --steps 200
    python benchmarks/paper_rate.py --steps 200 --width 16 --patch 284   # a minute, not an hour

The paper gives no learning rate; its energy is a sum over the pixels of one large tile. With
another tile the rates are multiplied so that a step per pixel stays what it is in the preset.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from napari_unet.annotations import annotate, split_connected
from napari_unet.files import match_labels, read_image, read_labels
from napari_unet.training import PRESETS, TrainingConfig, TrainingError, train

DATA = Path(os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
TRAINED_ON = 18  # of the 24 slices


def pixels(patch: int) -> int:
    """Return the side of what the network of the paper makes of a tile."""
    return PRESETS["paper"].geometry.output_size(patch)


def main() -> None:
    """Train with every rate from the same start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-9, 1e-8, 1e-7])
    parser.add_argument("--width", type=int, default=PRESETS["paper"].width)
    parser.add_argument("--patch", type=int, default=PRESETS["paper"].patch)
    chosen = parser.parse_args()
    per_pixel = (pixels(PRESETS["paper"].patch) / pixels(chosen.patch)) ** 2
    folder = DATA / "isbi2012_em"
    images = [
        annotate(read_image(image).data, split_connected(read_labels(labels)), name=image.stem)
        for image, labels in match_labels(folder / "images", folder / "labels")[:TRAINED_ON]
    ]
    for rate in chosen.rates:
        config = TrainingConfig.from_preset(
            "paper",
            steps=chosen.steps,
            learning_rate=rate * per_pixel,
            width=chosen.width,
            patch=chosen.patch,
            validation=0.0,
        )
        losses: list[float] = []
        try:
            for report in train(images, config):
                if report.loss is not None:
                    losses.append(report.loss)
                if report.step == chosen.steps:
                    break
        except TrainingError as error:
            print(f"rate {rate:g}: {error}")
        part = max(1, len(losses) // 4)
        means = ", ".join(f"{np.mean(losses[i : i + part]):.0f}" for i in range(0, 4 * part, part))
        print(f"rate {rate:g}: mean energy per quarter of the steps {means}", flush=True)


if __name__ == "__main__":
    main()
