"""From a model and a store to a search index."""

from pathlib import Path

import numpy as np

from prismat.api import Prismat
from prismat.search.engine import index_table
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.training.windows import StoreData


def build_index(prismat: Prismat, data: StoreData, store: Store, folder: Path) -> Index:
    """Embeds every record of a store under every window and writes the index.

    Args:
        prismat: the model, whose hash the index remembers.
        data: windows of the store.
        store: the records.
        folder: where to; replaced as a whole.
    """
    vectors, present = embed_rows(prismat, data, np.arange(len(store)))
    return Index.build(folder, vectors, present, index_table(store), prismat.hash)
