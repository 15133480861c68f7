"""From scored parts to a ranking: weighted sum, fronts, and which wishes are at odds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.design.pareto import hypervolume, pareto_front, pareto_ranks
from prismat.tasks.design.parts import Part
from prismat.tasks.regression import regression_metrics

MOST_COMPARED = 4_000
RESAMPLES = 300
DRAWN_FRONT = 60
"""Points of a front of which the hypervolume is taken, those with the largest sums."""


@dataclass(frozen=True, eq=False)
class Screened:
    """A ranking.

    Attributes:
        order: the candidates that pass, best first.
        total: weighted mean of the scores of every candidate.
        scores: of the parts, shape (candidates, parts).
        ranks: front of each of the first k of ``order`` among all that pass, from 1.
        front: all candidates on the first front, by falling total.
        conflicts: Spearman's correlation of two parts' scores over those that pass, with its interval.
        covered: hypervolume that the first k reach, as a share of what the whole first front reaches.
    """

    order: Int[np.ndarray, " passing"]
    total: Float[np.ndarray, " candidates"]
    scores: Float[np.ndarray, "candidates parts"]
    ranks: Int[np.ndarray, " k"]
    front: Int[np.ndarray, " some"]
    conflicts: dict[tuple[str, str], tuple[float, float, float]]
    covered: float

    @property
    def at_odds(self) -> list[tuple[str, str]]:
        """Parts whose scores are anticorrelated, with the whole interval below 0."""
        return [pair for pair, (_, _, high) in self.conflicts.items() if high < 0]


def screen(
    parts: Sequence[Part],
    weights: Sequence[float],
    passing: Bool[np.ndarray, " candidates"],
    k: int = 20,
    seed: int = 0,
) -> Screened:
    """Ranks the candidates that pass by the weighted mean of their scores.

    A candidate that dominates another one has the larger weighted mean, so that the fronts of the first k are
    found among themselves. Fronts are of the scores: ranges that are met for sure are all equally good.

    Args:
        parts: scored.
        weights: in the same order, positive.
        passing: which candidates meet the hard conditions.
        k: results wanted.
        seed: of the resampling.

    Raises:
        BadInputError: nothing passes, or k is below 1.
    """
    rows = np.flatnonzero(passing)
    if not len(rows) or k < 1:
        raise BadInputError(
            f"{len(rows)} candidates pass and {k} are wanted",
            field="design",
            remedy="Loosen the conditions (records without a value of a filtered property do not pass).",
        )
    scores = np.stack([p.scores for p in parts], axis=1)
    total = scores @ (np.asarray(weights) / np.sum(weights))
    order = rows[np.argsort(-total[rows], kind="stable")]
    front = rows[pareto_front(scores[rows])]
    front = front[np.argsort(-total[front], kind="stable")]
    best = order[:k]
    whole = hypervolume(scores[front[:DRAWN_FRONT]])
    covered = hypervolume(scores[best[:DRAWN_FRONT]]) / whole if whole > 0 else 1.0
    return Screened(
        order=order,
        total=total,
        scores=scores,
        ranks=pareto_ranks(scores[best]),
        front=front,
        conflicts=_conflicts(parts, rows, seed),
        covered=min(covered, 1.0),
    )


def _conflicts(
    parts: Sequence[Part], rows: Int[np.ndarray, " passing"], seed: int
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Rank correlation of every two parts over the candidates that pass, a random part of very many."""
    if len(rows) > MOST_COMPARED:
        rows = np.random.default_rng(seed).choice(rows, size=MOST_COMPARED, replace=False)
    if len(rows) < 3:
        return {}
    found = {}
    for a, b in combinations(parts, 2):
        measured = regression_metrics(a.scores[rows], b.scores[rows], resamples=RESAMPLES, seed=seed)
        found[a.name, b.name] = measured["spearman"]
    return found
