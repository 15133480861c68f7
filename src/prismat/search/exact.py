"""Exact nearest neighbours by dot product: chunked, memory-mapped galleries welcome, ties by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from prismat.errors import BadInputError

Rows = slice | np.ndarray

_FIRST_CHUNK = 8_192
_SCORES_AT_ONCE = 1 << 24
"""Scores held in memory at once (64 MiB). Few large products beat many small ones on shared cores."""
_QUERIES_AT_ONCE = 128
_SPARSE = 0.1
"""Below this share of rows that pass the mask, a chunk's rows are gathered before they are scored."""


@runtime_checkable
class Scorer(Protocol):
    """Scores rows of a gallery against some queries, fast and then exactly."""

    @property
    def n_items(self) -> int:
        """Rows of the gallery."""
        ...

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        ...

    @property
    def error(self) -> float:
        """Bound on the difference between ``fast`` and ``exact``."""
        ...

    def fast(self, rows: Rows) -> Float[np.ndarray, "rows queries"]:
        """Scores in float32; −inf for rows that do not count."""
        ...

    def exact(self, rows: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Scores of (row, query) pairs in float64."""
        ...


def rounding(dim: int) -> float:
    """Bound on the rounding error of a float32 dot product of two unit vectors.

    n·u/(1 − n·u) with u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1).
    """
    return dim * 2.0**-24 * 1.01 + 1e-7


@dataclass(frozen=True, eq=False)
class DotScorer:
    """Dot products of unit vectors."""

    query: Float[np.ndarray, "queries dim"]
    gallery: Float[np.ndarray, "items dim"]

    @property
    def n_items(self) -> int:
        """Rows of the gallery."""
        return len(self.gallery)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.query)

    @property
    def error(self) -> float:
        """Rounding bound of ``fast``."""
        return rounding(self.gallery.shape[1])

    def fast(self, rows: Rows) -> Float[np.ndarray, "rows queries"]:
        """One matrix product in the gallery's own type."""
        part = self.gallery[rows]
        if len(self.query) == 1:
            # The matrix–vector kernel streams the gallery at memory speed.
            return (part @ self.query[0])[:, None]
        return part @ self.query.T

    def exact(self, rows: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Row-wise products, so that equal vectors get equal scores wherever they lie."""
        return pair_dots(self.gallery, rows, self.query, queries)


def pair_dots(
    gallery: Float[np.ndarray, "items dim"],
    rows: Int[np.ndarray, " n"],
    query: Float[np.ndarray, "queries dim"],
    queries: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Dot products of (row, query) pairs in float64, 65,536 at a time."""
    out = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), 65_536):
        part = slice(start, start + 65_536)
        out[part] = (gallery[rows[part]].astype(np.float64) * query[queries[part]]).sum(axis=1)
    return out


def top_k(
    query: Float[np.ndarray, "queries width"],
    gallery: Float[np.ndarray, "items dim"],
    k: int,
    mask: Bool[np.ndarray, " marks"] | None = None,
) -> tuple[Float[np.ndarray, "queries found"], Int[np.ndarray, "queries found"]]:
    """The k rows of greatest dot product with each query; for unit vectors, of greatest cosine.

    Every row is scored in float32; all that lie within rounding error of the k-th best are scored again in
    float64, and equal scores are ordered by row. The result depends neither on the chunks nor on the BLAS.

    Args:
        query: unit vectors.
        gallery: unit vectors, float32; may be memory-mapped.
        k: neighbours wanted.
        mask: rows that may be returned; all where None.

    Returns:
        Scores (float32, descending) and rows; ``found`` is k or the number of rows allowed, if smaller.

    Raises:
        BadInputError: k is not positive, the shapes disagree, or a vector is not finite.
    """
    if query.shape[1] != gallery.shape[1]:
        raise BadInputError(
            f"the query has {query.shape[1]} dimensions, the gallery {gallery.shape[1]}",
            field="query",
            remedy="Embed both with the same model.",
        )
    if not np.isfinite(query).all():
        raise BadInputError("not a finite number", field="query", remedy="Check the embedding.")
    query = np.ascontiguousarray(query, dtype=np.float32)
    found = [
        select(DotScorer(query[start : start + _QUERIES_AT_ONCE], gallery), k, mask)
        for start in range(0, max(len(query), 1), _QUERIES_AT_ONCE)
    ]
    return np.concatenate([s for s, _ in found]), np.concatenate([r for _, r in found])


@dataclass
class _Best:
    """Candidates so far, flat: which query, which row, which score; and the k-th score of each query."""

    owner: Int[np.ndarray, " n"]
    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]
    kth: Float[np.ndarray, " queries"]


def select(
    scorer: Scorer, k: int, mask: Bool[np.ndarray, " marks"] | None = None
) -> tuple[Float[np.ndarray, "queries found"], Int[np.ndarray, "queries found"]]:
    """The k best rows of each query under any scorer; see ``top_k``. All queries must allow the same rows."""
    if k < 1:
        raise BadInputError(f"k is {k}", field="k", remedy="Ask for at least one result.")
    if mask is not None and len(mask) != scorer.n_items:
        raise BadInputError(
            f"{len(mask)} values for {scorer.n_items} rows", field="mask", remedy="Give one for each row."
        )
    n = scorer.n_queries
    best = _Best(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.full(n, -np.inf))
    margin = 2 * scorer.error
    for rows in _chunks(scorer, mask, max(_FIRST_CHUNK, 2 * k)):
        scores = scorer.fast(rows)
        # The maximum carries NaN along, so one pass finds both NaN and +inf.
        if len(scores) and not (scores.max(axis=0) < np.inf).all():
            first = rows.start if isinstance(rows, slice) else int(rows[0])
            raise BadInputError(
                "a vector is not finite",
                record=f"row {first} or after",
                field="gallery",
                remedy="Embed again.",
            )
        if mask is not None and isinstance(rows, slice):
            scores[~mask[rows]] = -np.inf
        _take(best, scores, rows, k, margin)
    exact = scorer.exact(best.rows, best.owner).astype(np.float32)
    order = np.lexsort((best.rows, -exact, best.owner))
    counts = np.bincount(best.owner, minlength=n)
    found = min(k, int(counts.min())) if n else 0
    place = (np.cumsum(counts) - counts)[:, None] + np.arange(found)
    return exact[order][place], best.rows[order][place]


def _chunks(scorer: Scorer, mask: np.ndarray | None, first: int) -> Iterator[Rows]:
    """A small slice, then large ones; row numbers instead where few rows of a slice pass the mask."""
    largest = max(first, _SCORES_AT_ONCE // max(scorer.n_queries, 1))
    start, size = 0, first
    while start < scorer.n_items:
        stop = min(start + size, scorer.n_items)
        rows = slice(start, stop)
        passing = stop - start if mask is None else int(np.count_nonzero(mask[rows]))
        if mask is not None and passing < _SPARSE * (stop - start):
            if passing:
                yield start + np.flatnonzero(mask[rows])
        else:
            yield rows
        # The threshold set by the rows seen so far lets about 64 k of the next 64 times as many pass.
        start, size = stop, min(64 * stop, largest)


def _take(best: _Best, scores: Float[np.ndarray, "rows queries"], rows: Rows, k: int, margin: float) -> None:
    """Adds a chunk's candidates and drops those that fell behind."""
    if len(scores) > k and np.isneginf(best.kth).any():
        best.kth = np.maximum(best.kth, np.partition(scores, len(scores) - k, axis=0)[len(scores) - k])
    hits = np.flatnonzero(scores > best.kth.astype(np.float32) - np.float32(margin))
    row, owner = np.divmod(hits, scores.shape[1])
    row_numbers = row + rows.start if isinstance(rows, slice) else rows[row]
    best.owner = np.concatenate([best.owner, owner])
    best.rows = np.concatenate([best.rows, row_numbers])
    best.scores = np.concatenate([best.scores, scores.ravel()[hits]])
    order = np.lexsort((-best.scores, best.owner))
    counts = np.bincount(best.owner, minlength=len(best.kth))
    full = counts >= k
    place = (np.cumsum(counts) - counts)[full] + k - 1
    best.kth[full] = np.maximum(best.kth[full], best.scores[order[place]])
    keep = best.scores > best.kth[best.owner] - margin
    best.owner, best.rows, best.scores = best.owner[keep], best.rows[keep], best.scores[keep]


def normalized(vector: Shaped[np.ndarray, " dim"], dim: int, field: str) -> Float[np.ndarray, " dim"]:
    """A unit float32 vector of the right length.

    Raises:
        BadInputError: another length, not finite, or zero.
    """
    vector = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(vector)) if np.isfinite(vector).all() else 0.0
    if len(vector) != dim or length == 0:
        raise BadInputError(
            f"expected a finite vector of {dim} dimensions, not zero (got {len(vector)} dimensions)",
            field=field,
            remedy="Embed the query with the model that made the index.",
        )
    return (vector / length).astype(np.float32)
