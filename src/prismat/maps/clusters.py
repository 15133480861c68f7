"""Clusters of vectors: k-means with careful seeding.

Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA (2007) 1027; Lloyd, IEEE Trans.
Inf. Theory 28 (1982) 129. The world map of CLaSP (Suzuki et al., 2024, section 4.3) has 20 of them, made of
the vectors and not of their places on the map.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which cluster each vector is in.

    Attributes:
        labels: from 0, the largest cluster first, shape (n,).
        centres: mean vectors, shape (clusters, dim).
        inertia: sum of squared distances to them.
    """

    labels: Int[np.ndarray, " n"]
    centres: Float[np.ndarray, "clusters dim"]
    inertia: float


def kmeans(
    vectors: Float[np.ndarray, "n dim"], count: int, seed: int = 0, starts: int = 4, iterations: int = 100
) -> Clustering:
    """The best of several runs of k-means++.

    Args:
        vectors: what to divide.
        count: clusters wanted; as many as there are distinct vectors at most.
        seed: of the draws.
        starts: runs.
        iterations: of each run at most.

    Raises:
        BadInputError: fewer than one cluster, or more than vectors.
    """
    if not 1 <= count <= len(vectors):
        raise BadInputError(
            f"{count} clusters of {len(vectors)} records",
            field="clusters",
            remedy="Give a number from 1 to that of the records.",
        )
    rng = np.random.default_rng(seed)
    found = [_lloyd(vectors, _seeds(vectors, count, rng), iterations) for _ in range(starts)]
    best = min(found, key=lambda c: c.inertia)
    order = np.argsort(-np.bincount(best.labels, minlength=len(best.centres)), kind="stable")
    return Clustering(np.argsort(order, kind="stable")[best.labels], best.centres[order], best.inertia)


def squared_distances(
    vectors: Float[np.ndarray, "n dim"], centres: Float[np.ndarray, "clusters dim"]
) -> Float[np.ndarray, "n clusters"]:
    """Squared Euclidean distance of each vector to each centre."""
    lengths = np.einsum("ij,ij->i", vectors, vectors)[:, None] + np.einsum("ij,ij->i", centres, centres)
    return np.maximum(lengths - 2 * vectors @ centres.T, 0)


def _seeds(vectors: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors drawn one after the other, likelier the farther they are from those before."""
    chosen = [int(rng.integers(len(vectors)))]
    nearest = squared_distances(vectors, vectors[chosen])[:, 0]
    while len(chosen) < count and nearest.sum() > 1e-12:
        trials = rng.choice(len(vectors), size=2 + int(np.log(count)), p=nearest / nearest.sum())
        distances = np.minimum(nearest[:, None], squared_distances(vectors, vectors[trials]))
        best = int(distances.sum(axis=0).argmin())
        chosen.append(int(trials[best]))
        nearest = distances[:, best]
    return vectors[chosen].copy()


def _lloyd(vectors: np.ndarray, centres: np.ndarray, iterations: int) -> Clustering:
    labels = np.full(len(vectors), -1)
    for _ in range(iterations):
        new = squared_distances(vectors, centres).argmin(axis=1)
        if np.array_equal(new, labels):
            break
        labels = new
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, vectors)
        counts = np.bincount(labels, minlength=len(centres))[:, None]
        # A cluster that lost all its members stays where it was.
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    inertia = ((vectors - centres[labels]) ** 2).sum()
    kept, labels = np.unique(labels, return_inverse=True)
    return Clustering(labels, centres[kept], float(inertia))
