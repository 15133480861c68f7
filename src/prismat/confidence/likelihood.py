"""The gallery as a distribution: softmax over scores with a temperature fitted on validation queries."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from prismat.errors import BadInputError

_BOUNDS = (1e-3, 1.0)
"""Temperatures of cosines that are tried."""
_AT_ONCE = 8_000_000


def chunks(queries: int, gallery: int) -> Iterator[slice]:
    """Slices of queries that hold a bounded number of scores."""
    step = max(1, _AT_ONCE // max(1, gallery))
    return (slice(start, start + step) for start in range(0, queries, step))


def log_probabilities(
    scores: Float[np.ndarray, "queries gallery"], temperature: float
) -> Float[np.ndarray, "queries gallery"]:
    """Log p = log softmax(s / T) over the gallery of each query (Guo et al., ICML 2017)."""
    return log_softmax(scores.astype(np.float64) / temperature, axis=1)


def log_total(
    scores: Float[np.ndarray, "queries gallery"], temperature: float
) -> Float[np.ndarray, " queries"]:
    """Log Σ exp(s / T) of each query; in the precision of the scores, summed in double."""
    found = []
    for rows in chunks(*scores.shape):
        top = scores[rows].max(axis=1, keepdims=True)
        mass = np.exp((scores[rows] - top) / scores.dtype.type(temperature))
        found.append(top[:, 0].astype(np.float64) / temperature + np.log(mass.sum(axis=1, dtype=np.float64)))
    return np.concatenate(found)


def log_loss_of_answers(
    scores: Float[np.ndarray, "queries gallery"],
    relevant: Bool[np.ndarray, "queries gallery"],
    temperature: float,
) -> Float[np.ndarray, " queries"]:
    """−log of the probability that falls on right entries, for each query; every query has one."""
    owner, column = np.nonzero(relevant)
    starts = np.searchsorted(owner, np.arange(len(scores)))
    right = np.logaddexp.reduceat(scores[owner, column].astype(np.float64) / temperature, starts)
    return log_total(scores, temperature) - right


def fit_temperature(
    scores: Float[np.ndarray, "queries gallery"],
    relevant: Bool[np.ndarray, "queries gallery"],
    weight: Float[np.ndarray, " queries"] | None = None,
) -> float:
    """The temperature of the least mean log loss, between 0.001 and 1.

    Args:
        scores: cosines of validation queries.
        relevant: right entries; every query has one.
        weight: of each query; equal where left out.

    Raises:
        BadInputError: no query, or one without a right entry.
    """
    if not len(scores) or not relevant.any(axis=1).all():
        raise BadInputError(
            f"{len(scores)} queries, of which {int((~relevant.any(axis=1)).sum())} have no right entry",
            field="calibration",
            remedy="Keep queries with an answer, one at least.",
        )
    found = minimize_scalar(
        lambda t: float(np.average(log_loss_of_answers(scores, relevant, float(np.exp(t))), weights=weight)),
        bounds=tuple(np.log(_BOUNDS)),
        method="bounded",
        options={"xatol": 0.01},
    )
    return float(np.exp(found.x))


def entropy_bits(log_p: Float[np.ndarray, "queries gallery"]) -> Float[np.ndarray, " queries"]:
    """−Σ p log₂ p of each query."""
    return -(np.exp(log_p) * np.maximum(log_p, -1e3)).sum(axis=1) / np.log(2)


def score_entropy(
    scores: Float[np.ndarray, "queries gallery"], temperature: float
) -> Float[np.ndarray, " queries"]:
    """Entropy in bits of the softmax over the gallery, straight from the scores."""
    found = []
    for rows in chunks(*scores.shape):
        x = (scores[rows] - scores[rows].max(axis=1, keepdims=True)) / scores.dtype.type(temperature)
        mass = np.exp(x)
        total = mass.sum(axis=1, dtype=np.float64)
        found.append(np.log(total) - (mass * x).sum(axis=1, dtype=np.float64) / total)
    return np.concatenate(found) / np.log(2)
