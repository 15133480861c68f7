"""A search index: unit vectors under one or more keys, the records' metadata, and their model's hash."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float

from prismat.errors import BadInputError
from prismat.files import replacing_folder, write_json
from prismat.material import Property
from prismat.search.exact import normalized, select
from prismat.search.filters import PROPERTY, ElementBits, Filter, property_names
from prismat.search.index_files import (
    FORMAT_VERSION,
    REBUILD,
    check_file,
    check_rows,
    checked_table,
    load,
    load_table,
    read_header,
    stamp,
    write_unit,
)
from prismat.search.weighted import Part, WeightedScorer

MAX_K = 10_000


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        row: row in the index.
        score: weighted mean cosine over the keys present.
        scores: cosine by key; keys that the record lacks are left out.
        properties: known properties with their units.
    """

    row: int
    id: str
    score: float
    scores: dict[str, float]
    formula: str
    spacegroup: str
    spacegroup_number: int | None
    title: str
    elements: tuple[str, ...]
    n_sites: int | None
    properties: dict[str, Property]


@dataclass(frozen=True, eq=False)
class Index:
    """Vectors and metadata of the same records, row by row.

    Attributes:
        vectors: unit vectors by key, float32, memory-mapped; zero where the record lacks the key.
        present: by key, which records have it.
        table: metadata, see ``SCHEMA``.
        model_hash: the model that made the vectors.
    """

    vectors: dict[str, Float[np.ndarray, "records _"]]
    present: dict[str, Bool[np.ndarray, " records"]]
    table: pa.Table
    model_hash: str

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def bits(self) -> ElementBits:
        """Elements of each record."""
        return ElementBits.of(self.table["elements"])

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each property."""
        fields = {name: self.table.schema.field(PROPERTY + name) for name in property_names(self.table)}
        return {name: (f.metadata or {}).get(b"unit", b"").decode() for name, f in fields.items()}

    @cached_property
    def ids(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.table["id"].to_pylist())}

    @classmethod
    def build(
        cls,
        folder: Path,
        embeddings: Mapping[str, Float[np.ndarray, "records _"]],
        present: Mapping[str, Bool[np.ndarray, " records"]],
        table: pa.Table,
        model_hash: str,
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
        table = checked_table(table)
        keys = sorted(embeddings)
        if not keys or not set(present) <= set(keys):
            raise BadInputError(
                f"embeddings for {keys} but presence for {sorted(present)}",
                field="embeddings",
                remedy="Give at least one key, and embeddings for each.",
            )
        masks = {k: np.asarray(present.get(k, np.ones(len(embeddings[k]), bool)), dtype=bool) for k in keys}
        for key in keys:
            check_rows(key, embeddings[key], masks[key], table.num_rows)
        with replacing_folder(folder) as temporary:
            for i, key in enumerate(keys):
                write_unit(temporary / f"vectors_{i}.npy", key, embeddings[key], masks[key])
                np.save(temporary / f"present_{i}.npy", masks[key], allow_pickle=False)
            pq.write_table(table, temporary / "table.parquet", compression="zstd")
            files = {path.name: stamp(path) for path in sorted(temporary.iterdir())}
            payload = {"format_version": FORMAT_VERSION, "model_hash": model_hash, "records": table.num_rows}
            write_json(temporary / "index.json", {**payload, "keys": keys, "files": files})
        return cls.open(folder, model_hash)

    @classmethod
    def open(cls, folder: Path, model_hash: str | None = None, verify: bool = False) -> "Index":
        """Opens an index without reading its vectors.

        Args:
            folder: made by ``build``.
            model_hash: the model that will embed the queries; unchecked where None.
            verify: compare the SHA-256 of every file; otherwise only their sizes.

        Raises:
            BadInputError: no index there, or a file is missing or damaged.
            VersionError: another format version.
            MismatchError: made with another model.
        """
        header = read_header(folder, model_hash)
        keys = header["keys"]
        names = [f"{kind}_{i}.npy" for i in range(len(keys)) for kind in ("vectors", "present")]
        for name in (*names, "table.parquet"):
            check_file(folder / name, header["files"].get(name), verify)
        vectors = {k: load(folder / f"vectors_{i}.npy", np.float32, 2) for i, k in enumerate(keys)}
        present = {k: np.array(load(folder / f"present_{i}.npy", np.bool_, 1)) for i, k in enumerate(keys)}
        table = load_table(folder / "table.parquet")
        if any(len(column) != table.num_rows for column in (*vectors.values(), *present.values())):
            raise BadInputError("the files disagree in length", record=str(folder), remedy=REBUILD)
        return cls(vectors, present, table, header["model_hash"])

    def search(
        self,
        vectors: Mapping[str, Float[np.ndarray, " _"]],
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        k: int = 10,
    ) -> list[Hit]:
        """The k records nearest to a query that may have several parts.

        score = Σ w_key cos_key / Σ w_key, both sums over the query's keys that the record has; records with
        none of them are left out. Equal scores are ordered by row.

        Args:
            vectors: by key of this index, the query's vector; any length but zero.
            weights: by key, 1 where left out; 0 leaves the key out.
            filter: hard conditions.
            k: results wanted, at most ``MAX_K``.

        Raises:
            BadInputError: an empty query, an unknown key, a vector of the wrong length, a bad weight, or a
                filter that this index cannot answer.
        """
        scorer = WeightedScorer(self._parts(vectors, weights or {}))
        allowed = np.logical_or.reduce([part.present for part in scorer.parts])
        if filter is not None and not filter.is_empty:
            allowed = allowed & filter.mask(self.table, self.bits)
        scores, rows = select(scorer, min(k, MAX_K), None if allowed.all() else allowed)
        return list(self._hits(rows[0], scores[0], scorer))

    def _parts(self, vectors: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> list[Part]:
        unknown = sorted((set(vectors) | set(weights)) - set(self.vectors))
        if unknown:
            raise BadInputError(
                f"unknown key {unknown[0]!r}",
                field="query",
                remedy=f"This index has: {', '.join(self.vectors)}.",
            )
        for key, weight in weights.items():
            if key not in vectors or not (np.isfinite(weight) and weight >= 0):
                raise BadInputError(
                    f"weight {weight} for {key!r}",
                    field="weights",
                    remedy="Give finite weights ≥ 0, and only for parts of the query.",
                )
        used = [key for key in vectors if weights.get(key, 1.0) != 0]
        if not used:
            raise BadInputError("the query is empty", field="query", remedy="Give at least one part.")
        return [
            Part(
                key,
                normalized(vectors[key], self.vectors[key].shape[1], key),
                self.vectors[key],
                self.present[key],
                float(weights.get(key, 1.0)),
            )
            for key in used
        ]

    def _hits(self, rows: np.ndarray, scores: np.ndarray, scorer: WeightedScorer) -> Iterator[Hit]:
        cosines = scorer.cosines(rows)
        records = self.table.take(pa.array(rows)).to_pylist()
        for i, (row, record) in enumerate(zip(rows.tolist(), records, strict=True)):
            yield Hit(
                row=row,
                id=record["id"],
                score=float(scores[i]),
                scores={
                    part.key: float(cosines[i, j]) for j, part in enumerate(scorer.parts) if part.present[row]
                },
                formula=record["formula"] or "",
                spacegroup=record["spacegroup"] or "",
                spacegroup_number=record["spacegroup_number"],
                title=record["title"] or "",
                elements=tuple(record["elements"] or ()),
                n_sites=record["n_sites"],
                properties=self._properties(record),
            )

    def _properties(self, record: dict[str, Any]) -> dict[str, Property]:
        known = {name: record[PROPERTY + name] for name in property_names(self.table)}
        return {
            name: Property(value, self.units[name])
            for name, value in known.items()
            if value is not None and np.isfinite(value)
        }
