"""Print what bfloat16 and the channels-last layout bring for a training step on this machine."""

from __future__ import annotations

import time
from itertools import product

import torch
from torch.nn import functional as F

from napari_unet.network import UNet, choose_device, fast_dtype

SIDE, BATCH, TIMES = 224, 4, 4


def step_seconds(width: int, fast: bool, channels_last: bool) -> float:
    """Return the shortest of a few forward and backward passes of the preset's network."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = UNet(width=width, padding="same", normalisation="batch", dropout=0.0)
    network = network.train().to(memory_format=layout)  # type: ignore[call-overload]
    image = torch.randn(BATCH, 1, SIDE, SIDE).contiguous(memory_format=layout)
    target = torch.zeros(BATCH, SIDE, SIDE, dtype=torch.long)
    best = float("inf")
    for _ in range(TIMES):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            logits = network(image)
        F.cross_entropy(logits.float(), target).backward()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Time every combination on the CPU."""
    print(f"{BATCH} patches of {SIDE}x{SIDE}, {torch.get_num_threads()} threads")
    for width, fast, channels_last in product((16, 32), (False, True), (False, True)):
        seconds = step_seconds(width, fast, channels_last)
        names = "bfloat16" if fast else "float32", "channels last" if channels_last else "plain"
        print(f"width {width}  {names[0]:9} {names[1]:13} {seconds:.3f} s", flush=True)
    print(f"the program would choose: {fast_dtype(choose_device('cpu')) or 'float32'}")


if __name__ == "__main__":
    main()
