"""Recipes of a store as a search index: their words as a model reads them, and their compositions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from prismat.api import SENTENCE, Prismat, Vectors
from prismat.elements import SYMBOLS
from prismat.errors import BadInputError, PrismatError
from prismat.search.index import Index
from prismat.store import Store
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import read_bank
from prismat.tasks.synthesis.composition import composition_vectors
from prismat.tasks.synthesis.recipes import TEXT, RecipeBook, read_book
from prismat.training.records import read_records
from prismat.training.windows import StoreData

COMPOSITION = "composition"
"""Key of the composition vectors beside those of the model."""


@dataclass(frozen=True, eq=False)
class RecipeIndex:
    """Recipes, and their vectors in the same order.

    Attributes:
        book: the recipes.
        index: by key: the model's text vectors, ``sentence`` where texts have one, ``composition``.
    """

    book: RecipeBook
    index: Index


def text_vectors(prismat: Prismat, data: StoreData, book: RecipeBook) -> Vectors:
    """Unit vectors of recipes under every key of the text window, and ``sentence`` where there is one.

    Args:
        prismat: a model with a text window.
        data: windows of the store, with recipes as the text view.
        book: its recipes.
    """
    vectors, _ = embed_rows(prismat, data, np.arange(len(data.store)), ("text",))
    return {key: book.merged(found) for key, found in vectors.items()}


def no_window(prismat: Prismat, window: str) -> BadInputError:
    """Says that a model lacks a window that is needed."""
    return BadInputError(
        f"this model has no {window} window",
        field="run",
        remedy=f"It has {', '.join(prismat.recipe.windows)}; train one with {window}, see docs/tasks.",
    )


def open_recipes(prismat: Prismat, store: Store, folder: Path) -> RecipeIndex:
    """The index of a store's recipes in a folder, made where it is not there or was made of something else.

    Args:
        prismat: the model.
        store: with recipes.
        folder: one folder per store is made inside.

    Raises:
        BadInputError: a store without recipes, or a model without a text window.
    """
    book = read_book(store)
    if "text" not in prismat.recipe.windows:
        raise no_window(prismat, "text")
    place = Path(folder) / store.hash[:16]
    try:
        found = Index.open(place, prismat.hash)
        if len(found) == len(book):
            return RecipeIndex(book, found)
    except PrismatError:
        pass  # Not there, damaged, or of another model: it is made anew from what it was made of.
    bank = read_bank(prismat, read_records(store), TEXT)
    data = StoreData(store, ("text",), prismat.modalities, bank, prismat.recipe.views, [])
    vectors = {**text_vectors(prismat, data, book), COMPOSITION: composition_vectors(book.fractions)}
    present = {COMPOSITION: book.known()}
    return RecipeIndex(book, Index.build(place, vectors, present, _table(book), prismat.hash))


def sentence_key(prismat: Prismat, index: Index) -> str:
    """Key that words are compared with recipes by."""
    if SENTENCE in index.vectors:
        return SENTENCE
    others = [w for w in prismat.recipe.windows if w != "text"]
    return prismat.key("text", others[0]) if others else "text"


def _table(book: RecipeBook) -> pa.Table:
    """What an index says of its rows; the target stands for the title."""
    elements = [[SYMBOLS[z] for z in np.flatnonzero(row)] for row in book.fractions]
    size = len(book)
    return pa.table(
        {
            "id": [recipe.id for recipe in book.recipes],
            "formula": [recipe.target for recipe in book.recipes],
            "spacegroup": [""] * size,
            "spacegroup_number": pa.nulls(size, pa.int32()),
            "title": [recipe.target for recipe in book.recipes],
            "elements": pa.array(elements, pa.list_(pa.string())),
            "n_sites": pa.nulls(size, pa.int32()),
        }
    )
