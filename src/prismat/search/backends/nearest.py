"""An index over an engine that finds the nearest neighbours under one key at a time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.search.backends.conditions import check_properties
from prismat.search.backends.threshold import Nearest, Scored, Task, best_of
from prismat.search.exact import pair_dots, rounding
from prismat.search.filters import Filter
from prismat.search.hits import Hit, make_hit
from prismat.search.index import MAX_K
from prismat.search.index_files import check_key, known
from prismat.search.weighted import checked_shares, checked_weights

_FIRST_DEPTH, _FIRST_OF_SEVERAL = 64, 1_024
"""One list is the answer itself; several have to be read until their best records meet."""
_MAX_DEPTH = 4_096
"""Depth of approximate lists: their gaps, not the depth, limit what is found."""


@dataclass(frozen=True, eq=False)
class _Lists:
    """The lists of one query."""

    index: "NearestIndex"
    parts: tuple[tuple[str, Float[np.ndarray, " _"], float], ...]
    condition: Any

    def nearest(self, part: int, depth: int) -> Nearest:
        """As ``Lists`` wants it: similar to the opposite where the weight is negative."""
        key, vector, weight = self.parts[part]
        return self.index._nearest(key, vector if weight > 0 else -vector, depth, self.condition)

    def cosines(
        self, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n parts"], Bool[np.ndarray, "n parts"]]:
        """Exact cosines from the stored vectors."""
        found = self.index._vectors_of_all([key for key, _, _ in self.parts], rows)
        places, first = np.arange(len(rows)), np.zeros(len(rows), np.int64)
        pairs = zip(found, self.parts, strict=True)
        dots = [pair_dots(vectors, places, query[None], first) for (vectors, _), (_, query, _) in pairs]
        return np.stack(dots, axis=1), np.stack([there for _, there in found], axis=1)


class NearestIndex(ABC):
    """What the engines share: weighted queries, ties, records, errors.

    A record's *row* inside an engine grows with every addition and is never used again; its place among the
    live records is what ``Hit.row`` tells.
    """

    kind: ClassVar[str]
    model_hash: str
    version: int
    keys: dict[str, int]
    units: dict[str, str]
    approximate: bool

    def __len__(self) -> int:
        return len(self._live)

    def search(
        self,
        vectors: Mapping[str, Float[np.ndarray, " _"]],
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        k: int = 10,
        shares: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """The k records nearest to a query; see ``Index.search``."""
        if k < 1:
            raise BadInputError(f"k is {k}", field="k", remedy="Ask for at least one result.")
        wanted = checked_weights(vectors, weights or {}, self.keys)
        parts = tuple((key, vector, weight) for key, (vector, weight) in wanted.items())
        counted = {key: abs(weight) for key, _, weight in parts} | checked_shares(shares, wanted)
        patterns = self._patterns(tuple(wanted))
        if filter is not None:
            check_properties(filter, self.units)
        if not len(patterns) or not len(self):
            return []
        condition = None if filter is None or filter.is_empty else self._condition(filter)
        task = self._task(parts, counted, patterns, min(k, MAX_K))
        return self._hits(best_of(_Lists(self, parts, condition), task), tuple(wanted))

    def _task(
        self,
        parts: tuple[tuple[str, Float[np.ndarray, " _"], float], ...],
        counted: Mapping[str, float],
        patterns: Bool[np.ndarray, "patterns parts"],
        k: int,
    ) -> Task:
        """A query for the threshold algorithm."""
        depth = max(_FIRST_DEPTH, 4 * k) if len(parts) == 1 else max(_FIRST_OF_SEVERAL, 16 * k)
        # Where a weight is more than its share, errors weigh more too.
        scale = max(1.0, *(abs(weight) / counted[key] for key, _, weight in parts))
        return Task(
            weights=np.array([weight for _, _, weight in parts]),
            shares=np.array([counted[key] for key, _, _ in parts]),
            patterns=patterns,
            margin=self._margin(tuple(key for key, _, _ in parts)) * scale,
            k=k,
            depth=depth,
            max_depth=max(_MAX_DEPTH, depth) if self.approximate else None,
        )

    def _hits(self, best: Scored, keys: tuple[str, ...]) -> list[Hit]:
        records = self._records(best.rows)
        found = []
        for i, place in enumerate(np.searchsorted(self._live, best.rows).tolist()):
            scores = {key: float(best.cosines[i, j]) for j, key in enumerate(keys) if best.present[i, j]}
            found.append(make_hit(place, records[i], self.units, float(best.scores[i]), scores))
        return found

    def count(self, filter: Filter | None = None) -> int:
        """Records that pass a filter."""
        if filter is None or filter.is_empty:
            return len(self)
        check_properties(filter, self.units)
        return self._count(self._condition(filter))

    def record(self, id: str) -> Hit:
        """Metadata of one record; its score is 0.

        Raises:
            BadInputError: no such record.
        """
        place = int(np.searchsorted(self._live, self._rows([id])[0]))
        return self.records(place, place + 1)[0]

    def holds(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there."""
        return set(self._found(ids))

    def records(self, start: int, stop: int) -> list[Hit]:
        """Metadata of the rows from ``start`` to before ``stop``."""
        start = max(start, 0)
        rows = self._live[start : max(stop, start)]
        found = self._records(rows)
        return [make_hit(start + i, record, self.units, 0.0, {}) for i, record in enumerate(found)]

    def vectors_of(
        self, key: str, ids: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        """Unit vectors of some records under a key, zero where absent, and which have one.

        Raises:
            BadInputError: an unknown key or id.
        """
        check_key(key, self.keys)
        return self._vectors(key, self._rows(ids))

    def _patterns(self, keys: tuple[str, ...]) -> Bool[np.ndarray, "patterns parts"]:
        """The sets of some keys that records have, without the empty one."""
        at = [list(self.keys).index(key) for key in keys]
        found = np.unique(self._combinations[:, at], axis=0)
        return found[found.any(axis=1)]

    def _margin(self, keys: tuple[str, ...]) -> float:
        """Bound on the error of similarities: two float32 roundings of products, and their mean's."""
        return 2 * max(rounding(self.keys[key]) for key in keys) + len(keys) * 2.0**-22

    @property
    @abstractmethod
    def _live(self) -> Int[np.ndarray, " records"]:
        """Engine rows of the live records, ascending."""

    @property
    @abstractmethod
    def _combinations(self) -> Bool[np.ndarray, "combinations keys"]:
        """The sets of keys that records have, with those of older records maybe."""

    @abstractmethod
    def _condition(self, filter: Filter) -> Any:
        """A filter in the engine's form."""

    @abstractmethod
    def _count(self, condition: Any) -> int:
        """Live records that pass."""

    @abstractmethod
    def _nearest(self, key: str, query: Float[np.ndarray, " dim"], depth: int, condition: Any) -> Nearest:
        """The live records of greatest dot product."""

    @abstractmethod
    def _vectors(
        self, key: str, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        """Stored vectors, zero where absent."""

    def _vectors_of_all(
        self, keys: Sequence[str], rows: Int[np.ndarray, " n"]
    ) -> list[tuple[Float[np.ndarray, "n _"], Bool[np.ndarray, " n"]]]:
        """Stored vectors and presence under several keys."""
        return [self._vectors(key, rows) for key in keys]

    @abstractmethod
    def _records(self, rows: Int[np.ndarray, " n"]) -> list[dict[str, Any]]:
        """Metadata in the order of the rows."""

    @abstractmethod
    def _found(self, ids: Sequence[str]) -> dict[str, int]:
        """Engine rows of those of the ids that are live."""

    def _rows(self, ids: Sequence[str]) -> Int[np.ndarray, " n"]:
        found = self._found(ids)
        return np.array([found[i] for i in known(ids, found)], dtype=np.int64)


def first_of(rows: Int[np.ndarray, " n"], similarity: Float[np.ndarray, " n"], depth: int) -> Nearest:
    """A complete list cut at a depth, equal similarities by row."""
    order = np.lexsort((rows, -similarity))[:depth]
    return Nearest(rows[order], similarity[order].astype(np.float64), len(rows) <= depth)


def combinations(present: Sequence[Bool[np.ndarray, " records"]]) -> Bool[np.ndarray, "combinations keys"]:
    """The different sets of keys that records have, from the presence of each key."""
    codes = np.zeros(len(present[0]), np.int64)
    for i, there in enumerate(present):
        codes |= there.astype(np.int64) << i
    return (np.unique(codes)[:, None] >> np.arange(len(present)) & 1).astype(bool)
