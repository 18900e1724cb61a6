"""Images, labels, regions and values: which belong together, what counts, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_unet.cli.failures import Failures
from napari_unet.cli.inputs import annotated_images
from napari_unet.files import load_model
from tests.cli.commands import SIDE, Run, give_values, train_on

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.mark.usefixtures("tiny")
def test_regions_decide_what_counts_where_there_are_any(folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p1.tif", mask)
    options = ["--regions", folders / "regions", "--steps", 1, "--validation", 0]
    assert run(*train_on(folders, *options)).code == 0
    first = load_model(folders / "new.safetensors")
    # What is painted outside of the region changes nothing.
    labels = tifffile.imread(folders / "labels" / "p1_masks.tif")
    labels[:, 40:] = 99
    tifffile.imwrite(folders / "labels" / "p1_masks.tif", labels)
    assert run(*train_on(folders, *options, "--overwrite")).code == 0
    second = load_model(folders / "new.safetensors").network.state_dict()
    for name, tensor in first.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), second[name].numpy())


def test_a_stray_value_outside_of_the_regions_leaves_a_mask_a_mask(folders: Path) -> None:
    for kind in ("masks", "regions"):
        (folders / kind).mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:12, 2:12] = mask[2:12, 20:30] = 255
    region = np.zeros_like(mask)
    region[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p0.tif", region)
    read = []
    for stray in (0, 99):
        mask[50, 50] = stray
        tifffile.imwrite(folders / "masks" / "p0.tif", mask)
        failures = Failures(debug=False)
        [image] = annotated_images(
            folders / "images" / "p0.tif",
            folders / "masks",
            task="instances",
            regions=folders / "regions",
            unlabelled=None,
            failures=failures,
        )
        assert not failures.count
        read.append(np.where(image.annotated, image.labels, 0))
    assert set(np.unique(read[0])) == {0, 1, 2}
    np.testing.assert_array_equal(read[0], read[1])


def test_a_negative_value_may_say_nothing(folders: Path, run: Run) -> None:
    for path in (folders / "labels").iterdir():
        labels = tifffile.imread(path).astype(np.int16)
        labels[:20] = -1
        tifffile.imwrite(path, labels)
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", np.maximum(labels, 0))
    ask = ["evaluate", folders / "labels", folders / "out", "--json"]
    done = run(*ask, "--unlabelled", -1)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["ap50"] == 1
    done = run(*ask)
    assert done.code == 1
    assert "holds -1" in done.err


def test_a_fraction_may_say_nothing_among_values_but_is_no_label(folders: Path, run: Run) -> None:
    silent = -9999.9  # not exact in float32, the type of most files of values
    for path in (folders / "labels").iterdir():
        values = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
        values[:20] = silent
        tifffile.imwrite(path, values)
    failures = Failures(debug=False)
    where = {"images": folders / "images", "labels": folders / "labels", "regions": None}
    read = annotated_images(**where, task="regression", unlabelled=silent, failures=failures)
    assert not failures.count
    for image in read:
        np.testing.assert_array_equal(image.annotated[0].all(axis=1), np.arange(SIDE) >= 20)
    ask = ["evaluate", folders / "labels", folders / "labels", "--unlabelled"]
    assert run(*ask, silent, "--task", "regression").code == 0
    for wrong in (silent, "inf", "nan"):
        for command in (ask, [*train_on(folders), "--unlabelled"]):
            done = run(*command, wrong)
            assert done.code == 2
            assert "labels of the task instances are whole numbers" in done.sentence


def test_the_largest_label_may_say_nothing(folders: Path) -> None:
    silent = 2**64 - 1
    for path in (folders / "labels").iterdir():
        labels = tifffile.imread(path).astype(np.uint64)
        labels[:20] = silent
        tifffile.imwrite(path, labels)
    failures = Failures(debug=False)
    where = {"images": folders / "images", "labels": folders / "labels", "regions": None}
    read = annotated_images(**where, task="instances", unlabelled=silent, failures=failures)
    assert not failures.count
    assert not any(image.annotated[0, :20].any() for image in read)


def test_regions_that_belong_to_no_image_are_refused(folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    tifffile.imwrite(folders / "regions" / "other.tif", np.ones((SIDE, SIDE), np.uint8))
    done = run(*train_on(folders, "--regions", folders / "regions"))
    assert done.code == 1
    assert "no mask" in done.sentence


def test_a_region_of_no_image_is_refused_where_an_image_has_none(folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    for name in ("p0", "p1", "P2"):
        mask = np.ones((SIDE, SIDE), np.uint8)
        tifffile.imwrite(folders / "regions" / f"{name}.tif", mask)
    done = run(*train_on(folders, "--regions", folders / "regions", "--steps", 1))
    assert done.code == 1
    assert "P2.tif" in done.sentence


@pytest.mark.parametrize("name", ["p0", "p0_masks", "p0_cp_masks", "p0_labels"])
def test_a_region_may_have_any_name_of_its_image(name: str, folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    (folders / "out").mkdir()
    tifffile.imwrite(folders / "regions" / f"{name}.tif", np.eye(SIDE, dtype=np.uint8))
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        if number == 0:
            labels[~np.eye(SIDE, dtype=bool)] = 0
        tifffile.imwrite(folders / "out" / f"p{number}_masks.tif", labels)
    ask = ["evaluate", folders / "labels", folders / "out", "--json"]
    assert json.loads(run(*ask).out)["pixel_error"] > 0
    done = run(*ask, "--regions", folders / "regions")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["pixel_error"] == 0


def test_several_regions_of_one_image_are_refused(folders: Path, run: Run) -> None:
    (folders / "regions").mkdir()
    for name in ("p0_masks", "p0_labels"):
        mask = np.ones((SIDE, SIDE), np.uint8)
        tifffile.imwrite(folders / "regions" / f"{name}.tif", mask)
    done = run(*train_on(folders, "--regions", folders / "regions", "--steps", 1))
    assert done.code == 1
    assert "several masks" in done.sentence


@pytest.mark.parametrize(
    ("labels", "about"),
    [
        (np.ones((SIDE - 1, SIDE), np.uint8), "63 x 64"),
        (np.zeros((SIDE, SIDE), np.uint8), "no cell is painted"),
        (np.full((SIDE, SIDE), 0.5, np.float32), "whole numbers"),
    ],
)
def test_labels_that_do_not_fit_get_one_sentence(
    labels: NDArray[Any], about: str, folders: Path, run: Run
) -> None:
    tifffile.imwrite(folders / "one.tif", labels)
    where = [folders / "images" / "p0.tif", folders / "one.tif"]
    done = run("train", *where, "--model", folders / "new.safetensors", "--steps", 1)
    assert done.code == 1
    assert about in done.sentence
    assert not (folders / "new.safetensors").exists()


@pytest.mark.parametrize(
    ("image", "about"),
    [
        (np.full((SIDE, SIDE), np.nan, np.float32), "NaN"),
        (np.ones((1, 1), np.uint8), "shape"),
    ],
)
def test_images_that_cannot_be_learnt_from_get_one_sentence(
    image: NDArray[Any], about: str, folders: Path, run: Run
) -> None:
    tifffile.imwrite(folders / "images" / "p0.tif", image)
    done = run(*train_on(folders, "--steps", 1))
    assert done.code == 1
    assert about in done.sentence
    assert "p0.tif" in done.sentence
    assert not (folders / "new.safetensors").exists()


def test_missing_labels_are_named(folders: Path, run: Run) -> None:
    (folders / "labels" / "p1_masks.tif").unlink()
    done = run(*train_on(folders))
    assert done.code == 1
    assert "p1.tif" in done.sentence


def test_regions_and_a_value_that_says_nothing_hold_for_values(folders: Path) -> None:
    give_values(folders)
    (folders / "regions").mkdir()
    region = np.zeros((SIDE, SIDE), np.uint8)
    region[:, :40] = 1
    tifffile.imwrite(folders / "regions" / "p0.tif", region)
    values = tifffile.imread(folders / "labels" / "p0_masks.tif")
    values[0, 30:] = -7
    tifffile.imwrite(folders / "labels" / "p0_masks.tif", values, photometric="minisblack")
    failures = Failures(debug=False)
    [image] = annotated_images(
        folders / "images" / "p0.tif",
        folders / "labels",
        task="regression",
        regions=folders / "regions",
        unlabelled=-7,
        failures=failures,
    )
    assert not failures.count
    expected = np.zeros((SIDE, SIDE), bool)
    expected[8:30, :40] = True
    np.testing.assert_array_equal(image.annotated[0], expected)
    np.testing.assert_array_equal(image.labels[0][:, expected], values[:, expected])


def test_weights_say_how_much_values_count(folders: Path) -> None:
    give_values(folders)
    (folders / "weights").mkdir()
    heavy = np.ones((SIDE, SIDE), np.float32)
    heavy[:, 40:], heavy[50:] = 2.5, 0
    tifffile.imwrite(folders / "weights" / "p0.tif", heavy)
    first, *others = annotated_images(
        folders / "images",
        folders / "labels",
        task="regression",
        regions=None,
        weights=folders / "weights",
        unlabelled=None,
        failures=Failures(debug=False),
    )
    counted = first.annotated[0]
    assert not counted[50:].any()
    np.testing.assert_array_equal(first.weights[0][counted], heavy[counted])
    assert all(image.weights is None for image in others)


@pytest.mark.usefixtures("tiny")
def test_weights_that_cannot_be_used_get_one_sentence(folders: Path, run: Run) -> None:
    (folders / "weights").mkdir()
    weights = ["--weights", folders / "weights"]
    tifffile.imwrite(folders / "weights" / "p0.tif", np.ones((SIDE, SIDE), np.float32))
    done = run(*train_on(folders, *weights, "--steps", 1))
    assert done.code == 2
    assert "--weights belong to --task regression" in done.sentence
    give_values(folders)
    values = ["--task", "regression", *weights, "--steps", 1]
    assert run(*train_on(folders, *values)).code == 0
    tifffile.imwrite(folders / "weights" / "p0.tif", np.full((SIDE, SIDE), -1, np.float32))
    assert "some weights are negative" in run(*train_on(folders, *values, "--overwrite")).sentence
    (folders / "weights" / "p0.tif").rename(folders / "weights" / "other.tif")
    assert "no weights in" in run(*train_on(folders, *values, "--overwrite")).sentence


@pytest.mark.usefixtures("tiny")
def test_whole_numbers_and_colours_are_values_too(folders: Path, run: Run) -> None:
    for path in (folders / "labels").iterdir():
        labels = tifffile.imread(path)
        tifffile.imwrite(path, np.stack([labels] * 3, axis=-1).astype(np.uint8), photometric="rgb")
    assert run(*train_on(folders, "--task", "regression", "--steps", 1)).code == 0
    assert len(load_model(folders / "new.safetensors").classes) == 3


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("values", "about"),
    [
        (np.ones((SIDE - 1, SIDE), np.float32), "63 x 64"),
        (np.ones((SIDE, SIDE), np.float32), "output “value” is 1 wherever"),
        (np.full((SIDE, SIDE), np.nan, np.float32), "nothing is annotated"),
        (np.full((SIDE, SIDE), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_values_that_cannot_be_learnt_get_one_sentence(
    values: NDArray[Any], about: str, folders: Path, run: Run
) -> None:
    tifffile.imwrite(folders / "one.tif", values)
    where = [folders / "images" / "p0.tif", folders / "one.tif", "--task", "regression"]
    done = run("train", *where, "--model", folders / "new.safetensors", "--steps", 1)
    assert done.code == 1
    assert about in done.sentence
    assert not (folders / "new.safetensors").exists()


def test_a_missing_prediction_is_no_silent_gap(folders: Path, run: Run) -> None:
    (folders / "out").mkdir()
    for number in range(2):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    done = run("evaluate", folders / "labels", folders / "out")
    assert done.code == 1
    assert "p2_masks.tif" in done.sentence


def test_pictures_beside_their_labels_are_no_labels(folders: Path, run: Run) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
        picture = folders / "images" / f"p{number}.tif"
        (folders / "labels" / picture.name).write_bytes(picture.read_bytes())
    done = run("evaluate", folders / "labels", folders / "out", "--json")
    assert (done.code, done.err) == (0, "")
    scores = json.loads(done.out)
    assert scores["images"] == 3
    assert scores["ap50"] == 1


def test_two_truths_of_one_prediction_are_refused(folders: Path, run: Run) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels)
    tifffile.imwrite(folders / "labels" / "p1_labels.tif", labels)
    done = run("evaluate", folders / "labels", folders / "out")
    assert done.code == 1
    assert "two truths" in done.sentence


def test_labels_of_another_shape_are_reported_and_the_rest_compared(
    folders: Path, run: Run
) -> None:
    (folders / "out").mkdir()
    for number in range(3):
        labels = tifffile.imread(folders / "labels" / f"p{number}_masks.tif")
        tifffile.imwrite(folders / "out" / f"p{number}.tif", labels[number // 2 :])
    done = run("evaluate", folders / "labels", folders / "out", "--json")
    assert done.code == 1
    assert "63 x 64" in done.sentence
    assert json.loads(done.out)["images"] == 2


def test_a_truth_with_infinite_values_is_named_and_the_rest_compared(
    folders: Path, run: Run
) -> None:
    for kind in ("truth", "found"):
        (folders / kind).mkdir()
        for number in range(2):
            values = np.full((8, 8), 1.5, np.float32)
            values[0, 0] = np.inf if kind == "truth" and number else 1.5
            tifffile.imwrite(folders / kind / f"p{number}.tif", values)
    done = run("evaluate", folders / "truth", folders / "found", "--task", "regression", "--json")
    assert done.code == 1
    assert "p1.tif holds 1 values that are NaN or infinite; correct it" in done.sentence
    assert json.loads(done.out)["images"] == 1


def test_a_prediction_with_gaps_is_named_and_the_rest_compared(folders: Path, run: Run) -> None:
    for kind in ("truth", "found"):
        (folders / kind).mkdir()
        for number in range(2):
            values = np.full((8, 8), number + 1.5, np.float32)
            values[0] = np.nan if kind == "truth" or number else 7
            values[1, :2] = np.inf if kind == "found" and number else 0
            tifffile.imwrite(folders / kind / f"p{number}.tif", values)
    ask = ["evaluate", folders / "truth", folders / "found", "--task", "regression", "--json"]
    done = run(*ask)
    assert done.code == 1
    assert "p1.tif holds 2 values that are NaN or infinite" in done.sentence
    assert json.loads(done.out)["images"] == 1
    assert json.loads(done.out)["mae"] == 0
