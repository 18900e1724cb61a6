"""Which processor computes, and what is said where a GPU lies idle."""

from __future__ import annotations

import pytest
import torch

from napari_unet.network import choose_device, devices, gpu_advice


def test_the_cpu_is_always_there_and_last():
    assert devices()[-1].name == "cpu"
    assert "threads" in devices()[-1].description
    assert choose_device("cpu") == torch.device("cpu")
    assert str(choose_device("auto")) == devices()[0].name


def test_an_unknown_device_is_refused_with_those_at_hand():
    with pytest.raises(ValueError, match=r"no device 'tpu' here; choose auto or .*cpu"):
        choose_device("tpu")


def test_an_idle_gpu_is_named_with_the_command_that_helps(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("torch.version.cuda", None)
    assert "pip install" in (gpu_advice() or "")
    monkeypatch.setattr("torch.version.cuda", "13.0")
    assert "driver" in (gpu_advice() or "")


def test_without_a_gpu_nothing_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert gpu_advice() is None
