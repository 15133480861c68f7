"""Split-conformal intervals: they hold the true value with a chosen probability, whatever the model is.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); Lei et al., J. Am. Stat. Assoc. 113
(2018) 1094. With n calibration scores that are exchangeable with the score of a new record, the score at rank
⌈(n + 1)(1 − α)⌉ is not exceeded with probability 1 − α or more, and 1 − α + 1/(n + 1) or less without ties.
Calibration records must have had no part in fitting or choosing the model.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import betabinom, binom

from prismat.errors import BadInputError


def conformal_quantile(scores: Float[np.ndarray, " n"], alpha: float) -> float:
    """The score at rank ⌈(n + 1)(1 − α)⌉; infinite where there are too few scores for so high a level.

    Args:
        scores: of the calibration records, in any order.
        alpha: share that may lie outside, between 0 and 1.

    Raises:
        BadInputError: α outside of 0 … 1.
    """
    if not 0 < alpha < 1:
        raise BadInputError(f"α = {alpha:g}", field="level", remedy="Give a level between 0 and 1.")
    # Rounding must not lift a rank that is a whole number.
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    return math.inf if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


@dataclass(frozen=True, eq=False)
class Conformal:
    """Calibration of a predictor of numbers.

    Attributes:
        scores: of the calibration records, sorted: |y − ŷ|, or |y − ŷ| / (σ + β) where normalised.
        floor: β, in the unit of y; None where scores are not normalised.
    """

    scores: Float[np.ndarray, " n"]
    floor: float | None = None

    def half_width(
        self, spread: Float[np.ndarray, " records"], level: float = 0.9
    ) -> Float[np.ndarray, " records"]:
        """Half the width of each record's interval around its prediction.

        Args:
            spread: σ, the ensemble's standard deviation; its numbers count only where normalised.
            level: probability that the interval holds the true value.
        """
        reach = conformal_quantile(self.scores, 1 - level)
        return np.full(len(spread), reach) if self.floor is None else reach * (spread + self.floor)


def calibrate(
    truth: Float[np.ndarray, " n"],
    predicted: Float[np.ndarray, " n"],
    spread: Float[np.ndarray, " n"] | None = None,
    floor: float | None = None,
) -> Conformal:
    """Calibrates intervals on records that had no part in fitting or choosing.

    Args:
        truth: known values of the calibration records.
        predicted: values said of them.
        spread: σ of the ensemble for each, for intervals that are wide where the members disagree.
        floor: β, with ``spread``: keeps intervals from vanishing where the members agree. It must not come
            from the calibration records.

    Raises:
        BadInputError: no records, a number that is not finite, a spread without a positive floor, or the
            reverse.
    """
    if not len(truth) or not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise BadInputError(
            f"{len(truth)} calibration records, or a number that is not finite",
            field="calibration",
            remedy="Give known values of one record at least.",
        )
    if (spread is None) != (floor is None) or (floor is not None and floor <= 0):
        raise BadInputError(
            "a spread needs a positive floor, and a floor a spread",
            field="calibration",
            remedy="Give both or none.",
        )
    error = np.abs(truth - predicted)
    if spread is not None and floor is not None:
        error = error / (spread + floor)
    return Conformal(np.sort(error), floor)


def calibrate_classes(
    truth: Int[np.ndarray, " n"], probabilities: Float[np.ndarray, "n classes"]
) -> Conformal:
    """Scores 1 − p of the true class, for sets of classes (Sadinle, Lei & Wasserman 2019).

    Raises:
        BadInputError: no records.
    """
    if not len(truth):
        raise BadInputError("no calibration records", field="calibration", remedy="Give one at least.")
    return Conformal(np.sort(1 - probabilities[np.arange(len(truth)), truth]))


def class_sets(
    conformal: Conformal, probabilities: Float[np.ndarray, "records classes"], level: float = 0.9
) -> Bool[np.ndarray, "records classes"]:
    """Sets of classes that hold the true one with probability ``level``; the likeliest is always in it."""
    within = 1 - probabilities <= conformal_quantile(conformal.scores, 1 - level)
    within[np.arange(len(within)), probabilities.argmax(1)] = True
    return within


def coverage_range(
    records: int, level: float, confidence: float = 0.95, calibration: int = 0
) -> tuple[float, float]:
    """Shares of held-out records between which the reached coverage lies with ``confidence``.

    Args:
        records: held-out records.
        level: nominal coverage.
        confidence: of the range.
        calibration: number of calibration records: 0 for a coverage that is exactly ``level`` (binomial),
            otherwise their draw counts too, by which coverage is Beta(r, n + 1 − r) with r the rank of the
            quantile (beta-binomial; Vovk, Conditional validity of inductive conformal predictors, 2012).
    """
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    if calibration:
        rank = min(math.ceil(round((calibration + 1) * level, 9)), calibration)
        low, high = betabinom.ppf(ends, records, rank, calibration + 1 - rank)
    else:
        low, high = binom.ppf(ends, records, level)
    return float(low / records), float(high / records)
