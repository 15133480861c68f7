"""Batches of records to measure next, by strategy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular

from prismat.tasks.active.acquisition import farthest, improvement, upper_bound
from prismat.tasks.active.gaussian_process import GaussianProcess, Hyper, fit, matern
from prismat.tasks.active.goals import Goal

Strategy = Literal[
    "random", "greedy", "expected_improvement", "upper_bound", "uncertainty", "diversity", "thompson"
]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
WITHOUT_MODEL = ("random", "diversity")
"""Strategies that learn nothing from the values."""
DRAWN = 400
"""Candidates of which Thompson sampling draws joint functions."""


@dataclass(frozen=True, eq=False)
class Situation:
    """What is known when a batch is chosen.

    Attributes:
        squared: squared distances within the pool, shape (pool, pool).
        measured: records with a known value.
        values: their values.
        goal: what is looked for.
        hyper: where the search for hyper-parameters starts.
        iterations: of that search; few, as each round starts where the one before ended.
    """

    squared: Float[np.ndarray, "pool pool"]
    measured: Int[np.ndarray, " known"]
    values: Float[np.ndarray, " known"]
    goal: Goal
    hyper: Hyper | None = None
    iterations: int = 6

    @property
    def candidates(self) -> Int[np.ndarray, " n"]:
        """Records whose value is not known, ascending."""
        return np.setdiff1d(np.arange(len(self.squared)), self.measured)


def choose(
    strategy: Strategy, situation: Situation, count: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " count"], Hyper | None]:
    """The records to measure next, best first, and the hyper-parameters found on the way.

    Args:
        strategy: how.
        situation: what is known.
        count: size of the batch; less where fewer are left.
        rng: of the random strategies.
    """
    left = situation.candidates
    count = min(count, len(left))
    if strategy == "random":
        return rng.choice(left, size=count, replace=False), situation.hyper
    among, known = situation.squared, situation.measured
    if strategy == "diversity":
        found = farthest(among[np.ix_(known, left)], among[np.ix_(left, left)], count)
        return left[found], situation.hyper
    process = fit(among[np.ix_(known, known)], situation.values, situation.hyper, situation.iterations)
    if strategy == "thompson":
        return _thompson(process, situation, count, rng), process.hyper
    return left[_believer(strategy, process, situation, left, count)], process.hyper


def _scorer(
    strategy: Strategy, goal: Goal
) -> Callable[[Float[np.ndarray, " n"], Float[np.ndarray, " n"], float], Float[np.ndarray, " n"]]:
    """Score of mean, deviation and best utility so far."""
    if strategy == "greedy":
        return lambda mean, _, __: goal.utility(mean)
    if strategy == "uncertainty":
        return lambda _, deviation, __: deviation
    if strategy == "upper_bound":
        return lambda mean, deviation, _: upper_bound(goal, mean, deviation)
    return lambda mean, deviation, best: improvement(goal, mean, deviation, best)


def _believer(
    strategy: Strategy,
    process: GaussianProcess,
    situation: Situation,
    left: Int[np.ndarray, " n"],
    count: int,
) -> Int[np.ndarray, " count"]:
    """A batch one by one, each choice believed to turn out as predicted (the kriging believer).

    Ginsbourger, Le Riche and Carraro (2010): believing the mean leaves all means as they are and takes the
    variance that a measurement there would take (as in Desautels et al., JMLR 15 (2014) 4053).
    """
    score, goal, hyper = _scorer(strategy, situation.goal), situation.goal, process.hyper
    cross = matern(situation.squared[np.ix_(situation.measured, left)], hyper)
    rows = np.empty((len(cross) + count, len(left)))
    rows[: len(cross)] = solve_triangular(process.factor, cross, lower=True)
    mean = process.mean + process.scale * (cross.T @ process.weights)
    variance = hyper.signal - (rows[: len(cross)] ** 2).sum(0)
    best = float(goal.utility(situation.values).max())
    free, chosen = np.ones(len(left), dtype=bool), np.empty(count, dtype=np.int64)
    for place in range(count):
        found = score(mean, process.scale * np.sqrt(variance.clip(min=0)), best)
        # Among equals, such as expected improvements that underflow, the higher mean goes first.
        order = np.lexsort((goal.utility(mean), np.where(free, found, -np.inf)))
        pick = chosen[place] = order[-1]
        free[pick], best = False, max(best, float(goal.utility(mean[pick : pick + 1])[0]))
        known = len(cross) + place
        line = matern(situation.squared[left[pick], left][None], hyper)[0] - rows[:known, pick] @ rows[:known]
        rows[known] = line / np.sqrt(max(float(line[pick]), 0.0) + hyper.noise)
        variance = variance - rows[known] ** 2
    return chosen


def _thompson(
    process: GaussianProcess, situation: Situation, count: int, rng: np.random.Generator
) -> Int[np.ndarray, " count"]:
    """For each place of the batch the best record of one function drawn from the process (Thompson, 1933).

    Functions are drawn over a random part of the candidates, as their covariance costs n³.
    """
    left = situation.candidates
    part = rng.choice(left, size=min(max(DRAWN, 2 * count), len(left)), replace=False)
    cross = matern(situation.squared[np.ix_(situation.measured, part)], process.hyper)
    inner = solve_triangular(process.factor, cross, lower=True)
    covariance = matern(situation.squared[np.ix_(part, part)], process.hyper) - inner.T @ inner
    covariance[np.diag_indices_from(covariance)] += 1e-8 * process.hyper.signal
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(min=0))
    drawn = (cross.T @ process.weights)[:, None] + root @ rng.standard_normal((len(part), count))
    utility = situation.goal.utility((process.mean + process.scale * drawn).ravel()).reshape(drawn.shape)
    chosen = np.empty(count, dtype=np.int64)
    for place in range(count):
        chosen[place] = utility[:, place].argmax()
        utility[chosen[place]] = -np.inf
    return part[chosen]
