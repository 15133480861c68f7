"""The exact search index: unit vectors under one or more keys, the records' metadata, their model's hash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from prismat.errors import BadInputError
from prismat.files import replacing_folder
from prismat.search.exact import select
from prismat.search.filters import ElementBits, Filter
from prismat.search.hits import Hit, make_hit, property_units
from prismat.search.index_edits import add_records, compact, delete_records, update_records
from prismat.search.index_files import check_key, known, write_unit
from prismat.search.joined import Joined, mapped
from prismat.search.segments import (
    Embeddings,
    Header,
    Presence,
    Segment,
    checked_records,
    next_version,
    open_version,
    write_segment,
)
from prismat.search.weighted import Part, WeightedScorer, checked_shares, checked_weights

__all__ = ["MAX_K", "Hit", "Index"]

MAX_K = 10_000
SUFFIX = ".npy"


@dataclass(frozen=True, eq=False)
class Index:
    """Vectors and metadata of the same records, row by row, at one version.

    Edits write a new version beside this one, which stays as it is; ``latest`` opens the new one.

    Attributes:
        vectors: unit vectors by key, float32, memory-mapped; zero where the record lacks the key. Those of an
            index with segments or dead records are joined in memory when a key is first asked for.
        present: by key, which records have it.
        table: metadata, see ``SCHEMA``.
        model_hash: the model that made the vectors.
        version: grows by one with every edit.
        folder: where it lies.
    """

    kind: ClassVar[str] = "exact"

    vectors: dict[str, Float[np.ndarray, "records _"]]
    present: dict[str, Bool[np.ndarray, " records"]]
    table: pa.Table
    model_hash: str
    version: int = 1
    folder: Path | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def keys(self) -> dict[str, int]:
        """Dimensions of each key."""
        joined = self.vectors.dims if isinstance(self.vectors, Joined) else None
        return joined or {key: self.vectors[key].shape[1] for key in self.vectors}

    @cached_property
    def bits(self) -> ElementBits:
        """Elements of each record."""
        return ElementBits.of(self.table["elements"])

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each property."""
        return property_units(self.table.schema)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.table["id"].to_pylist())}

    @classmethod
    def build(
        cls, folder: Path, embeddings: Embeddings, present: Presence, table: pa.Table, model_hash: str
    ) -> "Index":
        """Writes an index, whole or not at all, over whatever was there, and opens it.

        Args:
            folder: where to.
            embeddings: by key, one vector for each record; they are brought to unit length.
            present: by key, which records have it; a key left out is present everywhere.
            table: columns of ``SCHEMA`` and ``property.<name>`` columns made with ``property_field``.
            model_hash: hash of the model.

        Raises:
            BadInputError: no keys, lengths that disagree, missing columns, duplicate ids, or a vector that is
                not finite or is zero where it should be present.
        """
        found, masks, table = checked_records(embeddings, present, table)
        dims = {key: vectors.shape[1] for key, vectors in found.items()}
        version = next_version(folder, cls.kind)
        with replacing_folder(folder) as temporary:
            files = write_segment(temporary, found, masks, table, write_unit, SUFFIX)
            segments = (Segment("", table.num_rows, files),)
            Header(cls.kind, version, model_hash, dims, segments, {}, {}).write(temporary, table.num_rows)
        return cls.open(folder, model_hash)

    @classmethod
    def open(cls, folder: Path, model_hash: str | None = None, verify: bool = False) -> "Index":
        """Opens the newest version of an index without reading its vectors.

        Args:
            folder: made by ``build``.
            model_hash: the model that will embed the queries; unchecked where None.
            verify: compare the SHA-256 of every file; otherwise only their sizes.

        Raises:
            BadInputError: no index there, or a file is missing or damaged.
            VersionError: another format version.
            MismatchError: made with another model.
        """
        opened = open_version(folder, model_hash, cls.kind, SUFFIX, verify)
        vectors = mapped(folder, opened)
        header = opened.header
        return cls(vectors, opened.present, opened.table, header.model_hash, header.version, folder)

    def latest(self) -> "Index":
        """The newest version; this one where nothing was edited."""
        return Index.open(self._place, self.model_hash)

    def search(
        self,
        vectors: Mapping[str, Float[np.ndarray, " _"]],
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        k: int = 10,
        shares: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """The k records nearest to a query that may have several parts.

        score = Σ w_key cos_key / Σ share_key, both sums over the query's keys that the record has; records
        with none of them are left out. Equal scores are ordered by row.

        Args:
            vectors: by key of this index, the query's vector; any length but zero.
            weights: by key, 1 where left out; 0 leaves the key out, a negative one asks for the opposite.
            filter: hard conditions.
            k: results wanted, at most ``MAX_K``.
            shares: by key, what its weight counts for in the mean; the absolute weight where left out.

        Raises:
            BadInputError: an empty query, an unknown key, a vector of the wrong length, a bad weight, or a
                filter that this index cannot answer.
        """
        wanted = checked_weights(vectors, weights or {}, self.keys)
        counted = checked_shares(shares, wanted)
        scorer = WeightedScorer(
            [
                Part(key, v, self.vectors[key], self.present[key], w, counted.get(key))
                for key, (v, w) in wanted.items()
            ]
        )
        allowed = np.logical_or.reduce([part.present for part in scorer.parts])
        if filter is not None and not filter.is_empty:
            allowed = allowed & filter.mask(self.table, self.bits)
        scores, rows = select(scorer, min(k, MAX_K), None if allowed.all() else allowed)
        return list(self._hits(rows[0], scores[0], scorer))

    def count(self, filter: Filter | None = None) -> int:
        """Records that pass a filter."""
        if filter is None or filter.is_empty:
            return len(self)
        return int(np.count_nonzero(filter.mask(self.table, self.bits)))

    def record(self, id: str) -> Hit:
        """Metadata of one record; its score is 0.

        Raises:
            BadInputError: no such record.
        """
        row = int(self._rows([id])[0])
        return self.records(row, row + 1)[0]

    def holds(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there."""
        return {name for name in ids if name in self.ids}

    def records(self, start: int, stop: int) -> list[Hit]:
        """Metadata of the rows from ``start`` to before ``stop``."""
        start, stop = max(start, 0), max(start, min(stop, len(self)))
        found = self.table.slice(start, stop - start).to_pylist()
        return [make_hit(start + i, record, self.units, 0.0, {}) for i, record in enumerate(found)]

    def vectors_of(
        self, key: str, ids: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        """Unit vectors of some records under a key, zero where absent, and which have one.

        Raises:
            BadInputError: an unknown key or id.
        """
        check_key(key, self.keys)
        rows = self._rows(ids)
        return np.array(self.vectors[key][rows]), self.present[key][rows]

    def add(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Adds records after the last one; returns the new version.

        Args:
            embeddings: by key; a key of the index that is left out is absent from these records.
            present: by key, which of them have it; a key left out is present everywhere.
            table: as for ``build``; it may lack properties of the index but bring no others.

        Raises:
            BadInputError: as ``build``, or an id that is there already.
            MismatchError: keys, dimensions or units that are not those of the index.
        """
        return add_records(self._place, self.kind, SUFFIX, write_unit, (embeddings, present, table))

    def update(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Replaces the records of these ids as a whole; they come last then. Returns the new version.

        Raises:
            BadInputError: as ``add``, or an id that is not there.
            MismatchError: as ``add``.
        """
        return update_records(self._place, self.kind, SUFFIX, write_unit, (embeddings, present, table))

    def delete(self, ids: Sequence[str]) -> int:
        """Removes records; returns the new version.

        Raises:
            BadInputError: an id that is not there.
        """
        return delete_records(self._place, self.kind, SUFFIX, ids)

    def compact(self) -> int:
        """Joins the segments into one without dead records and frees their space; returns the new version."""
        return compact(self._place, self.kind, SUFFIX, write_unit, lambda opened: mapped(self._place, opened))

    @property
    def _place(self) -> Path:
        if self.folder is None:
            raise BadInputError("this index lies in no folder", field="index", remedy="Build or open one.")
        return self.folder

    def _rows(self, ids: Sequence[str]) -> np.ndarray:
        return np.array([self.ids[i] for i in known(ids, self.ids)], dtype=np.int64)

    def _hits(self, rows: np.ndarray, scores: np.ndarray, scorer: WeightedScorer) -> Iterator[Hit]:
        cosines = scorer.cosines(rows)
        records: list[dict[str, Any]] = self.table.take(pa.array(rows)).to_pylist()
        for i, (row, record) in enumerate(zip(rows.tolist(), records, strict=True)):
            found = {p.key: float(cosines[i, j]) for j, p in enumerate(scorer.parts) if p.present[row]}
            yield make_hit(row, record, self.units, float(scores[i]), found)
