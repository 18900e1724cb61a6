"""`napari-unet evaluate`: true and predicted labels in, scores out."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table

from napari_unet.cli.failures import Failures, UsageError
from napari_unet.cli.inputs import compared_pairs
from napari_unet.cli.outputs import prepare_folder, refuse_existing, refuse_inputs
from napari_unet.evaluation import (
    CellRecord,
    ClassScore,
    OutputScore,
    Scores,
    ValueScores,
    cell_report,
    evaluate,
)
from napari_unet.files import image_paths, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from napari_unet.annotations import Task
    from napari_unet.cli.inputs import Compared

__all__ = ["EvaluateCommand", "class_values", "score_tables"]

_MEANINGS = {
    "ap50": "AP at IoU > 0.5: TP / (TP + FP + FN); higher is better",
    "ap": "mean AP at IoU > 0.50, 0.55 .. 0.95; higher is better",
    "f1_50": "F1 at IoU > 0.5; higher is better",
    "seg": "Cell Tracking Challenge's SEG, mean Jaccard of true cells; higher is better",
    "pixel_error": "share of counted pixels that are wrong; lower is better",
    "rand_error": "adapted Rand error of connected regions; lower is better",
    "mae": "mean absolute error, in the values' unit; lower is better",
    "rmse": "root of the mean squared error, in the values' unit; lower is better",
    "psnr": "peak signal-to-noise ratio in decibel; higher is better",
    "data_range": "what PSNR is taken against: largest minus smallest true value",
    "r2": "coefficient of determination, 1 is perfect; higher is better",
    "outputs": "outputs; with several, the scores are their means",
    "n_true": "true cells",
    "n_predicted": "predicted cells",
    "images": "images compared",
    "matched_iou": "mean IoU of the matched cells; higher is better",
    "n_matched": "cells found with IoU > 0.5",
    "n_split": "true cells that were found in several parts",
    "n_merged": "predicted cells that are several true ones",
    "n_missed": "true cells that were not found in any way",
    "n_extra": "predicted cells where there is none",
    "mean_iou": "mean IoU of the classes; higher is better",
    "mean_dice": "mean Dice coefficient of the classes; higher is better",
    "v_rand": "Rand score after border thinning (ISBI 2012); higher is better",
    "v_rand_split": "its part that falls with splits",
    "v_rand_merge": "its part that falls with mergers",
    "v_info": "information score after border thinning (ISBI 2012); higher is better",
    "v_info_split": "its part that falls with splits",
    "v_info_merge": "its part that falls with mergers",
    "warping_error": "share of pixels in splits, mergers, holes and pieces; lower is better",
}

_SHOWN = 20  # classes that are listed for people


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """What was asked for on the command line."""

    truth: Path
    predicted: Path
    task: Task
    classes: Sequence[int] | None
    unlabelled: float | None
    regions: Path | None
    em: bool
    cells: Path | None
    json: bool
    overwrite: bool
    debug: bool

    def run(self) -> None:
        """Compare, write the table of cells, and print.

        Raises
        ------
        CommandError
            If the table of cells cannot be written; nothing was compared then.
        Reported
            If a pair of files could not be compared; the scores of the others were printed.
        """
        if self.em and self.task == "regression":
            raise UsageError("--em compares regions; leave it out with --task regression")
        if self.classes and self.task != "classes":
            raise UsageError(f"--classes names classes; leave it out with --task {self.task}")
        if self.cells:
            self._check_output(self.cells)
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
            compared = [(pair.truth, pair.predicted, pair.annotated) for pair in pairs]
            scores = evaluate(compared, task=self.task, classes=self.classes, em=self.em)
            if self.cells:
                self._write_cells(self.cells, pairs)
            self._print(scores)
        failures.finish()

    def _check_output(self, table: Path) -> None:
        if self.task != "instances":
            raise UsageError(f"--cells lists single cells; leave it out with --task {self.task}")
        folders = [self.truth, self.predicted, *([self.regions] if self.regions else [])]
        refuse_inputs([table], [path for folder in folders for path in image_paths(folder)])
        refuse_existing([table], overwrite=self.overwrite)
        prepare_folder(table.parent)

    def _write_cells(self, path: Path, pairs: Iterable[Compared]) -> None:
        records = (
            record
            for pair in pairs
            for record in cell_report(pair.truth, pair.predicted, pair.annotated, image=pair.name)
        )
        columns = [field.name for field in fields(CellRecord)]
        write_table(path, columns, map(_row, records), overwrite=self.overwrite)

    def _print(self, scores: Scores | ValueScores) -> None:
        if self.json:
            print(json.dumps(scores.to_dict(), indent=2))
        else:
            Console(highlight=False).print(score_tables(scores))


def class_values(text: str) -> list[int]:
    """Read the values of classes, such as 0,3,7.

    Raises
    ------
    UsageError
        If one of them is no whole number.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--classes {text}: write whole numbers, such as 0,3,7") from None


def score_tables(scores: Scores | ValueScores) -> RenderableType:
    """Return scores with what they mean; those that do not apply are left out."""
    if isinstance(scores, ValueScores):
        return _value_tables(scores)
    tables: list[RenderableType] = [_single_numbers(scores)]
    if scores.curve and scores.ap50 is not None:
        rows = [("AP", [point.ap for point in scores.curve])]
        rows.append(("F1", [point.f1 for point in scores.curve]))
        tables += ["", _grid("IoU >", [f"{point.iou:.2f}" for point in scores.curve], rows)]
    if scores.classes:
        tables += ["", _class_table(scores.classes)]
    if scores.confusion and len(scores.confusion) <= _SHOWN:
        tables += ["", _confusion_table(scores)]
    return Group(*tables)


def _single_numbers(scores: Scores | ValueScores) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, meaning in _MEANINGS.items():
        value = getattr(scores, name, None)
        if value is not None:
            in_unit = isinstance(scores, ValueScores) and isinstance(value, float)
            table.add_row(name, f"{value:.4g}" if in_unit else _shown(value), meaning)
    return table


def _value_tables(scores: ValueScores) -> RenderableType:
    if scores.outputs == 1:
        return _single_numbers(scores)
    columns = [field.name for field in fields(OutputScore)]
    rows = [
        (str(number), ["-" if value is None else f"{value:.4g}" for value in astuple(each)])
        for number, each in enumerate(scores.each)
    ]
    return Group(_single_numbers(scores), "", _grid("output", columns, rows))


def _class_table(classes: Sequence[ClassScore]) -> Table:
    columns = ("IoU", "Dice", "true pixels", "predicted pixels")
    rows = [(str(each.value), astuple(each)[1:]) for each in classes[:_SHOWN]]
    if len(classes) > _SHOWN:
        rows.append((f"and {len(classes) - _SHOWN} more", ("",) * len(columns)))
    return _grid("class", columns, rows)


def _confusion_table(scores: Scores) -> Table:
    values = [str(each.value) for each in scores.classes or ()]
    rows = zip(values, scores.confusion or (), strict=True)
    return _grid("true pixels taken for", values, rows)


def _grid(corner: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Any]]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="")
    table.add_column(corner)
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in rows:
        table.add_row(name, *map(_shown, values))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _row(record: CellRecord) -> list[object]:
    return [round(value, 3) if isinstance(value, float) else value for value in astuple(record)]
