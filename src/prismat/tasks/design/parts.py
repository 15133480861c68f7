"""Each part of a target as a score from 0 to 1 of every candidate."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from prismat.tasks.active.acquisition import probability_within
from prismat.tasks.design.wants import Want

Numbers = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a target.

    Attributes:
        name: short, as a column is named.
        told: what is wanted, in words.
        scores: 0 for the worst to 1 for the best, one per candidate; 0 where nothing is known.
        values: what the score was made of: a property's value, predicted or known, or a cosine.
        unit: of these values.
        deviation: standard deviations of predicted values; None for others.
    """

    name: str
    told: str
    scores: Numbers
    values: Numbers
    unit: str = ""
    deviation: Numbers | None = None


def standing(values: Numbers) -> Numbers:
    """Share of the other candidates that each one exceeds, equals counted half; 0 where NaN."""
    known = np.isfinite(values)
    found = np.zeros(len(values))
    if known.sum() > 1:
        found[known] = (rankdata(values[known]) - 1) / (known.sum() - 1)
    return found


def known_part(want: Want, values: Numbers) -> Part:
    """Score of known values: 1 in the range, exp(−d/σ) at a distance d outside of it.

    σ is the spread of all known values. One-sided desirabilities after Derringer & Suich, J. Qual. Technol.
    12 (1980) 214, with an exponential that never reaches zero, so that there is always a next best. Where the
    largest or smallest value is wanted, the score is the candidate's standing.

    Args:
        want: in the unit of the values.
        values: NaN where not known.
    """
    if want.kind != "range":
        sign = 1.0 if want.kind == "maximise" else -1.0
        return Part(want.name, want.told(), standing(sign * values), values, want.unit)
    spread = np.nanstd(values) if np.isfinite(values).any() else 1.0
    scores = np.exp(-want.distance(values) / (spread or 1.0))
    return Part(want.name, want.told(), np.nan_to_num(scores), values, want.unit)


def predicted_part(want: Want, mean: Numbers, deviation: Numbers) -> Part:
    """Score of predicted values: the probability that the value lies in the range.

    Where the largest or smallest value is wanted, the score is the standing of the predicted mean.

    Args:
        want: in the unit of the values.
        mean: predicted.
        deviation: standard deviations of the values around it; all zero where nothing is known of them.
    """
    if not (deviation > 0).any():
        # A prediction that says nothing of its error is taken at its word, as a known value is.
        return known_part(want, mean)
    if want.kind != "range":
        sign = 1.0 if want.kind == "maximise" else -1.0
        scores = standing(sign * mean)
    else:
        scores = probability_within(mean, deviation, want.low, want.high)
    return Part(want.name, want.told(), np.nan_to_num(scores), mean, want.unit, deviation)


def similar_part(name: str, told: str, cosines: Numbers) -> Part:
    """Score of likeness: a cosine's standing, as cosines of different windows have different spreads."""
    return Part(name, told, standing(cosines), cosines)
