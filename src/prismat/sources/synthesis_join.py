"""Structures for recipes: found by the entry of the Materials Project, else by composition.

Structures come from a prepared store, or from a Parquet table as ``sources.table`` reads it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prismat.crystal import Crystal
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.files import replacing, sha256
from prismat.sources.synthesis_recipe import Recipe, composition_key
from prismat.sources.table import LAYOUTS, crystal_of_row, taken_rows
from prismat.store import Store
from prismat.store_crystals import CRYSTALS, crystal_of, crystal_table

_ENERGIES = ("e_above_hull", "ehull", "energy_above_hull")
_BATCH = 512
MatchedBy = Literal["mp_id", "formula"]


@dataclass(frozen=True)
class Entry:
    """One structure that recipes may belong to.

    Attributes:
        row: number in the store or table.
        ids: names it is found by; the first is its own.
        key: of its composition.
        energy: above the convex hull, eV/atom; infinite where unknown.
        properties: value and unit of what is known of it, by name.
    """

    row: int
    ids: tuple[str, ...]
    key: str
    energy: float
    properties: Mapping[str, tuple[float, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """The structure of a recipe.

    Attributes:
        entry: the structure.
        by: how it was found.
        candidates: structures of that composition, of which the most stable was taken; 1 by id.
    """

    entry: Entry
    by: MatchedBy
    candidates: int = 1


@runtime_checkable
class Structures(Protocol):
    """Where structures come from."""

    licence: str
    citation: str

    def fingerprint(self) -> str:
        """Changes when the structures do."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All of them, without their positions."""
        ...

    def crystals(self, rows: Sequence[int]) -> Iterator[Crystal | None]:
        """Those of some rows, ascending; None where a row cannot be one."""
        ...


def open_structures(path: Path) -> Structures:
    """The structures of a store's folder or of a Parquet table.

    Raises:
        BadInputError: neither of them.
    """
    path = Path(path)
    if path.is_dir():
        return StoreStructures(path)
    if path.is_file():
        return TableStructures(path)
    raise BadInputError(
        "neither a store nor a table", record=str(path), field="structures", remedy="Check the path."
    )


class TableStructures:
    """Structures of a Parquet table.

    Args:
        path: with the columns ``material_id``, ``numbers``, ``lattice`` and ``frac_coords``; the most stable
            of several is told by ``e_above_hull`` where there is such a column. Columns of properties that
            the layout mp2018 names are kept in its units.

    Raises:
        BadInputError: not Parquet, or a column is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.licence, self.citation = LAYOUTS["mp2018"].licence, LAYOUTS["mp2018"].citation
        names = self._open().schema_arrow.names
        missing = [n for n in ("material_id", "numbers", "lattice", "frac_coords") if n not in names]
        if missing:
            raise BadInputError(
                f"no column {missing[0]!r}",
                record=path.name,
                field="structures",
                remedy="Give a table as --layout mp2018 reads it.",
            )
        self._energy = next((name for name in _ENERGIES if name in names), "")
        self._units = {n: unit for n, unit in LAYOUTS["mp2018"].properties.items() if n in names}

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return sha256(self.path)

    def entries(self) -> Iterator[Entry]:
        """All rows, without their positions; those without known atoms are left out."""
        columns = list(dict.fromkeys(filter(None, ("material_id", "numbers", self._energy, *self._units))))
        first = 0
        for batch in self._open().iter_batches(_BATCH, columns=columns):
            for row, found in enumerate(batch.to_pylist(), start=first):
                numbers: dict[int, int] = dict(Counter(found["numbers"] or ()))
                if numbers:
                    energy = _finite(found.get(self._energy))
                    known = {n: (found[n], unit) for n, unit in self._units.items()}
                    identifier = str(found["material_id"])
                    yield Entry(row, (identifier,), composition_key(numbers), energy, _known(known))
            first += batch.num_rows

    def crystals(self, rows: Sequence[int]) -> Iterator[Crystal | None]:
        """Crystals of some rows, ascending; None where a row cannot be one."""
        for row in taken_rows(self._open(), rows, ["numbers", "lattice", "frac_coords"]):
            try:
                yield crystal_of_row(row)
            except (BadInputError, ValueError, TypeError):
                yield None

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (OSError, ValueError) as error:
            raise BadInputError(
                f"cannot read {self.path}", field="structures", remedy="Give a store or a Parquet table."
            ) from error


class StoreStructures:
    """Primitive cells of a prepared store.

    Args:
        folder: the store.

    Raises:
        BadInputError: no finished store there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        info = Store(folder).info
        self.licence, self.citation = str(info["licence"]), str(info["citation"])

    def fingerprint(self) -> str:
        """Content hash of the store's shards."""
        return str(Store(self.folder).info["hash"])

    def entries(self) -> Iterator[Entry]:
        """All records with a structure; found by their id and by that of their source."""
        table = Store(self.folder).table.select(["id", "elements", "fractions", "properties", "provenance"])
        first = 0
        for batch in table.to_batches(_BATCH):
            for row, found in enumerate(batch.to_pylist(), start=first):
                if found["elements"]:
                    amounts = {
                        atomic_number(s): float(x)
                        for s, x in zip(found["elements"], found["fractions"], strict=True)
                    }
                    ids = dict.fromkeys((found["id"], dict(found["provenance"]).get("source_id", "")))
                    known = _known({e["name"]: (e["value"], e["unit"]) for e in found["properties"]})
                    energy = next((known[name][0] for name in _ENERGIES if name in known), None)
                    names = tuple(filter(None, ids))
                    yield Entry(row, names, composition_key(amounts), _finite(energy), known)
            first += batch.num_rows

    def crystals(self, rows: Sequence[int]) -> Iterator[Crystal | None]:
        """Primitive cells of some rows."""
        store = Store(self.folder)
        for start in range(0, len(rows), _BATCH):
            yield from store.crystals(np.asarray(rows[start : start + _BATCH], dtype=np.int64))


class StructureIndex:
    """Finds the structure of a recipe.

    Args:
        entries: all structures.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_id: dict[str, Entry] = {}
        self._by_key: dict[str, Entry] = {}
        self._count: Counter[str] = Counter()
        for entry in entries:
            for identifier in entry.ids:
                self._by_id.setdefault(identifier, entry)
            best = self._by_key.setdefault(entry.key, entry)
            if entry.energy < best.energy:
                self._by_key[entry.key] = entry
            self._count[entry.key] += 1

    def find(self, recipe: Recipe) -> Match | None:
        """By the entry of the Materials Project; else the most stable of the first composition there is."""
        if recipe.mp_id and (found := self._by_id.get(recipe.mp_id)):
            return Match(found, "mp_id")
        for key in recipe.formulas:
            if found := self._by_key.get(key):
                return Match(found, "formula", self._count[key])
        return None


def write_crystals(structures: Structures, rows: Sequence[int], path: Path) -> None:
    """Copies the crystals of some rows into a Parquet table of their own; a table that is there is kept.

    Args:
        structures: where they are.
        rows: which, ascending and each once.
        path: the table: ``row`` beside the columns of ``store_crystals.CRYSTALS``.
    """
    if path.is_file():
        return
    schema = CRYSTALS.insert(0, pa.field("row", pa.int64()))
    found = structures.crystals(rows)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            table = crystal_table([next(found) for _ in some])
            writer.write_table(table.add_column(0, schema.field("row"), pa.array(some, type=pa.int64())))


def read_crystals(path: Path, rows: Iterable[int]) -> dict[int, Crystal | None]:
    """Crystals of some rows from a table that ``write_crystals`` made."""
    wanted = np.array(sorted(set(rows)), dtype=np.int64)
    if not len(wanted):
        return {}
    file = pq.ParquetFile(path)
    at = np.searchsorted(file.read(columns=["row"])["row"].to_numpy(), wanted)
    found = taken_rows(file, at.tolist(), file.schema_arrow.names)
    return {row["row"]: crystal_of(row) for row in found}


def _known(properties: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[float, str]]:
    """Properties that have a finite value."""
    return {n: (float(v), u) for n, (v, u) in properties.items() if v is not None and math.isfinite(v)}


def _finite(value: Any) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.inf
