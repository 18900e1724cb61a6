"""Progress where there is no terminal: few lines, each with what a person wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.cli.progress import ImagesProgress

if TYPE_CHECKING:
    import pytest


def test_a_log_file_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with ImagesProgress("Predicting", 2) as progress:
        for name in ("a", "b"):
            for step in range(101):
                progress.show(name, step / 100)
            progress.finish(f"{name}.tif: [done]")
    lines = capsys.readouterr().out.splitlines()
    moving = [line.split() for line in lines if "Predicting" in line]
    assert 10 <= len(moving) <= 12
    assert (moving[0][0], moving[0][-1], moving[-1][-1]) == ("0%", "a", "b")
    assert [line for line in lines if "tif" in line] == ["a.tif: [done]", "b.tif: [done]"]
