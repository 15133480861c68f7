"""UMAP by umap-learn, and new points at the weighted mean of their neighbours.

McInnes, Healy and Melville, arXiv:1802.03426 (2018). A new point gets the fuzzy weights of UMAP's own
transform, exp(−max(0, d − ρ)/σ) with ρ its nearest distance and σ such that the weights sum to log2 k, and
stands where that transform starts: at the weighted mean of its k neighbours' places. The stochastic steps
that would follow are left out, so that a place is exact and needs nothing but the vectors.
"""

import warnings

import numpy as np
from jaxtyping import Float

from prismat.errors import MissingExtraError
from prismat.maps.projection import Fitted, ProjectionConfig, weighted_place


class Umap:
    """UMAP with a fixed seed."""

    def fit(self, vectors: Float[np.ndarray, "n dim"], config: ProjectionConfig) -> Fitted:
        """Places all vectors.

        Raises:
            MissingExtraError: umap-learn is not installed.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from umap import UMAP
        except ImportError as error:
            raise MissingExtraError("umap-learn", "umap") from error
        k = min(config.neighbours, len(vectors) - 1)
        with warnings.catch_warnings():
            # It warns that a seed makes it single-threaded, which is wanted.
            warnings.simplefilter("ignore")
            method = UMAP(
                n_neighbors=k,
                min_dist=config.min_dist,
                random_state=config.seed,
                init="spectral" if len(vectors) > 3 * k else "random",
            )
            xy = method.fit_transform(vectors)
        return Fitted(np.asarray(xy, dtype=np.float64), {"neighbours": np.array([float(k)])})

    def place(
        self,
        vectors: Float[np.ndarray, "m dim"],
        reference: Float[np.ndarray, "n dim"],
        fitted: Fitted,
    ) -> Float[np.ndarray, "m 2"]:
        """Places new vectors at the weighted mean of their neighbours."""
        k = int(fitted.arrays["neighbours"][0])
        return weighted_place(vectors, reference, fitted.xy, fuzzy_weights, k)


def fuzzy_weights(distances: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
    """UMAP's membership strengths of neighbours, nearest first, by bisection of σ."""
    beyond = np.maximum(distances - distances[:, :1], 0)
    target = np.log2(max(distances.shape[1], 2))
    scale = np.maximum(beyond.mean(axis=1, keepdims=True), 1e-12)
    low, high = np.full((len(beyond), 1), -20.0), np.full((len(beyond), 1), 20.0)
    for _ in range(50):
        middle = (low + high) / 2
        total = np.exp(-beyond / (scale * np.exp(middle))).sum(axis=1, keepdims=True)
        low, high = np.where(total < target, middle, low), np.where(total < target, high, middle)
    return np.exp(-beyond / (scale * np.exp((low + high) / 2)))
