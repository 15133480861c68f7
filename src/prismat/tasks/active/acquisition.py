"""How much each record promises, from a prediction with its uncertainty; larger is better."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from prismat.tasks.active.goals import Goal

OPTIMISM = 2.0
"""Standard deviations by which the upper confidence bound is optimistic."""

Numbers = Float[np.ndarray, " n"]


def expected_improvement(mean: Numbers, deviation: Numbers, best: float) -> Numbers:
    """E[max(0, f − best)] of f ~ N(mean, deviation²) = σ (z Φ(z) + φ(z)), z = (mean − best)/σ.

    Jones, Schonlau and Welch, J. Global Optim. 13 (1998) 455, equation 15. Without uncertainty it is
    max(0, mean − best).
    """
    safe = np.where(deviation > 0, deviation, 1.0)
    z = (mean - best) / safe
    gained = safe * (z * norm.cdf(z) + norm.pdf(z))
    return np.where(deviation > 0, gained.clip(min=0), np.maximum(mean - best, 0.0))


def probability_within(mean: Numbers, deviation: Numbers, low: float, high: float) -> Numbers:
    """P(low ≤ f ≤ high) of f ~ N(mean, deviation²); either end may be infinite."""
    safe = np.where(deviation > 0, deviation, 1.0)
    inside = norm.cdf((high - mean) / safe) - norm.cdf((low - mean) / safe)
    return np.where(deviation > 0, inside, ((mean >= low) & (mean <= high)).astype(np.float64))


def improvement(goal: Goal, mean: Numbers, deviation: Numbers, best: float) -> Numbers:
    """Expected improvement on the best utility; for a range the probability of lying in it."""
    if goal.kind == "range":
        return probability_within(mean, deviation, goal.low, goal.high)
    return expected_improvement(goal.utility(mean), deviation, best)


def upper_bound(goal: Goal, mean: Numbers, deviation: Numbers, optimism: float = OPTIMISM) -> Numbers:
    """Utility of the mean plus so many standard deviations (Srinivas et al., ICML 2010).

    For a range this is the straddle heuristic, σ-weighted closeness to its middle (Bryan et al., NIPS 2005).
    """
    return goal.utility(mean) + optimism * deviation


def farthest(
    squared: Float[np.ndarray, "known n"], among: Float[np.ndarray, "n n"], count: int
) -> Int[np.ndarray, " count"]:
    """Greedy k-centres: each time the record farthest from all known and chosen ones (Gonzalez, 1985).

    Args:
        squared: squared distances from known records to candidates.
        among: squared distances among candidates.
        count: how many to choose; at most as many as there are.
    """
    nearest = squared.min(axis=0)
    chosen = np.empty(min(count, len(nearest)), dtype=np.int64)
    for place in range(len(chosen)):
        chosen[place] = nearest.argmax()
        nearest = np.minimum(nearest, among[chosen[place]])
        nearest[chosen[: place + 1]] = -1
    return chosen
