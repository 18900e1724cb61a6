"""Scores, tables and the list of cells of `evaluate`."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run


def test_perfect_labels_score_perfectly(folders: Path, run: Run) -> None:
    scores = json.loads(run("evaluate", folders / "labels", folders / "labels", "--json").out)
    assert scores["ap50"] == scores["seg"] == 1
    assert scores["pixel_error"] == scores["rand_error"] == 0


def test_a_mask_is_compared_by_its_connected_pieces(folders: Path, run: Run) -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[2:8, 2:8] = mask[15:25, 15:25] = 255
    tifffile.imwrite(folders / "mask.tif", mask)
    scores = run("evaluate", folders / "mask.tif", folders / "mask.tif", "--json").out
    assert json.loads(scores)["n_true"] == 2


def test_classes_compare_by_the_rank_of_their_values(folders: Path, run: Run) -> None:
    truth = np.zeros((30, 30), np.uint8)
    truth[2:8, 2:8] = 255
    tifffile.imwrite(folders / "truth.tif", truth)
    tifffile.imwrite(folders / "found.tif", truth // 255)
    ask = ["evaluate", folders / "truth.tif", folders / "found.tif", "--task", "classes", "--json"]
    scores = json.loads(run(*ask).out)
    assert scores["pixel_error"] == 0
    assert scores["confusion"] == [[864, 0], [0, 36]]
    assert [(each["value"], each["dice"]) for each in scores["classes"]] == [(0, 1), (255, 1)]
    shown = [line.split() for line in run(*ask[:-1]).out.splitlines()]
    assert ["255", "1.000", "1.000", "36", "36"] in shown
    assert ["255", "0", "36"] in shown


def test_classes_that_are_named_are_not_guessed(folders: Path, run: Run) -> None:
    truth = np.full((10, 10), 3, np.uint8)
    truth[:5] = 4
    found = np.where(truth == 3, 1, 2).astype(np.uint8)
    tifffile.imwrite(folders / "truth.tif", truth)
    tifffile.imwrite(folders / "found.tif", found)
    ask = ["evaluate", folders / "truth.tif", folders / "found.tif", "--task", "classes", "--json"]
    assert json.loads(run(*ask).out)["pixel_error"] == 0
    assert json.loads(run(*ask, "--classes", "1,2,3,4").out)["pixel_error"] == 1
    done = run(*ask, "--classes", "1,3,4")
    assert done.code == 1
    assert "the value 2 is none of the classes [1, 3, 4]" in done.sentence


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (["--task", "classes", "--classes", "1;2"], "--classes 1;2: write whole numbers"),
        (["--task", "classes", "--classes", ""], "write whole numbers"),
        (["--classes", "1,2"], "leave it out with --task instances"),
    ],
)
def test_values_that_name_no_classes_are_wrong_usage(
    options: list[str], about: str, folders: Path, run: Run
) -> None:
    done = run("evaluate", folders / "labels", folders / "labels", *options)
    assert done.code == 2
    assert about in done.sentence


def test_measures_of_membranes_are_taken_when_asked_for(folders: Path, run: Run) -> None:
    truth = np.full((30, 40), 255, np.uint8)
    truth[:, 19:21] = 0
    found = truth // 255
    found[10:14] = 1
    tifffile.imwrite(folders / "truth.tif", truth)
    tifffile.imwrite(folders / "found.tif", found)
    ask = ["evaluate", folders / "truth.tif", folders / "found.tif", "--task", "classes"]
    assert json.loads(run(*ask, "--json").out)["v_rand"] is None
    scores = json.loads(run(*ask, "--json", "--em").out)
    assert scores["warping_error"] == 4 / 1200
    assert scores["v_rand_split"] == 1
    assert scores["v_rand_merge"] == pytest.approx((570**2 * 2) / (1140**2))
    shown = {line.split()[0] for line in run(*ask, "--em").out.splitlines() if line.strip()}
    assert {"v_rand", "v_info", "warping_error"} <= shown


def distorted(folders: Path) -> Path:
    """Write predictions: cell 1 and 2 merged in p0, one cell lost in p1, p2 perfect."""
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        labels[labels == (2 if number == 0 else 0)] = number == 0
        labels[labels == (3 if number == 1 else 0)] = 0
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    return folders / "out"


def test_the_table_of_cells_says_where_to_look(folders: Path, run: Run) -> None:
    table = folders / "tables" / "cells.csv"
    done = run("evaluate", folders / "labels", distorted(folders), "--cells", table, "--json")
    assert (done.code, done.err) == (0, "")
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "image",
        "slice",
        "kind",
        "true",
        "predicted",
        "iou",
        "area",
        "y",
        "x",
    ]
    merged = [line for line in lines if line["kind"] == "merged"]
    assert [(m["image"], m["slice"], m["true"], m["predicted"]) for m in merged] == [
        ("p0", "0", "1 2", "1")
    ]
    (missed,) = [line for line in lines if line["kind"] == "missed"]
    assert (missed["image"], missed["true"], missed["predicted"]) == ("p1", "3", "")
    lost = tifffile.imread(folders / "labels" / "p1_masks.tif") == 3
    assert float(missed["y"]) == pytest.approx(np.nonzero(lost)[0].mean(), abs=1e-3)
    scores = json.loads(done.out)
    for kind in ("matched", "split", "merged", "missed", "extra"):
        assert scores[f"n_{kind}"] == sum(line["kind"] == kind for line in lines)


def test_a_table_of_cells_replaces_no_file(folders: Path, run: Run) -> None:
    ask = ["evaluate", folders / "labels", folders / "labels", "--cells"]
    table = folders / "cells.csv"
    table.write_text("mine")
    done = run(*ask, table)
    assert done.code == 1
    assert "exists already" in done.sentence
    assert not done.out
    assert table.read_text() == "mine"
    done = run(*ask, folders / "labels" / "p0_masks.tif", "--overwrite")
    assert done.code == 1
    assert "its own result" in done.sentence
    assert run(*ask, table, "--overwrite").code == 0
    assert table.read_text().startswith("image,slice,kind")


def test_classes_have_no_table_of_cells(folders: Path, run: Run) -> None:
    ask = ["evaluate", folders / "labels", folders / "labels", "--task", "classes"]
    done = run(*ask, "--cells", folders / "cells.csv")
    assert done.code == 2
    assert "--cells" in done.sentence


def test_people_see_the_curve_and_what_became_of_the_cells(folders: Path, run: Run) -> None:
    done = run("evaluate", folders / "labels", distorted(folders))
    assert (done.code, done.err) == (0, "")
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert rows["n_merged"][1] == rows["n_missed"][1] == "1"
    assert rows["IoU"][2:] == [f"{0.5 + 0.05 * n:.2f}" for n in range(10)]
    assert rows["AP"][1] == rows["ap50"][1]
    assert len(rows["F1"]) == 11


def test_a_picture_among_labels_is_doubted_and_compared_all_the_same(
    folders: Path, run: Run
) -> None:
    shape = tifffile.imread(next((folders / "labels").glob("*.tif"))).shape
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for name in ("found", "true"):
        tifffile.imwrite(folders / f"{name}.tif", grey if name == "found" else grey // 128)
    done = run("evaluate", folders / "true.tif", folders / "found.tif", "--json")
    assert done.code == 0
    assert "found.tif: does not look like labels of cells" in done.sentence
    assert json.loads(done.out)["images"] == 1


def test_a_cell_that_a_region_cuts_counts_where_most_of_it_lies_inside(
    tmp_path: Path, run: Run
) -> None:
    truth, found, region = (np.zeros((40, 100), np.uint16) for _ in range(3))
    truth[5:15, 10:30], truth[5:25, 45:75] = 1, 2
    found[5:15, 10:30], found[5:25, 48:75] = 5, 6
    region[:, :50] = 1
    for name, labels in {"truth": truth, "found": found, "region": region}.items():
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", labels)
    given = ("evaluate", *(tmp_path / name for name in ("truth", "found")))
    scores = json.loads(run(*given, "--regions", tmp_path / "region", "--json").out)
    assert (scores["n_true"], scores["n_predicted"], scores["ap50"]) == (1, 1, 1)
    assert json.loads(run(*given, "--json").out)["n_true"] == 2


def test_a_picture_beside_predictions_is_left_out_and_named(folders: Path, run: Run) -> None:
    for path in (folders / "images").iterdir():
        path.rename(folders / "labels" / path.name)
    done = run("evaluate", folders / "labels", folders / "labels", "--json")
    assert json.loads(done.out)["ap50"] == 1
    assert "p0.tif, p1.tif, p2.tif: taken for pictures and left out" in done.sentence
