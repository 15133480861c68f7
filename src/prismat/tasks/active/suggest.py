"""The next records to measure in earnest: those whose value a store lacks, given those that it has."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.errors import BadInputError
from prismat.tasks.active.campaign import standardised
from prismat.tasks.active.gaussian_process import fit, squared_distances
from prismat.tasks.active.goals import Goal
from prismat.tasks.active.strategies import WITHOUT_MODEL, Situation, Strategy, choose

MOST_KNOWN = 2_000
MOST_CANDIDATES = 4_000


@dataclass(frozen=True, eq=False)
class Suggestion:
    """Records to measure, best first.

    Attributes:
        rows: of the records.
        mean: predicted values.
        deviation: standard deviations of a new measurement there.
        known: values that the surrogate learnt from.
        candidates: records among which was chosen.
    """

    rows: Int[np.ndarray, " n"]
    mean: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]
    known: int
    candidates: int


def suggest(
    features: Float[np.ndarray, "records dim"],
    values: Float[np.ndarray, " records"],
    goal: Goal,
    count: int,
    strategy: Strategy = "expected_improvement",
    seed: int = 0,
) -> Suggestion:
    """The next records to measure among those without a value.

    Of very many records a random part is taken: at most 2,000 with a value and 4,000 without.

    Args:
        features: of all records.
        values: NaN where not known.
        goal: what is looked for.
        count: how many.
        strategy: how.
        seed: of what is drawn.

    Raises:
        BadInputError: fewer than two known values, no unknown one, or fewer than one record wanted.
    """
    known, open_ = np.flatnonzero(np.isfinite(values)), np.flatnonzero(np.isnan(values))
    if len(known) < 2 or not len(open_) or count < 1:
        raise BadInputError(
            f"{len(known)} records with a value, {len(open_)} without, {count} wanted",
            field="suggest",
            remedy="Two at least must have a value and one none; a simulated campaign needs no missing ones.",
        )
    rng = np.random.default_rng(seed)
    known, open_ = _part(known, MOST_KNOWN, rng), _part(open_, MOST_CANDIDATES, rng)
    rows = np.concatenate([known, open_])
    x = standardised(features[rows])
    squared, measured = squared_distances(x, x), np.arange(len(known))
    process = fit(squared[: len(known), : len(known)], values[known])
    situation = Situation(squared, measured, values[known], goal, process.hyper, iterations=0)
    chosen, _ = choose(strategy, situation, count, rng)
    mean, deviation = process.predict(squared[: len(known), chosen])
    total = np.hypot(deviation, process.noise)
    order = (
        np.argsort(-goal.utility(mean), kind="stable") if strategy in WITHOUT_MODEL else np.arange(len(mean))
    )
    return Suggestion(rows[chosen][order], mean[order], total[order], len(known), len(open_))


def _part(rows: Int[np.ndarray, " n"], most: int, rng: np.random.Generator) -> Int[np.ndarray, " some"]:
    """All rows, or so many drawn."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, size=most, replace=False))
