"""What became of each cell."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_unet.evaluation import cell_report, count_matches, evaluate, fates, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_pair(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw touching cells, and a shifted copy with merged, cut, lost and new ones."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(30).reshape(5, 6)  # 0 leaves a gap
    truth = np.kron(numbers, np.ones((6, 6), dtype=int))
    predicted = np.roll(truth, rng.integers(0, 2, 2), (0, 1))
    merged, lost, dropped = rng.choice(np.arange(1, 30), (3, 4), replace=False)
    predicted[np.isin(predicted, merged)] = merged[0]
    predicted[np.isin(predicted, lost)] = 0
    truth[np.isin(truth, dropped)] = 0
    predicted[:, 1::6] = np.where(rng.random((30, 6)) < 0.3, 40, predicted[:, 1::6])
    for cut in rng.integers(1, 30, 4):
        below = (predicted == cut) & (np.arange(30)[:, None] % 6 > rng.integers(1, 5))
        predicted[below] = cut + 50
    return truth, predicted


def slow_kinds(truth: NDArray[Any], predicted: NDArray[Any]) -> Counter[tuple[Any, ...]]:
    """Follow the definitions, mask by mask."""
    true = {int(v): truth == v for v in np.unique(truth[truth != 0])}
    found = {int(v): predicted == v for v in np.unique(predicted[predicted != 0])}
    kinds: Counter[tuple[Any, ...]] = Counter()
    told_true, told_found = set(), set()
    for t, cell in true.items():
        for p, piece in found.items():
            if (cell & piece).sum() / (cell | piece).sum() > 0.5:
                kinds["matched", (t,), (p,)] += 1
                told_true.add(t)
                told_found.add(p)
        parts = [p for p, piece in found.items() if (cell & piece).sum() > piece.sum() / 2]
        covered = sum((cell & found[p]).sum() for p in parts)
        if len(parts) > 1 and covered > cell.sum() / 2:
            kinds["split", (t,), tuple(parts)] += 1
            told_true.add(t)
            told_found.update(parts)
    for p, piece in found.items():
        cells = [t for t, cell in true.items() if (cell & piece).sum() > cell.sum() / 2]
        if len(cells) > 1:
            kinds["merged", tuple(cells), (p,)] += 1
            told_true.update(cells)
            told_found.add(p)
    kinds.update(("missed", (t,)) for t in true if t not in told_true)
    kinds.update(("extra", (p,)) for p in found if p not in told_found)
    return kinds


@pytest.mark.parametrize("seed", range(10))
def test_kinds_are_their_definitions(seed: int) -> None:
    truth, predicted = random_pair(seed)
    told: Counter[tuple[Any, ...]] = Counter()
    for record in cell_report(truth, predicted):
        if record.kind == "missed":
            told["missed", record.true] += 1
        elif record.kind == "extra":
            told["extra", record.predicted] += 1
        else:
            told[record.kind, record.true, record.predicted] += 1
    expected = slow_kinds(truth, predicted)
    assert told == expected


def test_the_random_pairs_hold_every_kind() -> None:
    kinds = {record.kind for seed in range(10) for record in cell_report(*random_pair(seed))}
    assert kinds == {"matched", "split", "merged", "missed", "extra"}


@pytest.mark.parametrize("seed", range(10))
def test_every_cell_is_told_and_a_match_is_a_true_positive(seed: int) -> None:
    truth, predicted = random_pair(seed)
    records = cell_report(truth, predicted)
    own_true = {v for r in records if r.kind != "extra" for v in r.true}
    own_predicted = {v for r in records if r.kind != "missed" for v in r.predicted}
    assert own_true == set(np.unique(truth).tolist()) - {0}
    assert own_predicted == set(np.unique(predicted).tolist()) - {0}
    matched = sum(record.kind == "matched" for record in records)
    assert matched == count_matches(overlaps(truth, predicted), 0.5)


@pytest.mark.parametrize("seed", range(10))
def test_iou_area_and_place_are_those_of_the_cells_of_a_line(seed: int) -> None:
    truth, predicted = random_pair(seed)
    for record in cell_report(truth, predicted):
        true, found = np.isin(truth, record.true), np.isin(predicted, record.predicted)
        assert record.iou == (true & found).sum() / (true | found).sum()
        where = found if record.kind == "extra" else true
        assert record.area == where.sum()
        y, x = np.nonzero(where)
        assert (record.y, record.x) == (pytest.approx(y.mean()), pytest.approx(x.mean()))


@pytest.mark.parametrize("seed", range(10))
def test_the_scores_count_the_lines(seed: int) -> None:
    truth, predicted = random_pair(seed)
    scores = evaluate([(truth, predicted)])
    told = Counter(record.kind for record in cell_report(truth, predicted))
    assert told == Counter(
        matched=scores.n_matched,
        split=scores.n_split,
        merged=scores.n_merged,
        missed=scores.n_missed,
        extra=scores.n_extra,
    )
    ious = [r.iou for r in cell_report(truth, predicted) if r.kind == "matched"]
    assert scores.matched_iou == pytest.approx(np.mean(ious))


def one_line(truth: list[int], predicted: list[int]) -> list[tuple[Any, ...]]:
    return [
        (r.kind, r.true, r.predicted, r.iou)
        for r in cell_report(np.array([truth]), np.array([predicted]))
    ]


def test_a_cell_in_two_halves_is_split() -> None:
    assert one_line([7, 7, 7, 7], [1, 1, 2, 2]) == [("split", (7,), (1, 2), 1.0)]


def test_a_large_piece_of_a_split_cell_still_matches_it() -> None:
    assert one_line([7] * 6, [1, 1, 1, 1, 2, 2]) == [
        ("matched", (7,), (1,), 4 / 6),
        ("split", (7,), (1, 2), 1.0),
    ]


def test_two_specks_in_a_large_cell_are_no_split() -> None:
    kinds = [line[0] for line in one_line([7] * 8, [1, 0, 2, 0, 0, 0, 0, 0])]
    assert kinds == ["missed", "extra", "extra"]


def test_two_cells_under_one_are_merged() -> None:
    assert one_line([1, 1, 2, 2], [5, 5, 5, 5]) == [("merged", (1, 2), (5,), 1.0)]


def test_a_missed_cell_names_what_came_nearest() -> None:
    lines = one_line([1, 1, 1, 1, 0, 2], [3, 3, 0, 0, 0, 0])
    assert lines == [
        ("missed", (1,), (3,), 0.5),
        ("missed", (2,), (), 0.0),
        ("extra", (1,), (3,), 0.5),
    ]


def test_slices_are_told_one_by_one() -> None:
    truth = np.array([[[1, 1, 0]], [[0, 0, 0]], [[0, 9, 9]]])
    records = cell_report(truth, truth, image="stack")
    assert [(r.image, r.slice, r.true, r.y, r.x) for r in records] == [
        ("stack", 0, (1,), 0.0, 0.5),
        ("stack", 2, (9,), 0.0, 1.5),
    ]


def test_what_is_not_annotated_changes_no_line() -> None:
    truth, predicted = random_pair(1)
    annotated = np.zeros(truth.shape, dtype=bool)
    annotated[:, :12] = True
    expected = cell_report(truth * annotated, predicted * annotated)
    aside = np.where(annotated, predicted, 0)
    assert cell_report(truth * annotated, aside, annotated) == expected


def test_a_cell_is_where_its_counted_pixels_are() -> None:
    truth = np.array([[1, 1, 1, 1, 1, 1, 0, 0]])
    annotated = np.array([[True] * 4 + [False] * 4])
    (record,) = cell_report(truth, truth, annotated)
    assert (record.area, record.x) == (4, 1.5)


@pytest.mark.parametrize(
    "value", [10**12, -5, np.iinfo(np.int64).max], ids=["huge", "negative", "highest"]
)
def test_any_value_may_be_a_cell(value: int) -> None:
    labels = np.array([[0, value, value, 3]])
    assert {r.true for r in cell_report(labels, labels)} == {(value,), (3,)}


def test_the_highest_unsigned_value_is_told_exactly() -> None:
    value = 2**64 - 1
    labels = np.array([[0, value, value]], dtype=np.uint64)
    (record,) = cell_report(labels, labels)
    assert (record.true, record.x) == ((value,), 1.5)


def test_a_picture_without_cells_has_no_line() -> None:
    nothing = np.zeros((4, 4), dtype=int)
    assert cell_report(nothing, nothing) == []
    assert cell_report(np.zeros((0, 4, 4), dtype=int), np.zeros((0, 4, 4), dtype=int)) == []


def test_shapes_that_differ_are_refused_by_the_name_of_the_image() -> None:
    with pytest.raises(ValueError, match=r"cell7: truth \(2, 3\), prediction \(3, 2\)"):
        cell_report(np.zeros((2, 3), int), np.zeros((3, 2), int), image="cell7")


def test_memory_follows_the_pairs_and_not_the_product_of_cells() -> None:
    import tracemalloc

    truth = np.arange(1, 40_001).reshape(200, 200)
    tracemalloc.start()
    overlap = overlaps(truth, truth[::-1])
    assert fates(overlap).matched.sum() == 40_000
    assert evaluate([(truth, truth[:, ::-1])]).n_matched == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20  # a matrix of bytes would take 1.6 GB


def test_memory_follows_the_pixels_and_not_the_highest_value() -> None:
    import tracemalloc

    truth = np.array([[0, 2**40, 2**40], [1, 1, 2**50]])
    tracemalloc.start()
    assert evaluate([(truth, truth)]).n_matched == 3
    assert evaluate([(truth, truth)], task="classes").pixel_error == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
