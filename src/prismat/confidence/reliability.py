"""How well probabilities fit what happened: reliability diagram, calibration error, Brier score, log loss.

Brier, Mon. Weather Rev. 78, 1 (1950); Naeini et al., AAAI (2015); Nixon et al., CVPR Workshops (2019).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import bootstrap_means, interval, resample_counts

BINS = 10
RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram and its figures.

    Attributes:
        predicted: mean probability in each bin of equal counts.
        observed: share that was right in each bin.
        low: lower end of the 95 % interval of ``observed``.
        high: upper end.
        counts: rows in each bin.
        figures: by name ``ece``, ``brier``, ``log_loss``: value, lower and upper end.
    """

    predicted: Float[np.ndarray, " bins"]
    observed: Float[np.ndarray, " bins"]
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    counts: Int[np.ndarray, " bins"]
    figures: dict[str, tuple[float, float, float]]


def equal_count_bins(probability: Float[np.ndarray, " rows"], bins: int = BINS) -> Int[np.ndarray, " rows"]:
    """Bin of each row; equal probabilities share a bin, so that there may be fewer bins."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, probability, side="right"), return_inverse=True)[1].ravel()


def calibration_error(
    probability: Float[np.ndarray, " rows"], right: Bool[np.ndarray, " rows"], bins: int = BINS
) -> float:
    """Expected calibration error Σ_b n_b/n · |mean p − share right| over bins of equal counts."""
    member = equal_count_bins(probability, bins)
    gap = np.bincount(member, probability - right)
    return float(np.abs(gap).sum() / len(right))


def reliability(
    probability: Float[np.ndarray, " rows"],
    right: Bool[np.ndarray, " rows"],
    groups: Int[np.ndarray, " rows"] | None = None,
    bins: int = BINS,
    seed: int = 0,
) -> Reliability:
    """The diagram with intervals by a bootstrap over groups; the bins stay those of all rows.

    Args:
        probability: foretold.
        right: what happened.
        groups: of each row, drawn as wholes; each row by itself where left out.
        bins: of equal counts.
        seed: of the resampling.

    Raises:
        BadInputError: nothing to judge, lengths that differ, or a probability outside [0, 1].
    """
    _check(probability, right)
    member = equal_count_bins(probability, bins)
    counts = np.bincount(member)
    ece, low, high = _resampled(probability, right, groups, member, seed)
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    losses = np.stack([(probability - right) ** 2, -np.where(right, np.log(p), np.log1p(-p))], axis=1)
    means = bootstrap_means(losses, groups, RESAMPLES, seed)
    figures = {
        name: (float(losses[:, i].mean()), *interval(means[:, i]))
        for i, name in enumerate(("brier", "log_loss"))
    }
    figures["ece"] = (calibration_error(probability, right, bins), *ece)
    return Reliability(
        predicted=np.bincount(member, probability) / counts,
        observed=np.bincount(member, right.astype(np.float64)) / counts,
        low=low,
        high=high,
        counts=counts.astype(np.int64),
        figures=figures,
    )


def _resampled(
    probability: np.ndarray, right: np.ndarray, groups: np.ndarray | None, member: np.ndarray, seed: int
) -> tuple[tuple[float, float], np.ndarray, np.ndarray]:
    """Interval of the calibration error, and ends of the share right in each bin."""
    owner = np.arange(len(right)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    bins, clusters = int(member.max()) + 1, int(owner.max()) + 1
    sums = np.zeros((clusters, 3 * bins))
    for column, values in enumerate((np.ones(len(right)), probability, right.astype(np.float64))):
        np.add.at(sums, (owner, column * bins + member), values)
    errors, shares = [], []
    for drawn in resample_counts(clusters, RESAMPLES, seed):
        count, mass, hits = np.split(drawn.astype(np.float64) @ sums, 3, axis=1)
        errors.append(np.abs(mass - hits).sum(1) / count.sum(1))
        shares.append(np.where(count > 0, hits / np.maximum(count, 1e-12), np.nan))
    low, high = np.nanquantile(np.concatenate(shares), [0.025, 0.975], axis=0)
    return interval(np.concatenate(errors)), low, high


def _check(probability: np.ndarray, right: np.ndarray) -> None:
    if not len(right) or len(probability) != len(right):
        raise BadInputError(
            f"{len(probability)} probabilities and {len(right)} outcomes",
            field="reliability",
            remedy="Give one of each per row, for one row at least.",
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise BadInputError("a probability is outside 0 to 1", field="reliability", remedy="Calibrate first.")
