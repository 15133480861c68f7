"""An index in Milvus: one collection per key, filters pushed down; a cluster, or milvus-lite in a file."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MismatchError
from prismat.search.backends.conditions import MILVUS, expression, property_columns
from prismat.search.backends.milvus_store import LIMIT, PAGE, Collections, Head, connect
from prismat.search.backends.nearest import NearestIndex, first_of
from prismat.search.backends.options import BuildOptions
from prismat.search.backends.threshold import Nearest
from prismat.search.filters import PROPERTY, Filter
from prismat.search.hits import property_units
from prismat.search.index_files import check_added, check_model, only_new, unit_rows
from prismat.search.segments import Embeddings, Presence, checked_records

Records = tuple[Embeddings, Presence, pa.Table]
_FLOATS_AT_ONCE = 1 << 20


class MilvusIndex(NearestIndex):
    """Collections at one version; see ``NearestIndex`` for what it answers.

    Records carry a row that only grows. A version is a head that says how many rows belong to it; deleted
    rows are noted with the version of their deletion. So a reader sees its version whatever is added later,
    and a killed edit leaves nothing that any head speaks of. One writer at a time is for its user to see to.

    Args:
        collections: where it lies.
        head: the version.
    """

    kind: ClassVar[str] = "milvus"

    def __init__(self, collections: Collections, head: Head) -> None:
        self._collections, self._head = collections, head
        self.model_hash, self.version = head.model_hash, head.version
        self.keys, self.units = dict(head.keys), dict(head.units)
        self.options = BuildOptions.of(head.options)
        self.approximate = self.options.approximate
        self._columns = property_columns(self.units)
        self._dead = collections.dead(head)

    @classmethod
    def build(
        cls,
        uri: str,
        records: Records,
        model_hash: str,
        options: BuildOptions = BuildOptions(),
        token: str = "",
    ) -> "MilvusIndex":
        """Writes new collections, then makes them the index; see ``Index.build``."""
        embeddings, present, table = checked_records(*records)
        collections = connect(uri, token)
        old = collections.newest()
        version, generation = (old.version + 1, old.generation + 1) if old else (1, 1)
        keys = {key: vectors.shape[1] for key, vectors in embeddings.items()}
        head = Head(
            version, generation, 0, model_hash, keys, property_units(table.schema), (), options.to_dict(), 0
        )
        if old:
            # Readers of the index that is replaced keep it until the next build or compaction.
            collections.drop_older(old)
        collections.make(head)
        collections.commit(_put(collections, head, (embeddings, present, table), version))
        return cls.open(uri, model_hash, token)

    @classmethod
    def open(cls, uri: str, model_hash: str | None = None, token: str = "") -> "MilvusIndex":
        """Opens the newest version.

        Raises:
            BadInputError: no index there, or Milvus cannot be reached.
            VersionError: another format version.
            MismatchError: made with another model.
            MissingExtraError: pymilvus is not installed.
        """
        address = uri.partition("#")[0]
        missing = BadInputError("there is no index", record=uri, remedy="Run prismat index.")
        if "://" not in address and not Path(address).exists():
            # The client would make an empty one.
            raise missing
        collections = connect(uri, token)
        head = collections.newest()
        if head is None:
            raise missing
        check_model(head.model_hash, model_hash)
        collections.load(head)
        return cls(collections, head)

    def latest(self) -> "MilvusIndex":
        """The newest version, on the same connection."""
        head = self._collections.newest()
        if head is None or head.model_hash != self.model_hash:
            raise MismatchError(
                "The index was made again with another model since it was opened. Open it anew."
            )
        if head.generation != self._head.generation:
            self._collections.load(head)
        return MilvusIndex(self._collections, head)

    def close(self) -> None:
        """Ends the connection; a file of milvus-lite can be opened by another process then."""
        self._collections.client.close()

    def add(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Adds records; see ``Index.add``."""
        now = self.latest()
        ids = table["id"].to_pylist()
        only_new(ids, now._found(ids))
        return now._appended((embeddings, present, table), np.zeros(0, np.int64))

    def update(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Replaces records; see ``Index.update``."""
        now = self.latest()
        return now._appended((embeddings, present, table), now._rows(table["id"].to_pylist()))

    def delete(self, ids: Sequence[str]) -> int:
        """Removes records; see ``Index.delete``."""
        now = self.latest()
        rows, head = np.unique(now._rows(ids)), now._head
        now._collections.clean(head)
        now._collections.bury(head, rows, head.version + 1)
        return now._collections.commit(
            replace(head, version=head.version + 1, records=head.records - len(rows))
        )

    def compact(self) -> int:
        """Deletes dead records and older generations for good; readers of older versions lose those."""
        now = self.latest()
        head, collections = now._head, now._collections
        names = ["records", *(f"key_{i}" for i in range(len(head.keys)))]
        for start in range(0, len(now._dead), PAGE):
            listed = now._dead[start : start + PAGE].tolist()
            for name in names:
                collections.client.delete(collections.name(head, name), filter=f"row in {listed}")
        collections.drop_older(head)
        return collections.commit(replace(head, version=head.version + 1))

    def _appended(self, records: Records, dead: Int[np.ndarray, " dead"]) -> int:
        check_added(records[2], self.units)
        checked = checked_records(*records, self.keys)
        self._collections.clean(self._head)
        head = _put(self._collections, self._head, checked, self._head.version + 1)
        self._collections.bury(self._head, dead, head.version)
        return self._collections.commit(replace(head, records=head.records - len(dead)))

    @cached_property
    def _live(self) -> Int[np.ndarray, " records"]:
        return np.setdiff1d(np.arange(self._head.high), self._dead, assume_unique=True)

    def _name(self, key: str) -> str:
        return self._collections.name(self._head, f"key_{list(self.keys).index(key)}")

    @property
    def _combinations(self) -> Bool[np.ndarray, "combinations keys"]:
        codes = np.array(self._head.patterns, dtype=np.int64)
        return (codes[:, None] >> np.arange(len(self.keys)) & 1).astype(bool)

    def _condition(self, filter: Filter) -> str:
        return expression(filter, self._columns, MILVUS)

    def _within(self, condition: Any) -> str:
        """This version's rows that pass."""
        return f"row < {self._head.high}" + (f" and {condition}" if condition else "")

    def _count(self, condition: Any) -> int:
        name, within = self._collections.name(self._head, "records"), self._within(condition)
        total = self._counted(name, within)
        for start in range(0, len(self._dead), PAGE):
            listed = self._dead[start : start + PAGE].tolist()
            total -= self._counted(name, f"{within} and row in {listed}")
        return total

    def _counted(self, name: str, within: str) -> int:
        found = self._collections.client.query(name, filter=within, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def _nearest(self, key: str, query: Float[np.ndarray, " dim"], depth: int, condition: Any) -> Nearest:
        want = depth + min(len(self._dead), depth)
        while True:
            rows, similarity, whole = self._asked(key, query, want, condition)
            live = ~np.isin(rows, self._dead)
            if whole or np.count_nonzero(live) >= depth:
                found = first_of(rows[live], similarity[live], depth)
                return Nearest(found.rows, found.similarity, found.complete and whole)
            want *= 4

    def _asked(
        self, key: str, query: Float[np.ndarray, " dim"], want: int, condition: Any
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], bool]:
        """Rows, similarities, and whether that is all there are."""
        blocks = [""]
        if want > LIMIT:
            # More than one request may give: every row, by pieces of which each fits.
            starts = range(0, self._head.high, LIMIT)
            blocks = [f" and row >= {start} and row < {start + LIMIT}" for start in starts]
        limit = min(want, LIMIT)
        found: list[dict[str, Any]] = []
        for block in blocks:
            found += self._collections.client.search(
                self._name(key),
                data=[query],
                filter=self._within(condition) + block,
                limit=limit,
                output_fields=["row"],
                search_params={"metric_type": "IP", "params": self._walk(limit)},
            )[0]
        rows = np.array([hit["row"] for hit in found], dtype=np.int64)
        similarity = np.array([hit["distance"] for hit in found], dtype=np.float64)
        return rows, similarity, want > LIMIT or len(rows) < want

    def _walk(self, limit: int) -> dict[str, int]:
        return {"ef": max(limit, self.options.expansion)} if self.approximate else {}

    def _vectors(
        self, key: str, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        dim = self.keys[key]
        out, present = np.zeros((len(rows), dim), np.float32), np.zeros(len(rows), dtype=bool)
        page = min(PAGE, max(1, _FLOATS_AT_ONCE // dim))
        found = self._collections.fetch(self._name(key), np.unique(rows), ["vector"], page)
        vectors = {entry["row"]: entry["vector"] for entry in found}
        for i, row in enumerate(rows.tolist()):
            if row in vectors:
                out[i], present[i] = vectors[row], True
        return out, present

    def _records(self, rows: Int[np.ndarray, " n"]) -> list[dict[str, Any]]:
        plain = ["id", "formula", "spacegroup", "spacegroup_number", "title", "elements", "n_sites"]
        name = self._collections.name(self._head, "records")
        found = self._collections.fetch(name, rows, [*plain, *self._columns.values()])
        named = {
            entry["row"]: {
                **{field: entry[field] for field in plain},
                "elements": entry["elements"].split(),
                **{PROPERTY + p: entry[column] for p, column in self._columns.items()},
            }
            for entry in found
        }
        return [named[row] for row in rows.tolist()]

    def _found(self, ids: Sequence[str]) -> dict[str, int]:
        """Rows of those of the ids that are there."""
        name, found, dead = self._collections.name(self._head, "records"), {}, set(self._dead.tolist())
        for start in range(0, len(ids), PAGE):
            listed = ", ".join(map(_quoted, ids[start : start + PAGE]))
            within = f"{self._within(None)} and id in [{listed}]"
            told = self._collections.client.query(
                name, filter=within, output_fields=["id", "row"], limit=LIMIT
            )
            found |= {entry["id"]: entry["row"] for entry in told if entry["row"] not in dead}
        return found


def _quoted(text: str) -> str:
    """An id, which is data from anyone, as a string of the expression language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _put(collections: Collections, head: Head, records: Records, version: int) -> Head:
    """Inserts checked records behind a version's rows; the head that would make them count."""
    embeddings, present, table = records
    first = head.high

    def unit(key: str) -> np.ndarray:
        pieces = [rows for _, rows in unit_rows(key, embeddings[key], present[key])]
        return np.concatenate([np.zeros((0, head.keys[key]), np.float32), *pieces])

    # Every key is checked before anything is written.
    vectors = [(i, unit(key), present[key]) for i, key in enumerate(head.keys)]
    collections.put(head, table, vectors, first)
    bits = sum(present[key].astype(np.int64) << i for i, key in enumerate(head.keys))
    patterns = tuple(sorted({*head.patterns, *np.unique(bits).tolist()}))
    high, count = first + table.num_rows, head.records + table.num_rows
    return replace(head, version=version, high=high, patterns=patterns, records=count)
