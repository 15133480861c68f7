"""Bootstrap intervals over queries, or over clusters of queries that are not independent.

Percentile intervals after Efron and Tibshirani, An Introduction to the Bootstrap (1993); whole clusters are
drawn where queries share a composition or a publication (Cameron, Gelbach and Miller, Rev. Econ. Stat. 90
(2008) 414).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError

RESAMPLES = 10_000
_COUNTS_AT_ONCE = 4_000_000


def resample_counts(
    clusters: int, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[Int[np.ndarray, "chunk clusters"]]:
    """How often each cluster was drawn in each resample, a bounded number of resamples at a time."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _COUNTS_AT_ONCE // clusters)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)


def bootstrap_means(
    values: Float[np.ndarray, "queries metrics"],
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, "resamples metrics"]:
    """Mean of each metric over the queries of each resample."""
    cluster, n = _clusters(len(values), groups)
    sizes = np.bincount(cluster, minlength=n).astype(np.float64)
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, cluster, values)
    means = []
    for counts in resample_counts(n, resamples, seed):
        weight = counts.astype(np.float64)
        means.append((weight @ sums) / (weight @ sizes)[:, None])
    return np.concatenate(means)


def bootstrap_medians(
    values: Float[np.ndarray, " queries"],
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, " resamples"]:
    """Median over the queries of each resample; of an even number, the mean of the middle two."""
    cluster, n = _clusters(len(values), groups)
    order = np.argsort(values, kind="stable")
    ordered, owner = values[order], cluster[order]
    medians = []
    for counts in resample_counts(n, resamples, seed):
        below = np.cumsum(counts[:, owner], axis=1)
        total = below[:, -1:]
        low = (below <= (total - 1) // 2).sum(axis=1)
        high = (below <= total // 2).sum(axis=1)
        medians.append((ordered[low] + ordered[high]) / 2)
    return np.concatenate(medians)


def interval(samples: Float[np.ndarray, " resamples"], level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    a: Float[np.ndarray, " queries"],
    b: Float[np.ndarray, " others"],
    groups: Int[np.ndarray, " labels"] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float, float]:
    """Mean of a − b over the same queries with its 95 % interval.

    Args:
        a: value of each query under the first system, such as ``result.hits(10)``.
        b: the same queries, in the same order, under the second.
        groups: cluster of each query; each query by itself when not given.
        seed: of the resampling.
        resamples: number of bootstrap resamples.

    Returns:
        Mean, lower and upper end.

    Raises:
        BadInputError: the two have different lengths or are empty.
    """
    if len(a) != len(b):
        raise BadInputError(
            f"{len(a)} and {len(b)} values cannot be paired",
            field="b",
            remedy="Give the same queries to both.",
        )
    difference = a.astype(np.float64) - b.astype(np.float64)
    means = bootstrap_means(difference[:, None], groups, resamples, seed)[:, 0]
    return (float(difference.mean()), *interval(means))


def _clusters(queries: int, groups: np.ndarray | None) -> tuple[Int[np.ndarray, " queries"], int]:
    """Cluster number of each query, and how many there are."""
    if queries == 0:
        raise BadInputError("there are no queries", field="values", remedy="Give at least one.")
    if groups is None:
        return np.arange(queries), queries
    if len(groups) != queries:
        raise BadInputError(
            f"{len(groups)} groups for {queries} queries", field="groups", remedy="Give one per query."
        )
    numbers, cluster = np.unique(groups, return_inverse=True)
    return cluster.ravel(), len(numbers)
