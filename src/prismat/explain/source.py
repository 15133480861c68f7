"""A record of a store as an explanation needs it."""

import numpy as np

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.modalities.text_views import context_view
from prismat.store import Store


def _row(store: Store, id: str) -> int:
    try:
        return store.ids.index(id)
    except ValueError:
        raise BadInputError(
            "no such record", record=id, field="id", remedy="Take one from a search."
        ) from None


def material_of(store: Store, id: str) -> Material:
    """Structure and texts of a record; ``texts["context"]`` is what an index compares words with.

    Args:
        store: the records.
        id: of one of them.

    Raises:
        BadInputError: no such record.
    """
    row = _row(store, id)
    told = store.table.slice(row, 1).to_pylist()[0]
    texts = {kind: text for kind, text in dict(told["texts"]).items() if text}
    context = context_view(told)
    structure = store.crystals(np.array([row]))[0]
    return Material(id, structure, ({"context": context} if context else {}) | texts, tags=dict(told["tags"]))


def stored_windows(prismat: Prismat, store: Store, id: str) -> dict[str, object]:
    """Batches of one of what a store keeps for a record besides structure and texts, by window.

    Args:
        prismat: the model, whose settings the store was prepared with.
        store: the records.
        id: of one of them.

    Raises:
        BadInputError: no such record.
    """
    rows = np.array([_row(store, id)])
    found = {}
    for window, modality in prismat.modalities.items():
        if window in {"structure", "properties"}:
            continue
        batch = modality.collate(store.take(rows, list(modality.columns)))
        if bool(batch.present[0]):
            found[window] = batch
    return found
