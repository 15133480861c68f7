"""An index in usearch: one memory-mapped file per key and segment, larger than memory if need be."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError, MissingExtraError
from prismat.files import replacing_folder
from prismat.search.backends.nearest import NearestIndex, combinations, first_of
from prismat.search.backends.options import BuildOptions
from prismat.search.backends.threshold import Nearest
from prismat.search.filters import ElementBits, Filter
from prismat.search.hits import property_units
from prismat.search.index_edits import add_records, compact, delete_records, update_records
from prismat.search.index_files import REBUILD, unit_rows
from prismat.search.segments import (
    Embeddings,
    Header,
    Opened,
    Presence,
    Segment,
    WriteVectors,
    checked_records,
    next_version,
    open_version,
    write_segment,
)

SUFFIX = ".usearch"
_SPARSE = 20
"""Where fewer than one record in so many passes a filter, those that pass are compared one by one."""
_HALF_ERROR = 2.0**-10
"""A query is rounded to half precision before it is compared with vectors in half precision."""


class UsearchIndex(NearestIndex):
    """Vectors in usearch files, metadata in memory; see ``NearestIndex`` for what it answers.

    Args:
        folder: made by ``build``.
        opened: one version of it.

    Raises:
        MissingExtraError: usearch is not installed.
        BadInputError: a file is missing or damaged.
    """

    kind: ClassVar[str] = "usearch"

    def __init__(self, folder: Path, opened: Opened) -> None:
        self.folder, self._opened = folder, opened
        header = opened.header
        self.model_hash, self.version, self.keys = header.model_hash, header.version, header.dims
        self.units = property_units(opened.table.schema)
        self.options = BuildOptions.of(header.options)
        self.approximate = self.options.approximate
        self._bits = ElementBits.of(opened.table["elements"])
        self._files = {key: self._views(key) for key in self.keys}

    @classmethod
    def build(
        cls,
        folder: Path,
        records: tuple[Embeddings, Presence, pa.Table],
        model_hash: str,
        options: BuildOptions = BuildOptions(),
    ) -> "UsearchIndex":
        """Writes an index, whole or not at all, over whatever was there; see ``Index.build``."""
        embeddings, present, table = checked_records(*records)
        dims = {key: vectors.shape[1] for key, vectors in embeddings.items()}
        version = next_version(folder, cls.kind)
        with replacing_folder(folder) as temporary:
            files = write_segment(temporary, embeddings, present, table, writer(options), SUFFIX)
            segments = (Segment("", table.num_rows, files),)
            header = Header(cls.kind, version, model_hash, dims, segments, {}, options.to_dict())
            header.write(temporary, table.num_rows)
        return cls.open(folder, model_hash)

    @classmethod
    def open(cls, folder: Path, model_hash: str | None = None, verify: bool = False) -> "UsearchIndex":
        """Opens the newest version; vectors stay on disk. See ``Index.open``."""
        return cls(folder, open_version(folder, model_hash, cls.kind, SUFFIX, verify))

    def latest(self) -> "UsearchIndex":
        """The newest version."""
        return UsearchIndex.open(self.folder, self.model_hash)

    def add(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Adds records; see ``Index.add``."""
        records = (embeddings, present, table)
        return add_records(self.folder, self.kind, SUFFIX, writer(self.options), records)

    def update(self, embeddings: Embeddings, present: Presence, table: pa.Table) -> int:
        """Replaces records; see ``Index.update``."""
        records = (embeddings, present, table)
        return update_records(self.folder, self.kind, SUFFIX, writer(self.options), records)

    def delete(self, ids: Sequence[str]) -> int:
        """Removes records; see ``Index.delete``."""
        return delete_records(self.folder, self.kind, SUFFIX, ids)

    def compact(self) -> int:
        """Joins the segments into one; see ``Index.compact``."""

        def vectors(opened: Opened) -> dict[str, np.ndarray]:
            now = UsearchIndex(self.folder, opened)
            return {key: now._vectors(key, now._live)[0] for key in now.keys}

        return compact(self.folder, self.kind, SUFFIX, writer(self.options), vectors)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self._opened.table["id"].to_pylist())}

    @cached_property
    def _live(self) -> Int[np.ndarray, " records"]:
        return np.arange(self._opened.table.num_rows)

    def _margin(self, keys: tuple[str, ...]) -> float:
        return super()._margin(keys) + (_HALF_ERROR if self.options.dtype == "f16" else 0.0)

    @cached_property
    def _combinations(self) -> Bool[np.ndarray, "combinations keys"]:
        return combinations(list(self._opened.present.values()))

    def _condition(self, filter: Filter) -> Bool[np.ndarray, " records"]:
        return filter.mask(self._opened.table, self._bits)

    def _count(self, condition: Any) -> int:
        return int(np.count_nonzero(condition))

    def _nearest(self, key: str, query: Float[np.ndarray, " dim"], depth: int, condition: Any) -> Nearest:
        allowed = self._opened.present[key] if condition is None else self._opened.present[key] & condition
        passing = int(np.count_nonzero(allowed))
        places = self._opened.starts[-1]
        if passing * _SPARSE < places:
            rows = np.flatnonzero(allowed)
            return first_of(rows, self._vectors(key, rows)[0] @ query, depth)
        want = math.ceil(1.1 * depth * places / max(passing, 1)) + 16
        while True:
            rows, similarity, whole = self._asked(key, query, want)
            keep = allowed[rows]
            if whole or np.count_nonzero(keep) >= depth:
                found = first_of(rows[keep], similarity[keep], depth)
                return Nearest(found.rows, found.similarity, found.complete and whole)
            want *= 4

    def _asked(self, key: str, query: np.ndarray, want: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Live rows that the segments find, their similarities, and whether that is all there are.

        What a segment leaves out lies below all that it gives, so the lists are cut at the highest such end.
        """
        rows, similarity, floor, whole = [], [], -np.inf, True
        for start, view in zip(self._opened.starts[:-1], self._files[key], strict=True):
            if view is None:
                continue
            found = view.search(query, min(want, len(view)), exact=not self.approximate, threads=1)
            rows.append(np.asarray(found.keys, dtype=np.int64) + start)
            similarity.append(1.0 - np.asarray(found.distances, dtype=np.float64))
            if len(found.keys) == want and want < len(view):
                whole, floor = False, max(floor, float(similarity[-1].min()))
        places = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        values = np.concatenate(similarity) if similarity else np.zeros(0)
        at = np.searchsorted(self._opened.rows, places)
        live = (at < len(self._opened.rows)) & (values >= floor)
        live[live] = self._opened.rows[at[live]] == places[live]
        return at[live], values[live], whole

    def _vectors(
        self, key: str, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n dim"], Bool[np.ndarray, " n"]]:
        out = np.zeros((len(rows), self.keys[key]), np.float32)
        present = self._opened.present[key][rows]
        places = self._opened.rows[rows]
        segment = np.searchsorted(self._opened.starts, places, side="right") - 1
        for i, view in enumerate(self._files[key]):
            at = np.flatnonzero(present & (segment == i))
            if view is not None and len(at):
                found = view.get(places[at] - self._opened.starts[i])
                out[at] = np.stack(found).reshape(len(at), -1).astype(np.float32)
        return out, present

    def _records(self, rows: Int[np.ndarray, " n"]) -> list[dict[str, Any]]:
        return self._opened.table.take(pa.array(rows)).to_pylist()

    def _found(self, ids: Sequence[str]) -> dict[str, int]:
        return {name: self.ids[name] for name in ids if name in self.ids}

    def _views(self, key: str) -> list[Any]:
        return [_view(path, self.keys[key]) for path in self._opened.paths(self.folder, key, SUFFIX)]


def usearch_module() -> Any:
    """The ``index`` module of usearch.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from usearch import index
    except ImportError as error:
        raise MissingExtraError("usearch", "index") from error
    return index


def writer(options: BuildOptions) -> WriteVectors:
    """Writes vectors of one key as a usearch file."""
    usearch = usearch_module()
    # A graph that nobody walks is made as thin as it can be.
    walked = {"connectivity": options.connectivity, "expansion_add": options.expansion}
    graph = walked if options.approximate else {"connectivity": 2, "expansion_add": 1}

    def write(path: Path, key: str, vectors: np.ndarray, present: np.ndarray) -> None:
        index = usearch.Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype=options.dtype,
            expansion_search=options.expansion,
            **graph,
        )
        for part, rows in unit_rows(key, vectors, present):
            there = np.flatnonzero(present[part])
            if len(there):
                # One thread: the graph, and with it what an approximate search finds, is then reproducible.
                index.add(there + part.start, rows[there], threads=1)
        if len(index):
            index.save(str(path))
        else:
            path.write_bytes(b"")

    return write


def _view(path: Path, dim: int) -> Any:
    """A file mapped into memory; None where it holds nothing."""
    if path.stat().st_size == 0:
        return None
    damaged = BadInputError(f"{path.name} is damaged", record=str(path.parent), remedy=REBUILD)
    try:
        view = usearch_module().Index.restore(str(path), view=True)
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise damaged from error
    if view is None or view.ndim != dim:
        raise damaged
    return view
