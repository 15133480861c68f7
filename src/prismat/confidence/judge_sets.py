"""Conformal sets on test queries: is the promised share reached, and how large are the sets?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import betabinom, binom

from prismat.confidence.conformal import Calibration, Nonconformity, best_right, set_sizes
from prismat.confidence.direction import CROWDING, DirectionConfidence, nonconformity_of_answers
from prismat.confidence.scored import Scored
from prismat.tasks.bootstrap import bootstrap_means, interval
from prismat.tasks.quality.classes import SYSTEMS

ALPHAS = (0.05, 0.1, 0.2)
RESAMPLES = 2_000


@dataclass(frozen=True)
class Coverage:
    """Coverage of the sets of one direction at one α.

    Attributes:
        alpha: share that may be missed.
        groups: test groups, of which one query each is counted.
        covered: of these, how many sets hold the answer.
        low: least count of the binomial 95 % interval around (1 − α) · groups.
        high: greatest count.
        expected_low: the same, the chance in the calibration queries counted in (beta-binomial).
        is_reached: whether ``covered`` is at least ``low``.
        by_group: mean over groups of the share covered, which is what is guaranteed.
        by_query: share of all test queries covered, with its 95 % interval.
        median: size of the sets.
        ninety: 90 % of the sets are no larger.
        top_k: size of the sets of equal size that reach the same on the same calibration queries.
    """

    alpha: float
    groups: int
    covered: int
    low: int
    high: int
    expected_low: int
    is_reached: bool
    by_group: float
    by_query: tuple[float, float, float]
    median: float
    ninety: float
    top_k: float


def one_per_group(clusters: Int[np.ndarray, " queries"], seed: int = 0) -> Int[np.ndarray, " groups"]:
    """One query of each group, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(clusters))
    return order[np.unique(clusters[order], return_index=True)[1]]


def group_mean(values: Float[np.ndarray, " queries"], clusters: Int[np.ndarray, " queries"]) -> float:
    """Mean over groups of the mean within each."""
    member = np.unique(clusters, return_inverse=True)[1].ravel()
    return float((np.bincount(member, values) / np.bincount(member)).mean())


@dataclass(frozen=True, eq=False)
class Made:
    """Sets of test queries, at any α and under any grouping.

    Attributes:
        own: calibration of the direction.
        test: the queries.
        systems: crystal system of every entry.
        values: nonconformity of every entry.
        columns: the best right entry of each query.
    """

    own: DirectionConfidence
    test: Scored
    systems: Int[np.ndarray, " entries"]
    values: Float[np.ndarray, "queries entries"]
    columns: Int[np.ndarray, " queries"]

    @classmethod
    def of(cls, own: DirectionConfidence, test: Scored, systems: Int[np.ndarray, " records"]) -> "Made":
        """Nonconformity is computed once."""
        columns = best_right(test.scores, test.relevant)
        return cls(own, test, systems[test.gallery], own.nonconformity.of_all(test.scores), columns)

    def covered(
        self, alpha: float, by: str | None
    ) -> tuple[Bool[np.ndarray, " queries"], Int[np.ndarray, " queries"]]:
        """Whether each query's set holds its answer, and the size of the set."""
        limits, _ = self.own.thresholds(self.test.scores, alpha, by, self.systems)
        rows = np.arange(len(self.test))
        limit = limits[rows, self.columns if limits.shape[1] > 1 else 0]
        # The best entry is always in the set.
        is_best = self.columns == self.test.scores.argmax(axis=1)
        return (self.values[rows, self.columns] <= limit) | is_best, set_sizes(self.values, limits)


def judge_sets(made: Made, rest: Scored) -> list[Coverage]:
    """Coverage and sizes at every α.

    Args:
        made: sets of test queries.
        rest: the validation queries that gave the thresholds, for the trivial top-k sets.
    """
    test = made.test
    rank = Nonconformity("rank")
    trivial = Calibration(nonconformity_of_answers(rest, rank), rest.clusters, np.full(len(rest), -1))
    drawn, found = one_per_group(test.clusters), []
    calibration_groups = len(np.unique(rest.clusters))
    for alpha in ALPHAS:
        inside, sizes = made.covered(alpha, None)
        count, share = int(inside[drawn].sum()), inside.astype(np.float64)
        low, high = (int(binom.ppf(q, len(drawn), 1 - alpha)) for q in (0.025, 0.975))
        rank_of = int(np.ceil((1 - alpha) * (calibration_groups + 1)))
        both = betabinom(len(drawn), rank_of, max(calibration_groups + 1 - rank_of, 1))
        means = bootstrap_means(share[:, None], test.clusters, RESAMPLES)[:, 0]
        found.append(
            Coverage(
                alpha, len(drawn), count, low, high, int(both.ppf(0.025)), count >= low,
                group_mean(share, test.clusters), (float(share.mean()), *interval(means)),
                float(np.median(sizes)), float(np.quantile(sizes, 0.9)),
                float(min(trivial.threshold(alpha)[0], test.scores.shape[1])),
            )
        )  # fmt: skip
    return found


def judge_groups(made: Made, alpha: float = 0.1) -> list[dict]:
    """Coverage within the groups of each taxonomy, with one threshold and with thresholds of their own."""
    own, test = made.own, made.test
    groups = {"crowding": own.crowding_of(test.scores), "crystal system": made.systems[made.columns]}
    pooled, pooled_sizes = made.covered(alpha, None)
    found = []
    for by, member in groups.items():
        inside, sizes = made.covered(alpha, by)
        for number in np.unique(member[member >= 0]):
            here = member == number
            clusters = test.clusters[here]
            found.append(
                {
                    "by": by,
                    "group": (CROWDING if by == "crowding" else SYSTEMS)[number],
                    "alpha": alpha,
                    "queries": int(here.sum()),
                    "groups": len(np.unique(clusters)),
                    "pooled": group_mean(pooled[here].astype(float), clusters),
                    "own": group_mean(inside[here].astype(float), clusters),
                    "has_own": own.calibrations[by].threshold(alpha, int(number))[1],
                    "pooled_median": float(np.median(pooled_sizes[here])),
                    "own_median": float(np.median(sizes[here])),
                }
            )
    return found
