"""How everything here is timed and printed: the fastest of several rounds, and the machine."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Name = TypeVar("_Name")


def machine(device: str = "cpu") -> str:
    """Name the machine, and say how busy it is: a figure means little without."""
    words = [f"{os.cpu_count()} cores of {processor()}"]
    if _knows_bfloat16():
        words.append("bfloat16 instructions")
    if device.startswith("cuda"):
        words.append(torch.cuda.get_device_name(device))
    words.append(f"torch {torch.__version__} on {torch.get_num_threads()} threads")
    if hasattr(os, "getloadavg"):
        words.append(f"{os.getloadavg()[0]:.1f} processes wanted the cores in the last minute")
    return ", ".join(words)


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _knows_bfloat16() -> bool:
    try:
        return any(
            name in Path("/proc/cpuinfo").read_text() for name in ("avx512_bf16", "amx_bf16")
        )
    except OSError:
        return False


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Time one call; on a GPU until its work is done."""
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def fastest(
    works: Mapping[_Name, Callable[[], object]], rounds: int, device: str = "cpu"
) -> dict[_Name, float]:
    """Time every work once per round, after one round to warm up, and return its fastest.

    They take turns, so that a busy minute of the machine hits all of them.
    """
    best = dict.fromkeys(works, float("inf"))
    for turn in range(rounds + 1):
        for name, work in works.items():
            taken = seconds(work, device)
            if turn:
                best[name] = min(best[name], taken)
    return best


def milliseconds(seconds: float) -> str:
    """Write a time with three digits or so."""
    return f"{seconds * 1e3:.0f} ms" if seconds > 0.1 else f"{seconds * 1e3:.1f} ms"


def show(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that can be pasted into docs/benchmarks.md."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("| " + " | ".join(cells) + " |")
    print(flush=True)
