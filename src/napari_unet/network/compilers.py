"""Keeps the compiler inside triton apart from the one that draws napari's canvas."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["keep_compilers_apart"]

_LOADED = Path("/proc/self/maps")


def keep_compilers_apart(loaded: Path = _LOADED) -> bool:
    """Load triton so that it uses its own LLVM, where Mesa has loaded another one before.

    On Linux the torch of PyPI comes with triton, which it imports when the first optimiser is
    made. Triton holds an LLVM. So does Mesa, which draws the canvas where there is no NVIDIA
    driver, and makes its names known to the whole process: triton would call Mesa's LLVM, another
    release, and the process would end without a word.

    Parameters
    ----------
    loaded
        The list of what this process has loaded.

    Returns
    -------
    bool
        Whether triton had to be loaded, and was.
    """
    if sys.platform != "linux" or "triton" in sys.modules or find_spec("triton") is None:
        return False
    if not loaded.exists() or "libLLVM" not in loaded.read_text(errors="replace"):
        return False
    usual = sys.getdlopenflags()
    sys.setdlopenflags(usual | os.RTLD_DEEPBIND)
    try:
        importlib.import_module("triton")
    except ImportError:
        return False  # torch asks again, and goes without
    finally:
        sys.setdlopenflags(usual)
    return True
