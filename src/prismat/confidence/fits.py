"""From a score to a probability: ridge logistic regression and isotonic regression.

Platt, Probabilistic outputs for support vector machines (1999); Zadrozny & Elkan, KDD (2002).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from prismat.errors import BadInputError

FLOOR = 1e-6
"""No probability is closer to 0 or 1."""
_STEPS = 100


@runtime_checkable
class Fit(Protocol):
    """A map from features to the probability of being right."""

    def __call__(self, features: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
        """Probability of each row."""
        ...

    def to_json(self) -> dict:
        """In JSON types, with ``kind``."""
        ...


@dataclass(frozen=True, eq=False)
class Logistic:
    """P = 1 / (1 + exp(−b − w·z)), z the standardised features.

    Attributes:
        weights: of the standardised features, the intercept last, shape (columns + 1,).
        centre: mean of each feature.
        spread: standard deviation of each feature, 1 where it does not vary.
    """

    weights: Float[np.ndarray, " terms"]
    centre: Float[np.ndarray, " columns"]
    spread: Float[np.ndarray, " columns"]

    def __call__(self, features: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
        """Probability of each row."""
        z = (features - self.centre) / self.spread
        return np.clip(expit(z @ self.weights[:-1] + self.weights[-1]), FLOOR, 1 - FLOOR)

    def to_json(self) -> dict:
        """In JSON types."""
        numbers = {"weights": self.weights, "centre": self.centre, "spread": self.spread}
        return {"kind": "logistic", **{k: v.tolist() for k, v in numbers.items()}}


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A step function that never falls, read linearly between its knots.

    Attributes:
        knots: of the one feature, ascending.
        values: probability at each knot, never falling.
    """

    knots: Float[np.ndarray, " knots"]
    values: Float[np.ndarray, " knots"]

    def __call__(self, features: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
        """Probability of each row, from its first feature."""
        return np.clip(np.interp(features[:, 0], self.knots, self.values), FLOOR, 1 - FLOOR)

    def to_json(self) -> dict:
        """In JSON types."""
        return {"kind": "isotonic", "knots": self.knots.tolist(), "values": self.values.tolist()}


def fit_from_json(content: dict) -> Fit:
    """What ``to_json`` gave.

    Raises:
        BadInputError: an unknown kind.
    """
    if content["kind"] == "logistic":
        return Logistic(*(np.array(content[k], dtype=np.float64) for k in ("weights", "centre", "spread")))
    if content["kind"] == "isotonic":
        return Isotonic(*(np.array(content[k], dtype=np.float64) for k in ("knots", "values")))
    raise BadInputError(f"unknown kind {content['kind']!r}", field="fit", remedy="Calibrate again.")


def fit_logistic(
    features: Float[np.ndarray, "rows columns"],
    right: Bool[np.ndarray, " rows"],
    weight: Float[np.ndarray, " rows"] | None = None,
    ridge: float = 1.0,
) -> Logistic:
    """Least Σ weight · log loss + ridge/2 · |w|², by Newton's method; the intercept is not shrunk.

    Args:
        features: standardised inside.
        right: the outcome of each row.
        weight: of each row; 1 where left out.
        ridge: strength of the shrinkage.

    Raises:
        BadInputError: fewer than two rows, or a feature that is not finite.
    """
    _check(features, right)
    weight = np.ones(len(right)) if weight is None else weight
    centre, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    z = np.column_stack([(features - centre) / spread, np.ones(len(right))])
    penalty = np.append(np.full(features.shape[1], ridge), 1e-6)
    w = np.zeros(z.shape[1])
    for _ in range(_STEPS):
        p = expit(z @ w)
        gradient = z.T @ (weight * (p - right)) + penalty * w
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        # Far from the optimum a whole Newton step may overshoot.
        w = w - step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return Logistic(w, centre, spread)


def fit_isotonic(
    feature: Float[np.ndarray, " rows"],
    right: Bool[np.ndarray, " rows"],
    weight: Float[np.ndarray, " rows"] | None = None,
) -> Isotonic:
    """Least weighted squares among functions that never fall: pool adjacent violators (Barlow et al., 1972).

    Raises:
        BadInputError: fewer than two rows, or a feature that is not finite.
    """
    _check(feature[:, None], right)
    weight = np.ones(len(right)) if weight is None else weight
    places, owner = np.unique(feature, return_inverse=True)
    mass = np.bincount(owner, weight)
    mean = np.bincount(owner, weight * right) / mass
    value, total, size = _pooled(mean, mass)
    del total
    levels, ends = np.repeat(value, size), np.cumsum(size)
    # Only the two ends of every level are kept.
    kept = np.unique(np.concatenate([ends - size, ends - 1]))
    return Isotonic(places[kept], levels[kept])


def _pooled(mean: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, mass and number of places of every level."""
    blocks: list[list[float]] = []
    for value, heavy in zip(mean.tolist(), mass.tolist(), strict=True):
        blocks.append([value, heavy, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            v, m, n = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + v * m) / (last[1] + m)
            last[1], last[2] = last[1] + m, last[2] + n
    value, total, size = (np.array(column) for column in zip(*blocks, strict=True))
    return value, total, size.astype(np.int64)


def _check(features: np.ndarray, right: np.ndarray) -> None:
    if len(right) < 2 or len(features) != len(right):
        raise BadInputError(
            f"{len(features)} rows of features and {len(right)} outcomes",
            field="calibration",
            remedy="Give one outcome per row, two rows at least.",
        )
    if not np.isfinite(features).all():
        raise BadInputError("a feature is not finite", field="calibration", remedy="Leave the row out.")
