"""`napari-unet evaluate`: true and predicted labels in, scores out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from napari_unet.cli.failures import Failures
from napari_unet.cli.inputs import compared_pairs
from napari_unet.evaluation import Scores, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_unet.annotations import Task

__all__ = ["EvaluateCommand", "score_table"]

_MEANINGS = {
    "ap50": "AP at IoU > 0.5: TP / (TP + FP + FN); higher is better",
    "ap": "mean AP at IoU > 0.50, 0.55 .. 0.95; higher is better",
    "f1_50": "F1 at IoU > 0.5; higher is better",
    "seg": "Cell Tracking Challenge's SEG, mean Jaccard of true cells; higher is better",
    "pixel_error": "share of counted pixels that are wrong; lower is better",
    "rand_error": "adapted Rand error of connected regions; lower is better",
    "n_true": "true cells",
    "n_predicted": "predicted cells",
    "images": "images compared",
}


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """What was asked for on the command line."""

    truth: Path
    predicted: Path
    task: Task
    unlabelled: int | None
    regions: Path | None
    json: bool
    debug: bool

    def run(self) -> None:
        """Compare and print.

        Raises
        ------
        Reported
            If a pair of files could not be compared; the scores of the others were printed.
        """
        failures = Failures(debug=self.debug)
        pairs = compared_pairs(
            self.truth,
            self.predicted,
            task=self.task,
            regions=self.regions,
            unlabelled=self.unlabelled,
            failures=failures,
        )
        if pairs:
            self._print(evaluate(pairs, task=self.task))
        failures.finish()

    def _print(self, scores: Scores) -> None:
        if self.json:
            print(json.dumps(scores.to_dict(), indent=2))
        else:
            Console(highlight=False).print(score_table(scores.to_dict()))


def score_table(scores: Mapping[str, float | int | None]) -> Table:
    """Return scores with what they mean; those that do not apply are left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in scores.items():
        if value is not None:
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            table.add_row(name, shown, _MEANINGS.get(name, ""))
    return table
