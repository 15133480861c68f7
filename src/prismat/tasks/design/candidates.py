"""Candidates of a design: records of one store or several, in the space of one model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.properties import PropertiesModality, PropertiesSettings, PropertySpec
from prismat.search.engine import index_table
from prismat.search.filters import Filter
from prismat.search.index_files import SCHEMA
from prismat.tasks.embedding import embed_rows
from prismat.tasks.opened import Opened
from prismat.tasks.prediction import target_of

PartName = Literal["all", "train", "val", "test"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Records with a structure, in the space of one model.

    Attributes:
        opened: the stores under the model, one for each store.
        rows: of each store, ascending.
        vectors: of the structures by key, shape (records, dim).
        table: metadata as an index has it.
    """

    opened: Sequence[Opened]
    rows: Sequence[Int[np.ndarray, " part"]]
    vectors: Mapping[str, Float[np.ndarray, "records dim"]]
    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def prismat(self) -> Prismat:
        """The model."""
        return self.opened[0].prismat

    @cached_property
    def ids(self) -> list[str]:
        """Record ids."""
        return self.table["id"].to_pylist()

    @cached_property
    def fractions(self) -> Float[np.ndarray, "records elements"]:
        """Atomic fractions by atomic number."""
        return np.concatenate([o.records.fractions[r] for o, r in zip(self.opened, self.rows, strict=True)])

    @cached_property
    def groups(self) -> Int[np.ndarray, " records"]:
        """Groups of records that are not independent; those of different stores are different."""
        first = np.cumsum([0, *(o.groups.max(initial=0) + 1 for o in self.opened)])
        parts = zip(self.opened, self.rows, first[:-1], strict=True)
        return np.concatenate([o.groups[r] + f for o, r, f in parts])

    def values(self, spec: PropertySpec) -> Float[np.ndarray, " records"]:
        """Known values of a property in its unit, NaN where there is none.

        Raises:
            BadInputError: a unit that does not convert.
        """
        return np.concatenate(
            [property_values(o, spec, r) for o, r in zip(self.opened, self.rows, strict=True)]
        )

    def passing(self, conditions: Filter) -> Bool[np.ndarray, " records"]:
        """Which records meet hard conditions."""
        return conditions.mask(self.table)

    def spec(self, name: str) -> PropertySpec:
        """A property with the unit in which the first store that has it gives it.

        Raises:
            BadInputError: no store has it; names what the first has.
        """
        for opened in self.opened:
            if name in opened.prepared.store.property_units():
                return target_of(opened.prepared.store, name)
        return target_of(self.opened[0].prepared.store, name)


def candidates(opened: Sequence[Opened], part: PartName = "all", fresh: bool = False) -> Candidates:
    """Embeds the structures of stores.

    Args:
        opened: the stores under one model.
        part: of the stores' divisions; a part other than ``all`` is for judging.
        fresh: leave out held-out records that share a composition with a training record.

    Raises:
        BadInputError: no records, one id in two stores, or a model without structures.
    """
    if "structure" not in opened[0].prismat.recipe.windows:
        raise BadInputError(
            "this model has no structure window", field="run", remedy="Train one with structures."
        )
    rows = [usable_rows(o, part, fresh) for o in opened]
    vectors: dict[str, list[np.ndarray]] = {}
    for one, here in zip(opened, rows, strict=True):
        if len(here):
            for key, found in embed_rows(one.prismat, one.data, here, ["structure"])[0].items():
                vectors.setdefault(key, []).append(found)
    if not vectors:
        raise BadInputError(
            f"no record of {part} has a structure", field="store", remedy="Give another store or part."
        )
    table = _joined([index_table(o.prepared.store).take(r) for o, r in zip(opened, rows, strict=True)])
    ids = table["id"].to_pylist()
    if len(set(ids)) < len(ids):
        raise BadInputError(
            "the stores share record ids", field="store", remedy="Give stores of different records."
        )
    return Candidates(opened, rows, {k: np.concatenate(v) for k, v in vectors.items()}, table)


def usable_rows(opened: Opened, part: PartName = "all", fresh: bool = False) -> Int[np.ndarray, " n"]:
    """Records of a part with a structure, ascending.

    Args:
        opened: the store.
        part: of its division.
        fresh: leave out records that share a composition with a training record, which a division that a
            data set came with lets happen.
    """
    rows = np.arange(len(opened.records)) if part == "all" else np.sort(opened.rows[part])
    if fresh and part not in ("all", "train"):
        rows = rows[~np.isin(opened.groups[rows], opened.groups[opened.rows["train"]])]
    return rows[opened.records.fractions[rows].any(axis=1)]


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """One table; a property that comes in two units is refused.

    Raises:
        BadInputError: two units of one property.
    """
    units: dict[str, set[bytes]] = {}
    for field in (f for t in tables for f in t.schema if f.name not in SCHEMA.names):
        units.setdefault(field.name, set()).add((field.metadata or {}).get(b"unit", b""))
    if mixed := [name for name, found in units.items() if len(found) > 1]:
        raise BadInputError(
            "stores that give it in different units", field=mixed[0], remedy="Screen them one by one."
        )
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def property_values(
    opened: Opened, spec: PropertySpec, rows: Int[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, " n"]:
    """Known values of a property in its unit, NaN where there is none.

    Raises:
        BadInputError: a value whose unit does not convert.
    """
    records = opened.records
    column = PropertiesModality(PropertiesSettings((spec,))).rows(
        opened.prepared.store.table["properties"], records.ids
    )
    values = np.full(len(records), np.nan)
    values[column.lengths > 0] = column.values
    return values if rows is None else values[rows]
