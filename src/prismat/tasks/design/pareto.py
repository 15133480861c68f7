"""Trade-offs between several scores: non-dominated sorting and hypervolume. Larger scores are better."""

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError

_BLOCK = 2_000_000


def pareto_front(scores: Float[np.ndarray, "n parts"]) -> Bool[np.ndarray, " n"]:
    """Which points no other point dominates: at least as good in every part, and better in one.

    Points are taken by falling sum; each strikes out what it dominates, so that the cost is n times the
    points of the front. Equal points are on the front together.

    Raises:
        BadInputError: a score that is not finite.
    """
    _check(scores)
    left = np.argsort(-scores.sum(axis=1), kind="stable")
    front = np.zeros(len(scores), dtype=bool)
    while len(left):
        best = scores[left[0]]
        here = scores[left]
        equal = (here == best).all(axis=1)
        front[left[equal]] = True
        left = left[~(here <= best).all(axis=1)]
    # Sums round: a point may come before one that dominates it by less than that.
    chosen = np.flatnonzero(front)
    return _of(len(scores), chosen[~_dominated(scores[chosen])])


def pareto_ranks(scores: Float[np.ndarray, "n parts"]) -> Int[np.ndarray, " n"]:
    """Front of every point: 1 for those that none dominates, 2 for those that only these dominate, and so on.

    Non-dominated sorting of Deb et al., IEEE Trans. Evol. Comput. 6 (2002) 182.

    Raises:
        BadInputError: a score that is not finite.
    """
    _check(scores)
    ranks, left, number = np.zeros(len(scores), dtype=np.int64), np.arange(len(scores)), 0
    while len(left):
        number += 1
        front = pareto_front(scores[left])
        ranks[left[front]] = number
        left = left[~front]
    return ranks


def hypervolume(scores: Float[np.ndarray, "n parts"]) -> float:
    """Volume between the origin and what the points dominate, of scores from 0 (Zitzler & Thiele, 1999).

    Exact, slice by slice along the last part; meant for tens of points.

    Raises:
        BadInputError: a score that is negative or not finite.
    """
    _check(scores)
    if (scores < 0).any():
        raise BadInputError("a negative score", field="hypervolume", remedy="Give scores from 0.")
    return _volume(scores[pareto_front(scores)]) if len(scores) else 0.0


def _volume(points: Float[np.ndarray, "n parts"]) -> float:
    if points.shape[1] == 1:
        return float(points.max(initial=0.0))
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1] - np.append(points[1:, -1], 0.0)
    slices = (
        h * _volume(points[: i + 1, :-1][pareto_front(points[: i + 1, :-1])])
        for i, h in enumerate(heights)
        if h > 0
    )
    return float(sum(slices))


def _dominated(scores: Float[np.ndarray, "n parts"]) -> Bool[np.ndarray, " n"]:
    """Which points some other point dominates, by blocks of pairs."""
    step = max(1, _BLOCK // max(1, scores.size))
    found = []
    for block in (scores[i : i + step] for i in range(0, len(scores), step)):
        above = np.all(scores >= block[:, None], axis=-1) & np.any(scores > block[:, None], axis=-1)
        found.append(np.any(above, axis=1))
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


def _of(count: int, rows: np.ndarray) -> Bool[np.ndarray, " n"]:
    found = np.zeros(count, dtype=bool)
    found[rows] = True
    return found


def _check(scores: np.ndarray) -> None:
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise BadInputError(
            "scores that are not finite", field="pareto", remedy="Leave out records without a score."
        )
