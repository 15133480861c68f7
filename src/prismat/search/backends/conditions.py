"""Filters as conditions that engines evaluate themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.search.filters import PROPERTY, SYSTEMS, Filter, Range

NUMBERS, COUNT = "numbers", "n_elements"
"""Columns made for filters: atomic numbers of the elements, and how many there are."""
_LARGEST = 2.0**53


@dataclass(frozen=True)
class Dialect:
    """How an engine says the few things that differ.

    Attributes:
        has_all: function that tells whether a list holds all of some values.
        has_any: function that tells whether it holds any.
    """

    has_all: str
    has_any: str


SQL = Dialect("array_has_all", "array_has_any")
MILVUS = Dialect("array_contains_all", "array_contains_any")


def check_properties(filter: Filter, units: Mapping[str, str]) -> None:
    """Refuses a condition on a property that the index does not have.

    Raises:
        BadInputError: lists those it has.
    """
    for name in filter.properties:
        if name not in units:
            raise BadInputError(
                f"unknown property {name!r}",
                field="filter",
                remedy=f"This index has: {', '.join(units) or 'no properties'}.",
            )


def expression(filter: Filter, columns: Mapping[str, str], dialect: Dialect) -> str:
    """A filter as an expression; only numbers and names of our own columns enter it.

    Args:
        filter: the conditions, whose properties are known.
        columns: column of each property.
        dialect: of the engine.
    """
    terms = []
    if filter.with_elements:
        terms.append(f"{dialect.has_all}({NUMBERS}, {_numbers(filter.with_elements)})")
    if filter.without_elements:
        terms.append(f"not {dialect.has_any}({NUMBERS}, {_numbers(filter.without_elements)})")
    if filter.only_elements:
        wanted = {atomic_number(s) for s in filter.only_elements}
        others = sorted({atomic_number(s) for s in SYMBOLS[1:]} - wanted)
        terms.append(f"not {dialect.has_any}({NUMBERS}, {others})")
    whole = {
        COUNT: filter.n_elements,
        "n_sites": filter.n_sites,
        "spacegroup_number": filter.spacegroup_number,
    }
    terms += [_between(name, limits, whole=True) for name, limits in whole.items() if limits != (None, None)]
    if filter.crystal_systems:
        systems = [_between("spacegroup_number", SYSTEMS[s], whole=True) for s in filter.crystal_systems]
        terms.append(" or ".join(f"({system})" for system in systems))
    terms += [_between(columns[name], limits, whole=False) for name, limits in filter.properties.items()]
    return " and ".join(f"({term})" for term in terms)


def _numbers(symbols: tuple[str, ...]) -> list[int]:
    return sorted({atomic_number(symbol) for symbol in symbols})


def _between(column: str, limits: Range, whole: bool) -> str:
    low, high = limits
    said = [
        f"{column} {sign} {_number(x, whole)}" for sign, x in ((">=", low), ("<=", high)) if x is not None
    ]
    return " and ".join(said) or f"{column} is not null"


def _number(value: float | int, whole: bool) -> str:
    # Counts are small: a limit beyond what a double holds exactly says the same as the largest.
    return str(int(max(min(value, _LARGEST), -_LARGEST))) if whole else repr(float(value))


def made_columns(table: pa.Table) -> dict[str, pa.Array]:
    """Atomic numbers of each record and how many; null where none is known."""
    numbers = [sorted({atomic_number(s) for s in symbols or ()}) for symbols in table["elements"].to_pylist()]
    counts = [len(n) or None for n in numbers]
    return {NUMBERS: pa.array(numbers, pa.list_(pa.int32())), COUNT: pa.array(counts, pa.int32())}


def property_columns(names: Mapping[str, str]) -> dict[str, str]:
    """A plain column name for each property."""
    return {name: f"p{i}" for i, name in enumerate(names)}


def property_values(table: pa.Table, name: str) -> pa.Array:
    """Values of a property, null where the table lacks it or a value is not a number."""
    if PROPERTY + name not in table.column_names:
        return pa.nulls(table.num_rows, pa.float64())
    values = table[PROPERTY + name].cast(pa.float64()).to_numpy()
    return pa.array(values, pa.float64(), mask=np.isnan(values))
