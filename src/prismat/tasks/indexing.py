"""From a model and a store to a search index."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from prismat.api import Prismat
from prismat.search.backends.base import SearchIndex
from prismat.search.engine import index_table
from prismat.search.filters import PROPERTY
from prismat.search.hits import property_units
from prismat.search.index import Index
from prismat.search.index_files import check_model
from prismat.search.segments import Embeddings, Presence
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import read_bank
from prismat.training.records import read_records
from prismat.training.windows import StoreData

INDEXED = "context"
"""The text view that words are matched with: mineral name, title, notes and locality."""


def build_index(prismat: Prismat, store: Store, folder: Path) -> Index:
    """Embeds every record of a store under every window and writes the exact index.

    Args:
        prismat: the model, whose hash the index remembers; it may have been trained on another store.
        store: the records.
        folder: where to; replaced as a whole.
    """
    return Index.build(folder, *embedded_records(prismat, store), prismat.hash)


def embedded_records(
    prismat: Prismat, store: Store, rows: Int[np.ndarray, " n"] | None = None
) -> tuple[Embeddings, Presence, pa.Table]:
    """Vectors, presence and metadata of records of a store, as every index takes them.

    Args:
        prismat: the model.
        store: the records.
        rows: of the store; all where None.
    """
    rows = np.arange(len(store)) if rows is None else rows
    data = StoreData(
        store,
        prismat.recipe.windows,
        prismat.modalities,
        read_bank(prismat, read_records(store), INDEXED),
        prismat.recipe.views,
        [],
    )
    vectors, present = embed_rows(prismat, data, rows)
    return vectors, present, index_table(store).take(pa.array(rows))


@dataclass(frozen=True)
class Added:
    """What became of a store that was added to an index.

    Attributes:
        version: of the index afterwards.
        added: ids that are new.
        updated: ids that were there and were replaced.
        skipped: ids that were there and were left as they are.
        left_out: properties that the index does not have.
    """

    version: int
    added: tuple[str, ...]
    updated: tuple[str, ...]
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]


def add_store(prismat: Prismat, store: Store, index: SearchIndex, replace: bool = False) -> Added:
    """Embeds the records of a store and adds them to an index; only what is written is embedded.

    Args:
        prismat: the model that made the index.
        store: the records.
        index: any back end; it stays at its version, ``latest`` shows the new one.
        replace: replace the records that are there already, instead of leaving them as they are.

    Raises:
        MismatchError: the index was made with another model.
    """
    check_model(index.model_hash, prismat.hash)
    ids = store.table["id"].to_pylist()
    there = index.holds(ids)
    new = np.array([row for row, name in enumerate(ids) if name not in there], dtype=np.int64)
    old = np.array([row for row, name in enumerate(ids) if name in there], dtype=np.int64)
    version, left_out = index.version, ()
    for rows, write in ((new, index.add), (old if replace else old[:0], index.update)):
        if len(rows):
            embeddings, present, table = embedded_records(prismat, store, rows)
            foreign = [
                name for name, unit in property_units(table.schema).items() if index.units.get(name) != unit
            ]
            version = write(embeddings, present, table.drop_columns([PROPERTY + name for name in foreign]))
            left_out = tuple(foreign)
    names = [tuple(ids[row] for row in rows.tolist()) for rows in (new, old)]
    return Added(version, names[0], names[1] if replace else (), () if replace else names[1], left_out)
