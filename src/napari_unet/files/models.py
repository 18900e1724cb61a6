"""Trained models as one safetensors file, everything else as JSON in its header."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_unet.annotations import Task
from napari_unet.files.atomic import writing
from napari_unet.files.errors import FileError, reading
from napari_unet.network import (
    PERCENTILES,
    ClassLabel,
    EncoderError,
    Standardisation,
    TrainedModel,
    build_network,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["FORMAT", "VERSION", "load_model", "save_model"]

FORMAT = "napari-unet model"
VERSION = 1
_PLAIN = ("task", "scale", "pixel_size", "normalisation", "instances")
_RECORDS = ("configuration", "provenance")


def save_model(
    model: TrainedModel, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a model as one file.

    The tensors are the network's state; the header holds `FORMAT`, `VERSION` and, under
    ``"model"``, everything else that the model knows as JSON. Tuples come back as lists.

    Raises
    ------
    FileError
        If the file exists or cannot be written; what was there before is untouched.
    ValueError
        If the model holds something that is no plain value.
    """
    header = {"format": FORMAT, "version": str(VERSION), "model": _described(model)}
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.network.state_dict().items()
    }
    target = Path(path)
    with writing(target, overwrite=overwrite) as temporary:
        temporary.write_bytes(save(tensors, header))
    return target


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model that `save_model` wrote; nothing in the file is executed.

    Raises
    ------
    FileError
        If the file is missing, damaged, made by another program or by a newer version.
    """
    source = Path(path)
    try:
        with reading(source, "a napari-unet model"), safe_open(source, framework="pt") as file:
            description = _description(source, file.metadata() or {})
            # Copies: a tensor that maps the file would keep Windows from replacing it.
            state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return _built(source, description, state)
    except SafetensorError as error:
        raise FileError(
            f"{source} is not a napari-unet model, or it is damaged; choose a file that "
            f"napari-unet has saved as a model (safetensors: {error})"
        ) from error


def _described(model: TrainedModel) -> str:
    description: dict[str, Any] = {name: getattr(model, name) for name in (*_PLAIN, *_RECORDS)}
    description["architecture"] = dict(model.architecture)
    description["classes"] = [[label.value, label.name] for label in model.classes]
    if model.standardisation:
        description["standardisation"] = asdict(model.standardisation)
    try:
        # In ASCII: names of files may hold bytes that are no text, which no header takes.
        return json.dumps(description, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the model cannot be saved: {error}") from error


def _plain(value: object) -> Any:
    """Turn what JSON does not know, and configurations hold, into what it does."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"{value!r} is not a plain value")


def _description(path: Path, header: Mapping[str, str]) -> Mapping[str, Any]:
    if header.get("format") != FORMAT:
        raise FileError(
            f"{path} holds tensors of another program, not a napari-unet model; choose a file "
            "that napari-unet has saved as a model"
        )
    version = header.get("version", "")
    if not version.isdecimal() or int(version) > VERSION:
        raise FileError(
            f"{path} has the model format {version!r}, newer than {VERSION}; update napari-unet"
        )
    description = json.loads(header["model"])
    if not isinstance(description, dict):
        raise FileError(f"{path} is damaged: its description is not a table")
    return description


def _built(
    path: Path, description: Mapping[str, Any], state: Mapping[str, torch.Tensor]
) -> TrainedModel:
    """Build the network without memory first, so that a wrong header cannot ask for much."""
    try:
        with torch.device("meta"):
            network = build_network(description["architecture"])
    except EncoderError as error:
        raise FileError(f"{path} cannot be used here: {error}") from error
    if _shapes(network.state_dict()) != _shapes(state):
        raise FileError(f"{path} is damaged: its tensors do not fit the network it describes")
    _check(description)
    network.load_state_dict(dict(state), assign=True)
    return TrainedModel(
        network=network.eval(),
        classes=tuple(ClassLabel(int(value), name) for value, name in description["classes"]),
        standardisation=_standardisation(description.get("standardisation")),
        **{name: description[name] for name in (*_PLAIN, *_RECORDS)},
    )


def _check(description: Mapping[str, Any]) -> None:
    """Refuse what would only go wrong when a model is used.

    Raises
    ------
    ValueError, TypeError or KeyError
    """
    if description["task"] not in get_args(Task):
        raise ValueError(f"the task {description['task']!r} is unknown")
    for name in ("normalisation", "instances", *_RECORDS):
        if not isinstance(description[name], dict):
            raise TypeError(f"{name} is no table")
    low, high = (float(description["normalisation"][name]) for name in PERCENTILES)
    if not 0 <= low < high <= 100:
        raise ValueError(f"the percentiles {low} and {high} are none")
    size = description["pixel_size"]
    if size is not None and not 0 < size < math.inf:
        raise ValueError(f"the pixel size is {size}")
    for value, name in description["classes"]:
        if not isinstance(name, str) or abs(value) > np.iinfo(np.int32).max:
            raise ValueError(f"the class {value} is named {name!r}")


def _standardisation(stored: Mapping[str, Any] | None) -> Standardisation | None:
    """Read how a regression's outputs are standardised; other models say nothing of it."""
    if not stored:
        return None
    mean, std = (tuple(float(value) for value in stored[name]) for name in ("mean", "std"))
    return Standardisation(mean, std)


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
