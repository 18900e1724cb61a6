"""README and documentation name only what exists."""

from __future__ import annotations

import ast
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import napari_unet
from napari_unet.training import TrainingConfig

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *REPOSITORY.glob("docs/*.md")]


def python_blocks(text: str) -> list[str]:
    found = re.findall(r"^( *)```python\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def links(text: str) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.partition("#")[0] for target in targets if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    found = links(page.read_text(encoding="utf-8"))
    assert not [link for link in found if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_import_names_that_exist(page: Path) -> None:
    for block in python_blocks(page.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = import_module(str(node.module))
                assert not [name.name for name in node.names if not hasattr(module, name.name)]


def test_the_examples_from_python_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = TrainingConfig.from_preset
    small = {"steps": 2, "width": 2, "depth": 2, "patch": 32, "batch": 1, "device": "cpu"}

    def from_preset(name: str, *, minutes: float, **changes: Any) -> TrainingConfig:
        return usual(name, **changes, **small)

    monkeypatch.setattr(TrainingConfig, "from_preset", from_preset)
    monkeypatch.chdir(tmp_path)
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    exec("\n".join(python_blocks(page)), {})  # the page's own programs
    written = {path.name for path in tmp_path.iterdir()}
    assert written >= {
        "cells.safetensors",
        "stack-labels.tif",
        "better.safetensors",
        "distances.safetensors",
        "volume-labels.zarr",
    }


def test_the_page_on_python_has_every_name_of_the_package() -> None:
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    assert not [name for name in napari_unet.__all__ if f"`{name}`" not in page]


def test_there_are_examples_and_links_to_check() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert any(python_blocks(text) for text in texts)
    assert any(links(text) for text in texts)
