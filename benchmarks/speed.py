"""Time training and prediction beside a plain loop, MONAI and segmentation-models-pytorch.

    python benchmarks/speed.py                   # about two minutes on two cores
    python benchmarks/speed.py --device cuda

All are timed in turns, in one run, on one machine; the fastest of several rounds counts. MONAI and
segmentation-models-pytorch come with ``pip install -e ".[bench]"``; without them the rest runs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from measuring import fastest, machine, milliseconds, show
from peers import monai_unet, plain_step, sliding_window, smp_unet

from napari_unet.annotations import annotate
from napari_unet.augmentation import Patch
from napari_unet.network import ClassLabel, Network, TrainedModel, build_network, fast_dtype
from napari_unet.prediction import mirrored, plan_tiles, predict
from napari_unet.samples import draw_touching_cells
from napari_unet.training import TrainingConfig, train
from napari_unet.training.optimisation import Learner

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    Work = Callable[[], object]

IMAGE, TILE = 1024, 512
CLASSES = (ClassLabel(0, "background"), ClassLabel(1, "cell"))


@dataclass(frozen=True)
class Setting:
    """Where and how often to measure."""

    device: str
    rounds: int


def fresh(config: TrainingConfig) -> Network:
    """Build the network of a configuration for one channel and two classes."""
    return build_network(config.architecture(in_channels=1, out_channels=2))


def millions(network: nn.Module) -> str:
    """Count the weights."""
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M"


def optional(build: Callable[[], nn.Module]) -> nn.Module | None:
    """Build a peer's network, or say what is missing."""
    try:
        return build()
    except ImportError as error:
        print(f'left out: {error}; pip install -e ".[bench]"\n')
        return None


def whole_steps(config: TrainingConfig) -> Work:
    """Return a training's next step with everything that belongs to it."""
    image, labels = draw_touching_cells((768, 768), 400, seed=0)
    reports = train([annotate(image, labels)], config)

    def step() -> None:
        while next(reports).loss is None:
            pass

    return step


def cached_step(config: TrainingConfig, side: int) -> Work:
    """Return a training step that is shown the same patches every time."""
    rng = np.random.default_rng(0)
    learner = Learner(fresh(config), config, torch.device(config.device))
    patches = [
        Patch(
            rng.random((1, side, side), dtype=np.float32),
            rng.integers(0, 2, (side, side), dtype=np.uint8),
            np.ones((side, side), np.float32),
        )
        for _ in range(config.batch)
    ]
    return lambda: learner.learn(patches, 0.5)


def training(name: str, config: TrainingConfig, setting: Setting) -> None:
    """Print what a training step costs."""
    side, device = config.input_size, setting.device
    network = fresh(config).to(device)
    kept = network.geometry.output_size(side)
    image = torch.rand(config.batch, 1, side, side, device=device)
    target = torch.randint(0, 2, (config.batch, kept, kept), device=device)
    ours = "napari-unet, as it trains"
    cached = "napari-unet, one cached batch"
    plain = "plain loop, same network"
    works = {
        ours: whole_steps(config),
        cached: cached_step(config, side),
        plain: plain_step(network, image, target),
    }
    weights = dict.fromkeys(works, millions(network))
    if config.padding == "same":
        builders = {
            "MONAI BasicUNet": lambda: monai_unet(config.width),
            "smp Unet, ResNet-18": smp_unet,
        }
        for peer, build in builders.items():
            if (other := optional(build)) is not None:
                works[peer] = plain_step(other.to(device), image, target)
                weights[peer] = millions(other)
    best = fastest(works, setting.rounds, device)
    print(f"Training step, {name}: {config.batch} x {side}x{side}")
    rows = [
        (work, weights[work], milliseconds(best[work]), f"{best[work] / best[ours]:.2f}")
        for work in works
    ]
    show(("program", "weights", "time", "times ours"), rows)
    print(f"data preparation adds {100 * (best[ours] / best[cached] - 1):.0f} % to a step\n")


def tile_by_tile(network: Network, image: np.ndarray, tile: int, device: str) -> np.ndarray:
    """Predict as `napari_unet.predict` does, by a plain loop in float32."""
    out = np.empty((2, *image.shape), np.float32)
    for part in plan_tiles((image.shape[0], image.shape[1]), tile, network.geometry):
        window = torch.from_numpy(mirrored(image[None], part.read, part.size))[None].to(device)
        with torch.no_grad():
            result = torch.softmax(network(window), dim=1)[0].cpu().numpy()
        out[(slice(None), *part.write)] = result[(slice(None), *part.keep)]
    return out


def whole_image(network: nn.Module, image: np.ndarray, device: str) -> np.ndarray:
    """Predict an image in one piece in float32."""
    with torch.no_grad():
        logits = network(torch.from_numpy(image)[None, None].to(device))
        return torch.softmax(logits, dim=1)[0].cpu().numpy()


def windows(network: nn.Module, image: np.ndarray, device: str) -> np.ndarray:
    """Predict by MONAI."""
    with torch.no_grad():
        logits = sliding_window(network, torch.from_numpy(image)[None, None].to(device), TILE)
        return torch.softmax(logits, dim=1)[0].cpu().numpy()


def prediction(config: TrainingConfig, setting: Setting) -> None:
    """Print what the prediction of an image costs."""
    device = setting.device
    image = np.random.default_rng(0).random((IMAGE, IMAGE), dtype=np.float32)
    network = fresh(config).eval()
    model = TrainedModel(network=network, task="instances", classes=CLASSES)
    moved = fresh(config).eval().to(device)
    ours, plain = "napari-unet", "plain loop, same network and tiles"
    works: dict[str, Work] = {
        ours: lambda: predict(model, image, device=device),
        f"napari-unet, tiles of {TILE}": lambda: predict(model, image, tile=TILE, device=device),
        plain: lambda: tile_by_tile(moved, image, TILE, device),
        "plain, same network, in one piece": lambda: whole_image(moved, image, device),
    }
    if (monai := optional(lambda: monai_unet(config.width))) is not None:
        monai = monai.eval().to(device)
        works["MONAI BasicUNet, sliding window"] = lambda: windows(monai, image, device)
    if (smp := optional(smp_unet)) is not None:
        smp = smp.eval().to(device)
        works["smp Unet, ResNet-18, in one piece"] = lambda: whole_image(smp, image, device)
    best = fastest(works, setting.rounds, device)
    print(f"Prediction of {IMAGE}x{IMAGE}, width {config.width}")
    rows = [(w, milliseconds(best[w]), f"{best[w] / best[ours]:.2f}") for w in works]
    show(("program", "time", "times ours"), rows)


def as_prepared(network: Network, image: np.ndarray, device: str) -> Work:
    """Return a run of the network alone, as `predict` prepares it."""
    dtype = fast_dtype(torch.device(device))
    network = network.to(device, memory_format=torch.channels_last)
    tile = torch.from_numpy(image)[None, None].to(device, memory_format=torch.channels_last)

    def run() -> None:
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None),
        ):
            network(tile)

    return run


def paper_network(setting: Setting) -> None:
    """Print what one image costs in the network of the paper."""
    device = setting.device
    image = np.random.default_rng(0).random((512, 512), dtype=np.float32)
    same, valid = (
        TrainingConfig.from_preset("paper", padding=padding) for padding in ("same", "valid")
    )
    models = [
        TrainedModel(network=fresh(config).eval(), task="instances", classes=CLASSES)
        for config in (same, valid)
    ]
    plain = fresh(same).eval().to(device)
    works: dict[str, Work] = {
        "same padding, the network alone": as_prepared(fresh(same).eval(), image, device),
        "same padding, predict": lambda: predict(models[0], image, device=device),
        "valid padding, predict": lambda: predict(models[1], image, device=device),
        "same padding, plain float32, the network alone": lambda: whole_image(plain, image, device),
    }
    best = fastest(works, setting.rounds, device)
    print(f"A 512x512 image through the network of the paper ({millions(plain)} weights)")
    show(("what", "time"), [(work, milliseconds(best[work])) for work in works])


def paper_memory(config: TrainingConfig) -> None:
    """Print how much memory of a GPU a training of the preset paper takes."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(config.device)
    step = cached_step(config, config.input_size)
    for _ in range(3):
        step()
    peak = torch.cuda.max_memory_allocated(config.device) / 2**30
    print(f"peak memory of a training of the preset paper: {peak:.1f} GiB (2015: 6 GB)\n")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--rounds", type=int, default=6)
    chosen = parser.parse_args()
    setting = Setting(chosen.device, chosen.rounds)
    few = Setting(chosen.device, max(1, chosen.rounds // 2))
    if setting.device.startswith("cuda"):
        # TF32 for the plain loops too, as everybody would; on a CPU this word means something else.
        torch.set_float32_matmul_precision("high")
    print(machine(setting.device), "\n")
    usual = {"device": setting.device, "steps": 10_000, "validation": 0.0, "working_scale": 1.0}
    quick = TrainingConfig.from_preset("quick", **usual)
    paper = TrainingConfig.from_preset("paper", **usual)
    training("preset quick", quick, setting)
    training("preset paper", paper, few)
    if setting.device.startswith("cuda"):
        paper_memory(paper)
    prediction(quick, setting)
    paper_network(few)


if __name__ == "__main__":
    main()
