"""How much of a space its map keeps, and how pure neighbourhoods are, in either.

Trustworthiness: Venna and Kaski, ICANN (2001) 485. Neighbours kept: Lee and Verleysen, Neurocomputing 72
(2009) 1431, their Q_NX at one k.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.maps.nearest import nearest

_CELLS = 20_000_000


def neighbours_kept(
    vectors: Float[np.ndarray, "n dim"], xy: Float[np.ndarray, "n plane"], k: int = 15
) -> Float[np.ndarray, " n"]:
    """Share of each point's k nearest neighbours in the space that are among its k nearest on the map."""
    there, _ = nearest(vectors, vectors, k, skip_own=True)
    here, _ = nearest(xy, xy, k, skip_own=True)
    return np.array([len(np.intersect1d(a, b)) / k for a, b in zip(there, here, strict=True)])


def trustworthiness(
    vectors: Float[np.ndarray, "n dim"], xy: Float[np.ndarray, "n plane"], k: int = 15
) -> float:
    """1 − 2 / (n k (2n − 3k − 1)) Σ_i Σ_j max(0, r(i, j) − k) over the k neighbours j of i on the map.

    r(i, j) is the rank of j among the neighbours of i in the space: 1 where all of them are true neighbours.
    """
    n = len(vectors)
    here, _ = nearest(xy, xy, k, skip_own=True)
    length = np.einsum("ij,ij->i", vectors, vectors)
    step, penalty = max(1, _CELLS // n), 0
    for start in range(0, n, step):
        part = slice(start, start + step)
        squared = length - 2 * vectors[part] @ vectors.T
        squared[np.arange(len(squared)), start + np.arange(len(squared))] = -np.inf
        order = squared.argsort(axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.broadcast_to(np.arange(n), order.shape), axis=1)
        penalty += np.maximum(np.take_along_axis(ranks, here[part], axis=1) - k, 0).sum()
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty)


def nearest_apart(
    vectors: Float[np.ndarray, "n dim"],
    groups: Int[np.ndarray, " n"],
    k: int = 15,
    pool: int = 400,
    rows: Int[np.ndarray, " some"] | None = None,
) -> Int[np.ndarray, "some k"]:
    """The k nearest neighbours of other groups, −1 where the pool of nearest ones holds fewer.

    Args:
        vectors: in the space or on a map.
        groups: records of one group are no neighbours, such as crystals of one paper.
        k: neighbours wanted.
        pool: nearest records that are looked through.
        rows: the records whose neighbours are wanted; all where None.
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    # A record comes first among its own neighbours, and is of its own group.
    found, _ = nearest(vectors[rows], vectors, pool + 1)
    other = groups[found] != groups[rows][:, None]
    order = np.argsort(~other, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(found, order, axis=1)
    return np.where(np.take_along_axis(other, order, axis=1), chosen, -1)


def purity(
    neighbours: Int[np.ndarray, "some k"],
    labels: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " some"] | None = None,
) -> Float[np.ndarray, " some"]:
    """Share of each point's neighbours that have its label; NaN for a point without label or neighbours.

    Args:
        neighbours: rows, −1 for none.
        labels: −1 where unknown; unknown neighbours do not count.
        rows: whose neighbours these are; of all points in order where None.
    """
    own = labels if rows is None else labels[rows]
    counted = (neighbours >= 0) & (labels[neighbours] >= 0)
    same = counted & (labels[neighbours] == own[:, None])
    total = counted.sum(axis=1)
    share = same.sum(axis=1) / np.maximum(total, 1)
    return np.where((own >= 0) & (total > 0), share, np.nan)


def word_purity(
    neighbours: Int[np.ndarray, "n k"], has: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " positives"]:
    """Of each point that has a word, the share of neighbours that have it too."""
    rows = neighbours[has]
    counted = rows >= 0
    return (counted & has[rows]).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
