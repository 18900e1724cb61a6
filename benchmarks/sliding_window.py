"""Print how the U-Net compares with the sliding window that it replaced, on real EM slices.

    python benchmarks/sliding_window.py --minutes 2

Both learn for the same time from slices 00-16 of ISBI 2012, with a square of slice 17 kept back
for validation, and are scored on the same pixels of slices 18-23: every 8th row and column. A
sliding window decides only these, because a whole image would take it minutes; its time per
image is extrapolated from them. The images are looked for in ``../shared/data`` or in the folder
named by ``NAPARI_UNET_DATA``.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from napari_unet.annotations import AnnotatedImage, annotate
from napari_unet.files import match_labels, read_image, read_labels
from napari_unet.network import Geometry, SlidingWindow, TrainedModel, activate, fast_dtype
from napari_unet.prediction import measure_range, mirrored, predict
from napari_unet.training import TrainingConfig, train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DATA = Path(
    os.environ.get("NAPARI_UNET_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
TRAINED_ON = 18  # of the 24 slices
KEPT_BACK = 96  # side of the square for validation: a whole slice would take a window minutes
STEP = 8  # every so many rows and columns are scored
OUTLINE = 2  # pixels between which an outline is near
SIDE = 512  # of the image whose time is given


@dataclass(frozen=True, eq=False)
class Slice:
    """An image (Y, X) and its true classes (Y, X): 0 membrane, 1 interior."""

    image: NDArray[Any]
    truth: NDArray[np.int32]


@dataclass(frozen=True)
class Row:
    """One network of the table: share of wrong pixels, and seconds for an image."""

    name: str
    sees: int
    steps: int
    wrong: float
    at_outlines: float
    elsewhere: float
    seconds: float


def slices() -> list[Slice]:
    """Read all slices in their order."""
    folder = DATA / "isbi2012_em"
    return [
        Slice(read_image(image).data[0, 0], (read_labels(labels)[0] > 0).astype(np.int32))
        for image, labels in match_labels(folder / "images", folder / "labels")
    ]


def annotated_images(training: list[Slice]) -> list[AnnotatedImage]:
    """Annotate the slices; of the last one only a square, which is kept for validation."""
    *whole, last = training
    square = (slice((SIDE - KEPT_BACK) // 2, (SIDE + KEPT_BACK) // 2),) * 2
    return [
        annotate(each.image, each.truth, annotated=np.ones(each.truth.shape, bool), name=name)
        for name, each in [
            *((f"slice {number}", each) for number, each in enumerate(whole)),
            ("square", Slice(last.image[square], last.truth[square])),
        ]
    ]


def learn(training: list[Slice], **options: Any) -> tuple[TrainedModel, int]:
    """Train and return the model with the number of steps."""
    images = annotated_images(training)
    share = KEPT_BACK**2 / sum(each.annotated.sum() for each in images)
    config = TrainingConfig.from_preset(
        "quick", task="classes", validation=float(share), views=1, **options
    )
    *_, last = train(images, config)
    assert last.model is not None
    assert last.model.provenance["scored_on"] == ["square"]
    return last.model, last.step


def windows_of(model: TrainedModel, image: NDArray[Any]) -> Iterator[torch.Tensor]:
    """Yield, row by row, the windows (N, C, window, window) around the pixels that are scored."""
    geometry = model.network.geometry
    window, context = geometry.input_size_for(1), geometry.context
    prepared = measure_range(image[None, None], model.normalisation).apply(image[None])
    height, width = image.shape
    for y in range(STEP // 2, height, STEP):
        start, size = (y - context, STEP // 2 - context), (window, width - STEP + window)
        strip = torch.from_numpy(mirrored(prepared, start, size))
        yield strip.unfold(2, window, STEP).permute(2, 0, 1, 3)


def decide_windows(model: TrainedModel, image: NDArray[Any]) -> tuple[NDArray[np.intp], float]:
    """Return the classes of the scored pixels, and the seconds that a whole image would take."""
    network = model.network
    assert isinstance(network, SlidingWindow)
    device = torch.device("cpu")
    dtype = fast_dtype(device)
    found, seconds = [], 0.0
    at_a_time = network.eval().at_a_time(device)
    for windows in torch.cat(list(windows_of(model, image))).split(at_a_time):
        started = time.perf_counter()
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype is not None):
            logits = network.classify(windows.contiguous(memory_format=torch.channels_last))
        seconds += time.perf_counter() - started
        found.append(activate(logits, model.task).argmax(dim=1).numpy())
    decided = sum(map(len, found))
    side = len(range(STEP // 2, image.shape[0], STEP))
    return np.concatenate(found).reshape(side, -1), seconds / decided * SIDE**2


def decide_image(model: TrainedModel, image: NDArray[Any]) -> tuple[NDArray[np.intp], float]:
    """Return the classes of the scored pixels, and the seconds that the whole image took."""
    started = time.perf_counter()
    probabilities = predict(model, image, device="cpu")
    seconds = time.perf_counter() - started
    return scored(probabilities.argmax(axis=0)), seconds * SIDE**2 / image.size


def scored(plane: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels that are scored."""
    return plane[STEP // 2 :: STEP, STEP // 2 :: STEP]


def near_outline(truth: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the other class is at most `OUTLINE` pixels away."""
    inside = ndimage.distance_transform_edt(truth)
    outside = ndimage.distance_transform_edt(1 - truth)
    near: NDArray[np.bool_] = np.maximum(inside, outside) <= OUTLINE
    return near


def measure(name: str, model: TrainedModel, steps: int, test: list[Slice]) -> Row:
    """Score a model on the pixels of all test slices, and take its shortest time."""
    windows = isinstance(model.network, SlidingWindow)
    results = [(decide_windows if windows else decide_image)(model, each.image) for each in test]
    wrong = np.stack(
        [found != scored(each.truth) for (found, _), each in zip(results, test, strict=True)]
    )
    near = np.stack([scored(near_outline(each.truth)) for each in test])
    sees = model.network.levels(model.network.geometry.input_size_at_least(224))[-1]
    return Row(
        name=name,
        sees=sees.receptive_field,
        steps=steps,
        wrong=float(wrong.mean()),
        at_outlines=float(wrong[near].mean()),
        elsewhere=float(wrong[~near].mean()),
        seconds=min(seconds for _, seconds in results),
    )


def equal_depth(window: int) -> int:
    """Return the smallest depth at which a U-Net sees at least as much as a window."""
    return next(depth for depth in range(7) if field_of_unet(depth) >= window)


def field_of_unet(depth: int) -> int:
    """Return how wide a part of the image decides one pixel of a U-Net."""
    geometry = Geometry(depth, "same")
    return geometry.levels(geometry.stride)[-1].receptive_field


def show(row: Row) -> None:
    """Print one line of the table."""
    errors = " | ".join(f"{value:.3f}" for value in (row.wrong, row.at_outlines, row.elsewhere))
    took = f"{row.seconds:.2f} s" if row.seconds < 10 else f"{row.seconds:.0f} s"
    print(f"| {row.name} | {row.sees} px | {row.steps} | {errors} | {took} |", flush=True)


def main() -> None:
    """Train and score one network after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="for each training")
    parser.add_argument("--windows", type=int, nargs="*", default=[33, 65, 95])
    parser.add_argument(
        "--depths",
        type=int,
        nargs="*",
        help="U-Nets; by default those that see as much as the windows, and the usual one",
    )
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    common = {"minutes": chosen.minutes, "width": chosen.width, "seed": chosen.seed}
    networks: dict[str, dict[str, Any]] = {
        f"window of {window}": {"network": "sliding_window", "window": window, "batch": 8}
        for window in chosen.windows
    }
    equal = {*map(equal_depth, chosen.windows), TrainingConfig().depth}
    for depth in sorted(equal if chosen.depths is None else chosen.depths):
        networks[f"U-Net of depth {depth}"] = {"depth": depth}
    every = slices()
    print("| network | sees | steps | wrong pixels | at outlines | elsewhere | 512×512 image |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name, options in networks.items():
        model, steps = learn(every[:TRAINED_ON], **common, **options, device="cpu")
        show(measure(name, model, steps, every[TRAINED_ON:]))
    print(
        f"\nEach trained for {chosen.minutes:g} minutes. Scored is every {STEP}th pixel of every "
        f"{STEP}th row of {len(every) - TRAINED_ON} slices; a sliding window decided only these, "
        "and its time per image is extrapolated from them."
    )


if __name__ == "__main__":
    main()
