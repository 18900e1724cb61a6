"""Commands as the tests give them, what they leave behind, and small things to give them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_unet.network import ClassLabel
from tests.prediction.models import lively_model

if TYPE_CHECKING:
    from pathlib import Path


SIDE = 64


def untrained(
    *, task: str = "instances", channels: int = 1, values: tuple[int, ...] = (0, 1)
) -> Any:
    """Return a model with random weights, the same for every call."""
    classes = tuple(ClassLabel(value, f"class {value}") for value in values)
    return lively_model(task=task, channels=channels, classes=classes, depth=2, width=2)


class Result:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def sentence(self) -> str:
        """The one sentence on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("napari-unet: ")
        return lines[0]


Run = Callable[..., Result]
"""Runs the command with these arguments, each turned into text."""


def train_on(folders: Path, *more: object) -> list[object]:
    where = [folders / "images", folders / "labels", "--model", folders / "new.safetensors"]
    return ["train", *where, "--device", "cpu", *more]


def give_values(folders: Path, outputs: int = 2) -> None:
    """Replace the labels by values to predict: what lies in each cell, and what beside it."""
    for path in (folders / "labels").iterdir():
        inside = (tifffile.imread(path) > 0).astype(np.float32)
        values = np.stack([10 * inside, 5 - inside])[:outputs]
        values[:, :8] = np.nan
        path.unlink()
        tifffile.imwrite(path, np.squeeze(values), photometric="minisblack")


def program(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "napari_unet", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **changes},
    )
