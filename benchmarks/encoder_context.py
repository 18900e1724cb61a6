"""Show how far a prediction depends on the tiles where a tile is read with less than it sees.

    python benchmarks/encoder_context.py                   # some minutes per encoder
    python benchmarks/encoder_context.py --encoders resnet34 --contexts 96 320 --steps 50

Each encoder is trained shortly on DIC frames at full resolution, where cells are so wide that all
that a network sees counts. One frame is then predicted in tiles of 128 px, each read with some
context, and compared with the same frame predicted in one piece.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from measuring import machine, show
from peers import import_smp

from napari_unet.annotations import annotate
from napari_unet.files import match_labels, read_image, read_labels
from napari_unet.network import ENCODERS, PERCENTILES, EncoderUNet, activate
from napari_unet.network import encoders as limits
from napari_unet.prediction import measure_range
from napari_unet.prediction.tiles import mirrored, plan_tiles
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.annotations import AnnotatedImage

DATA = Path(os.environ.get("NAPARI_UNET_DATA", Path(__file__).parents[2] / "shared" / "data"))
TILE = 128


def frames() -> list[AnnotatedImage]:
    """Return the frames of which every cell is annotated."""
    folder = DATA / "dic_hela"
    pairs = match_labels(folder / "images", folder / "labels")
    return [
        annotate(read_image(image).data, read_labels(labels), name=image.stem)
        for image, labels in pairs
        if image.stem != "01_t067"
    ]


def trained(encoder: str, depth: int, steps: int, images: list[AnnotatedImage]) -> EncoderUNet:
    """Train from random weights."""
    config = TrainingConfig.from_preset(
        "quick",
        steps=steps,
        depth=depth,
        encoder=encoder,
        encoder_weights=None,
        working_scale=1.0,
        validation=0.0,
        averaging=0.9,
        batch=2,
    )
    *_, last = train(images, config)
    network = last.model.network
    assert isinstance(network, EncoderUNet)
    return network


@torch.inference_mode()
def stitched(
    network: EncoderUNet, image: NDArray[np.float32], tile: int, context: int
) -> NDArray[np.float32]:
    """Predict (C, Y, X) in float32, each tile read with `context` pixels of surroundings."""
    geometry = replace(network.geometry, reach=context)
    out = np.empty((2, *image.shape[1:]), np.float32)
    for part in plan_tiles(image.shape[1:], tile, geometry):
        seen = torch.from_numpy(mirrored(image, part.read, part.size))[None]
        found = activate(network(seen), "instances")[0].numpy()
        out[(slice(None), *part.write)] = found[(slice(None), *part.keep)]
    return out


def main() -> None:
    """Train, predict, compare."""
    parser = argparse.ArgumentParser()
    usual = ["resnet18", "resnet34", "resnet50", "efficientnet_b0", "densenet121"]
    parser.add_argument("--encoders", nargs="+", choices=list(ENCODERS), default=usual)
    parser.add_argument("--contexts", type=int, nargs="+", default=[48, 96, 192, 320])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    import_smp()
    limits._MOST_CONTEXT = max(chosen.contexts)
    images = frames()
    image = measure_range(images[0].image, PERCENTILES).apply(images[0].image[0])
    print(machine(), "\n")
    rows = []
    for encoder in chosen.encoders:
        network = trained(encoder, chosen.depth, chosen.steps, images[1:])
        whole = stitched(network, image, max(image.shape), max(chosen.contexts))
        for context in chosen.contexts:
            change = np.abs(stitched(network, image, TILE, context) - whole)[1]
            row = (f"{change.max():.0e}", f"{np.quantile(change, 0.999):.0e}")
            rows.append((encoder, str(network.geometry.reach), str(context), *row))
    show(
        ("encoder", "sees, px", "context, px", "largest change", "0.1 % of pixels change more"),
        rows,
    )


if __name__ == "__main__":
    main()
