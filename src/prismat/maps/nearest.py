"""Nearest neighbours by inner product or distance, in blocks of rows, exact."""

import numpy as np
from jaxtyping import Float, Int

_CELLS = 20_000_000


def nearest(
    queries: Float[np.ndarray, "queries dim"],
    reference: Float[np.ndarray, "records dim"],
    k: int,
    skip_own: bool = False,
) -> tuple[Int[np.ndarray, "queries k"], Float[np.ndarray, "queries k"]]:
    """The k nearest reference rows of each query, nearest first, and their Euclidean distances.

    Args:
        queries: vectors.
        reference: vectors among which neighbours are looked for.
        k: neighbours wanted; fewer where there are not so many.
        skip_own: query i is reference row i, which is no neighbour of its own.
    """
    k = min(k, len(reference) - int(skip_own))
    length = np.einsum("ij,ij->i", reference, reference)
    step = max(1, _CELLS // max(len(reference), 1))
    rows, distances = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k))
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        squared = length - 2 * part @ reference.T
        if skip_own:
            squared[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        # Ties are broken by row, so that the answer does not depend on the block's size.
        found = np.argpartition(squared, k - 1, axis=1)[:, :k] if k < squared.shape[1] else _all(squared)
        values = np.take_along_axis(squared, found, axis=1)
        order = np.lexsort((found, values), axis=1)
        rows[start : start + len(part)] = np.take_along_axis(found, order, axis=1)
        exact = np.take_along_axis(values, order, axis=1) + np.einsum("ij,ij->i", part, part)[:, None]
        distances[start : start + len(part)] = np.sqrt(np.maximum(exact, 0))
    return rows, distances


def _all(squared: np.ndarray) -> Int[np.ndarray, "queries records"]:
    return np.broadcast_to(np.arange(squared.shape[1]), squared.shape)
