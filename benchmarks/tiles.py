"""Show that a large image is predicted in the memory of its tiles and its result.

    python benchmarks/tiles.py                       # 2048 and 8192 px, about a minute
    python benchmarks/tiles.py --sides 4096 16384 --width 64

Every image is predicted in a process of its own, which reports the most memory that it had.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import psutil
from measuring import machine, show

WARM_UP = 256
OUTPUTS = 2


def peak_megabytes() -> float:
    """Return the most memory that this process had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def alone(side: int, width: int, tile: int) -> None:
    """Predict one image; print the megabytes before, the most megabytes, and the seconds."""
    from napari_unet.network import ClassLabel, TrainedModel, build_network
    from napari_unet.prediction import predict_slices
    from napari_unet.training import TrainingConfig

    config = TrainingConfig.from_preset("quick", width=width)
    network = build_network(config.architecture(in_channels=1, out_channels=OUTPUTS)).eval()
    classes = (ClassLabel(0, "background"), ClassLabel(1, "cell"))
    model = TrainedModel(network=network, task="instances", classes=classes)
    image = np.tile(np.arange(side, dtype=np.uint8), (1, 1, side, 1))
    for _ in predict_slices(model, image[..., :WARM_UP, :WARM_UP], tile=tile):
        pass
    before = psutil.Process().memory_info().rss / 2**20
    start = time.perf_counter()
    for _ in predict_slices(model, image, tile=tile):
        pass
    print(before, peak_megabytes(), time.perf_counter() - start)


def measure(side: int, width: int, tile: int) -> tuple[float, float]:
    """Return the megabytes that a prediction adds, and its time in seconds."""
    arguments = ["--alone", f"--width={width}", f"--tile={tile}", f"--sides={side}"]
    printed = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    before, most, seconds = map(float, printed.split())
    return most - before, seconds


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        alone(chosen.sides[0], chosen.width, chosen.tile)
        return
    print(machine(), "\n")
    rows = []
    for side in chosen.sides:
        added, seconds = measure(side, chosen.width, chosen.tile)
        output = OUTPUTS * 4 * side**2 / 2**20
        rows.append(
            (
                f"{side}x{side}",
                str((-(-side // chosen.tile)) ** 2),
                f"{output:.0f} MB",
                f"{added - output:.0f} MB",
                f"{seconds:.1f} s",
                f"{seconds / side**2 * 1e9:.0f} ns",
            )
        )
    print(f"Prediction in tiles of {chosen.tile} px, network of width {chosen.width}")
    show(("image", "tiles", "result", "memory beside it", "time", "per pixel"), rows)


if __name__ == "__main__":
    main()
