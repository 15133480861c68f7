"""The structures of a store as a gallery that words are compared with, embedded once per model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.files import replacing
from prismat.search.engine import index_table
from prismat.search.filters import Filter
from prismat.search.index import Hit, Index
from prismat.store import Store
from prismat.tasks.embedding import CHUNK, embed_rows
from prismat.tasks.screening.prompts import check_windows
from prismat.training.store_checks import check_store
from prismat.training.windows import StoreData

Progress = Callable[[int, int], None]
_HASH = 16


def open_gallery(prismat: Prismat, store: Store, folder: Path, progress: Progress | None = None) -> Index:
    """Structures of a store under the key that words are compared with; embedded where not yet done.

    Row n of the index is row n of the store.

    Args:
        prismat: a model with structure and text.
        store: the records.
        folder: galleries of several stores and models may lie in it.
        progress: called with (records done, records).

    Raises:
        BadInputError: the model lacks a window, or no record of the store has a structure.
        MismatchError: the store was prepared with other settings than the model reads.
    """
    check_windows(prismat)
    check_store(store, prismat.recipe)
    place = Path(folder) / f"gallery-{store.hash[:_HASH]}-{prismat.hash[:_HASH]}"
    if (place / "index.json").is_file():
        return Index.open(place, prismat.hash)
    key = prismat.key("structure", "text")
    vectors, present = _embed(prismat, store, key, progress)
    if not present.any():
        raise BadInputError(
            "no record has a structure", record=str(store.folder), remedy="Give a store of crystals."
        )
    return Index.build(place, {key: vectors}, {key: present}, index_table(store), prismat.hash)


def _embed(
    prismat: Prismat, store: Store, key: str, progress: Progress | None
) -> tuple[Float[np.ndarray, "records dim"], Bool[np.ndarray, " records"]]:
    data = StoreData(store, ("structure",), prismat.modalities, None, prismat.recipe.views, [])
    vectors, present = [], []
    for start in range(0, len(store), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(store)))
        found, there = embed_rows(prismat, data, rows, ["structure"])
        vectors.append(found[key])
        present.append(there[key])
        if progress is not None:
            progress(int(rows[-1]) + 1, len(store))
    return np.concatenate(vectors), np.concatenate(present)


def gallery_key(prismat: Prismat, index: Index) -> str:
    """Key under which an index holds the structures that words are compared with.

    Raises:
        BadInputError: the index has none, such as one of another window.
    """
    key = prismat.key("structure", "text")
    if key not in index.vectors:
        raise BadInputError(
            f"the index has no {key!r}", field="index", remedy=f"It has {', '.join(index.vectors)}."
        )
    return key


def rank(
    prismat: Prismat,
    index: Index,
    vector: Float[np.ndarray, " dim"],
    k: int = 100,
    filter: Filter | None = None,
) -> list[Hit]:
    """The k crystals whose structures are nearest to a query; their own words are not looked at.

    Raises:
        BadInputError: k below 1, or a filter that the index cannot answer.
    """
    if k < 1:
        raise BadInputError(f"{k} results asked for", field="k", remedy="Ask for one at least.")
    return index.search({gallery_key(prismat, index): vector}, filter=filter, k=k)


def cosines(
    prismat: Prismat, index: Index, queries: Float[np.ndarray, "queries dim"], rows: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "queries n"]:
    """Cosine of every query with the structures of some rows."""
    found = np.asarray(index.vectors[gallery_key(prismat, index)][rows], dtype=np.float64)
    return queries.astype(np.float64) @ found.T


def hits_table(hits: Sequence[Hit]) -> pa.Table:
    """Results as a table: rank, id, formula, space group, score, title and known properties."""
    columns: dict[str, list] = {
        "rank": list(range(1, len(hits) + 1)),
        "id": [h.id for h in hits],
        "formula": [h.formula for h in hits],
        "spacegroup": [h.spacegroup for h in hits],
        "score": [h.score for h in hits],
        "title": [h.title for h in hits],
    }
    for name in sorted({n for h in hits for n in h.properties}):
        unit = next(h.properties[name].unit for h in hits if name in h.properties)
        known = [h.properties[name].value if name in h.properties else None for h in hits]
        columns[f"{name} [{unit}]" if unit else name] = known
    return pa.table(columns)


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table as CSV or Parquet, by the ending of its name.

    Raises:
        BadInputError: another ending.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise BadInputError(
            f"cannot write {path.name!r}", field="table", remedy="End the name in .csv or .parquet."
        )
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            pa_csv.write_csv(table, temporary)
        else:
            pq.write_table(table, temporary, compression="zstd")
