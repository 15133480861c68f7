"""Linear probes solved exactly: ridge regression and logistic regression, one solution per strength."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

Solution = tuple[Float[np.ndarray, "outputs width"], Float[np.ndarray, " outputs"]]
"""Coefficients, shape (outputs, width), and intercepts, shape (outputs,)."""

ITERATIONS = 500


def fit_ridge(
    x: Float[np.ndarray, "records width"], y: Float[np.ndarray, " records"], strengths: Sequence[float]
) -> list[Solution]:
    """Minimises Σ (x w + b − y)² + λ |w|² over w and b for each λ.

    One eigendecomposition serves all λ (Hoerl & Kennard, Technometrics 12 (1970) 55).

    Args:
        x: features.
        y: targets.
        strengths: λ, each positive.
    """
    centre, level = x.mean(0), float(y.mean())
    x = x - centre
    values, basis = np.linalg.eigh(x.T @ x)
    projected = basis.T @ (x.T @ (y - level))
    found = []
    for strength in strengths:
        w = basis @ (projected / (values.clip(min=0) + strength))
        found.append((w[None], np.array([level - centre @ w])))
    return found


def fit_logistic(
    x: Float[np.ndarray, "records width"],
    y: Int[np.ndarray, " records"],
    classes: int,
    strengths: Sequence[float],
    weights: Float[np.ndarray, " records"] | None = None,
) -> list[Solution]:
    """Minimises Σ c_i · cross-entropy(softmax(x W + b), y) + λ/2 |W|² for each λ, by L-BFGS.

    From the strongest λ to the weakest, each starts where the last ended; the intercepts are not penalised.

    Args:
        x: features.
        y: class numbers from 0.
        classes: how many there are.
        strengths: λ, each positive.
        weights: c_i of the records; 1 where left out.
    """
    c = np.ones(len(y)) if weights is None else weights
    start = np.zeros(classes * (x.shape[1] + 1))
    found: dict[float, Solution] = {}
    for strength in sorted(strengths, reverse=True):
        done = minimize(
            _cost, start, (x, y, c, strength), method="L-BFGS-B", jac=True, options={"maxiter": ITERATIONS}
        )
        start = done.x
        matrix = start.reshape(classes, -1)
        found[strength] = (matrix[:, :-1].copy(), matrix[:, -1].copy())
    return [found[s] for s in strengths]


def _cost(
    flat: Float[np.ndarray, " parameters"],
    x: Float[np.ndarray, "records width"],
    y: Int[np.ndarray, " records"],
    c: Float[np.ndarray, " records"],
    strength: float,
) -> tuple[float, Float[np.ndarray, " parameters"]]:
    """Cost per record and its gradient."""
    matrix = flat.reshape(-1, x.shape[1] + 1)
    logs = log_softmax(x @ matrix[:, :-1].T + matrix[:, -1], axis=1)
    here, n = np.arange(len(y)), len(y)
    error = c[:, None] * np.exp(logs)
    error[here, y] -= c
    cost = -(c * logs[here, y]).sum() + strength / 2 * (matrix[:, :-1] ** 2).sum()
    slope = np.concatenate([error.T @ x + strength * matrix[:, :-1], error.sum(0)[:, None]], axis=1)
    return float(cost) / n, slope.ravel() / n
