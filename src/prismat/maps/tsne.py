"""t-SNE by openTSNE, and new points on a finished map that does not move.

van der Maaten and Hinton, J. Mach. Learn. Res. 9 (2008) 2579; openTSNE: Poličar, Stražar and Zupan, J.
Stat. Softw. 109(3) (2024). Placing follows the latter's ``transform``: the affinities of a new point to the
points of the map, which stay where they are, with perplexity 5, a start at the median of its neighbours, and
gradient descent on its own Kullback-Leibler divergence alone. New points do not see each other, so that where
one lands does not depend on who comes with it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prismat.errors import MissingExtraError
from prismat.maps.nearest import nearest
from prismat.maps.projection import Fitted, ProjectionConfig, principal_axes

_START_SPREAD = 1e-4
_CELLS = 4_000_000


@dataclass(frozen=True)
class PlaceConfig:
    """How a new point finds its place.

    Attributes:
        perplexity: effective number of neighbours that attract it.
        neighbours: of which the median is its start.
        iterations: of gradient descent.
        rate: learning rate.
        momentum: share of the last step that is kept.
        exaggeration: factor of attraction.
        longest: step, in the map's units, at most.
    """

    perplexity: float = 5.0
    neighbours: int = 25
    iterations: int = 250
    rate: float = 0.1
    momentum: float = 0.8
    exaggeration: float = 1.5
    longest: float = 5.0


class Tsne:
    """t-SNE started from principal components, which keeps the large shapes (Kobak and Berens, 2019)."""

    def __init__(self, placing: PlaceConfig | None = None) -> None:
        self.placing = placing or PlaceConfig()

    def fit(self, vectors: Float[np.ndarray, "n dim"], config: ProjectionConfig) -> Fitted:
        """Places all vectors.

        Neighbours are exact; from 1,000 points the repulsion is interpolated on a grid (FFT).

        Raises:
            MissingExtraError: openTSNE is not installed.
        """
        try:
            from openTSNE import TSNEEmbedding
            from openTSNE.affinity import PrecomputedAffinities
        except ImportError as error:
            raise MissingExtraError("openTSNE", "maps") from error
        wanted = config.perplexity or float(np.clip(len(vectors) / 100, 30, 100))
        perplexity = min(wanted, (len(vectors) - 1) / 3)
        affinities = PrecomputedAffinities(_joint(vectors, perplexity), normalize=False)
        embedding = TSNEEmbedding(
            _start(vectors),
            affinities,
            n_jobs=config.threads,
            random_state=config.seed,
            negative_gradient_method="fft" if len(vectors) >= 1000 else "bh",
        )
        rate = max(200.0, len(vectors) / 12)
        embedding.optimize(250, exaggeration=12, momentum=0.5, learning_rate=rate, inplace=True)
        embedding.optimize(config.iterations, momentum=0.8, learning_rate=rate, inplace=True)
        return Fitted(np.array(embedding, dtype=np.float64), {})

    def place(
        self,
        vectors: Float[np.ndarray, "m dim"],
        reference: Float[np.ndarray, "n dim"],
        fitted: Fitted,
    ) -> Float[np.ndarray, "m 2"]:
        """Places new vectors on the map as it is."""
        step = max(1, _CELLS // len(reference))
        parts = [
            place_points(vectors[i : i + step], reference, fitted.xy, self.placing)
            for i in range(0, len(vectors), step)
        ]
        return np.concatenate(parts)


def _start(vectors: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """Principal components, tiny: their first one's deviation is 1e-4."""
    mean, axes, _ = principal_axes(vectors)
    xy = (vectors - mean) @ axes.T
    return xy / max(xy[:, 0].std(), 1e-300) * _START_SPREAD


def _joint(vectors: np.ndarray, perplexity: float) -> "object":
    """Symmetric affinities over three times as many neighbours as the perplexity, sum 1, sparse."""
    import scipy.sparse as sp

    rows, distances = nearest(vectors, vectors, max(1, int(3 * perplexity)), skip_own=True)
    weights = conditional(distances, perplexity)
    n, k = rows.shape
    matrix = sp.csr_matrix((weights.ravel(), rows.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    joint = (matrix + matrix.T).tocsr()
    return joint / joint.sum()


def conditional(distances: Float[np.ndarray, "m k"], perplexity: float) -> Float[np.ndarray, "m k"]:
    """Gaussian affinities p(j|i) of each row with that perplexity, by bisection of the precision.

    Args:
        distances: to the neighbours.
        perplexity: two to the power of the entropy in bits; reached at most by the number of neighbours.
    """
    squared = distances**2 - (distances**2).min(axis=1, keepdims=True)
    scale = np.maximum(squared.mean(axis=1, keepdims=True), 1e-12)
    target = np.log(min(perplexity, distances.shape[1]))
    low, high = np.full((len(squared), 1), -30.0), np.full((len(squared), 1), 30.0)
    for _ in range(60):
        middle = (low + high) / 2
        p = _normal(np.exp(-np.minimum(np.exp(middle) * squared / scale, 700)))
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1, keepdims=True)
        low, high = np.where(entropy > target, middle, low), np.where(entropy > target, high, middle)
    return _normal(np.exp(-np.minimum(np.exp((low + high) / 2) * squared / scale, 700)))


def _normal(weights: np.ndarray) -> Float[np.ndarray, "m k"]:
    return weights / weights.sum(axis=1, keepdims=True)


def place_points(
    vectors: Float[np.ndarray, "m dim"],
    reference: Float[np.ndarray, "n dim"],
    xy: Float[np.ndarray, "n 2"],
    config: PlaceConfig,
) -> Float[np.ndarray, "m 2"]:
    """Gradient descent of each new point on KL(p‖q) over the points of the map, which do not move.

    ∂/∂y = Σ_j (α p_j − q_j) w_j (y − y_j), w_j = 1 / (1 + |y − y_j|²), q_j = w_j / Σ w, with exaggeration α.
    """
    k = max(config.neighbours, int(3 * config.perplexity))
    rows, distances = nearest(vectors, reference, k)
    near = min(rows.shape[1], int(3 * config.perplexity))
    p = config.exaggeration * conditional(distances[:, :near], config.perplexity)
    places = xy[rows[:, :near]]
    y = np.median(xy[rows[:, : config.neighbours]], axis=1)
    velocity, gains = np.zeros_like(y), np.ones_like(y)
    for _ in range(config.iterations):
        gradient = _attraction(y, places, p) - _repulsion(y, xy)
        same = np.sign(velocity) == np.sign(gradient)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01)
        velocity = config.momentum * velocity - config.rate * gains * gradient
        length = np.linalg.norm(velocity, axis=1, keepdims=True)
        velocity *= np.minimum(1.0, config.longest / np.maximum(length, 1e-12))
        y = y + velocity
    return y


def _attraction(y: np.ndarray, places: np.ndarray, p: np.ndarray) -> Float[np.ndarray, "m 2"]:
    away = y[:, None] - places
    weight = p / (1 + (away**2).sum(axis=2))
    return np.einsum("mk,mkd->md", weight, away)


def _repulsion(y: np.ndarray, xy: np.ndarray) -> Float[np.ndarray, "m 2"]:
    x_away, y_away = y[:, :1] - xy[:, 0], y[:, 1:] - xy[:, 1]
    weight = 1 / (1 + x_away**2 + y_away**2)
    squared = weight**2
    found = np.stack([(squared * x_away).sum(axis=1), (squared * y_away).sum(axis=1)], axis=1)
    return found / weight.sum(axis=1, keepdims=True)
