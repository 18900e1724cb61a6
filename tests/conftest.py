"""What every test shares: the folder of real images, threads, and clean settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Read by napari's own pytest plugin: a widget that outlives its viewer fails the test.
os.environ.setdefault("NAPARI_STRICT_QT", "1")
# Tests are small; two threads that wait for each other are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if sys.platform == "linux":
    # Xvfb speaks X; a Wayland or offscreen platform would leave the canvas black.
    os.environ["QT_QPA_PLATFORM"] = "xcb"

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep recovery files of a test out of the user's folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("NAPARI_UNET_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def loadable_torchvision() -> None:
    """Let networks with encoders be built beside a torch that torchvision was not built for."""
    from benchmarks.peers import import_smp

    import_smp()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of real annotated images; tests that need it are skipped without it.

    It is ``NAPARI_UNET_DATA``, or ``shared/data`` beside the repository.
    """
    beside = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("NAPARI_UNET_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real images are not at {folder}; set NAPARI_UNET_DATA to their folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where torch finds none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        missing = pytest.mark.skip(reason="torch finds no CUDA GPU on this machine")
        for item in marked:
            item.add_marker(missing)
