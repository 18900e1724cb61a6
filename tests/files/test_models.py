"""Trained models in one file."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from napari_unet.files import FileError, load_model, save_model
from napari_unet.network import ClassLabel, Standardisation, TrainedModel, UNet

if TYPE_CHECKING:
    from collections.abc import Mapping


def model(**changes: Any) -> TrainedModel:
    torch.manual_seed(0)
    architecture: Mapping[str, Any] = {"depth": 2, "width": 4, "padding": "same"}
    fields: dict[str, Any] = {
        "network": UNet(**architecture, **changes).eval(),
        "task": "instances",
        "classes": (ClassLabel(0, "background"), ClassLabel(255, "Zelle µ")),
        "scale": 0.3,
        "pixel_size": 0.19,
        "normalisation": {"low": 1.0, "high": 99.8},
        "instances": {"threshold": 0.5},
        "configuration": {"preset": "quick", "minutes": None, "seed": 0, "nested": {"a": [1, 2]}},
        "provenance": {"torch": "2.13.0", "scores": {"ap50": 0.7}},
    }
    return TrainedModel(**fields)


@pytest.mark.parametrize(
    "choice",
    [
        {"normalisation": "none"},
        {"normalisation": "batch"},
        {"normalisation": "group", "skips": "add"},
        {"normalisation": "instance", "skips": "none", "init": "xavier"},
    ],
)
def test_a_loaded_model_predicts_the_same(tmp_path: Path, choice: dict[str, str]) -> None:
    saved = model(**choice)
    loaded = load_model(save_model(saved, tmp_path / "m.safetensors"))
    picture = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.network(picture), saved.network(picture))
    assert not loaded.network.training


def test_everything_else_comes_back_too(tmp_path: Path) -> None:
    saved = model()
    loaded = load_model(save_model(saved, tmp_path / "m.safetensors"))
    assert loaded.classes == saved.classes
    assert dict(loaded.architecture) == dict(saved.architecture)
    for name in ("task", "channels", "scale", "pixel_size"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name in ("normalisation", "instances", "configuration", "provenance"):
        assert dict(getattr(loaded, name)) == dict(getattr(saved, name))


def test_the_units_of_a_regression_come_back(tmp_path: Path) -> None:
    saved = replace(
        model(), task="regression", standardisation=Standardisation((0.1, 2.0), (1 / 3, 1e5))
    )
    loaded = load_model(save_model(saved, tmp_path / "m.safetensors"))
    assert loaded.standardisation == saved.standardisation


def test_other_models_say_nothing_of_units(tmp_path: Path) -> None:
    path = save_model(model(), tmp_path / "m.safetensors")
    assert "standardisation" not in json.loads(header_of(path)["model"])
    assert load_model(path).standardisation is None


def test_a_loaded_model_can_be_trained_on(tmp_path: Path) -> None:
    network = load_model(save_model(model(), tmp_path / "m.safetensors")).network
    network(torch.rand(1, 1, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_values_of_numpy_and_paths_are_stored_plainly(tmp_path: Path) -> None:
    saved = model()
    saved.provenance.update(  # type: ignore[attr-defined]
        {"pixels": np.int64(7), "loss": np.float32(0.5), "mean": np.ones(2), "of": Path("a")}
    )
    loaded = load_model(save_model(saved, tmp_path / "m.safetensors"))
    expected = {"pixels": 7, "loss": 0.5, "mean": [1.0, 1.0], "of": "a"}
    assert {name: loaded.provenance[name] for name in expected} == expected


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_value_that_is_not_plain_is_refused(tmp_path: Path, value: object) -> None:
    saved = model()
    saved.provenance.update(odd=value)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="cannot be saved"):
        save_model(saved, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_model_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    path = save_model(model(), tmp_path / "m.safetensors")
    before = path.read_bytes()
    with pytest.raises(FileError, match="exists already"):
        save_model(model(), path)
    assert path.read_bytes() == before
    save_model(load_model(path), path, overwrite=True)


class Explosive:
    """Would make a file if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path) -> None:
    path, trap = tmp_path / "m.safetensors", tmp_path / "trap"
    torch.save({"a": Explosive(trap)}, path)
    with pytest.raises(FileError, match="not a napari-unet model"):
        load_model(path)
    path.write_bytes(pickle.dumps(Explosive(trap)))
    with pytest.raises(FileError, match="not a napari-unet model"):
        load_model(path)
    assert not trap.exists()


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_tensors_of_another_program_are_refused(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    (tmp_path / "m.safetensors").write_bytes(save({"a": torch.ones(3)}, metadata))
    with pytest.raises(FileError, match="of another program"):
        load_model(tmp_path / "m.safetensors")


def header_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + size])["__metadata__"]
    return header


def forged(path: Path, **changes: Any) -> Path:
    """Write the file of a good model with changes to its description."""
    saved = model()
    header = header_of(save_model(saved, path, overwrite=True))
    description = {**json.loads(header["model"]), **changes}
    header["model"] = json.dumps(description)
    path.write_bytes(save(saved.network.state_dict(), header))
    return path


def test_a_model_from_before_skips_and_initial_weights_were_options_still_loads(
    tmp_path: Path,
) -> None:
    saved = model()
    newer = {"kind", "skips", "init"}
    old = {key: value for key, value in saved.architecture.items() if key not in newer}
    loaded = load_model(forged(tmp_path / "m.safetensors", architecture=old))
    picture = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.network(picture), saved.network(picture))
    assert loaded.architecture["skips"] == "concat"


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    path = save_model(model(), tmp_path / "m.safetensors")
    header = {**header_of(path), "version": "2"}
    path.write_bytes(save({"a": torch.ones(3)}, header))
    with pytest.raises(FileError, match="update napari-unet"):
        load_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"depth": 2, "width": 8, "padding": "same"}},
        {"architecture": {"depth": 2, "width": 10**7}},
        {"architecture": {"no such option": 1}},
        {"architecture": None},
        {"classes": [[0, "background"]]},
        {"classes": "ab"},
        {"scale": 0},
        {"scale": "big"},
        {"standardisation": {"mean": [0], "std": [1]}},
        {"standardisation": {"mean": [0, 0], "std": [1, 0]}},
        {"standardisation": {"mean": 0, "std": 1}},
        {"standardisation": "none"},
        {"task": "panoptic"},
        {"instances": None},
        {"instances": {"threshold": 7.0}},
        {"instances": {"split": "deep"}},
        {"instances": {"of another program": 1}},
        {"configuration": None},
        {"normalisation": {}},
        {"normalisation": {"low": 50.0, "high": 2.0}},
        {"pixel_size": 0},
        {"pixel_size": "0.5"},
        {"classes": [[0, "background"], [2**40, "cell"]]},
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(FileError, match="damaged") as caught:
        load_model(forged(tmp_path / "m.safetensors", **changes))
    assert "\n" not in str(caught.value)


def test_a_cut_off_model_is_refused(tmp_path: Path) -> None:
    path = save_model(model(), tmp_path / "m.safetensors")
    content = path.read_bytes()
    for size in [*range(0, 400, 7), len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(FileError, match="not a napari-unet model"):
            load_model(path)


def test_a_missing_model_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"m\.safetensors cannot be read: there is no such file"):
        load_model(tmp_path / "m.safetensors")
    with pytest.raises(FileError, match="cannot be read"):
        load_model(tmp_path)


def test_names_of_images_that_are_no_text_are_kept(tmp_path):
    named = replace(model(), provenance={"images": ["10\udcb5m", "zäh"]})
    again = load_model(save_model(named, tmp_path / "m.safetensors"))
    assert again.provenance["images"] == ["10\udcb5m", "zäh"]
