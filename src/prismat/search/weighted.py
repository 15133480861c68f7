"""Scores of a query with several parts: the weighted mean cosine over the parts a record has."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.search.exact import Rows, pair_dots, rounding


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a query against one matrix of an index.

    Attributes:
        key: name of the matrix.
        query: unit vector.
        gallery: unit vectors.
        present: rows that have a vector.
        weight: positive.
    """

    key: str
    query: Float[np.ndarray, " dim"]
    gallery: Float[np.ndarray, "items dim"]
    present: Bool[np.ndarray, " items"]
    weight: float


@dataclass(frozen=True, eq=False)
class WeightedScorer:
    """score = Σ w cos / Σ w, both sums over the parts that the row has; −inf where it has none."""

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
            score = part.gallery[rows] @ part.query
            score[~part.present[rows]] = -np.inf
            return score[:, None]
        length = len(self.parts[0].present[rows])
        total, weight = np.zeros(length, np.float32), np.zeros(length, np.float32)
        for part in self.parts:
            present = part.present[rows]
            total += np.float32(part.weight) * (part.gallery[rows] @ part.query)
            weight += np.float32(part.weight) * present
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
        weights = np.stack([part.weight * part.present[rows] for part in self.parts], axis=1)
        return (weights * self.cosines(rows)).sum(axis=1) / weights.sum(axis=1)

    def cosines(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n parts"]:
        """Cosine of each row with each part; 0 where absent."""
        first = np.zeros(len(rows), dtype=np.int64)
        return np.stack([pair_dots(p.gallery, rows, p.query[None], first) for p in self.parts], axis=1)
