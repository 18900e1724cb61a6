"""Without a display, napari or Qt the workbench says what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.commands import Run


@pytest.mark.parametrize(
    ("missing", "about"),
    [("", "no display"), ("napari", "napari is not installed")],
)
def test_without_display_or_napari_the_workbench_says_so(
    missing: str, about: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.cli import window

    found = window.find_spec
    monkeypatch.setattr(window, "find_spec", lambda name: None if name == missing else found(name))
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = run()
    assert done.code == 1
    assert about in done.sentence


def test_without_a_qt_binding_the_workbench_names_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.cli import window

    def find_none(name: str) -> None:
        raise ImportError(f"No Qt bindings could be found for {name}")

    monkeypatch.setattr(window, "import_module", find_none)
    done = run()
    assert done.code == 1
    assert "pip install PyQt6" in done.sentence
