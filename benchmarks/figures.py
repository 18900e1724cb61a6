"""Print the quality figures of docs/benchmarks.md, by the command line, on real images.

    python benchmarks/figures.py nuclei      # 40 images, 3 minutes, scored on the other 20
    python benchmarks/figures.py em          # slices 00-17, 5 minutes, scored on 18-23
    python benchmarks/figures.py dic         # 4 frames and 3 cells of a fifth, 5 minutes

The images are looked for in ``../shared/data`` or in the folder named by ``NAPARI_UNET_DATA``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.io import imread, imsave

from napari_unet.evaluation import evaluate, otsu_watershed

DATA = Path(
    os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[2] / "shared" / "data")
).resolve()


@dataclass(frozen=True)
class Figure:
    """One data set, how it is split, and how long a network learns from it."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    minutes: float
    task: str = "instances"
    sparse: str | None = None  # an image of which only a few cells are labelled


def stems(folder: str) -> list[str]:
    """Return the names of the images of a data set, sorted."""
    return sorted(path.stem for path in (DATA / folder / "images").iterdir())


def figures() -> dict[str, Figure]:
    """Return what can be measured, by name."""
    nuclei = stems("dsb2018_nuclei")
    slices = stems("isbi2012_em")
    return {
        "nuclei": Figure("dsb2018_nuclei", tuple(nuclei[:40]), tuple(nuclei[40:]), 3),
        "em": Figure("isbi2012_em", tuple(slices[:18]), tuple(slices[18:]), 5, task="classes"),
        "dic": Figure(
            "dic_hela",
            ("01_t002", "01_t005", "01_t021", "01_t031", "01_t067"),
            ("01_t034", "01_t039", "01_t054"),
            5,
            sparse="01_t067",
        ),
    }


def link(figure: Figure, kind: str, names: tuple[str, ...], to: Path) -> Path:
    """Fill a folder with links to some images or labels."""
    to.mkdir(parents=True)
    for path in (DATA / figure.folder / kind).iterdir():
        if path.stem in names:
            (to / path.name).symlink_to(path)
    return to


def draw_regions(figure: Figure, to: Path) -> list[str]:
    """Write masks of what counts: all, or a rim of 3 px around the cells of the sparse image."""
    if figure.sparse is None:
        return []
    to.mkdir()
    for path in (DATA / figure.folder / "labels").iterdir():
        if path.stem in figure.train:
            labels = imread(path)
            region = np.ones(labels.shape, bool)
            if path.stem == figure.sparse:
                region = ndimage.binary_dilation(labels > 0, iterations=3)
            imsave(to / f"{path.stem}.png", region.astype(np.uint8) * 255, check_contrast=False)
    return ["--regions", str(to)]


def command(*arguments: str) -> None:
    """Run `napari-unet` and show the line as a person would type it."""
    print("$ napari-unet", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "napari_unet", *arguments], check=True)


def baseline(images: Path, labels: Path) -> float:
    """Return the AP50 of Otsu and a distance watershed on the same images."""
    pairs = []
    for path in sorted(images.iterdir()):
        image = imread(path)
        grey = image[..., :3].mean(axis=-1) if image.ndim == 3 else image
        truth = imread(next(labels.glob(f"{path.stem}.*")))
        pairs.append((truth.astype(int), otsu_watershed(grey)))
    return evaluate(pairs).ap50 or 0.0


def measure(name: str, preset: str, minutes: float | None, seed: int) -> None:
    """Train, predict and evaluate one figure by the command line."""
    figure = figures()[name]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        images = link(figure, "images", figure.train, work / "images")
        labels = link(figure, "labels", figure.train, work / "labels")
        test = link(figure, "images", figure.test, work / "test")
        truth = link(figure, "labels", figure.test, work / "truth")
        model = str(work / f"{name}.safetensors")
        command(
            *("train", str(images), str(labels), "--model", model, "--preset", preset),
            *("--minutes", str(minutes or figure.minutes), "--task", figure.task),
            *("--seed", str(seed), *draw_regions(figure, work / "regions")),
        )
        command("predict", model, str(test), "--out", str(work / "predicted"))
        command("evaluate", str(truth), str(work / "predicted"), "--task", figure.task, "--json")
        if figure.task == "instances":
            print(f"Otsu + distance watershed: AP50 {baseline(test, truth):.3f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("name", choices=["nuclei", "em", "dic"])
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    measure(chosen.name, chosen.preset, chosen.minutes, chosen.seed)


if __name__ == "__main__":
    main()
