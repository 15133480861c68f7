"""Scores of a query with several parts: the weighted mean cosine over the parts a record has."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.search.exact import Rows, normalized, pair_dots, rounding


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a query against one matrix of an index.

    Attributes:
        key: name of the matrix.
        query: unit vector.
        gallery: unit vectors.
        present: rows that have a vector.
        weight: not zero; a negative one asks for records unlike the query.
        share: what the weight counts for in the mean; its absolute value where None.
    """

    key: str
    query: Float[np.ndarray, " dim"]
    gallery: Float[np.ndarray, "items dim"]
    present: Bool[np.ndarray, " items"]
    weight: float
    share: float | None = None

    @property
    def divisor(self) -> float:
        """What it adds to the sum of weights."""
        return abs(self.weight) if self.share is None else self.share


@dataclass(frozen=True, eq=False)
class WeightedScorer:
    """score = Σ w cos / Σ share, both sums over the parts that the row has; −inf where it has none.

    A part of negative weight thereby counts as the cosine with the opposite vector.
    """

    parts: list[Part]

    @property
    def n_items(self) -> int:
        """Rows of the index."""
        return len(self.parts[0].present)

    @property
    def n_queries(self) -> int:
        """One query of several parts."""
        return 1

    @property
    def error(self) -> float:
        """A mean is no less exact than its worst part; the mean itself rounds a few times more."""
        return rounding(max(len(part.query) for part in self.parts)) + len(self.parts) * 2.0**-22

    def fast(self, rows: Rows) -> Float[np.ndarray, "rows 1"]:
        """Weighted means in float32."""
        if len(self.parts) == 1:
            part = self.parts[0]
            score = part.gallery[rows] @ (part.query * np.float32(part.weight / part.divisor))
            score[~part.present[rows]] = -np.inf
            return score[:, None]
        length = len(self.parts[0].present[rows])
        total, weight = np.zeros(length, np.float32), np.zeros(length, np.float32)
        for part in self.parts:
            present = part.present[rows]
            total += np.float32(part.weight) * (part.gallery[rows] @ part.query)
            weight += np.float32(part.divisor) * present
        # Absent rows hold zero vectors, so they add nothing to the numerator.
        score = np.full(length, -np.inf, np.float32)
        np.divide(total, weight, out=score, where=weight > 0)
        return score[:, None]

    def exact(
        self,
        rows: Int[np.ndarray, " n"],
        queries: Int[np.ndarray, " n"],  # noqa: ARG002  (all 0: there is one query)
    ) -> Float[np.ndarray, " n"]:
        """Weighted means in float64."""
        present = np.stack([part.present[rows] for part in self.parts], axis=1)
        weights, shares = np.array([(p.weight, p.divisor) for p in self.parts]).T
        return weighted_mean(weights, self.cosines(rows), present, shares)

    def cosines(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n parts"]:
        """Cosine of each row with each part; 0 where absent."""
        first = np.zeros(len(rows), dtype=np.int64)
        return np.stack([pair_dots(p.gallery, rows, p.query[None], first) for p in self.parts], axis=1)


def weighted_mean(
    weights: Float[np.ndarray, " parts"],
    cosines: Float[np.ndarray, "n parts"],
    present: Bool[np.ndarray, "n parts"],
    shares: Float[np.ndarray, " parts"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Σ w cos / Σ share over the parts present, in float64; each row needs one at least.

    Args:
        weights: of the parts.
        cosines: of each row with each part.
        present: which parts each row has.
        shares: |w| where None.
    """
    divisor = np.abs(weights) if shares is None else shares
    return (weights * present * cosines).sum(axis=1) / (divisor * present).sum(axis=1)


def checked_weights(
    vectors: Mapping[str, Float[np.ndarray, " _"]], weights: Mapping[str, float], keys: Mapping[str, int]
) -> dict[str, tuple[Float[np.ndarray, " _"], float]]:
    """Unit vector and weight of every part of a query that counts, in the order given.

    Args:
        vectors: by key, of any length but zero.
        weights: by key, 1 where left out; 0 leaves the key out, a negative one asks for the opposite.
        keys: dimensions of each key of the index.

    Raises:
        BadInputError: an empty query, an unknown key, a vector of the wrong length, or a bad weight.
    """
    unknown = sorted((set(vectors) | set(weights)) - set(keys))
    if unknown:
        raise BadInputError(
            f"unknown key {unknown[0]!r}", field="query", remedy=f"This index has: {', '.join(keys)}."
        )
    for key, weight in weights.items():
        if key not in vectors or not np.isfinite(weight):
            raise BadInputError(
                f"weight {weight} for {key!r}",
                field="weights",
                remedy="Give finite weights, and only for parts of the query.",
            )
    used = [key for key in vectors if weights.get(key, 1.0) != 0]
    if not used:
        raise BadInputError("the query is empty", field="query", remedy="Give at least one part.")
    return {key: (normalized(vectors[key], keys[key], key), float(weights.get(key, 1.0))) for key in used}


def checked_shares(shares: Mapping[str, float] | None, used: Mapping[str, object]) -> dict[str, float]:
    """Shares of the parts that count.

    Args:
        shares: by key, what a weight counts for in the mean where that is not its absolute value.
        used: by key, the parts that count.

    Raises:
        BadInputError: a share that is not positive.
    """
    for key, share in (shares or {}).items():
        if not (np.isfinite(share) and share > 0):
            raise BadInputError(f"share {share} for {key!r}", field="shares", remedy="Give positive numbers.")
    return {key: float(share) for key, share in (shares or {}).items() if key in used}
