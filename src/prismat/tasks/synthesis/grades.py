"""How well a recipe fits a target whose own recipes are known: shared precursors and likeness of target."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from prismat.tasks.synthesis.composition import composition_similarity

REACH = 0.8
"""Similarity of compositions from which on a target counts as alike."""
DEPTH = 50
"""Ranks that are looked at."""

Sets = Sequence[frozenset[str]]


def jaccard(one: Sets, other: Sets) -> Float[np.ndarray, "one other"]:
    """Shared members of two sets as a part of all members of both; 0 where both are empty."""
    names = {name: i for i, name in enumerate(sorted(set().union(*one, *other)))}
    left, right = _indicator(one, names), _indicator(other, names)
    shared = np.asarray((left @ right.T).todense(), dtype=np.float64)
    sizes = [np.array([len(s) for s in sets], dtype=np.float64) for sets in (one, other)]
    return shared / np.maximum(sizes[0][:, None] + sizes[1][None, :] - shared, 1.0)


def _indicator(sets: Sets, names: dict[str, int]) -> csr_matrix:
    columns = [names[name] for members in sets for name in members]
    ends = np.cumsum([0, *(len(members) for members in sets)])
    return csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(sets), len(names)))


def precursor_gains(own: Sequence[Sets], gallery: Sets) -> Float[np.ndarray, "queries gallery"]:
    """Best Jaccard index of a recipe's precursors with those of any of a target's own recipes, 0 … 1.

    Args:
        own: precursors of each of its own recipes, for every target.
        gallery: precursors of each recipe that is ranked.
    """
    first = np.cumsum([0, *(len(sets) for sets in own)])[:-1]
    every = jaccard([members for sets in own for members in sets], gallery)
    return np.maximum.reduceat(every, first, axis=0)


def target_gains(
    queries: Float[np.ndarray, "queries elements"], gallery: Float[np.ndarray, "gallery elements"]
) -> Float[np.ndarray, "queries gallery"]:
    """max(0, (s − 0.8) / 0.2) of the similarity s of two compositions, 0 … 1."""
    similarity = composition_similarity(queries, gallery)
    return np.clip((similarity - REACH) / (1 - REACH), 0.0, 1.0)


def graded(
    precursors: Float[np.ndarray, "queries gallery"], targets: Float[np.ndarray, "queries gallery"]
) -> Float[np.ndarray, "queries gallery"]:
    """Grade of every recipe for every target, 0 … 1: half for its precursors, half for its own target.

    g(q, r) = ½ max_t J(P_r, P_t) + ½ max(0, (s(x_q, x_r) − 0.8) / 0.2), where t runs over the known recipes
    of target q, P are sets of precursor formulas, J(A, B) = |A ∩ B| / |A ∪ B|, x are atomic fractions and
    s(x, y) = Σ √(x_e y_e).
    """
    return (precursors + targets) / 2


def best_first(
    scores: Float[np.ndarray, "queries gallery"], gains: Float[np.ndarray, "queries gallery"], k: int = DEPTH
) -> Int[np.ndarray, "queries k"]:
    """The k best items of every query in order.

    Among equal scores the smallest gain comes first: ties count against a model, as everywhere.
    """
    k = min(k, scores.shape[1])
    order = np.empty((len(scores), k), dtype=np.int64)
    for query, (row, gain) in enumerate(zip(scores, gains, strict=True)):
        least = np.partition(row, len(row) - k)[len(row) - k]
        likely = np.flatnonzero(row >= least)
        order[query] = likely[np.lexsort((gain[likely], -row[likely]))][:k]
    return order


def ndcg_curve(
    order: Int[np.ndarray, "queries k"], gains: Float[np.ndarray, "queries gallery"]
) -> Float[np.ndarray, "queries k"]:
    """Normalised DCG at every cutoff up to the length of an order from :func:`best_first`.

    The same figure as :func:`prismat.tasks.retrieval.ndcg` at one cutoff.
    """
    k = order.shape[1]
    discount = 1 / np.log2(np.arange(2, k + 2))
    found = np.take_along_axis(gains, order, axis=1) * discount
    best = -np.sort(-np.partition(gains, gains.shape[1] - k, axis=1)[:, -k:], axis=1) * discount
    return np.cumsum(found, axis=1) / np.cumsum(best, axis=1)
