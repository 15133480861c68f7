"""The k best of several weighted parts from lists of one part each: the threshold algorithm.

R. Fagin, A. Lotem, M. Naor, Optimal aggregation algorithms for middleware, J. Comput. Syst. Sci. 66, 614
(2003). Every list is read to some depth; what was not seen in it has at most its last similarity. Records are
scored exactly in the order of the best they can reach; the k best are proven once they surpass what any
other record can reach. Otherwise the lists are read deeper. Records may lack parts: what one can reach is the
greatest over the sets of parts that records of the index have.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.search.weighted import weighted_mean

_GROWTH = 8
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """The beginning of one part's list.

    Attributes:
        rows: in the order of descending similarity.
        similarity: cosine with the part's vector, or with its opposite where the weight is negative.
        complete: nothing else has the part and passes the filter.
    """

    rows: Int[np.ndarray, " n"]
    similarity: Float[np.ndarray, " n"]
    complete: bool


@runtime_checkable
class Lists(Protocol):
    """What an engine has to offer."""

    def nearest(self, part: int, depth: int) -> Nearest:
        """The first rows of a part's list, at most ``depth``."""
        ...

    def cosines(
        self, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n parts"], Bool[np.ndarray, "n parts"]]:
        """Exact cosines with the query's vectors from the stored ones, and which parts the rows have."""
        ...


@dataclass(frozen=True, eq=False)
class Task:
    """One query.

    Attributes:
        weights: signed weight of each part.
        shares: what each weight counts for in the mean.
        patterns: the sets of parts that records have, none of them empty.
        margin: bound on the error of scores from the engine's similarities.
        k: results wanted.
        depth: of the first reading.
        max_depth: no list is read deeper; None for exact answers.
    """

    weights: Float[np.ndarray, " parts"]
    shares: Float[np.ndarray, " parts"]
    patterns: Bool[np.ndarray, "patterns parts"]
    margin: float
    k: int
    depth: int
    max_depth: int | None = None


@dataclass(eq=False)
class Scored:
    """Records scored exactly, best first when the search is over."""

    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]
    cosines: Float[np.ndarray, "n parts"]
    present: Bool[np.ndarray, "n parts"]

    def kth(self, k: int) -> float:
        """The k-th best score; −inf where there are fewer."""
        return float(np.partition(self.scores, -k)[-k]) if len(self.scores) >= k else -np.inf

    def best(self, k: int) -> "Scored":
        """The k best, equal scores by row."""
        order = np.lexsort((self.rows, -self.scores))[:k]
        return Scored(self.rows[order], self.scores[order], self.cosines[order], self.present[order])


@dataclass(eq=False)
class _Reading:
    """What the lists have told so far."""

    task: Task
    rows: Int[np.ndarray, " seen"] = field(default_factory=lambda: np.zeros(0, np.int64))
    similarity: Float[np.ndarray, "seen parts"] = field(default_factory=lambda: np.zeros((0, 0)))
    last: Float[np.ndarray, " parts"] = field(default_factory=lambda: np.zeros(0))
    complete: Bool[np.ndarray, " parts"] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def read(self, lists: Lists, depth: int) -> None:
        """Reads every list anew to a depth."""
        parts = len(self.task.weights)
        done = self.complete if len(self.complete) else np.zeros(parts, dtype=bool)
        found = {i: lists.nearest(i, depth) for i in range(parts) if not done[i]}
        rows = np.unique(np.concatenate([self.rows, *(f.rows for f in found.values())]))
        similarity = np.full((len(rows), parts), np.nan)
        if len(self.rows):
            similarity[np.searchsorted(rows, self.rows)] = self.similarity
        self.last = self.last if len(self.last) else np.full(parts, np.inf)
        self.complete = done.copy()
        for i, f in found.items():
            similarity[np.searchsorted(rows, f.rows), i] = f.similarity
            self.last[i] = f.similarity[-1] if len(f.similarity) else np.inf
            self.complete[i] = f.complete
        self.rows, self.similarity = rows, similarity

    def reach(self) -> Float[np.ndarray, " seen"]:
        """The best score that each record seen can have."""
        seen = np.isfinite(self.similarity)
        known = np.where(seen, self.similarity, self.last)
        best = np.full(len(self.rows), -np.inf)
        for pattern in self.task.patterns:
            # A part that a record has and that was read to the end has been seen.
            fits = ~(seen & ~pattern).any(axis=1) & ~(~seen & (pattern & self.complete)).any(axis=1)
            best = np.where(fits, np.maximum(best, self._mean(known, pattern)), best)
        return np.where(np.isneginf(best), np.inf, best)

    def unseen(self) -> float:
        """The best score that a record not seen in any list can have."""
        best = -np.inf
        for pattern in self.task.patterns:
            if not (pattern & self.complete).any():
                best = max(best, float(self._mean(self.last[None], pattern)[0]))
        return best

    def _mean(self, values: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        weight = np.abs(self.task.weights)[pattern]
        return (values[:, pattern] * weight).sum(axis=1) / self.task.shares[pattern].sum()


def best_of(lists: Lists, task: Task) -> Scored:
    """The k best records of a query, exactly, equal scores ordered by row.

    Exact where the lists are; with lists that leave records out, as approximate engines' do, or with
    ``max_depth``, as good as what they show.
    """
    reading, parts = _Reading(task), len(task.weights)
    nothing = np.zeros((0, parts))
    scored = Scored(np.zeros(0, np.int64), np.zeros(0, np.float32), nothing, nothing.astype(bool))
    depth = task.depth
    while True:
        reading.read(lists, depth)
        scored = _score(lists, task, reading, scored, batches=1)
        bound = reading.unseen()
        proven = scored.kth(task.k) > bound + task.margin or np.isneginf(bound)
        if proven or (task.max_depth is not None and depth >= task.max_depth):
            return _score(lists, task, reading, scored).best(task.k)
        # Deeper lists tell more of what was seen already, so the rest is not scored before.
        depth = depth * _GROWTH if task.max_depth is None else min(depth * _GROWTH, task.max_depth)


def _score(lists: Lists, task: Task, reading: _Reading, scored: Scored, batches: int | None = None) -> Scored:
    """Scores the records that can be among the k best, the most promising first, or the first of them."""
    reach = reading.reach()
    while batches is None or batches > 0:
        batches = None if batches is None else batches - 1
        reach[np.searchsorted(reading.rows, scored.rows)] = -np.inf
        # A tie may be won by its row, so what reaches the k-th score is scored as well.
        open_ = np.flatnonzero((reach >= scored.kth(task.k) - task.margin) & ~np.isneginf(reach))
        if not len(open_):
            break
        batch = open_[np.argsort(-reach[open_], kind="stable")[: max(2 * task.k, _BATCH)]]
        rows = reading.rows[batch]
        cosines, present = lists.cosines(rows)
        scores = weighted_mean(task.weights, cosines, present, task.shares).astype(np.float32)
        scored = Scored(
            np.concatenate([scored.rows, rows]),
            np.concatenate([scored.scores, scores]),
            np.concatenate([scored.cosines, cosines]),
            np.concatenate([scored.present, present]),
        )
    return scored
