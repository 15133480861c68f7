"""Which vectors of a query are compared with which of a record."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prismat.api import PROFILE, SENTENCE, Prismat
from prismat.errors import BadInputError
from prismat.explain.side import Comparison
from prismat.search.comparisons import Blend


@dataclass(frozen=True)
class Link:
    """Two keys that are compared, and how much that counts.

    Attributes:
        query: key of the query's vector.
        material: key of the record's.
        weight: positive; those of one part of a query add up to the part's.
    """

    query: str
    material: str
    weight: float


def blended(prismat: Prismat, blend: Blend, window: str, keys: set[str]) -> list[Link]:
    """The comparisons that a search makes for one window of a query, as ``search.comparisons.compare`` does.

    Args:
        prismat: the model.
        blend: weights of the search.
        window: of the query.
        keys: of the query's vectors in that window.
    """
    others = [other for other in prismat.recipe.windows if other != window]
    raw = [key for key in (SENTENCE, PROFILE) if key in keys]
    own = sorted({prismat.key(window, other) for other in others})
    learned = blend.learned[window] if raw or blend.learned[window] else blend.raw[window]
    links = [
        Link(prismat.key(window, o), prismat.key(o, window), blend.cross[window].get(o, 0.0)) for o in others
    ]
    links += [Link(key, key, learned / len(own)) for key in own]
    links += [Link(key, key, blend.raw[window]) for key in raw]
    total = sum(link.weight for link in links)
    return [Link(link.query, link.material, link.weight / total) for link in links if link.weight > 0]


def directed(prismat: Prismat, direction: str) -> tuple[str, list[Link]]:
    """Window of the query and the one comparison of ``text->structure`` and the like.

    Raises:
        BadInputError: not two windows of the model.
    """
    start, _, end = direction.partition("->")
    windows = prismat.recipe.windows
    if start not in windows or end not in windows or start == end:
        raise BadInputError(
            f"unknown direction {direction!r}",
            field="direction",
            remedy=f"Write two of {', '.join(windows)} as {windows[0]}->{windows[1]}.",
        )
    return start, [Link(prismat.key(start, end), prismat.key(end, start), 1.0)]


@dataclass(frozen=True, eq=False)
class Compared:
    """A link with both its vectors.

    Attributes:
        link: which keys.
        query: unit vector, shape (dim,).
        material: unit vector, shape (dim,).
    """

    link: Link
    query: Float[np.ndarray, " dim"]
    material: Float[np.ndarray, " dim"]

    @property
    def cosine(self) -> float:
        """Of the two vectors."""
        return float(self.query.astype(np.float64) @ self.material.astype(np.float64))

    def for_query(self) -> Comparison:
        """As the query's side sees it."""
        return Comparison(self.link.query, self.link.material, self.material, self.link.weight)

    def for_material(self) -> Comparison:
        """As the record's side sees it."""
        return Comparison(self.link.material, self.link.query, self.query, self.link.weight)
