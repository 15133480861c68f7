"""Exact Gaussian-process regression on squared distances, hyper-parameters by marginal likelihood.

Rasmussen & Williams, Gaussian Processes for Machine Learning (2006): algorithm 2.1 for the prediction,
equations 5.8 and 5.9 for the marginal likelihood and its gradient.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from prismat.errors import BadInputError

LEAST_NOISE = 1e-4
"""Noise variance is at least this share of the spread of the values, so that equal records do no harm."""
_ROOT5 = np.sqrt(5.0)
_BOUNDS = ((np.log(1e-3), np.log(1e3)), (np.log(1e-3), np.log(1e3)), (np.log(LEAST_NOISE), np.log(10.0)))


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters, of values of mean 0 and spread 1.

    Attributes:
        length: at which similarity fades, in units of the distances.
        signal: variance of the function.
        noise: variance that no feature explains.
    """

    length: float = 1.0
    signal: float = 1.0
    noise: float = 0.1

    def logs(self) -> Float[np.ndarray, "3"]:
        """Natural logarithms, in which the search goes."""
        return np.log([self.length, self.signal, self.noise])


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted process.

    Attributes:
        hyper: of the kernel.
        factor: lower Cholesky factor of the training covariance, shape (n, n).
        weights: K⁻¹ y, shape (n,).
        mean: of the training values.
        scale: spread of the training values.
        likelihood: log marginal likelihood of the standardised values.
    """

    hyper: Hyper
    factor: Float[np.ndarray, "n n"]
    weights: Float[np.ndarray, " n"]
    mean: float
    scale: float
    likelihood: float

    def predict(
        self, squared: Float[np.ndarray, "n m"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Mean and standard deviation of the function, without the noise, in the unit of the values.

        Args:
            squared: squared distances from the training records to others, shape (n, m).
        """
        cross = matern(squared, self.hyper)
        inner = solve_triangular(self.factor, cross, lower=True)
        variance = (self.hyper.signal - (inner**2).sum(0)).clip(min=0)
        return self.mean + self.scale * (cross.T @ self.weights), self.scale * np.sqrt(variance)

    @property
    def noise(self) -> float:
        """Standard deviation that no feature explains, in the unit of the values."""
        return self.scale * float(np.sqrt(self.hyper.noise))


def squared_distances(
    a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, "n m"]:
    """Squared Euclidean distances per dimension, so that standardised features stand about 2 apart."""
    return cdist(a, b, "sqeuclidean") / a.shape[1]


def matern(squared: Float[np.ndarray, "n m"], hyper: Hyper) -> Float[np.ndarray, "n m"]:
    """Matérn covariance of smoothness 5/2: s² (1 + √5 r/ℓ + 5 r²/3ℓ²) exp(−√5 r/ℓ) (R&W equation 4.17)."""
    ratio = _ROOT5 * np.sqrt(squared) / hyper.length
    return hyper.signal * (1 + ratio + ratio**2 / 3) * np.exp(-ratio)


def fit(
    squared: Float[np.ndarray, "n n"],
    values: Float[np.ndarray, " n"],
    start: Hyper | None = None,
    iterations: int = 30,
) -> GaussianProcess:
    """A process whose hyper-parameters are a maximum of the marginal likelihood near where the search starts.

    Args:
        squared: squared distances among the training records, shape (n, n).
        values: known values, shape (n,).
        start: where to begin; the median distance as length where left out.
        iterations: at most, of L-BFGS; 0 keeps ``start``.

    Raises:
        BadInputError: fewer than two values, another number of distances, or a value that is not finite.
    """
    _check(squared, values)
    mean, scale = float(values.mean()), float(values.std()) or 1.0
    standard = (values - mean) / scale
    hyper = start or Hyper(length=_median(squared))
    if iterations and np.ptp(values) > 0:
        found = minimize(
            _negative_likelihood,
            np.clip(hyper.logs(), *np.transpose(_BOUNDS)),
            (squared, standard),
            jac=True,
            method="L-BFGS-B",
            bounds=_BOUNDS,
            options={"maxiter": iterations},
        )
        hyper = Hyper(*(float(x) for x in np.exp(found.x)))
    factor, weights = _solved(squared, standard, hyper)
    likelihood = -_from_parts(factor, weights, standard)
    return GaussianProcess(hyper, factor, weights, mean, scale, likelihood)


def _check(squared: np.ndarray, values: np.ndarray) -> None:
    if len(values) < 2 or squared.shape != (len(values), len(values)) or not np.isfinite(values).all():
        raise BadInputError(
            f"{len(values)} values and distances of shape {squared.shape}",
            field="gaussian process",
            remedy="Give at least two finite values and their mutual distances.",
        )


def _median(squared: np.ndarray) -> float:
    """Median distance of two different records."""
    apart = np.sqrt(squared[np.triu_indices(len(squared), 1)])
    return float(np.median(apart)) or 1.0


def _solved(squared: np.ndarray, standard: np.ndarray, hyper: Hyper) -> tuple[np.ndarray, np.ndarray]:
    covariance = matern(squared, hyper)
    covariance[np.diag_indices_from(covariance)] += hyper.noise
    factor = cholesky(covariance, lower=True)
    return factor, cho_solve((factor, True), standard)


def _from_parts(factor: np.ndarray, weights: np.ndarray, standard: np.ndarray) -> float:
    """½ yᵀ K⁻¹ y + Σ ln L_ii + ½ n ln 2π."""
    n = len(standard)
    return float(0.5 * standard @ weights + np.log(np.diag(factor)).sum() + 0.5 * n * np.log(2 * np.pi))


def _negative_likelihood(
    logs: np.ndarray, squared: np.ndarray, standard: np.ndarray
) -> tuple[float, Float[np.ndarray, "3"]]:
    """Minus the log marginal likelihood, and its gradient in the logarithms of the hyper-parameters.

    dL/dθ = ½ tr((K⁻¹ − α αᵀ) dK/dθ).
    """
    hyper = Hyper(*(float(x) for x in np.exp(logs)))
    factor, weights = _solved(squared, standard, hyper)
    inner = cho_solve((factor, True), np.eye(len(standard))) - np.outer(weights, weights)
    ratio = _ROOT5 * np.sqrt(squared) / hyper.length
    decay = hyper.signal * np.exp(-ratio)
    by_length = decay * ratio**2 * (1 + ratio) / 3
    by_signal = decay * (1 + ratio + ratio**2 / 3)
    slopes = [(inner * by_length).sum(), (inner * by_signal).sum(), hyper.noise * np.trace(inner)]
    return _from_parts(factor, weights, standard), 0.5 * np.array(slopes)
