"""How compact classes are and how far apart: silhouette and Davies–Bouldin index."""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from prismat.errors import BadInputError

_DISTANCES_AT_ONCE = 4_000_000


def silhouettes(
    vectors: Float[np.ndarray, "n dim"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """(b − a) / max(a, b) of every record (Rousseeuw, J. Comput. Appl. Math. 20, 53 (1987)).

    a is the mean Euclidean distance to the others of its class, b the least mean distance to another class; 0
    for a record alone in its class. Memory is bounded, a block of rows at a time.

    Raises:
        BadInputError: fewer than two classes.
    """
    classes, member, counts = _classes(vectors, labels)
    indicator = np.zeros((len(member), len(classes)))
    indicator[np.arange(len(member)), member] = 1
    values = np.empty(len(member))
    step = max(1, _DISTANCES_AT_ONCE // len(member))
    for start in range(0, len(member), step):
        rows = slice(start, start + step)
        sums = cdist(vectors[rows], vectors) @ indicator
        own = np.arange(len(sums)), member[rows]
        within = sums[own] / np.maximum(counts[member[rows]] - 1, 1)
        means = sums / counts
        means[own] = np.inf
        between = means.min(axis=1)
        width = (between - within) / np.maximum(np.maximum(within, between), 1e-300)
        values[rows] = np.where(counts[member[rows]] > 1, width, 0.0)
    return values


def davies_bouldin(vectors: Float[np.ndarray, "n dim"], labels: Int[np.ndarray, " n"]) -> float:
    """Mean over classes of the worst (s_i + s_j) / d_ij; smaller is better.

    s is the mean distance to the class's centroid, d the distance of centroids (Davies & Bouldin, IEEE TPAMI
    1, 224 (1979)). Classes with one centroid count as infinitely far from one another.

    Raises:
        BadInputError: fewer than two classes.
    """
    classes, member, counts = _classes(vectors, labels)
    centroids = np.zeros((len(classes), vectors.shape[1]))
    np.add.at(centroids, member, vectors.astype(np.float64))
    centroids /= counts[:, None]
    spread = np.bincount(member, np.linalg.norm(vectors - centroids[member], axis=1)) / counts
    apart = cdist(centroids, centroids)
    ratio = np.divide(spread[:, None] + spread[None], apart, out=np.zeros_like(apart), where=apart > 1e-12)
    return float(ratio.max(axis=1).mean())


def _classes(
    vectors: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, Int[np.ndarray, " n"], Int[np.ndarray, " classes"]]:
    classes, member, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2 or len(vectors) != len(labels):
        raise BadInputError(
            f"{len(classes)} classes among {len(vectors)} records",
            field="labels",
            remedy="Give one label per record, two classes at least.",
        )
    return classes, member.ravel(), counts
