"""Who stands nearest to whom: purity of neighbourhoods, and hubs."""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist
from scipy.stats import skew

from prismat.errors import BadInputError

_DISTANCES_AT_ONCE = 4_000_000


def nearest(
    vectors: Float[np.ndarray, "n dim"], k: int, groups: Int[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, "n k"]:
    """The k nearest other records by Euclidean distance, −1 where there are fewer; ties by row.

    Args:
        vectors: of the records.
        k: neighbours wanted.
        groups: records of one group are no neighbours of each other; each by itself where left out.

    Raises:
        BadInputError: k outside 1 to n − 1.
    """
    n = len(vectors)
    if not 1 <= k < n:
        raise BadInputError(f"{k} neighbours of {n} records", field="k", remedy=f"Use 1 to {n - 1}.")
    groups, found = np.arange(n) if groups is None else groups, []
    step = max(1, _DISTANCES_AT_ONCE // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        distance = cdist(vectors[rows], vectors)
        distance[groups[rows][:, None] == groups[None]] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        found.append(np.where(np.isfinite(np.take_along_axis(distance, order, axis=1)), order, -1))
    return np.concatenate(found)


def purity(neighbours: Int[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Share of each record's neighbours that are of its class; NaN without neighbours."""
    there = neighbours >= 0
    same = there & (labels[neighbours] == labels[:, None])
    counts = there.sum(axis=1)
    return np.where(counts > 0, same.sum(axis=1) / np.maximum(counts, 1), np.nan)


def hubness(neighbours: Int[np.ndarray, "n k"]) -> float:
    """Skewness of how often each is among the k nearest of others (Radovanović et al., JMLR 11 (2010))."""
    counts = np.bincount(neighbours[neighbours >= 0], minlength=len(neighbours)).astype(np.float64)
    return float(skew(counts)) if counts.std() > 0 else 0.0
