"""How well numbers are predicted: five measures, each with a bootstrap interval over groups."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import RESAMPLES, interval, resample_counts

Measured = dict[str, tuple[float, float, float]]

ROUNDING = 1e-24
"""Variance as a share of the mean square that rounding alone can give."""
METRICS = ("mae", "rmse", "r2", "pearson", "spearman")


@dataclass(frozen=True, eq=False)
class _Pairs:
    """True and predicted values in the order in which ranks are counted."""

    truth: Float[np.ndarray, " n"]
    predicted: Float[np.ndarray, " n"]


def regression_metrics(
    truth: Float[np.ndarray, " n"],
    predicted: Float[np.ndarray, " others"],
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Measured:
    """MAE, RMSE, R², Pearson's and Spearman's correlation, each with its 95 % interval.

    Groups are drawn as wholes: records of one composition are not independent. Ranks are taken anew in every
    resample, ties at their mean rank. A measure that is not defined (one distinct value) is NaN.

    Args:
        truth: known values.
        predicted: in the same order and unit.
        groups: of each record; each by itself where left out.
        resamples: number of bootstrap resamples.
        seed: of the resampling.

    Returns:
        By name: value, lower and upper end; the first two in the unit of the values.

    Raises:
        BadInputError: the lengths differ, there is nothing, or a number is not finite.
    """
    _check(truth, predicted, groups)
    pairs = _Pairs(truth - truth.mean(), predicted - truth.mean())
    whole = _weighted(pairs, np.ones((1, len(truth))))
    labels = np.arange(len(truth)) if groups is None else groups
    numbers, cluster = np.unique(labels, return_inverse=True)
    drawn = [
        _weighted(pairs, counts[:, cluster.ravel()].astype(np.float64))
        for counts in resample_counts(len(numbers), resamples, seed)
    ]
    found = {}
    for column, name in enumerate(METRICS):
        samples = np.concatenate([part[:, column] for part in drawn])
        samples = samples[np.isfinite(samples)]
        low, high = interval(samples) if len(samples) else (np.nan, np.nan)
        found[name] = (float(whole[0, column]), low, high)
    return found


def _check(truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None) -> None:
    if not len(truth) or len(truth) != len(predicted) or (groups is not None and len(groups) != len(truth)):
        raise BadInputError(
            f"{len(truth)} values, {len(predicted)} predictions"
            + (f" and {len(groups)} groups" if groups is not None else ""),
            field="regression",
            remedy="Give one of each per record, for one record at least.",
        )
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise BadInputError(
            "a value or a prediction is not finite", field="regression", remedy="Leave such records out."
        )


def _weighted(
    pairs: _Pairs, weight: Float[np.ndarray, "resamples n"]
) -> Float[np.ndarray, "resamples metrics"]:
    """All measures where record i counts ``weight[:, i]`` times."""
    total = weight.sum(1)
    error = pairs.predicted - pairs.truth
    squared = weight @ error**2 / total
    _, spread = _centred(pairs.truth[None], weight)
    columns = [
        weight @ np.abs(error) / total,
        np.sqrt(squared),
        1 - squared / (spread / total),
        _correlation(pairs.truth[None], pairs.predicted[None], weight),
        _correlation(_ranks(pairs.truth, weight), _ranks(pairs.predicted, weight), weight),
    ]
    return np.stack(columns, axis=1)


def _ranks(
    values: Float[np.ndarray, " n"], weight: Float[np.ndarray, "resamples n"]
) -> Float[np.ndarray, "resamples n"]:
    """Mean rank of each value among copies as many as its weight."""
    order = np.argsort(values, kind="stable")
    _, first, place = np.unique(values[order], return_index=True, return_inverse=True)
    count = np.add.reduceat(weight[:, order], first, axis=1)
    ranks = np.empty_like(weight)
    ranks[:, order] = (np.cumsum(count, axis=1) - (count - 1) / 2)[:, place.ravel()]
    return ranks


def _correlation(
    a: Float[np.ndarray, "rows n"], b: Float[np.ndarray, "rows n"], weight: Float[np.ndarray, "resamples n"]
) -> Float[np.ndarray, " resamples"]:
    """Weighted correlation; NaN where one of the two does not vary."""
    (a, of_a), (b, of_b) = _centred(a, weight), _centred(b, weight)
    return (weight * a * b).sum(1) / np.sqrt(of_a * of_b)


def _centred(
    values: Float[np.ndarray, "rows n"], weight: Float[np.ndarray, "resamples n"]
) -> tuple[Float[np.ndarray, "resamples n"], Float[np.ndarray, " resamples"]]:
    """Deviations from the weighted mean, and the sum of their squares; NaN where that is rounding alone."""
    deviation = values - (weight * values).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
    squares = (weight * deviation**2).sum(1)
    return deviation, np.where(squares > ROUNDING * (weight * values**2).sum(1), squares, np.nan)
