"""Tests that triton is loaded beside Mesa's LLVM, and left alone elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from napari_unet.network.compilers import keep_compilers_apart

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Mesa and triton meet on Linux")

MESA = "7fad-7fae r-xp 00000000 fe:01 42 /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n"
NOTES = "import sys\nFLAGS = sys.getdlopenflags()\n"


@pytest.fixture
def triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a triton in the way that notes how it was loaded; return its file."""
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "triton.py"
    file.write_text(NOTES)
    return file


def loaded(folder: Path, text: str) -> Path:
    file = folder / "maps"
    file.write_text(text)
    return file


def test_beside_mesa_triton_is_bound_to_itself(triton: Path, tmp_path: Path) -> None:
    usual = sys.getdlopenflags()
    assert keep_compilers_apart(loaded(tmp_path, MESA))
    assert sys.modules.pop("triton").FLAGS & os.RTLD_DEEPBIND
    assert sys.getdlopenflags() == usual


def test_without_mesa_triton_is_left_to_torch(triton: Path, tmp_path: Path) -> None:
    assert not keep_compilers_apart(loaded(tmp_path, "7fad-7fae r-xp /usr/lib/libc.so.6\n"))
    assert not keep_compilers_apart(tmp_path / "no such list")
    assert "triton" not in sys.modules


def test_a_triton_that_does_not_load_is_left_to_torch(triton: Path, tmp_path: Path) -> None:
    usual = sys.getdlopenflags()
    triton.write_text("raise ImportError('broken')\n")
    assert not keep_compilers_apart(loaded(tmp_path, MESA))
    assert sys.getdlopenflags() == usual
