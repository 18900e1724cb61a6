"""Weights that an encoder learnt elsewhere: from the hub or from a file, never unpickled."""

from __future__ import annotations

import re
import struct
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HUB", "EncoderError", "pretrained_tensors"]

HUB = "imagenet"
"""The source that stands for the weights learnt on ImageNet, on the Hugging Face hub."""

# What other programs put before the encoder's own names, and around its tensors; of an ensemble of
# ours the first network is taken.
_PREFIXES = (
    "",
    "module.",
    "model.",
    "encoder.",
    "encoder.model.",
    "backbone.",
    "members.0.encoder.model.",
)
_WRAPPINGS = ("state_dict", "model", "model_state_dict")
# torchvision's first DenseNets wrote "norm.1" for what is "norm1" today.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
_LEARNT = (".weight", ".bias", ".running_mean", ".running_var")  # others are tools' notes
_COUNTER = "num_batches_tracked"  # missing in old files, and used by nothing


# What safetensors and torch raise on bytes that are not what they should be.
_BROKEN = (
    SafetensorError,
    UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)


class EncoderError(ValueError):
    """A network with an encoder cannot be built or loaded; the message says what to do."""


def pretrained_tensors(encoder: nn.Module, name: str, source: str, hub: str) -> dict[str, Tensor]:
    """Return a state for `encoder` from weights that were learnt elsewhere.

    Parameters
    ----------
    encoder : nn.Module
        timm's encoder as segmentation-models-pytorch wraps it, for any number of channels.
    name : str
        What a person calls it.
    source : str
        `HUB`, or a file: safetensors, or tensors saved by torch.
    hub : str
        The repository of its weights on the Hugging Face hub.

    Raises
    ------
    EncoderError
        If they cannot be downloaded or read, or are those of another network.
    """
    path = _downloaded(hub) if source == HUB else Path(source).expanduser()
    given = _read(path)
    wanted = encoder.state_dict()
    found, surplus = _named_alike(given, wanted)
    stem = next(key for key, tensor in wanted.items() if tensor.ndim == 4)
    if stem in found:
        found[stem] = _for_channels(found[stem], wanted[stem].shape[1])
    odd = [k for k, tensor in wanted.items() if k not in found or found[k].shape != tensor.shape]
    if odd:
        raise EncoderError(
            f"{path} does not hold the weights of {name}: {len(odd)} of {len(wanted)} tensors are "
            f"missing or of another size, {odd[0]} first; choose the file that belongs to {name}"
        )
    if surplus:
        raise EncoderError(
            f"{path} does not hold the weights of {name}, but of a larger network: it also has "
            f"{surplus[0]}; choose the file that belongs to {name}"
        )
    return found


def _downloaded(hub: str) -> Path:
    """Return where the weights from the hub lie, downloading them the first time."""
    from huggingface_hub import hf_hub_download

    for cached in (True, False):
        try:
            return Path(hf_hub_download(hub, "model.safetensors", local_files_only=cached))
        except (OSError, ValueError) as error:
            problem = error
    raise EncoderError(
        f"could not download {hub} from the Hugging Face hub ({_first_line(problem)}); connect to "
        "the internet, choose a local file as encoder weights, or choose none, so that the encoder "
        "starts from random ones"
    ) from problem


def _read(path: Path) -> dict[str, Tensor]:
    """Read named tensors; nothing in the file is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # In memory: what torch does wrong in a file that was cut off is no fault of the disk.
        content = BytesIO(path.read_bytes())
        return _tensors(torch.load(content, map_location="cpu", weights_only=True))
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise EncoderError(
            f"{path} cannot be read as weights of an encoder: {reason}; give a file that exists, "
            f"{HUB!r} or nothing"
        ) from error
    except _BROKEN as error:
        raise EncoderError(
            f"{path} is no file of tensors, or holds more than tensors ({_first_line(error)}); "
            "give a safetensors file or a state dict saved by torch"
        ) from error


def _tensors(loaded: Any) -> dict[str, Tensor]:
    """Return the named tensors of a state dict or of a training's checkpoint around one."""
    for wrapping in _WRAPPINGS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapping), dict):
            loaded = loaded[wrapping]
    if not isinstance(loaded, dict):
        raise LookupError(f"it holds a {type(loaded).__name__}")
    return {key: value for key, value in loaded.items() if isinstance(value, Tensor)}


def _named_alike(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return what was given under the names that are wanted, and what is too much.

    Later stages and a last layer that the encoder lacks are not too much; more layers within a
    stage that it has are: a resnet34 begins with all that a resnet18 has.
    """
    names = {key: _plain(key.removeprefix("model.")) for key in wanted}
    read = (_without_prefix(given, prefix) for prefix in _PREFIXES)
    plain = max(read, key=lambda each: sum(name in each for name in names.values()))
    counters = {key: value for key, value in wanted.items() if key.endswith(_COUNTER)}
    found = {key: plain[name] for key, name in names.items() if name in plain}
    known, stages = {*names.values()}, {_stage(name) for name in names.values()}
    return {**counters, **found}, [
        name
        for name in plain
        if name not in known and name.endswith(_LEARNT) and _stage(name) in stages
    ]


def _without_prefix(given: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        _plain(key.removeprefix(prefix)): value
        for key, value in given.items()
        if key.startswith(prefix)
    }


def _stage(name: str) -> str:
    """Return the beginning of a tensor's name up to its first number: "layer1", "blocks.0"."""
    parts = name.split(".")
    numbered = (n for n, part in enumerate(parts, start=1) if any(c.isdigit() for c in part))
    return ".".join(parts[: next(numbered, len(parts))])


def _plain(key: str) -> str:
    """Return the name that torchvision and timm agree on: timm flattens the first level."""
    return _OLD_DENSENET.sub(r"\1\2.", key.replace("features_", "features."))


def _for_channels(stem: Tensor, channels: int) -> Tensor:
    """Turn a first convolution (out, in, Y, X) into one that reads another number of channels.

    One channel: the sum, so that a grey image gives what its copy in red, green and blue gives.
    More: the ones there are in turn, scaled so that the sums stay as large.
    """
    learnt = stem.shape[1]
    if channels == learnt:
        return stem
    if channels == 1:
        return stem.sum(dim=1, keepdim=True)
    return stem[:, [channel % learnt for channel in range(channels)]] * (learnt / channels)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
