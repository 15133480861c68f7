"""An index in LanceDB: one embedded table, in a local folder or on object storage, filters pushed down."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MissingExtraError, VersionError
from prismat.search.backends.conditions import (
    COUNT,
    NUMBERS,
    SQL,
    expression,
    made_columns,
    property_columns,
    property_values,
)
from prismat.search.backends.nearest import NearestIndex, combinations
from prismat.search.backends.options import BuildOptions
from prismat.search.backends.threshold import Nearest
from prismat.search.filters import PROPERTY, Filter
from prismat.search.hits import property_units
from prismat.search.index_files import REBUILD, SCHEMA, check_added, check_model, only_new, unit_rows
from prismat.search.segments import Embeddings, Presence, checked_records, one_writer

TABLE = "prismat"
FORMAT_VERSION = 1
_HEAD = b"prismat"
_ROWS = 8_192
_IDS_AT_ONCE = 1_000
_FEWEST = 256
"""Fewer records than these need no inverted lists."""
_LISTS = 20
"""Inverted lists that an approximate search looks into."""


class LanceIndex(NearestIndex):
    """One LanceDB table at one of its versions; see ``NearestIndex`` for what it answers.

    8 bytes and a mark per key are held in memory for each record; everything else stays in the table.

    Args:
        uri: a folder, or ``s3://``, ``gs://``, ``az://`` with the credentials that LanceDB finds itself.
        table: opened there.
        head: what the table's schema says about the index.

    Raises:
        BadInputError: a damaged table.
    """

    kind: ClassVar[str] = "lancedb"

    def __init__(self, uri: str, table: Any, head: dict[str, Any]) -> None:
        self.uri, self._table = uri, table
        # Looked up once: the table stays at the version it was opened at until it is told otherwise.
        self.version = int(table.version)
        table.checkout(self.version)
        self.model_hash, self.keys = head["model_hash"], dict(head["keys"])
        self.units = dict(head["units"])
        self.options = BuildOptions.of(head["options"])
        self.approximate = self.options.approximate
        self._columns = property_columns(self.units)
        self._marks = [f"h{i}" for i in range(len(self.keys))]

    @classmethod
    def build(
        cls,
        uri: str | Path,
        records: tuple[Embeddings, Presence, pa.Table],
        model_hash: str,
        options: BuildOptions = BuildOptions(),
    ) -> "LanceIndex":
        """Writes a table, whole or not at all, over whatever was there; see ``Index.build``."""
        embeddings, present, table = checked_records(*records)
        head: dict[str, Any] = {"format_version": FORMAT_VERSION, "model_hash": model_hash}
        head |= {"keys": {key: v.shape[1] for key, v in embeddings.items()}, "options": options.to_dict()}
        head |= {"units": property_units(table.schema)}
        schema = _schema(head)
        for key, values in embeddings.items():
            # Checked before the engine reads them: it would bury our errors in its own.
            deque(unit_rows(key, values, present[key]), maxlen=0)
        batches = _batches((embeddings, present, table), schema, head, first=0)
        database = _connect(str(uri))
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        mode = "overwrite" if _exists(database) else "create"
        made = database.create_table(TABLE, data=reader, schema=schema, mode=mode)
        _index_vectors(made, options, list(head["keys"]))
        return cls.open(uri, model_hash)

    @classmethod
    def open(cls, uri: str | Path, model_hash: str | None = None) -> "LanceIndex":
        """Opens the newest version.

        Raises:
            BadInputError: no index there, or a damaged one.
            VersionError: another format version.
            MismatchError: made with another model.
            MissingExtraError: LanceDB is not installed.
        """
        try:
            table = _connect(str(uri)).open_table(TABLE)
            told = (table.schema.metadata or {}).get(_HEAD)
        except (ValueError, RuntimeError, OSError) as error:
            raise BadInputError(
                "there is no index, or it cannot be read", record=str(uri), remedy="Run prismat index."
            ) from error
        head = _head(told, str(uri))
        check_model(head["model_hash"], model_hash)
        return cls(str(uri), table, head)

    def latest(self) -> "LanceIndex":
        """The newest version."""
        return LanceIndex.open(self.uri, self.model_hash)

    def add(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Adds records in one commit; see ``Index.add``."""
        with self._writing() as now:
            ids = table["id"].to_pylist()
            only_new(ids, now._found(ids))
            now._merge((embeddings, present, table))
            return int(now._table.version)

    def update(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Replaces records in one commit; see ``Index.update``."""
        with self._writing() as now:
            now._rows(table["id"].to_pylist())
            now._merge((embeddings, present, table))
            return int(now._table.version)

    def delete(self, ids: Sequence[str]) -> int:
        """Removes records in one commit; see ``Index.delete``."""
        with self._writing() as now:
            rows = now._rows(ids)
            now._table.checkout_latest()
            if len(rows):
                now._table.delete(f"row in ({', '.join(map(str, rows))})")
            return int(now._table.version)

    def compact(self) -> int:
        """Rewrites small and half-empty files; older versions go after LanceDB's own week."""
        with self._writing() as now:
            now._table.checkout_latest()
            now._table.optimize()
            return int(now._table.version)

    def _writing(self) -> Any:
        return _Writing(self)

    def _merge(self, records: tuple[Embeddings, Presence, pa.Table]) -> None:
        check_added(records[2], self.units)
        head = {"keys": self.keys, "units": self.units}
        checked = checked_records(*records, self.keys)
        first = int(self._live[-1]) + 1 if len(self) else 0
        schema = self._table.schema
        batches = list(_batches(checked, schema, head, first))
        self._table.checkout_latest()
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(pa.Table.from_batches(batches, schema))

    @cached_property
    def _marked(self) -> pa.Table:
        """Row and presence of every record, in order."""
        found = self._table.search().select(["row", *self._marks]).limit(self._table.count_rows() or 1)
        return found.to_arrow().sort_by("row")

    @cached_property
    def _live(self) -> Int[np.ndarray, " records"]:
        return self._marked["row"].to_numpy().astype(np.int64)

    def _mark(self, key: str) -> str:
        return self._marks[list(self.keys).index(key)]

    @cached_property
    def _combinations(self) -> Bool[np.ndarray, "combinations keys"]:
        marks = [self._marked[mark].to_numpy().astype(bool) for mark in self._marks]
        return combinations(marks)

    def _condition(self, filter: Filter) -> str:
        return expression(filter, self._columns, SQL)

    def _count(self, condition: Any) -> int:
        return int(self._table.count_rows(condition))

    def _nearest(self, key: str, query: Float[np.ndarray, " dim"], depth: int, condition: Any) -> Nearest:
        column = self._mark(key).replace("h", "v")
        wanted = self._mark(key) if condition is None else f"{self._mark(key)} and {condition}"
        search = self._table.search(query, vector_column_name=column).distance_type("dot")
        search = search.nprobes(_LISTS) if self.approximate else search.bypass_vector_index()
        found = search.where(wanted, prefilter=True).select(["row", "_distance"]).limit(depth).to_arrow()
        similarity = 1.0 - found["_distance"].to_numpy().astype(np.float64)
        return Nearest(found["row"].to_numpy().astype(np.int64), similarity, found.num_rows < depth)

    def _vectors(
        self, key: str, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        return self._vectors_of_all([key], rows)[0]

    def _vectors_of_all(
        self, keys: Sequence[str], rows: Int[np.ndarray, " n"]
    ) -> list[tuple[Float[np.ndarray, "n _"], Bool[np.ndarray, " n"]]]:
        marks = [self._mark(key) for key in keys]
        found = self._taken(rows, [name for mark in marks for name in (mark.replace("h", "v"), mark)])
        flat = [found[mark.replace("h", "v")].combine_chunks().flatten().to_numpy() for mark in marks]
        present = [found[mark].to_numpy().astype(bool) for mark in marks]
        return [
            (values.reshape(len(rows), self.keys[key]).astype(np.float32), there)
            for key, values, there in zip(keys, flat, present, strict=True)
        ]

    def _records(self, rows: Int[np.ndarray, " n"]) -> list[dict[str, Any]]:
        named = {PROPERTY + name: column for name, column in self._columns.items()}
        found = self._taken(rows, [*SCHEMA.names, *named.values()])
        return found.rename_columns([*SCHEMA.names, *named]).to_pylist()

    def _taken(self, rows: Int[np.ndarray, " n"], columns: list[str]) -> pa.Table:
        """Columns of some rows, in the order of the rows."""
        pieces = []
        for start in range(0, max(len(rows), 1), _IDS_AT_ONCE):
            part = rows[start : start + _IDS_AT_ONCE]
            listed = ", ".join(map(str, part.tolist())) or "-1"
            search = self._table.search().where(f"row in ({listed})").select([*columns, "row"])
            pieces.append(search.limit(len(part) + 1).to_arrow())
        joined = pa.concat_tables(pieces).combine_chunks()
        at = np.argsort(joined["row"].to_numpy(), kind="stable")
        ordered = at[np.searchsorted(joined["row"].to_numpy(), rows, sorter=at)]
        return joined.take(pa.array(ordered)).select(columns).combine_chunks()

    def _found(self, ids: Sequence[str]) -> dict[str, int]:
        """Rows of those of the ids that are there."""
        found: dict[str, int] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            # An id is data from anyone: quoted as SQL quotes.
            listed = ", ".join("'" + i.replace("'", "''") + "'" for i in ids[start : start + _IDS_AT_ONCE])
            search = self._table.search().where(f"id in ({listed})").select(["id", "row"])
            told = search.limit(_IDS_AT_ONCE).to_arrow()
            found |= dict(zip(told["id"].to_pylist(), told["row"].to_pylist(), strict=True))
        return found


class _Writing:
    """One writer at a time in a local folder; object storage is for its user to guard."""

    def __init__(self, index: LanceIndex) -> None:
        self._index = index
        self._lock = None if "://" in index.uri else one_writer(Path(index.uri))

    def __enter__(self) -> LanceIndex:
        if self._lock is not None:
            self._lock.__enter__()
        return self._index.latest()

    def __exit__(self, *error: Any) -> None:
        if self._lock is not None:
            self._lock.__exit__(*error)


def _connect(uri: str) -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise MissingExtraError("lancedb", "index") from error
    return lancedb.connect(uri)


def _exists(database: Any) -> bool:
    try:
        database.open_table(TABLE)
    except (ValueError, RuntimeError, OSError):
        return False
    return True


def _head(told: bytes | None, uri: str) -> dict[str, Any]:
    damaged = BadInputError("not an index of ours", record=uri, remedy=REBUILD)
    try:
        head = json.loads(told or b"")
        version = head["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if version != FORMAT_VERSION:
        raise VersionError(
            f"The index {uri!r} has format version {version}, this program reads {FORMAT_VERSION}. {REBUILD}"
        )
    if not all(name in head for name in ("model_hash", "keys", "units", "options")):
        raise damaged
    return head


def _schema(head: dict[str, Any]) -> pa.Schema:
    fields = [pa.field("row", pa.int64()), *SCHEMA]
    fields += [pa.field(NUMBERS, pa.list_(pa.int32())), pa.field(COUNT, pa.int32())]
    fields += [pa.field(column, pa.float64()) for column in property_columns(head["units"]).values()]
    for i, dim in enumerate(head["keys"].values()):
        fields += [pa.field(f"v{i}", pa.list_(pa.float32(), dim)), pa.field(f"h{i}", pa.bool_())]
    return pa.schema(fields, metadata={_HEAD: json.dumps(head).encode()})


def _batches(
    records: tuple[Embeddings, Presence, pa.Table], schema: pa.Schema, head: dict[str, Any], first: int
) -> Iterator[pa.RecordBatch]:
    """Records as the table holds them, 8,192 at a time; absent vectors are zero and marked."""
    embeddings, present, table = records
    for start in range(0, table.num_rows, _ROWS):
        part = slice(start, start + _ROWS)
        some = table.slice(start, _ROWS)
        columns: dict[str, Any] = {"row": pa.array(np.arange(some.num_rows) + first + start)}
        columns |= {name: some[name].combine_chunks() for name in SCHEMA.names} | made_columns(some)
        for name, column in property_columns(head["units"]).items():
            columns[column] = property_values(some, name)
        for i, (key, dim) in enumerate(head["keys"].items()):
            # One slice of at most _ROWS rows, so one piece.
            unit = np.concatenate(
                [rows for _, rows in unit_rows(key, embeddings[key][part], present[key][part])]
            )
            columns[f"v{i}"] = pa.FixedSizeListArray.from_arrays(pa.array(unit.ravel()), dim)
            columns[f"h{i}"] = pa.array(present[key][part])
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _index_vectors(table: Any, options: BuildOptions, keys: list[str]) -> None:
    """Inverted lists for approximate search; an index on rows where vectors are looked up by row."""
    from lancedb.index import BTree, IvfFlat

    table.create_index("row", config=BTree())
    records = table.count_rows()
    if not options.approximate or records < _FEWEST:
        return
    lists = IvfFlat(distance_type="dot", num_partitions=max(2, int(records**0.5)))
    for i in range(len(keys)):
        table.create_index(f"v{i}", config=lists)
