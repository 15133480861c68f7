"""All records of an index as OPTIMADE properties, and single records as entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int

from prismat.app.optimade.columns import Column, ListColumn, NumberColumn, StringColumn, TimeColumn
from prismat.app.optimade.fields import PREFIX, STANDARD, Field, property_field_name
from prismat.app.optimade.formulas import amounts_of, anonymous, hill, reduced, whole_amounts
from prismat.app.optimade.structure import STRUCTURE, structure_of
from prismat.crystal import Crystal
from prismat.search.filters import PROPERTY
from prismat.store import Store

_PROVENANCE = ("source", "licence", "citation")
_STRUCTURES = "structures"


@dataclass(frozen=True, eq=False, repr=False)
class Library:
    """Records of an index, with their structures where a store holds them.

    Attributes:
        table: metadata of the index, one row per record, see ``search.index_files.SCHEMA``.
        units: unit of each property of the index.
        store: prepared data of the same records; None for metadata only.
    """

    table: pa.Table
    units: dict[str, str]
    store: Store | None = None

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def properties(self) -> dict[str, str]:
        """Name of each property of the index by the name under which it is served."""
        found: dict[str, str] = {}
        taken = {field.name for field in STANDARD}
        for name in self.units:
            served = property_field_name(name)
            while served in taken or served in found:
                served += "_"
            found[served] = name
        return found

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Every property of an entry by its name."""
        own = [
            Field(served, "float", f"{name} of the material.", self.units[name] or None)
            for served, name in self.properties.items()
        ]
        return {field.name: field for field in (*STANDARD, *own)}

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.table["id"].to_pylist())}

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Values of all properties that can be asked for."""
        fixed = pa.array([_STRUCTURES] * len(self), pa.string())
        columns = [StringColumn("id", _array(self.table["id"])), StringColumn("type", fixed)]
        made = [*columns, *self._composition(), *self._shape(), *self._provenance(), *self._own()]
        return {column.name: column for column in made}

    def entry(self, row: int, wanted: frozenset[str] | None = None) -> dict[str, Any]:
        """One entry; ``wanted`` names its attributes, all where None."""
        return self.entries(np.array([row]), wanted)[0]

    def entries(
        self, rows: Int[np.ndarray, " n"], wanted: frozenset[str] | None = None
    ) -> list[dict[str, Any]]:
        """Entries in the order of the rows."""
        names = [n for n in self.fields if n not in ("id", "type") and (wanted is None or n in wanted)]
        whole = not STRUCTURE.isdisjoint(names)
        crystals = self._crystals(rows) if whole else [None] * len(rows)
        ids = self.columns["id"]
        return [
            {"id": ids.value(row), "type": _STRUCTURES, "attributes": self._attributes(row, names, crystal)}
            for row, crystal in zip(rows.tolist(), crystals, strict=True)
        ]

    def _attributes(self, row: int, names: Sequence[str], crystal: Crystal | None) -> dict[str, Any]:
        structure = structure_of(crystal)
        return {
            name: structure[name] if name in STRUCTURE else self.columns[name].value(row) for name in names
        }

    def _crystals(self, rows: Int[np.ndarray, " n"]) -> list[Crystal | None]:
        """Primitive cells of some records; None where the store has none."""
        if not self._has_crystals or self.store is None:
            return [None] * len(rows)
        there = self._stored[rows]
        known = np.flatnonzero(there >= 0)
        found: list[Crystal | None] = [None] * len(rows)
        for place, crystal in zip(known.tolist(), self.store.crystals(there[known]), strict=True):
            found[place] = crystal
        return found

    @cached_property
    def _stored(self) -> Int[np.ndarray, " records"]:
        """Row of each record in the store; −1 where it is not there."""
        if self.store is None:
            return np.full(len(self), -1)
        options = pc.SetLookupOptions(_array(self.store.table["id"]))
        found = pc.call_function("index_in", [_array(self.table["id"])], options)
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    @cached_property
    def _has_crystals(self) -> bool:
        """Whether the store is of a version that keeps crystals."""
        store = self.store
        return store is not None and all(path.is_file() for path in _crystal_files(store))

    def _from_store(self, values: pa.Array) -> pa.Array:
        """A column of the store in the order of the index; null for records that the store lacks."""
        return values.take(pa.array(self._stored, mask=self._stored < 0))

    def _composition(self) -> list[Column]:
        """Elements and formulas, from the reduced formula of each record."""
        formulas = [text or "" for text in self.table["formula"].to_pylist()]
        amounts = [amounts_of(text) for text in formulas]
        whole = [whole_amounts(found) for found in amounts]
        elements = [list(found) or None for found in amounts]
        ratios = [[n / sum(found.values()) for n in found.values()] or None for found in amounts]
        # Amounts that are no whole numbers belong to no formula unit.
        exact = [w if w and _is_whole(a) else None for a, w in zip(amounts, whole, strict=True)]
        counts = np.array([len(found) or np.nan for found in amounts], dtype=np.float64)
        return [
            ListColumn("elements", pa.array(elements, pa.list_(pa.string()))),
            NumberColumn("nelements", counts, whole=True),
            ListColumn("elements_ratios", pa.array(ratios, pa.list_(pa.float64()))),
            _strings("chemical_formula_descriptive", [text or None for text in formulas]),
            _strings("chemical_formula_reduced", [reduced(w) if w else None for w in whole]),
            _strings("chemical_formula_anonymous", [anonymous(w) if w else None for w in whole]),
            _strings("chemical_formula_hill", [hill(w) if w else None for w in exact]),
        ]

    def _shape(self) -> list[Column]:
        """Number of sites, periodicity, disorder and space group."""
        sites, group = _numbers(self.table["n_sites"]), _numbers(self.table["spacegroup_number"])
        sites[sites < 1] = np.nan
        group[~((group >= 1) & (group <= 230))] = np.nan
        periodic = self._periodic()
        types = [None if np.isnan(n) else [int(n > 0)] * 3 for n in periodic]
        features = [["disorder"] if mixed else [] for mixed in self._disordered()]
        standard = np.where(periodic == 3, group, np.nan) if self._has_crystals else group
        return [
            NumberColumn("nsites", sites, whole=True),
            NumberColumn("nperiodic_dimensions", periodic, whole=True),
            ListColumn("dimension_types", pa.array(types, pa.list_(pa.int64()))),
            ListColumn("structure_features", pa.array(features, pa.list_(pa.string()))),
            NumberColumn("space_group_it_number", standard, whole=True),
            NumberColumn(f"{PREFIX}spacegroup_number", group, whole=True),
        ]

    def _periodic(self) -> Float[np.ndarray, " records"]:
        """Directions in which each structure repeats: 3, 0 for a molecule, not a number where unknown."""
        if not self._has_crystals or self.store is None:
            return np.full(len(self), np.nan)
        parts = [pq.read_table(path, columns=["periodic", "per_site"]) for path in _crystal_files(self.store)]
        table = pa.concat_tables(parts).combine_chunks()
        sites = pc.call_function("list_value_length", [table["per_site"]]).to_numpy()
        directions = np.where(table["periodic"].to_numpy(), 3.0, 0.0)
        return _numbers(self._from_store(pa.array(directions, mask=sites == 0)))

    def _disordered(self) -> Bool[np.ndarray, " records"]:
        """Records with mixed or partly empty sites; judged by the formula where the store does not tell."""
        amounts = [amounts_of(text or "") for text in self.table["formula"].to_pylist()]
        fractional = np.array([not _is_whole(found) for found in amounts], dtype=bool)
        if self.store is None:
            return fractional
        ordered = self._from_store(_array(self.store.table["ordered"]))
        told = pc.fill_null(ordered, True).to_numpy(zero_copy_only=False)
        return np.where(self._stored >= 0, ~told, fractional)

    def _provenance(self) -> list[Column]:
        """Where the records came from, and when they were prepared."""
        time = np.full(len(self), np.nan)
        told: list[dict[str, str]] = [{}] * len(self)
        if self.store is not None:
            time[self._stored >= 0] = int((self.store.folder / "store.json").stat().st_mtime)
            rows = self._from_store(_array(self.store.table["provenance"])).to_pylist()
            told = [dict(row or ()) for row in rows]
        own = [f"{t['source']}:{t['source_id']}" if t.get("source_id") else None for t in told]
        named = [_strings(PREFIX + name, [t.get(name) or None for t in told]) for name in _PROVENANCE]
        return [TimeColumn("last_modified", time), _strings("immutable_id", own), *named]

    def _own(self) -> list[Column]:
        """Title, space group symbol and the properties of the index."""
        words = [
            _strings(PREFIX + name, [text or None for text in self.table[name].to_pylist()])
            for name in ("title", "spacegroup")
        ]
        numbers = [
            NumberColumn(served, _finite(_numbers(self.table[PROPERTY + name])))
            for served, name in self.properties.items()
        ]
        return [*words, *numbers]


def _crystal_files(store: Store) -> list[Any]:
    return [store.folder / shard["name"] / "crystals.parquet" for shard in store.info["shards"]]


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return (
        pa.concat_arrays(column.chunks)
        if isinstance(column, pa.ChunkedArray) and column.num_chunks
        else (column if isinstance(column, pa.Array) else pa.array([], column.type))
    )


def _strings(name: str, values: list[str | None]) -> StringColumn:
    return StringColumn(name, pa.array(values, pa.string()))


def _numbers(column: pa.Array | pa.ChunkedArray) -> Float[np.ndarray, " records"]:
    """Numbers of a column, not a number for null."""
    return np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _finite(values: Float[np.ndarray, " records"]) -> Float[np.ndarray, " records"]:
    """JSON has no infinite numbers: unknown."""
    return np.where(np.isfinite(values), values, np.nan)


def _is_whole(amounts: dict[str, float]) -> bool:
    return all(amount == round(amount) for amount in amounts.values())
