"""From vectors to a plane and back onto it: what every projection can do, and principal components."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.maps.nearest import nearest

Method = Literal["tsne", "umap", "pca"]
Arrays = dict[str, Float[np.ndarray, "..."]]
FEWEST = 4
"""Points that make a map."""


@dataclass(frozen=True)
class ProjectionConfig:
    """How vectors become a plane.

    Attributes:
        perplexity: t-SNE's effective number of neighbours; where None a hundredth of the points, from 30 to
            100 (Kobak and Berens, Nat. Commun. 10 (2019) 5416).
        neighbours: UMAP's number of neighbours.
        min_dist: UMAP's least distance of points on the map.
        iterations: of t-SNE after its 250 with early exaggeration.
        seed: of all that is drawn.
        threads: of t-SNE; more than one keeps the picture, not its last digit.
    """

    perplexity: float | None = None
    neighbours: int = 15
    min_dist: float = 0.1
    iterations: int = 500
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Fitted:
    """A projection of given vectors.

    Attributes:
        xy: where they are, in the method's own units, shape (n, 2).
        arrays: what placing new points needs besides the vectors and their places.
    """

    xy: Float[np.ndarray, "n 2"]
    arrays: Arrays


@runtime_checkable
class Projection(Protocol):
    """A way of drawing vectors in a plane."""

    def fit(self, vectors: Float[np.ndarray, "n dim"], config: ProjectionConfig) -> Fitted:
        """Places all vectors at once."""
        ...

    def place(
        self,
        vectors: Float[np.ndarray, "m dim"],
        reference: Float[np.ndarray, "n dim"],
        fitted: Fitted,
    ) -> Float[np.ndarray, "m 2"]:
        """Places new vectors on a map that stays as it is."""
        ...


def principal_axes(
    vectors: Float[np.ndarray, "n dim"], count: int = 2
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, "count dim"], Float[np.ndarray, " count"]]:
    """Mean, leading principal axes and the share of variance of each (Pearson, 1901).

    An axis points where its coordinate of largest magnitude is positive, so that a map is not mirrored from
    one machine to the next.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    values, axes = np.linalg.eigh(centred.T @ centred)
    chosen = axes[:, ::-1][:, :count].T
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(axis=1)[:, None], axis=1)
    return mean, chosen * np.sign(largest), values[::-1][:count] / max(values.sum(), 1e-300)


class Pca:
    """The first two principal components; a new point lands exactly where it would have been drawn."""

    def fit(self, vectors: Float[np.ndarray, "n dim"], config: ProjectionConfig) -> Fitted:  # noqa: ARG002
        """Projects onto the two axes of greatest variance."""
        mean, axes, variance = principal_axes(vectors)
        arrays = {"mean": mean, "axes": axes, "variance": variance}
        return Fitted((vectors - mean) @ axes.T, arrays)

    def place(
        self,
        vectors: Float[np.ndarray, "m dim"],
        reference: Float[np.ndarray, "n dim"],  # noqa: ARG002
        fitted: Fitted,
    ) -> Float[np.ndarray, "m 2"]:
        """Projects onto the axes of the map."""
        return (vectors - fitted.arrays["mean"]) @ fitted.arrays["axes"].T


def projection_of(method: str) -> Projection:
    """The projection of that name.

    Raises:
        BadInputError: there is none.
    """
    from prismat.maps.tsne import Tsne
    from prismat.maps.umap import Umap

    known: dict[str, Callable[[], Projection]] = {"tsne": Tsne, "umap": Umap, "pca": Pca}
    if method not in known:
        raise BadInputError(f"no method {method!r}", field="method", remedy=f"Use {', '.join(known)}.")
    return known[method]()


def fit_projection(method: str, vectors: Float[np.ndarray, "n dim"], config: ProjectionConfig) -> Fitted:
    """Places all vectors of a map.

    Raises:
        BadInputError: an unknown method, or fewer than 4 points.
        MissingExtraError: the package of the method is not installed.
    """
    if len(vectors) < FEWEST:
        raise BadInputError(
            f"{len(vectors)} points make no map", field="map", remedy=f"Give {FEWEST} or more records."
        )
    return projection_of(method).fit(np.asarray(vectors, dtype=np.float64), config)


def weighted_place(
    vectors: Float[np.ndarray, "m dim"],
    reference: Float[np.ndarray, "n dim"],
    xy: Float[np.ndarray, "n 2"],
    weigh: Callable[[np.ndarray], np.ndarray],
    k: int,
) -> Float[np.ndarray, "m 2"]:
    """Weighted mean of the places of each vector's k nearest reference vectors.

    Args:
        vectors: to be placed.
        reference: vectors of the map.
        xy: where those are.
        weigh: distances (m, k), nearest first, to weights.
        k: neighbours that count.
    """
    rows, distances = nearest(vectors, reference, k)
    weights = weigh(distances)
    return np.einsum("mk,mkd->md", weights / weights.sum(axis=1, keepdims=True), xy[rows])
