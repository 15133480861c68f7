"""Materials on disk: packed ragged columns for tensors, Parquet for everything else, one folder per shard.

Layout of a store (schema version 3; version 2, without crystals, is read too)::

    store.json            schema version, source, settings, shards with their hashes, content hash
    rejects.jsonl         every row that could not become a record, with its reason
    shard-00000/          complete or absent: written under another name, then renamed
        table.parquet     id, formula, space group, texts, properties, tags, provenance
        crystals.parquet  primitive cell, positions, what sits on each site
        <column>.values.npy, <column>.lengths.npy
    texts/                texts added later, see ``store_texts``
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from prismat.crystal import Crystal
from prismat.errors import BadInputError, VersionError
from prismat.files import digest, replacing_folder, sha256, write_json
from prismat.ragged import Packed, Ragged, ranges
from prismat.store_crystals import crystal_of, crystal_table
from prismat.store_texts import read_added_texts, read_texts_info

SCHEMA_VERSION = 3
_READABLE = (2, 3)


def write_shard(
    folder: Path,
    table: pa.Table,
    packed: Packed,
    rejects: Sequence[dict[str, str]],
    crystals: Sequence[Crystal | None],
) -> None:
    """Writes one shard as a whole.

    Args:
        folder: the shard's folder; appears only when everything in it is written.
        table: one row per record.
        packed: ragged columns, one row per record.
        rejects: {id, reason} of the rows left out.
        crystals: primitive cell of each record, or None.
    """
    with replacing_folder(folder) as temporary:
        pq.write_table(table, temporary / "table.parquet", compression="zstd")
        pq.write_table(crystal_table(crystals), temporary / "crystals.parquet", compression="zstd")
        for name, column in packed.items():
            np.save(temporary / f"{name}.values.npy", column.values, allow_pickle=False)
            np.save(temporary / f"{name}.lengths.npy", column.lengths.astype(np.int32), allow_pickle=False)
        lines = [json.dumps(r, ensure_ascii=False) for r in rejects]
        (temporary / "rejects.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        hashes = {p.name: sha256(p) for p in sorted(temporary.iterdir())}
        write_json(
            temporary / "shard.json", {"rows": table.num_rows, "hash": digest(hashes), "files": hashes}
        )


class _Shard:
    """One folder, its columns memory-mapped when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(values, offsets) of a column."""
        if name not in self._columns:
            lengths = np.load(self.folder / f"{name}.lengths.npy", allow_pickle=False)
            values = np.load(self.folder / f"{name}.values.npy", mmap_mode="r", allow_pickle=False)
            self._columns[name] = (values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
        return self._columns[name]

    def crystals(self) -> pa.Table:
        """One row per record."""
        path = self.folder / "crystals.parquet"
        if not path.is_file():
            raise BadInputError(
                f"{self.folder.parent} was prepared before stores kept crystals",
                remedy="Run 'prismat prepare' again into a new folder.",
            )
        return pq.read_table(path)


class Store:
    """A prepared data set, opened read-only.

    Args:
        folder: what ``prismat prepare`` wrote.

    Raises:
        BadInputError: no store there, or its preparation did not finish.
        VersionError: written by another schema version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "store.json"
        if not path.is_file():
            raise BadInputError(
                f"no finished store in {self.folder}",
                remedy="Run 'prismat prepare'; it resumes where it stopped.",
            )
        self.info = json.loads(path.read_text(encoding="utf-8"))
        if self.info["schema_version"] not in _READABLE:
            raise VersionError(
                f"{self.folder} has store schema {self.info['schema_version']}, this program reads "
                f"{SCHEMA_VERSION}. Run 'prismat prepare' again into a new folder."
            )
        self._shards = [_Shard(self.folder / s["name"]) for s in self.info["shards"]]
        self._first = np.cumsum([0] + [s["rows"] for s in self.info["shards"]])

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def hash(self) -> str:
        """Content hash over all shards and the texts added to them."""
        added = {kind: info["sha256"] for kind, info in self.added_texts.items()}
        return digest(self.info["hash"], added) if added else self.info["hash"]

    @cached_property
    def added_texts(self) -> dict[str, dict[str, Any]]:
        """What made the texts that were added after preparation, by kind."""
        return read_texts_info(self.folder)

    @cached_property
    def table(self) -> pa.Table:
        """One row per record: everything that is not a tensor."""
        tables = [pq.read_table(s.folder / "table.parquet") for s in self._shards]
        return self._with_added(pa.concat_tables(tables).combine_chunks())

    def _with_added(self, table: pa.Table) -> pa.Table:
        """The table with the texts that were added later, which stand in place of any of the same kind."""
        if not self.added_texts:
            return table
        added = read_added_texts(self.folder)
        texts = []
        for identifier, own in zip(table["id"].to_pylist(), table["texts"].to_pylist(), strict=True):
            new = {kind: by_id[identifier] for kind, by_id in added.items() if identifier in by_id}
            texts.append(list((dict(own) | new).items()))
        column = table.schema.get_field_index("texts")
        return table.set_column(column, "texts", pa.array(texts, type=table.schema.field("texts").type))

    def crystals(self, rows: Int[np.ndarray, " n"] | None = None) -> list[Crystal | None]:
        """Primitive cells of the rows asked for, in that order; of all where None.

        Raises:
            BadInputError: the store was prepared before crystals were kept.
        """
        rows = np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.int64)
        shard = np.searchsorted(self._first, rows, side="right") - 1
        found: dict[int, Crystal | None] = {}
        for number in np.unique(shard):
            here = rows[shard == number]
            table = self._shards[number].crystals().take(here - self._first[number])
            found |= dict(zip(here.tolist(), map(crystal_of, table.to_pylist()), strict=True))
        return [found[row] for row in rows.tolist()]

    @cached_property
    def ids(self) -> list[str]:
        """Record ids in store order."""
        return self.table["id"].to_pylist()

    def column(self, name: str) -> list:
        """One table column as a list."""
        return self.table[name].to_pylist()

    def property_units(self) -> dict[str, set[str]]:
        """The units in which each property of any record comes, by name."""
        units: dict[str, set[str]] = {}
        for row in self.column("properties"):
            for entry in row:
                units.setdefault(entry["name"], set()).add(entry["unit"])
        return units

    def lengths(self, name: str) -> Int[np.ndarray, " records"]:
        """Length of every record in one ragged column."""
        return np.concatenate([np.diff(s.column(name)[1]) for s in self._shards])

    def take(self, rows: Int[np.ndarray, " n"], names: Sequence[str]) -> Packed:
        """Ragged columns of the rows asked for, in that order; a slice per shard, no loop over records."""
        rows = np.asarray(rows, dtype=np.int64)
        shard = np.searchsorted(self._first, rows, side="right") - 1
        return {name: self._take(name, rows - self._first[shard], shard) for name in names}

    def _take(self, name: str, local: np.ndarray, shard: np.ndarray) -> Ragged:
        lengths = np.zeros(len(local), dtype=np.int64)
        parts = []
        for number in np.unique(shard):
            values, offsets = self._shards[number].column(name)
            here = np.flatnonzero(shard == number)
            lengths[here] = offsets[local[here] + 1] - offsets[local[here]]
            parts.append((values, offsets[local[here]], here))
        first = self._shards[0].column(name)[0]
        out = np.empty((int(lengths.sum()), *first.shape[1:]), dtype=first.dtype)
        target = np.cumsum(lengths) - lengths
        for values, start, here in parts:
            out[ranges(target[here], lengths[here])] = values[ranges(start, lengths[here])]
        return Ragged(out, lengths)
