"""Hard conditions on what a search may return: elements, symmetry, size of the cell, property ranges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int, Shaped

from prismat.elements import atomic_number
from prismat.errors import BadInputError

PROPERTY = "property."
"""Prefix of the metadata columns that hold properties."""

Range = tuple[float | int | None, float | int | None]
Whole = tuple[int | None, int | None]

SYSTEMS = {
    "triclinic": (1, 2),
    "monoclinic": (3, 15),
    "orthorhombic": (16, 74),
    "tetragonal": (75, 142),
    "trigonal": (143, 167),
    "hexagonal": (168, 194),
    "cubic": (195, 230),
}
"""First and last space group number of each crystal system (International Tables for Crystallography A)."""

MAX_ENTRIES = 200
"""Symbols, crystal systems or properties that one condition may list."""


@dataclass(frozen=True, eq=False)
class ElementBits:
    """Which elements each record holds, one bit per atomic number.

    Attributes:
        words: bit Z of the 128 is set where element Z is present, shape (records, 2), uint64; each of the
            two columns is contiguous.
    """

    words: Shaped[np.ndarray, "records 2"]

    @classmethod
    def of(cls, elements: pa.ChunkedArray | pa.Array) -> "ElementBits":
        """Bits of a column of lists of symbols; null counts as no elements.

        Raises:
            BadInputError: a symbol is no element.
        """
        column = elements.combine_chunks() if isinstance(elements, pa.ChunkedArray) else elements
        column = column.cast(pa.list_(pa.string()))
        symbols = column.flatten().dictionary_encode()
        rows = column.value_parent_indices().to_numpy()
        numbers = np.array([atomic_number(s) for s in symbols.dictionary.to_pylist()], dtype=np.uint64)
        z = numbers[symbols.indices.to_numpy(zero_copy_only=False)]
        words = np.zeros((len(column), 2), dtype=np.uint64, order="F")
        np.bitwise_or.at(
            words, (rows, (z >> np.uint64(6)).astype(np.int64)), np.uint64(1) << (z & np.uint64(63))
        )
        return cls(words)

    def holding(self, symbols: tuple[str, ...]) -> Bool[np.ndarray, " records"]:
        """Records that hold all of the elements."""
        low, high = (self._masked(i, word) == word for i, word in enumerate(_word_pair(symbols)))
        return low & high

    def free_of(self, symbols: tuple[str, ...]) -> Bool[np.ndarray, " records"]:
        """Records that hold none of the elements."""
        low, high = (self._masked(i, word) == 0 for i, word in enumerate(_word_pair(symbols)))
        return low & high

    def within(self, symbols: tuple[str, ...]) -> Bool[np.ndarray, " records"]:
        """Records that hold no other elements."""
        low, high = (self._masked(i, ~word) == 0 for i, word in enumerate(_word_pair(symbols)))
        return low & high

    def counts(self) -> Int[np.ndarray, " records"]:
        """Number of different elements of each record; hydrogen and deuterium are one."""
        return np.bitwise_count(self.words).sum(axis=1, dtype=np.int64)

    def _masked(self, i: int, word: np.uint64) -> Shaped[np.ndarray, " records"]:
        return self.words[:, i] & word


def _word_pair(symbols: tuple[str, ...]) -> Shaped[np.ndarray, "2"]:
    bits = 0
    for symbol in symbols:
        bits |= 1 << atomic_number(symbol)
    return np.array([bits & (2**64 - 1), bits >> 64], dtype=np.uint64)


@dataclass(frozen=True)
class Filter:
    """Conditions that all hold at once; the empty filter lets everything pass.

    Attributes:
        with_elements: all of these are present.
        without_elements: none of these is present.
        only_elements: no other elements are present (empty: no condition).
        n_sites: least and greatest number of sites in the primitive cell; None is open.
        properties: by name, least and greatest value; records without a value do not pass.
        spacegroup_number: least and greatest space group number, 1 to 230.
        crystal_systems: any of these, see ``SYSTEMS`` (empty: no condition).
        n_elements: least and greatest number of different elements.

    A record of which a conditioned quantity is unknown does not pass.

    Raises:
        BadInputError: an unknown element or crystal system, or a range that is empty.
    """

    with_elements: tuple[str, ...] = ()
    without_elements: tuple[str, ...] = ()
    only_elements: tuple[str, ...] = ()
    n_sites: Whole = (None, None)
    properties: Mapping[str, Range] = field(default_factory=dict)
    spacegroup_number: Whole = (None, None)
    crystal_systems: tuple[str, ...] = ()
    n_elements: Whole = (None, None)

    def __post_init__(self) -> None:
        _word_pair((*self.with_elements, *self.without_elements, *self.only_elements))
        for system in self.crystal_systems:
            if system not in SYSTEMS:
                raise BadInputError(
                    f"unknown crystal system {system!r}",
                    field="filter crystal_systems",
                    remedy=f"Use any of {', '.join(SYSTEMS)}.",
                )
        whole = {name: getattr(self, name) for name in _WHOLE}
        for name, limits in whole.items():
            if any(x is not None and abs(x) > _LARGEST for x in limits):
                raise BadInputError(
                    "a number is too large", field=f"filter {name}", remedy=f"Stay below {_LARGEST:,}."
                )
        for name, (low, high) in {**self.properties, **whole}.items():
            if any(x is not None and not np.isfinite(float(x)) for x in (low, high)) or (
                low is not None and high is not None and low > high
            ):
                raise BadInputError(
                    f"the range {low} to {high} is empty", field=f"filter {name}", remedy="Give min ≤ max."
                )

    @property
    def is_empty(self) -> bool:
        """Whether everything passes."""
        return self == Filter()

    def joined(self, other: "Filter") -> "Filter":
        """Both filters at once.

        Raises:
            BadInputError: they contradict each other.
        """
        named: dict[str, Any] = {
            name: _narrower(getattr(self, name), getattr(other, name)) for name in _WHOLE
        }
        for name in ("with_elements", "without_elements"):
            named[name] = tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name))))
        for name in ("only_elements", "crystal_systems"):
            a, b = getattr(self, name), getattr(other, name)
            named[name] = tuple(x for x in a if x in b) if a and b else (*a, *b)
            if a and b and not named[name]:
                raise BadInputError(
                    "two conditions leave nothing", field=f"filter {name}", remedy="Give one of them."
                )
        properties = {**self.properties, **other.properties}
        for key in set(self.properties) & set(other.properties):
            properties[key] = _narrower(self.properties[key], other.properties[key])
        return Filter(**named, properties=properties)

    def mask(self, table: pa.Table, bits: ElementBits | None = None) -> Bool[np.ndarray, " records"]:
        """Which records pass.

        Args:
            table: metadata with the columns ``elements``, ``n_sites``, ``spacegroup_number`` and
                ``property.<name>``, where conditions are on them.
            bits: the elements of the same records, where already made.

        Raises:
            BadInputError: a property that the table does not have; lists those it has.
        """
        passing = np.ones(table.num_rows, dtype=bool)
        if self.with_elements or self.without_elements or self.only_elements:
            bits = bits or ElementBits.of(table["elements"])
            if self.with_elements:
                passing &= bits.holding(self.with_elements)
            if self.without_elements:
                passing &= bits.free_of(self.without_elements)
            if self.only_elements:
                passing &= bits.within(self.only_elements)
        if self.n_elements != (None, None):
            count = (bits or ElementBits.of(table["elements"])).counts()
            passing &= _between(np.where(count > 0, count, np.nan), self.n_elements)
        if self.n_sites != (None, None):
            passing &= _in_range(table["n_sites"], self.n_sites)
        if self.spacegroup_number != (None, None):
            passing &= _in_range(table["spacegroup_number"], self.spacegroup_number)
        if self.crystal_systems:
            limits = [SYSTEMS[system] for system in self.crystal_systems]
            passing &= np.logical_or.reduce([_in_range(table["spacegroup_number"], r) for r in limits])
        for name, limits in self.properties.items():
            passing &= _in_range(_property(table, name), limits)
        return passing

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "with_elements": list(self.with_elements),
            "without_elements": list(self.without_elements),
            "only_elements": list(self.only_elements),
            "n_sites": list(self.n_sites),
            "properties": {name: list(limits) for name, limits in self.properties.items()},
            "spacegroup_number": list(self.spacegroup_number),
            "crystal_systems": list(self.crystal_systems),
            "n_elements": list(self.n_elements),
        }

    @classmethod
    def from_dict(cls, payload: object) -> "Filter":
        """The inverse of ``to_dict``; keys left out take their defaults.

        Raises:
            BadInputError: an unknown key or a value of the wrong type.
        """
        known = cls().to_dict()
        if not isinstance(payload, dict) or not set(payload) <= set(known):
            raise BadInputError(
                "not a filter", field="filter", remedy=f"Give an object with any of {', '.join(known)}."
            )
        values: dict[str, object] = {**known, **payload}
        properties = values["properties"]
        if not isinstance(properties, dict) or len(properties) > MAX_ENTRIES:
            raise BadInputError("not an object", field="filter properties", remedy="Give {name: [min, max]}.")
        named: dict[str, Any] = {name: _symbols(values[name], name) for name in _LISTS}
        named |= {name: _whole(values[name], name) for name in _WHOLE}
        named["properties"] = {str(name): _limits(limits, str(name)) for name, limits in properties.items()}
        return cls(**named)


_LISTS = ("with_elements", "without_elements", "only_elements", "crystal_systems")
_LARGEST = 10**9
_WHOLE = ("n_sites", "spacegroup_number", "n_elements")


def _narrower(a: Any, b: Any) -> Any:
    """The range that lies in both."""
    lows, highs = ([x for x in side if x is not None] for side in zip(a, b, strict=True))
    return (max(lows, default=None), min(highs, default=None))


def property_names(table: pa.Table) -> list[str]:
    """Names of the properties a metadata table holds."""
    return [name.removeprefix(PROPERTY) for name in table.column_names if name.startswith(PROPERTY)]


def _property(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in property_names(table):
        raise BadInputError(
            f"unknown property {name!r}",
            field="filter",
            remedy=f"This index has: {', '.join(property_names(table)) or 'no properties'}.",
        )
    return table[PROPERTY + name]


def _in_range(column: pa.ChunkedArray, limits: Range) -> Bool[np.ndarray, " records"]:
    return _between(column.cast(pa.float64()).to_numpy(), limits)


def _between(values: Float[np.ndarray, " records"], limits: Range) -> Bool[np.ndarray, " records"]:
    low, high = limits
    # NaN, which stands for null too, fails both comparisons.
    return (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))


def _symbols(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(symbol, str) for symbol in value):
        system = name == "crystal_systems"
        raise BadInputError(
            "not a list of names" if system else "not a list of symbols",
            field=f"filter {name}",
            remedy='Write ["cubic"].' if system else 'Write ["Fe", "O"].',
        )
    if len(value) > MAX_ENTRIES:
        raise BadInputError(
            f"{len(value)} entries", field=f"filter {name}", remedy=f"Give at most {MAX_ENTRIES}."
        )
    return tuple(str(symbol) for symbol in value)


def _whole(value: object, name: str) -> Whole:
    limits = _limits(value, name)
    if any(x is not None and not float(x).is_integer() for x in limits):
        raise BadInputError("not a whole number", field=f"filter {name}", remedy="Write [1, 20].")
    low, high = (None if x is None else int(x) for x in limits)
    return low, high


def _limits(value: object, name: str) -> Range:
    numbers = isinstance(value, (list, tuple)) and all(
        x is None or (isinstance(x, (int, float)) and not isinstance(x, bool)) for x in value
    )
    if not numbers or not isinstance(value, (list, tuple)) or len(value) != 2:
        raise BadInputError("not a range", field=f"filter {name}", remedy="Write [min, max]; null is open.")
    try:
        low, high = (None if x is None else float(x) for x in value)
    except OverflowError as error:
        raise BadInputError("a number is too large", field=f"filter {name}", remedy="Use null.") from error
    if any(x is not None and not np.isfinite(x) for x in (low, high)):
        raise BadInputError("not a finite number", field=f"filter {name}", remedy="Use null for open.")
    return low, high
