"""Edits of an index that lies in a folder of segments: each writes a new version, whole or not at all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from prismat.search.hits import property_units
from prismat.search.index_files import check_added, known, only_new
from prismat.search.segments import (
    Embeddings,
    Header,
    Opened,
    Presence,
    WriteVectors,
    checked_records,
    one_writer,
    open_version,
    sweep,
    with_dead,
    with_segment,
    write_segment,
)

Records = tuple[Embeddings, Presence, pa.Table]
"""Vectors by key, presence by key, metadata."""


def add_records(folder: Path, kind: str, suffix: str, write: WriteVectors, records: Records) -> int:
    """Adds a segment; see ``Index.add``."""
    with one_writer(folder):
        opened = open_version(folder, None, kind, suffix, verify=False)
        _check(opened, records[2])
        only_new(records[2]["id"].to_pylist(), set(opened.table["id"].to_pylist()))
        header = _appended(folder, opened, records, write, suffix)
        return _commit(folder, header, len(opened.rows) + records[2].num_rows)


def update_records(folder: Path, kind: str, suffix: str, write: WriteVectors, records: Records) -> int:
    """Adds a segment and declares the older records of its ids dead, in one step; see ``Index.update``."""
    with one_writer(folder):
        opened = open_version(folder, None, kind, suffix, verify=False)
        _check(opened, records[2])
        rows = _rows(opened, records[2]["id"].to_pylist())
        header = _appended(folder, opened, records, write, suffix)
        header = with_dead(folder, header, _dead(opened, rows), header.version)
        return _commit(folder, header, len(opened.rows))


def delete_records(folder: Path, kind: str, suffix: str, ids: Sequence[str]) -> int:
    """Declares records dead; see ``Index.delete``."""
    with one_writer(folder):
        opened = open_version(folder, None, kind, suffix, verify=False)
        rows = _rows(opened, ids)
        header = with_dead(folder, opened.header, _dead(opened, rows), opened.header.version + 1)
        return _commit(folder, header, len(opened.rows) - len(set(rows.tolist())))


def compact(
    folder: Path,
    kind: str,
    suffix: str,
    write: WriteVectors,
    vectors: Callable[[Opened], Mapping[str, np.ndarray]],
) -> int:
    """Writes the live records as one segment; ``vectors`` reads theirs by key."""
    with one_writer(folder):
        opened = open_version(folder, None, kind, suffix, verify=False)
        live = dict(vectors(opened))
        header = with_segment(
            folder,
            opened.header,
            len(opened.rows),
            lambda place: write_segment(place, live, opened.present, opened.table, write, suffix),
        )
        header = replace(header, segments=header.segments[-1:], dead={})
        return _commit(folder, header, len(opened.rows))


def _check(opened: Opened, table: pa.Table) -> None:
    check_added(table, property_units(opened.table.schema))


def _appended(folder: Path, opened: Opened, records: Records, write: WriteVectors, suffix: str) -> Header:
    embeddings, present, table = checked_records(*records, opened.header.dims)
    return with_segment(
        folder,
        opened.header,
        table.num_rows,
        lambda place: write_segment(place, embeddings, present, table, write, suffix),
    )


def _rows(opened: Opened, ids: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Places of live records among all."""
    places = dict(zip(opened.table["id"].to_pylist(), opened.rows.tolist(), strict=True))
    return np.array([places[i] for i in known(ids, places)], dtype=np.int64)


def _dead(opened: Opened, more: Int[np.ndarray, " n"]) -> Int[np.ndarray, " dead"]:
    live = np.ones(opened.starts[-1], dtype=bool)
    live[more] = False
    dead = np.setdiff1d(np.arange(opened.starts[-1]), opened.rows)
    return np.union1d(dead, np.flatnonzero(~live))


def _commit(folder: Path, header: Header, records: int) -> int:
    header.write(folder, records)
    # Only after the new version is in place; what an older reader has open stays readable.
    sweep(folder, header)
    return header.version
