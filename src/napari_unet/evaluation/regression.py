"""Measures of predicted values against true ones: MAE, RMSE, PSNR and R²."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["OutputScore", "ValueScores", "mae", "psnr", "r2", "rmse", "value_scores"]


def mae(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """Return the mean absolute error, in the values' own unit.

    Parameters
    ----------
    truth, predicted
        Real numbers of equal shape.
    annotated
        As `truth`, True where a value counts; None = everywhere.

    Returns
    -------
    float
        NaN where nothing counts.
    """
    difference, _ = _compared(truth, predicted, annotated)
    return float(np.abs(difference).mean()) if difference.size else float("nan")


def rmse(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """Return the root of the mean squared error, in the values' own unit; see `mae`."""
    difference, _ = _compared(truth, predicted, annotated)
    return float(np.sqrt(np.square(difference).mean())) if difference.size else float("nan")


def psnr(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    annotated: NDArray[np.bool_] | None = None,
    *,
    data_range: float | None = None,
) -> float:
    """Return the peak signal-to-noise ratio, 20 log10(range / RMSE), in decibel.

    Parameters
    ----------
    truth, predicted, annotated
        As in `mae`.
    data_range
        What the error is measured against. None: largest minus smallest true value that counts.

    Returns
    -------
    float
        Infinite without an error, NaN where the range is 0 or nothing counts.
    """
    error = rmse(truth, predicted, annotated)
    _, counted = _compared(truth, predicted, annotated)
    reach = float(np.ptp(counted)) if data_range is None and counted.size else data_range
    if not reach or np.isnan(error):
        return float("nan")
    return float(20 * np.log10(reach / error)) if error else float("inf")


def r2(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> float:
    """Return the coefficient of determination: 1 is perfect, 0 no better than the true mean.

    Parameters
    ----------
    truth, predicted, annotated
        As in `mae`.

    Returns
    -------
    float
        1 - (sum of squared errors) / (sum of squared deviations from the true mean); NaN where
        all true values that count are equal, or there is none.
    """
    difference, counted = _compared(truth, predicted, annotated)
    if not counted.size or not np.ptp(counted):  # the mean of equal values is not quite that value
        return float("nan")
    spread = np.square(counted - counted.mean()).sum()
    return float(1 - np.square(difference).sum() / spread)


def _compared(
    truth: NDArray[Any], predicted: NDArray[Any], annotated: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors and the true values of what counts."""
    shapes = {truth.shape, predicted.shape, truth.shape if annotated is None else annotated.shape}
    if len(shapes) > 1:
        raise ValueError(
            f"true values {truth.shape}, predicted ones {predicted.shape} and what is annotated "
            "differ in shape; compare values of the same picture"
        )
    counts = ... if annotated is None else annotated
    counted = truth[counts].astype(np.float64).ravel()
    return predicted[counts].astype(np.float64).ravel() - counted, counted


@dataclass(frozen=True, kw_only=True)
class OutputScore:
    """How well one output's values are predicted; None where a score does not apply.

    Attributes
    ----------
    mae, rmse
        In the output's own unit.
    psnr
        In decibel, against `data_range`; None also without an error.
    data_range
        Largest minus smallest true value that counts, over all images.
    r2
        Coefficient of determination.
    """

    mae: float | None
    rmse: float | None
    psnr: float | None
    data_range: float | None
    r2: float | None


@dataclass(frozen=True, kw_only=True)
class ValueScores:
    """How well predicted values agree with the true ones; None where a score does not apply.

    Attributes
    ----------
    mae, rmse
        Mean absolute error and root of the mean squared error, in the values' own unit.
    psnr
        Peak signal-to-noise ratio in decibel, against the range of the true values of all images.
    r2
        Coefficient of determination: 1 is perfect, 0 no better than the true mean.
    outputs
        How many outputs there are. With more than one, each score is the mean over those that
        have it: R² and PSNR need true values that differ, PSNR an error.
    images
        Images that were compared; a stack is one.
    each
        The scores of each output, whose units may differ.
    """

    mae: float | None
    rmse: float | None
    psnr: float | None
    r2: float | None
    outputs: int
    images: int
    each: tuple[OutputScore, ...] = ()

    @property
    def data_range(self) -> float | None:
        """What PSNR is taken against where there is one output."""
        return self.each[0].data_range if len(self.each) == 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers, ready for JSON."""
        return asdict(self)


def value_scores(pairs: Iterable[Sequence[NDArray[Any] | None]]) -> ValueScores:
    """Compare predicted values with the truth, over the pixels of all images together.

    Parameters
    ----------
    pairs
        (truth, predicted) or (truth, predicted, annotated): values (K, Y, X) or (Z, K, Y, X) for
        K outputs, and (Y, X) or (Z, Y, X) where they count; None = wherever the truth is known,
        which NaN says it is not.

    Raises
    ------
    ValueError
        If two shapes or numbers of outputs differ, a value is not a number where it counts, or
        there is no pair.
    """
    counted = [_counted(number, pair) for number, pair in enumerate(pairs, start=1)]
    outputs = {truth.shape[-1] for truth, _ in counted}
    if len(outputs) != 1:
        raise ValueError(
            f"there are values of {len(outputs)} kinds to compare, with {sorted(outputs)} outputs; "
            "give at least one pair, and equally many outputs in each"
        )
    truth, predicted = (np.concatenate(part) for part in zip(*counted, strict=True))
    each = tuple(map(_output_score, truth.T, predicted.T))
    return ValueScores(
        mae=_mean(output.mae for output in each),
        rmse=_mean(output.rmse for output in each),
        psnr=_mean(output.psnr for output in each),
        r2=_mean(output.r2 for output in each),
        outputs=outputs.pop(),
        images=len(counted),
        each=each,
    )


def _output_score(truth: NDArray[Any], predicted: NDArray[Any]) -> OutputScore:
    return OutputScore(
        mae=_finite(mae(truth, predicted)),
        rmse=_finite(rmse(truth, predicted)),
        psnr=_finite(psnr(truth, predicted)),
        data_range=float(np.ptp(truth.astype(np.float64))) if truth.size else None,
        r2=_finite(r2(truth, predicted)),
    )


def _counted(number: int, pair: Sequence[NDArray[Any] | None]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the true and the predicted values that count, (pixels, K)."""
    truth, predicted, *rest = pair
    if truth is None or predicted is None:
        raise ValueError(f"pair {number} lacks its truth or its prediction")
    if truth.ndim not in (3, 4) or truth.shape != predicted.shape:
        raise ValueError(
            f"pair {number}: true values {truth.shape} and predicted ones {predicted.shape} must "
            "both have the axes (K, Y, X) or (Z, K, Y, X) of the same picture"
        )
    true, found = np.moveaxis(truth, -3, -1), np.moveaxis(predicted, -3, -1)
    known = ~np.isnan(true).any(axis=-1)
    annotated = rest[0] if rest and rest[0] is not None else known
    if annotated.shape != known.shape:
        raise ValueError(
            f"pair {number}: what is annotated {annotated.shape} does not fit values {truth.shape}"
        )
    true, found = true[annotated.astype(bool)], found[annotated.astype(bool)]
    wrong = int(np.count_nonzero(~(np.isfinite(true) & np.isfinite(found))))
    if wrong:
        raise ValueError(f"pair {number}: {wrong} values that count are NaN or infinite")
    return true, found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean over the outputs that have such a score; None where none has."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
