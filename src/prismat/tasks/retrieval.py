"""Retrieval figures: how early the right item comes, and how sure that is.

The rank of a query is 1 + the number of wrong items that score at least as high as its best right one: ties
count against the model, so a constant score earns nothing. Several items may be right for one query
(duplicates of its text or structure).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.tasks.bootstrap import RESAMPLES, bootstrap_means, bootstrap_medians, interval

CUTOFFS = (1, 5, 10)
_SCORES_AT_ONCE = 8_000_000

_Rows = Iterator[slice]


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Figures of one direction.

    Attributes:
        pool: number of items each query was ranked against, the right ones included (mean where it varies).
        recall: share of queries whose rank is ≤ k, by k.
        median_rank: median of the ranks.
        mrr: mean of 1 / rank.
        chance: mean over queries of (right items) / (pool), the exact recall@1 of a random order.
        ranks: rank of each query, shape (queries,).
        ci95: lower and upper end of the 95 % bootstrap interval, by metric.
        note: how the pool was drawn, where that is not the whole gallery.
        groups: cluster of each query for intervals, shape (queries,); None where each stands for itself.
    """

    pool: float
    recall: dict[int, float]
    median_rank: float
    mrr: float
    chance: float
    ranks: Int[np.ndarray, " queries"]
    ci95: dict[str, tuple[float, float]] = field(default_factory=dict)
    note: str = ""
    groups: Int[np.ndarray, " queries"] | None = None

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self.ranks)

    def hits(self, k: int) -> Float[np.ndarray, " queries"]:
        """1 for each query whose rank is ≤ k, else 0."""
        return (self.ranks <= k).astype(np.float64)

    def recall_curve(self, longest: int) -> Float[np.ndarray, " k"]:
        """Recall at k = 1 … ``longest``."""
        counts = np.bincount(np.minimum(self.ranks, longest + 1), minlength=longest + 2)
        return np.cumsum(counts[1 : longest + 1]) / self.queries

    def to_dict(self) -> dict[str, Any]:
        """The figures under their usual names, in JSON types."""
        recalls = {f"recall@{k}": value for k, value in self.recall.items()}
        ci95 = {metric: list(ends) for metric, ends in self.ci95.items()}
        pool = int(self.pool) if float(self.pool).is_integer() else self.pool
        figures = {"median_rank": self.median_rank, "mrr": self.mrr, "chance@1": self.chance, "ci95": ci95}
        return {"pool": pool, **recalls, **figures}

    def describe(self) -> dict[str, Any]:
        """``to_dict`` with the number of queries, and the note where there is one."""
        return {**self.to_dict(), "queries": self.queries, **({"note": self.note} if self.note else {})}


def retrieval_metrics(
    scores: Float[np.ndarray, "queries gallery"],
    relevant: Bool[np.ndarray, "queries gallery"],
    groups: Int[np.ndarray, " labels"] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> RetrievalResult:
    """Figures over the whole gallery.

    Args:
        scores: similarity of each query and item, higher is better.
        relevant: which items are right for which query.
        groups: cluster of each query for the bootstrap; each query by itself when not given.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        BadInputError: no queries, a score that is NaN, or a query with no right item.
    """
    _check(scores, relevant)
    ranks = np.concatenate([_ranks(scores[rows], relevant[rows], None) for rows in _row_chunks(scores.shape)])
    sizes = np.full(len(scores), scores.shape[1])
    return _summarise(ranks, sizes, relevant.sum(axis=1), groups, (seed, resamples))


def pooled_metrics(
    scores: Float[np.ndarray, "queries gallery"],
    relevant: Bool[np.ndarray, "queries gallery"],
    pool: int = 1024,
    seed: int = 0,
    *,
    groups: Int[np.ndarray, " labels"] | None = None,
    resamples: int = RESAMPLES,
) -> RetrievalResult:
    """Figures over pools of a fixed size, comparable between galleries.

    Each query is ranked in its own pool: one of its right items and ``pool`` − 1 others drawn at random from
    the rest of the gallery (further right ones among them stay right). A gallery that is not larger than
    ``pool`` is used whole, which the note says.

    Raises:
        BadInputError: as :func:`retrieval_metrics`, or a pool below 2.
    """
    if pool < 2:
        raise BadInputError(f"a pool of {pool} ranks nothing", field="pool", remedy="Use 1024.")
    if scores.shape[1] <= pool:
        whole = retrieval_metrics(scores, relevant, groups, seed, resamples)
        return replace(whole, note=f"whole gallery of {scores.shape[1]}, not larger than a pool of {pool}")
    _check(scores, relevant)
    rng = np.random.default_rng(seed)
    ranks, right = [], []
    for rows in _row_chunks(scores.shape):
        members = _draw_pools(relevant[rows], pool, rng)
        inside = np.take_along_axis(relevant[rows], members, axis=1)
        ranks.append(_ranks(np.take_along_axis(scores[rows], members, axis=1), inside, None))
        right.append(inside.sum(axis=1))
    sizes = np.full(len(scores), pool)
    result = _summarise(np.concatenate(ranks), sizes, np.concatenate(right), groups, (seed, resamples))
    return replace(result, note=f"random pools of {pool} from a gallery of {scores.shape[1]}")


def grouped_gallery_metrics(
    scores: Float[np.ndarray, "queries gallery"],
    relevant: Bool[np.ndarray, "queries gallery"],
    gallery_group: Int[np.ndarray, " gallery"],
    query_group: Int[np.ndarray, " queries"] | None = None,
    *,
    groups: Int[np.ndarray, " labels"] | None = None,
    seed: int = 0,
) -> RetrievalResult:
    """Figures where each query is ranked only among the items of its own group.

    With one group per composition this is the polymorph gallery: the formula cannot help. Queries whose
    group holds no wrong item are left out, as is one without a right item in its group.

    Args:
        scores: similarity of each query and item, higher is better.
        relevant: which items are right for which query.
        gallery_group: group number of each item.
        query_group: group number of each query; that of its right items when not given.
        groups: cluster of each query for the bootstrap; its gallery group when not given.
        seed: of the bootstrap.

    Returns:
        The result with the mean pool size; ``ranks`` has one entry per query that was kept.

    Raises:
        BadInputError: as :func:`retrieval_metrics`, no query with a wrong item beside the right one, or right
            items of one query in several groups while ``query_group`` is not given.
    """
    _check(scores, relevant)
    own = _own_groups(relevant, gallery_group) if query_group is None else query_group
    inside = own[:, None] == gallery_group[None, :]
    answers = relevant & inside
    right, sizes = answers.sum(axis=1), inside.sum(axis=1)
    kept = np.flatnonzero((right > 0) & (right < sizes))
    if not len(kept):
        raise BadInputError(
            "no query has a wrong item in its own group",
            field="gallery_group",
            remedy="Leave this gallery out of the report, or use coarser groups.",
        )
    ranks = np.concatenate(
        [
            _ranks(scores[kept[rows]], answers[kept[rows]], inside[kept[rows]])
            for rows in _row_chunks((len(kept), scores.shape[1]))
        ]
    )
    clusters = (own if groups is None else groups)[kept]
    result = _summarise(ranks, sizes[kept], right[kept], clusters, (seed, RESAMPLES))
    return replace(result, note=f"{len(kept)} of {len(scores)} queries, each within its own group")


def ndcg(
    scores: Float[np.ndarray, "queries gallery"],
    gains: Float[np.ndarray, "queries gallery"],
    k: int | None = None,
) -> Float[np.ndarray, " queries"]:
    """Normalised discounted cumulative gain of each query with graded relevance.

    DCG = Σ gain_r / log2(1 + r) over the ranks r ≤ k, divided by that of the best order (Järvelin and
    Kekäläinen, ACM Trans. Inf. Syst. 20 (2002) 422). Among equal scores the smallest gain comes first: ties
    count against the model.

    Raises:
        BadInputError: no queries, NaN scores, a negative gain, or a query without a positive one.
    """
    _check(scores, gains > 0)
    if gains.min() < 0:
        raise BadInputError("a gain is negative", field="gains", remedy="Use gains of 0 or more.")
    k = scores.shape[1] if k is None else min(k, scores.shape[1])
    discount = 1 / np.log2(np.arange(2, k + 2))
    values = []
    for rows in _row_chunks(scores.shape):
        order = np.lexsort((gains[rows], -scores[rows]), axis=1)[:, :k]
        found = np.take_along_axis(gains[rows], order, axis=1) @ discount
        values.append(found / (-np.sort(-gains[rows], axis=1)[:, :k] @ discount))
    return np.concatenate(values)


def _check(scores: np.ndarray, relevant: np.ndarray) -> None:
    if not len(scores):
        raise BadInputError("there are no queries", field="scores", remedy="Give at least one.")
    for rows in _row_chunks(scores.shape):
        bad = np.flatnonzero(np.isnan(scores[rows]).any(axis=1))
        if len(bad):
            raise BadInputError(
                f"scores of query {rows.start + bad[0]} are NaN",
                field="scores",
                remedy="Look for zero vectors or a diverged training run.",
            )
    empty = np.flatnonzero(~relevant.any(axis=1))
    if len(empty):
        raise BadInputError(
            f"query {empty[0]} (of {len(empty)} such queries) has no right item in the gallery",
            field="relevant",
            remedy="Leave queries without an answer out.",
        )


def _row_chunks(shape: tuple[int, ...]) -> _Rows:
    """Row slices that hold a bounded number of scores."""
    step = max(1, _SCORES_AT_ONCE // max(1, shape[1]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _ranks(
    scores: np.ndarray, relevant: np.ndarray, inside: np.ndarray | None
) -> Int[np.ndarray, " queries"]:
    """Rank of the best right item, wrong items with the same score placed before it."""
    best = np.max(scores, axis=1, where=relevant, initial=-np.inf)
    ahead = (scores >= best[:, None]) & ~relevant
    return 1 + (ahead if inside is None else ahead & inside).sum(axis=1)


def _draw_pools(relevant: np.ndarray, pool: int, rng: np.random.Generator) -> Int[np.ndarray, "queries pool"]:
    """Columns of each query's pool: one right item at random, then others of any kind."""
    key = rng.random(relevant.shape)
    answer = np.argmin(np.where(relevant, key, 2.0), axis=1)
    key[np.arange(len(key)), answer] = -1
    return np.argpartition(key, pool - 1, axis=1)[:, :pool]


def _own_groups(relevant: np.ndarray, gallery_group: np.ndarray) -> Int[np.ndarray, " queries"]:
    """Group of each query's right items, which must be one."""
    own = gallery_group[np.argmax(relevant, axis=1)]
    stray = np.flatnonzero((relevant & (own[:, None] != gallery_group[None, :])).any(axis=1))
    if len(stray):
        raise BadInputError(
            f"right items of query {stray[0]} lie in several groups",
            field="gallery_group",
            remedy="Say which group each query belongs to with query_group.",
        )
    return own


def _summarise(
    ranks: np.ndarray,
    sizes: np.ndarray,
    right: np.ndarray,
    groups: np.ndarray | None,
    bootstrap: tuple[int, int],
) -> RetrievalResult:
    """Figures and intervals from the rank, pool size and number of right items of each query.

    ``bootstrap`` holds the seed and the number of resamples.
    """
    seed, resamples = bootstrap
    values = np.stack([*((ranks <= k).astype(np.float64) for k in CUTOFFS), 1 / ranks, right / sizes], axis=1)
    names = (*(f"recall@{k}" for k in CUTOFFS), "mrr", "chance@1")
    means = bootstrap_means(values, groups, resamples, seed)
    ci95 = {name: interval(means[:, column]) for column, name in enumerate(names)}
    ci95["median_rank"] = interval(bootstrap_medians(ranks.astype(np.float64), groups, resamples, seed))
    point = values.mean(axis=0)
    return RetrievalResult(
        pool=float(sizes.mean()),
        recall={k: float(point[i]) for i, k in enumerate(CUTOFFS)},
        median_rank=float(np.median(ranks)),
        mrr=float(point[-2]),
        chance=float(point[-1]),
        ranks=ranks.astype(np.int64),
        ci95=ci95,
        groups=None if groups is None else groups.astype(np.int64),
    )
