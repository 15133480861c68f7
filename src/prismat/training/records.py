"""What training and evaluation need to know of every record besides its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from prismat.duplicates import duplicate_structures, text_labels
from prismat.elements import MAX_Z, atomic_number
from prismat.modalities.properties import PropertiesSettings
from prismat.store import Store


@dataclass(frozen=True, eq=False)
class Records:
    """The tabular side of a store as arrays.

    Attributes:
        ids: record ids in store order.
        titles: publication titles, empty where there is none.
        minerals: mineral names, empty where there is none.
        publications: journal references, empty where there is none.
        fractions: atomic fractions by atomic number, zero without a structure, shape (records, 99).
        structure_label: equal for duplicate structures; a record without one has a label of its own.
        text_label: equal for equal titles.
        table: the store's rows as dictionaries of columns.
        parts: the part (train, val, test) that each record came with, empty where it came with none.
        groups: what must not be separated for other reasons, by name, such as cells of one module.
    """

    ids: list[str]
    titles: list[str]
    minerals: list[str]
    publications: list[str]
    fractions: Float[np.ndarray, "records elements"]
    structure_label: Int[np.ndarray, " records"]
    text_label: Int[np.ndarray, " records"]
    table: dict[str, list]
    parts: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keys(self) -> dict[str, list[str]]:
        """What no split separates, by kind, besides the composition."""
        kept = {"title": self.titles, "publication": self.publications, "mineral": self.minerals}
        return {**kept, "group": self.groups} if any(self.groups) else kept


def read_records(store: Store) -> Records:
    """Reads the table of a store into arrays."""
    table = store.table.to_pydict()
    tags = [dict(t) for t in table["tags"]]
    titles = [dict(t).get("title", "") for t in table["texts"]]
    fractions = fraction_matrix(table["elements"], table["fractions"])
    cells = np.array([c or [0.0] * 6 for c in table["cell"]], dtype=np.float64)
    label = duplicate_structures(
        fractions, cells, np.array(table["spacegroup_number"], dtype=np.int64), np.array(table["n_sites"])
    )
    # Without a structure a record is nobody's duplicate.
    label = np.where(fractions.any(axis=1), label, len(label) + np.arange(len(label)))
    return Records(
        ids=table["id"],
        titles=titles,
        minerals=[t.get("mineral", "") for t in tags],
        publications=[t.get("publication", "") for t in tags],
        fractions=fractions,
        structure_label=label,
        text_label=text_labels(titles),
        table=table,
        parts=[t.get("split", "") for t in tags],
        groups=[t.get("group", "") for t in tags],
    )


def fraction_matrix(
    elements: Sequence[Sequence[str]], fractions: Sequence[Sequence[float]]
) -> Float[np.ndarray, "records elements"]:
    """Atomic fractions by atomic number from the table's lists."""
    matrix = np.zeros((len(elements), MAX_Z + 1))
    row = np.repeat(np.arange(len(elements)), [len(e) for e in elements])
    flat = np.array([atomic_number(s) for e in elements for s in e], dtype=np.int64)
    matrix[row, flat] = [x for f in fractions for x in f]
    return matrix


def property_labels(
    rows: Sequence[Sequence[dict]], settings: PropertiesSettings
) -> Int[np.ndarray, " records"]:
    """Labels equal where all chosen properties are; a record without any has a label of its own."""
    chosen = {spec.name for spec in settings.properties}
    known: dict[tuple, int] = {}
    labels = np.arange(len(rows), 2 * len(rows))
    for row, entries in enumerate(rows):
        if key := tuple(sorted((e["name"], e["value"], e["unit"]) for e in entries if e["name"] in chosen)):
            labels[row] = known.setdefault(key, len(known))
    return labels
