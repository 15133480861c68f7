"""From a model and a store to a search index."""

from pathlib import Path

import numpy as np

from prismat.api import Prismat
from prismat.packaged import cache_dir
from prismat.search.engine import index_table
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.text_reader import FrozenReader
from prismat.training.records import read_records
from prismat.training.text_bank import build_text_bank, build_token_bank
from prismat.training.windows import StoreData, TextBank, TokenBank

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
        _texts(prismat, store),
        prismat.recipe.views,
        [],
    )
    vectors, present = embed_rows(prismat, data, np.arange(len(store)))
    return Index.build(folder, vectors, present, index_table(store), prismat.hash)


def _texts(prismat: Prismat, store: Store) -> TextBank | TokenBank | None:
    """The store's texts as the model reads queries, sentence embeddings from the cache."""
    reader = prismat.reader
    if reader is None:
        return None
    records = read_records(store)
    if isinstance(reader, FrozenReader):
        cached = FrozenReader(reader.encoder, reader.lexicon, cache_dir() / "text")
        return build_text_bank(records, cached, np.zeros(0, dtype=np.int64), {}, first=INDEXED)
    return build_token_bank(records, reader, {}, INDEXED)
