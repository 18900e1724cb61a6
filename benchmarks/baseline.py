"""Print the scores of Otsu + distance watershed, untrained, on the nuclei images."""

from __future__ import annotations

import os
from pathlib import Path

from napari_unet.evaluation import evaluate, otsu_watershed
from napari_unet.files import match_labels, read_image, read_labels

DATA = Path(os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
HELD_OUT = 20


def main() -> None:
    """Score all images and the last 20 by file name."""
    nuclei = DATA / "dsb2018_nuclei"
    pairs = [
        (read_labels(labels), otsu_watershed(read_image(image).data[0])[None])
        for image, labels in match_labels(nuclei / "images", nuclei / "labels")
    ]
    for name, chosen in (("all", pairs), (f"last {HELD_OUT}", pairs[-HELD_OUT:])):
        scores = evaluate(chosen, task="instances")
        print(f"{name}: {scores.images} images, AP50 {scores.ap50:.3f}, SEG {scores.seg:.3f}")


if __name__ == "__main__":
    main()
