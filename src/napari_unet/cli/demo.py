"""`napari-unet demo`: the main job on drawn cells, in napari where there is a display."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from napari_unet.cli.failures import CommandError, Reported
from napari_unet.cli.interrupt import stop_on_interrupt
from napari_unet.cli.outputs import prepare_folder
from napari_unet.cli.progress import TrainingProgress
from napari_unet.cli.window import has_display, refuse_without_window
from napari_unet.demo import (
    Comparison,
    compare,
    is_free_or_demo,
    segment,
    training_image,
    write_comparison,
    write_inputs,
)
from napari_unet.training import TrainingConfig, TrainingReport, train

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unet.network import TrainedModel

__all__ = ["DemoCommand"]


@dataclass(frozen=True, kw_only=True)
class DemoCommand:
    """What was asked for on the command line."""

    out: Path
    minutes: float
    headless: bool

    def run(self) -> None:
        """Train, segment, write and print; where there is a display, in napari.

        Raises
        ------
        CommandError
            If the folder holds something else, or nothing can be written there.
        """
        if self.out.exists() and not self.out.is_dir():
            raise CommandError(f"{self.out} is a file; name a folder with --out")
        if not is_free_or_demo(self.out):
            raise CommandError(
                f"{self.out} holds other files than a demo's; choose another folder with --out"
            )
        prepare_folder(self.out)
        write_inputs(self.out)
        if self.headless:
            self._without_window()
        elif has_display():
            self._in_napari()
        else:
            self._on_virtual_display()

    def _without_window(self) -> None:
        model = self._train()
        comparison = compare(segment(model))
        write_comparison(comparison, model, self.out)
        self._print(comparison)

    def _train(self) -> TrainedModel:
        config = TrainingConfig.from_preset("quick", minutes=self.minutes)
        report: TrainingReport | None = None
        with (
            stop_on_interrupt("Stopping: going on with the network as it is.") as should_stop,
            TrainingProgress() as progress,
        ):
            for report in train([training_image()], config, should_stop=should_stop):
                progress.show(report)
        if report is None or report.model is None:
            raise CommandError("stopped before there was a network")
        return report.model

    def _in_napari(self) -> None:
        refuse_without_window()
        from napari_unet.gui.demo import run_demo

        with stop_on_interrupt("Stopping: closing the window.") as should_stop:
            comparison = run_demo(self.out, minutes=self.minutes, say=_say, should_stop=should_stop)
        if comparison is None:
            raise CommandError("the window was closed before the demo had ended")
        self._print(comparison)

    def _on_virtual_display(self) -> None:
        """Do the same on a display that nobody sees; without one, without a window."""
        starter = shutil.which("xvfb-run")
        if starter is None:
            print("There is no display and no xvfb-run: going on without a window.")
            self._without_window()
            return
        print(f"There is no display: napari runs on a virtual one, see {self.out}/screenshots.")
        done = subprocess.run(
            [
                *(starter, "--auto-servernum", "--server-args=-screen 0 1600x1000x24"),
                *(sys.executable, "-m", "napari_unet", "demo"),
                *("--out", str(self.out), "--minutes", str(self.minutes)),
            ],
            env={**os.environ, "QT_QPA_PLATFORM": "xcb"},
            check=False,
        )
        if done.returncode:
            raise Reported

    def _print(self, comparison: Comparison) -> None:
        table = Table(title="One picture that was not trained on", title_justify="left")
        for name in ("", "AP50", "mean AP", "SEG", "cells found", "true cells"):
            table.add_column(name, justify="left" if not name else "right")
        for name, scores in (
            ("U-Net", comparison.scores),
            ("Otsu + watershed, untrained", comparison.baseline_scores),
        ):
            shown = (f"{value or 0:.3f}" for value in (scores.ap50, scores.ap, scores.seg))
            table.add_row(name, *shown, str(scores.n_predicted), str(scores.n_true))
        Console(highlight=False).print(table)
        print(f"Labels:  {self.out / 'test' / 'predicted'}")
        print(f"Picture: {self.out / 'picture.png'}")


def _say(sentence: str) -> None:
    print(sentence, flush=True)
