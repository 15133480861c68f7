"""Texts for the records of a store: which rows need one, what is told of each, what made it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from prismat.crystal import Crystal
from prismat.errors import PrismatError
from prismat.material import Reject
from prismat.modalities.standard_cell import standardize
from prismat.modalities.structure import StructureSettings
from prismat.store import Store
from prismat.store_texts import read_added_texts
from prismat.texts.keywords import keyword_input
from prismat.texts.narratives import narrative_input
from prismat.texts.template import Variant, describe_cell

Progress = Callable[[int, int], None]

_CHUNK = 512
"""Crystals read at a time."""
NO_STRUCTURE = "no structure"
NO_WORDS = "no title and no abstract"


def rows_without(store: Store, kind: str, limit: int = 0) -> list[int]:
    """Rows that came without a text of a kind, those that got one added later among them.

    Args:
        store: with its texts.
        kind: of the texts.
        limit: rows at most; 0 for all.
    """
    added = read_added_texts(store.folder).get(kind, {})
    held = zip(store.ids, store.column("texts"), strict=True)
    rows = [
        row
        for row, (record, texts) in enumerate(held)
        if record in added or not dict(texts).get(kind, "").strip()
    ]
    return rows[:limit] if limit else rows


def crystals_of(store: Store, rows: Sequence[int]) -> Iterator[tuple[str, Crystal | None]]:
    """Id and primitive cell of each row, read in chunks."""
    ids = store.ids
    for start in range(0, len(rows), _CHUNK):
        chunk = list(rows[start : start + _CHUNK])
        for row, crystal in zip(chunk, store.crystals(np.array(chunk, dtype=np.int64)), strict=True):
            yield ids[row], crystal


def template_texts(
    store: Store, rows: Sequence[int], variant: Variant, progress: Progress | None = None
) -> tuple[dict[str, str], list[Reject]]:
    """Template descriptions by id, and the records without one.

    Args:
        store: prepared with crystals.
        rows: to describe.
        variant: what is told.
        progress: called with how many rows are done.
    """
    symprec = _symprec(store)
    texts: dict[str, str] = {}
    rejects: list[Reject] = []
    for done, (record, crystal) in enumerate(crystals_of(store, rows), start=1):
        text = _template(record, crystal, variant, symprec)
        if isinstance(text, Reject):
            rejects.append(text)
        else:
            texts[record] = text
        if progress and (done % 64 == 0 or done == len(rows)):
            progress(done, len(rows))
    return texts, rejects


def _template(record: str, crystal: Crystal | None, variant: Variant, symprec: float) -> str | Reject:
    if crystal is None:
        return Reject(record, NO_STRUCTURE)
    try:
        return describe_cell(standardize(crystal, symprec), variant)
    except (PrismatError, ValueError, RuntimeError, FloatingPointError, MemoryError) as error:
        return Reject.because(record, error)


def _symprec(store: Store) -> float:
    """Å with which the store's cells were standardised."""
    settings = store.info.get("job", {}).get("settings", {}).get("structure", {})
    return float(settings.get("symprec", StructureSettings().symprec))


def keyword_inputs(store: Store, rows: Sequence[int]) -> tuple[dict[str, str], list[Reject]]:
    """Title and abstract by id, and the records that have neither."""
    texts, ids = store.column("texts"), store.ids
    given = {ids[row]: keyword_input(dict(texts[row])) for row in rows}
    rejects = [Reject(record, NO_WORDS) for record, text in given.items() if not text]
    return {record: text for record, text in given.items() if text}, rejects


def narrative_inputs(
    store: Store, rows: Sequence[int], progress: Progress | None = None
) -> tuple[dict[str, str], list[Reject]]:
    """Template description and properties by id, and the records without a structure."""
    descriptions, rejects = template_texts(store, rows, "template", progress)
    properties = dict(zip(store.ids, store.column("properties"), strict=True))
    facts = {record: narrative_input(text, properties[record]) for record, text in descriptions.items()}
    return facts, rejects


def terms(store: Store, model: str = "") -> dict[str, Any]:
    """Licence of texts made from a store, as far as it is known."""
    source = store.info.get("licence", "") or "not stated"
    note = f"made from data whose licence is: {source}"
    return {"licence_note": f"{note}; answers of {model}: see the terms of its provider" if model else note}
