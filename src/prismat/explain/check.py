"""Deletion and insertion curves: does the score fall as an attribution says it should?

V. Petsiuk, A. Das and K. Saenko, RISE, BMVC 2018; against orders drawn at random rather than against a
threshold, since the score of a match has no scale of its own.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.explain.explanation import Curves
from prismat.explain.side import Side, Target, score_kept

ORDERS, POINTS = 20, 10
"""Random orders, and steps of a curve."""


def curves(
    side: Side,
    target: Target,
    values: Float[np.ndarray, " parts"],
    orders: int = ORDERS,
    points: int = POINTS,
    seed: int = 0,
) -> Curves:
    """Curves of an attribution and of random orders.

    Args:
        side: what is explained.
        target: its score.
        values: attribution of every part.
        orders: random orders.
        points: steps of each curve, fewer where there are fewer parts.
        seed: of the random orders.
    """
    return many_curves(side, target, [values], orders, points, seed)[0]


def many_curves(
    side: Side,
    target: Target,
    attributions: list[Float[np.ndarray, " parts"]],
    orders: int = ORDERS,
    points: int = POINTS,
    seed: int = 0,
) -> list[Curves]:
    """Curves of several attributions of one side against the same random orders, in one batch."""
    n = len(side)
    counts = steps_of(n, points)
    ranked = np.stack([np.argsort(-values, kind="stable") for values in attributions])
    drawn = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (orders, 1)), axis=1)
    # Keeping the first k of an order and deleting the last n − k of it are one subset.
    deleted = ~first_of(np.concatenate([ranked, drawn]), counts)
    inserted = first_of(np.concatenate([ranked, drawn[:, ::-1]]), counts)
    flat = score_kept(side, target, np.concatenate([deleted, inserted]).reshape(-1, n))
    deletion, insertion = flat.reshape(2, -1, len(counts))
    share, m = counts / n, len(attributions)
    return [Curves(share, deletion[i], insertion[i], deletion[m:], insertion[m:]) for i in range(len(ranked))]


def steps_of(parts: int, points: int) -> Int[np.ndarray, " steps"]:
    """How many parts are gone at each step, from none to all; symmetric, so that subsets serve twice."""
    half = np.round(np.linspace(0, parts, min(points, parts) + 1)).astype(np.int64)
    return np.unique(np.concatenate([half, parts - half]))


def first_of(
    order: Int[np.ndarray, "orders parts"], counts: Int[np.ndarray, " steps"]
) -> Bool[np.ndarray, "orders steps parts"]:
    """Which parts are among the first ``counts`` of each order."""
    rank = np.argsort(order, axis=1)
    return rank[:, None, :] < counts[None, :, None]
