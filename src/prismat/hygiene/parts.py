"""Rows of stores that are compared with one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from prismat.elements import MAX_Z, atomic_number
from prismat.errors import BadInputError
from prismat.store import Store


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a store under a name.

    Attributes:
        name: for people.
        store: the store.
        rows: row numbers, ascending.
    """

    name: str
    store: Store
    rows: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the rows."""
        return self.column("id")

    def column(self, name: str) -> list[Any]:
        """One column of the table, for the rows."""
        return self.store.table[name].take(self.rows).to_pylist()

    @cached_property
    def fractions(self) -> Float[np.ndarray, "n elements"]:
        """Atomic fractions by atomic number; zero without a structure."""
        matrix = np.zeros((len(self), MAX_Z + 1))
        for row, (symbols, shares) in enumerate(
            zip(self.column("elements"), self.column("fractions"), strict=True)
        ):
            matrix[row, [atomic_number(s) for s in symbols]] = shares
        return matrix


def whole(store: Store, name: str = "") -> Part:
    """All rows of a store, under the name of its folder where none is given."""
    return Part(name or store.folder.resolve().name, store, np.arange(len(store)))


def chosen(store: Store, ids: Sequence[str], name: str) -> Part:
    """The rows with these ids.

    Raises:
        BadInputError: an id is not in the store, or none is given.
    """
    position = {identifier: row for row, identifier in enumerate(store.ids)}
    missing = [i for i in ids if i not in position]
    if missing or not ids:
        told = f"{len(missing):,} ids are not in {store.folder}" if missing else "no ids are given"
        raise BadInputError(
            told, record=missing[0] if missing else name, remedy="Give the store that the ids are of."
        )
    return Part(name, store, np.array(sorted(position[i] for i in ids), dtype=np.int64))


def different_parts(stores: Sequence[Store | Part]) -> list[Part]:
    """Parts with names of their own.

    Raises:
        BadInputError: none is given, or two of them share a record.
    """
    if not stores:
        raise BadInputError("nothing to compare", field="stores", remedy="Give at least one store.")
    parts = [whole(one) if isinstance(one, Store) else one for one in stores]
    for n, part in enumerate(parts):
        for other in parts[:n]:
            if part.store.info["hash"] == other.store.info["hash"] and np.isin(part.rows, other.rows).any():
                raise BadInputError(
                    f"{part.store.folder} is compared with itself",
                    field="stores",
                    remedy="Give each store once; --run compares parts of one store.",
                )
    return _renamed(parts)


def _renamed(parts: Sequence[Part]) -> list[Part]:
    """Stores in folders of one name are told apart by their parents' names."""
    names = [part.name for part in parts]
    found: list[Part] = []
    for part in parts:
        name = part.name
        if names.count(name) > 1:
            name = str(Path(part.store.folder.resolve().parent.name) / name)
        taken = {p.name for p in found}
        number = next(k for k in range(1, len(parts) + 1) if (f"{name} {k}" if k > 1 else name) not in taken)
        found.append(Part(f"{name} {number}" if number > 1 else name, part.store, part.rows))
    return found
