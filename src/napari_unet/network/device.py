"""Which processor computes, and in which precision it pays."""

from __future__ import annotations

import platform
import shutil
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from napari_unet.network.unet import UNet

__all__ = ["Device", "choose_device", "devices", "fast_dtype", "gpu_advice"]

_PAYS = 1.2  # bfloat16 must be this much faster to be worth its rounding


@dataclass(frozen=True)
class Device:
    """A processor that torch can use: its name for torch, and its name for people."""

    name: str
    description: str


def devices() -> tuple[Device, ...]:
    """Return the processors at hand, the fastest first; the CPU is always among them."""
    found = [
        Device(f"cuda:{index}", torch.cuda.get_device_name(index))
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU"))
    name = platform.processor() or platform.machine()
    found.append(Device("cpu", f"CPU ({name}, {torch.get_num_threads()} threads)"))
    return tuple(found)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of this name, or the fastest one for ``"auto"``.

    Raises
    ------
    ValueError
        If this machine or this torch has no such device; the message lists those it has.
    """
    known = [device.name for device in devices()]
    if name == "auto":
        return torch.device(known[0])
    if name == "cuda" and known[0].startswith("cuda"):
        return torch.device(known[0])
    if name not in known:
        raise ValueError(f"there is no device {name!r} here; choose auto or {', '.join(known)}")
    return torch.device(name)


def gpu_advice() -> str | None:
    """Return what to do when an NVIDIA GPU is present but this torch cannot use it, else None."""
    if torch.cuda.is_available() or shutil.which("nvidia-smi") is None:
        return None
    if torch.version.cuda is None:
        return (
            "This computer has an NVIDIA GPU, but the installed torch is the CPU build. "
            "Training will be much faster after: pip install --force-reinstall torch "
            "--index-url https://download.pytorch.org/whl/cu130 "
            "(for other versions of CUDA see pytorch.org)"
        )
    return (
        "This computer has an NVIDIA GPU, but torch cannot use it; update the NVIDIA driver "
        f"to one that supports CUDA {torch.version.cuda}."
    )


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the dtype for autocast on this device, or None where float32 is as fast."""
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if supported else None
    if device.type == "cpu":
        return torch.bfloat16 if _bfloat16_pays_on_cpu() else None
    return None


@lru_cache(maxsize=1)
def _bfloat16_pays_on_cpu() -> bool:
    """Time a small network both ways, once per process: old CPUs emulate bfloat16 slowly."""
    with torch.random.fork_rng(devices=[]):
        network = UNet(depth=2, width=16, padding="same", dropout=0.0)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.zeros(1, 1, 128, 128).contiguous(memory_format=torch.channels_last)
    plain, fast = (_seconds(network, image, enabled) for enabled in (False, True))
    return plain > _PAYS * fast


def _seconds(network: nn.Module, image: torch.Tensor, enabled: bool) -> float:
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            network(image).float().sum().backward()
        best = min(best, time.perf_counter() - start)
    return best
