"""From a model and a store to a search index."""

from pathlib import Path

import numpy as np

from prismat.api import Prismat
from prismat.search.engine import index_table
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import read_bank
from prismat.training.records import read_records
from prismat.training.windows import StoreData

INDEXED = "context"
"""The text view that words are matched with: mineral name, title, notes and locality."""


def build_index(prismat: Prismat, store: Store, folder: Path) -> Index:
    """Embeds every record of a store under every window and writes the index.

    Args:
        prismat: the model, whose hash the index remembers; it may have been trained on another store.
        store: the records.
        folder: where to; replaced as a whole.
    """
    data = StoreData(
        store,
        prismat.recipe.windows,
        prismat.modalities,
        read_bank(prismat, read_records(store), INDEXED),
        prismat.recipe.views,
        [],
    )
    vectors, present = embed_rows(prismat, data, np.arange(len(store)))
    return Index.build(folder, vectors, present, index_table(store), prismat.hash)
