"""Values of one property over all records, and the comparisons that a filter can make with them."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from prismat.app.optimade.errors import refused, unsupported
from prismat.app.optimade.truth import Truth

Constant = float | str | bool
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARROW = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_MATCHES = {"CONTAINS": "match_substring", "STARTS": "starts_with", "ENDS": "ends_with"}


def _compared(sign: str, values: pa.Array, constant: float | str) -> pa.Array:
    """``value <sign> constant`` of an Arrow column."""
    return pc.call_function(_ARROW[sign], [values, pa.scalar(constant)])


def _mask(values: pa.Array | pa.ChunkedArray) -> Bool[np.ndarray, " records"]:
    """Booleans of an Arrow column; null counts as False."""
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """Numbers, not a number where unknown.

    Attributes:
        name: of the property.
        values: one for each record.
        whole: whether they are integers.
    """

    name: str
    values: Float[np.ndarray, " records"]
    whole: bool = False

    @property
    def known(self) -> Bool[np.ndarray, " records"]:
        """Where there is a value."""
        return ~np.isnan(self.values)

    def compare(self, sign: str, value: Constant) -> Truth:
        """Where ``value of the record <sign> value``.

        Raises:
            OptimadeError: the value is no number.
        """
        return Truth.of(OPERATORS[sign](self.values, _number(self.name, value)), self.known)

    def order(self, descending: bool) -> Float[np.ndarray, " records"]:
        """Sort keys: ascending where not ``descending``, unknown values last."""
        keys = -self.values if descending else self.values.copy()
        keys[np.isnan(keys)] = np.inf
        return keys

    def value(self, row: int) -> float | int | None:
        """Value of one record."""
        found = float(self.values[row])
        return None if np.isnan(found) else int(found) if self.whole else found


@dataclass(frozen=True, eq=False)
class TimeColumn:
    """Moments, all records or none.

    Attributes:
        name: of the property.
        seconds: since 1970, not a number where unknown.
    """

    name: str
    seconds: Float[np.ndarray, " records"]

    @property
    def known(self) -> Bool[np.ndarray, " records"]:
        """Where there is a value."""
        return ~np.isnan(self.seconds)

    def compare(self, sign: str, value: Constant) -> Truth:
        """Where ``moment of the record <sign> value``, a time as of RFC 3339.

        Raises:
            OptimadeError: the value is no string, or no time.
        """
        moment = _moment(_string(self.name, value))
        return Truth.of(OPERATORS[sign](self.seconds, moment), self.known)

    def order(self, descending: bool) -> Float[np.ndarray, " records"]:
        """Sort keys, unknown values last."""
        return NumberColumn(self.name, self.seconds).order(descending)

    def value(self, row: int) -> str | None:
        """Moment of one record as of RFC 3339."""
        found = float(self.seconds[row])
        return None if np.isnan(found) else f"{datetime.fromtimestamp(found, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, eq=False)
class StringColumn:
    """Strings, null where unknown.

    Attributes:
        name: of the property.
        values: one for each record.
    """

    name: str
    values: pa.Array

    @property
    def known(self) -> Bool[np.ndarray, " records"]:
        """Where there is a value."""
        return self.values.is_valid().to_numpy(zero_copy_only=False)

    def compare(self, sign: str, value: Constant) -> Truth:
        """Where ``string of the record <sign> value``, by code points.

        Raises:
            OptimadeError: the value is no string.
        """
        return Truth.of(_mask(_compared(sign, self.values, _string(self.name, value))), self.known)

    def match(self, how: str, value: Constant) -> Truth:
        """Where the string CONTAINS, STARTS or ENDS with a value.

        Raises:
            OptimadeError: the value is no string.
        """
        options = pc.MatchSubstringOptions(_string(self.name, value))
        found = pc.call_function(_MATCHES[how], [self.values], options)
        return Truth.of(_mask(found), self.known)

    def order(self, descending: bool) -> Int[np.ndarray, " records"]:
        """Sort keys, unknown values last."""
        options = pc.RankOptions(sort_keys="descending" if descending else "ascending", tiebreaker="min")
        ranks = pc.call_function("rank", [self.values], options)
        return ranks.to_numpy(zero_copy_only=False).astype(np.int64)

    def value(self, row: int) -> str | None:
        """String of one record."""
        return self.values[row].as_py()


@dataclass(frozen=True, eq=False)
class ListColumn:
    """Lists of strings or numbers, null where unknown.

    Attributes:
        name: of the property.
        values: one list for each record.
    """

    name: str
    values: pa.Array

    @property
    def known(self) -> Bool[np.ndarray, " records"]:
        """Where there is a value."""
        return self.values.is_valid().to_numpy(zero_copy_only=False)

    def has(self, sign: str, value: Constant) -> Truth:
        """Where some item ``<sign> value``."""
        return Truth.of(self._count(self._hits(sign, value)) > 0, self.known)

    def has_only(self, wanted: list[tuple[str, Constant]]) -> Truth:
        """Where every item fulfils one of the conditions; an empty list does."""
        hits = np.logical_or.reduce([self._hits(sign, value) for sign, value in wanted])
        return Truth.of(self._count(~hits) == 0, self.known)

    def length(self, sign: str, value: float) -> Truth:
        """Where the number of items ``<sign> value``."""
        lengths = pc.fill_null(pc.call_function("list_value_length", [self.values]), 0).to_numpy(
            zero_copy_only=False
        )
        return Truth.of(OPERATORS[sign](lengths, value), self.known)

    def value(self, row: int) -> list | None:
        """List of one record."""
        return self.values[row].as_py()

    def _hits(self, sign: str, value: Constant) -> Bool[np.ndarray, " items"]:
        if pa.types.is_string(self.values.type.value_type):
            constant: float | str = _string(self.name, value)
        else:
            constant = _number(self.name, value)
        return _mask(_compared(sign, self.values.flatten(), constant))

    def _count(self, hits: Bool[np.ndarray, " items"]) -> Int[np.ndarray, " records"]:
        """Number of hits among the items of each record."""
        parents = self.values.value_parent_indices().to_numpy(zero_copy_only=False)
        return np.bincount(parents[hits], minlength=len(self.values))


Column = NumberColumn | TimeColumn | StringColumn | ListColumn


def _string(name: str, value: Constant) -> str:
    if isinstance(value, str):
        return value
    raise unsupported(f"{name} is compared with strings only, and types are not converted: quote the value.")


def _number(name: str, value: Constant) -> float:
    if isinstance(value, float):
        return value
    raise unsupported(f"{name} is compared with numbers only, and types are not converted: drop the quotes.")


def _moment(text: str) -> float:
    """Seconds since 1970 of a time as of RFC 3339."""
    try:
        moment = datetime.fromisoformat(text)
        if "T" not in text.upper() or moment.tzinfo is None:
            raise refused(f"{text[:60]!r} is no time as of RFC 3339; write 2026-01-31T12:00:00Z.")
        return moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise refused(f"{text[:60]!r} is no time as of RFC 3339; write 2026-01-31T12:00:00Z.") from error
