"""The probability that a candidate is the right entry, given the scores of the whole gallery."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logit

from prismat.confidence.fits import FLOOR, Fit, fit_isotonic, fit_logistic
from prismat.confidence.likelihood import chunks, log_total

Method = Literal["softmax", "platt", "isotonic", "logistic", "rank rate"]
METHODS: tuple[Method, ...] = ("softmax", "platt", "isotonic", "logistic", "rank rate")
"""``rank rate`` is the baseline: how often the entry of that rank was right on validation."""
CANDIDATES = 10
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best entries of every query.

    Attributes:
        columns: of the gallery, best first, shape (queries, k).
        features: log-odds of the softmax mass, logarithm of the rank, gap to the best score and from this
            entry to the next, shape (queries, k, 4).
    """

    columns: Int[np.ndarray, "queries k"]
    features: Float[np.ndarray, "queries k terms"]


def find_candidates(
    scores: Float[np.ndarray, "queries gallery"], temperature: float, k: int = CANDIDATES
) -> Candidates:
    """The k best entries of every query, fewer where the gallery is smaller; ties in the gallery's order."""
    k, columns, features = min(k, scores.shape[1]), [], []
    for rows in chunks(*scores.shape):
        here = scores[rows]
        n = min(k + 1, here.shape[1])
        part = np.sort(np.argpartition(-here, n - 1, axis=1)[:, :n], axis=1)
        order = np.take_along_axis(
            part, np.argsort(-np.take_along_axis(here, part, 1), axis=1, kind="stable"), 1
        )
        top = np.take_along_axis(here, order, axis=1).astype(np.float64)
        total = log_total(here, temperature)[:, None]
        following = top[:, 1:] if n > k else np.append(top[:, 1:], top[:, -1:], axis=1)
        mass = np.clip(np.exp(top[:, :k] / temperature - total), FLOOR, 1 - FLOOR)
        rank = np.broadcast_to(np.log(np.arange(1, k + 1)), mass.shape)
        columns.append(order[:, :k])
        gaps = (top[:, :1] - top[:, :k], top[:, :k] - following)
        features.append(np.stack([logit(mass), rank, *gaps], axis=2))
    return Candidates(np.concatenate(columns), np.concatenate(features))


@dataclass(frozen=True, eq=False)
class MatchModel:
    """Probability of a candidate from its features.

    Attributes:
        method: which of them.
        fit: of ``platt``, ``isotonic`` and ``logistic``.
        rates: of ``rank rate``, by rank.
    """

    method: Method
    fit: Fit | None = None
    rates: Float[np.ndarray, " k"] | None = None

    def __call__(self, features: Float[np.ndarray, "queries k terms"]) -> Float[np.ndarray, "queries k"]:
        """Probability of each candidate; never more than that of a better one."""
        shape = features.shape[:2]
        if self.rates is not None:
            # A gallery with more candidates than were calibrated keeps the rate of the last rank.
            ranks = np.minimum(np.arange(shape[1]), len(self.rates) - 1)
            return np.broadcast_to(self.rates[ranks], shape).copy()
        flat = features.reshape(-1, features.shape[2])
        if self.fit is None:
            found = 1 / (1 + np.exp(-flat[:, 0]))
        else:
            found = self.fit(flat if self.method == "logistic" else flat[:, :1])
        return np.minimum.accumulate(found.reshape(shape), axis=1)


def fit_match(
    method: Method, features: Float[np.ndarray, "queries k terms"], right: Bool[np.ndarray, "queries k"]
) -> MatchModel:
    """One method on validation candidates."""
    flat, outcome = features.reshape(-1, features.shape[2]), right.ravel()
    if method == "softmax":
        return MatchModel(method)
    if method == "rank rate":
        # One more success and failure keep a rate from 0 and 1.
        return MatchModel(method, rates=(right.sum(0) + 1) / (len(right) + 2))
    if method == "isotonic":
        return MatchModel(method, fit_isotonic(flat[:, 0], outcome))
    return MatchModel(method, fit_logistic(flat if method == "logistic" else flat[:, :1], outcome))


def choose_match(
    candidates: Candidates, right: Bool[np.ndarray, "queries k"], clusters: Int[np.ndarray, " queries"]
) -> tuple[MatchModel, dict[str, float]]:
    """The method of the least log loss on validation, cross-fitted over clusters, and the loss of each."""

    def losses(method: Method) -> float:
        fold = folds(clusters)
        total = 0.0
        for number in range(FOLDS):
            out = fold == number
            if not out.any() or out.all():
                continue
            model = fit_match(method, candidates.features[~out], right[~out])
            total += binary_log_loss(model(candidates.features[out]), right[out]).sum()
        return float(total / right.size)

    found: dict[str, float] = {method: losses(method) for method in METHODS}
    # The baseline stands beside, it is never chosen.
    best = min((m for m in METHODS if m != "rank rate"), key=found.__getitem__)
    return fit_match(best, candidates.features, right), found


def folds(clusters: Int[np.ndarray, " queries"], seed: int = 0) -> Int[np.ndarray, " queries"]:
    """Fold of each query; clusters stay whole."""
    names, member = np.unique(clusters, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[member.ravel()]


def binary_log_loss(
    probability: Float[np.ndarray, "*shape"], right: Bool[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """−log of the probability of what happened."""
    p = np.clip(probability, FLOOR, 1 - FLOOR)
    return -np.where(right, np.log(p), np.log1p(-p))
