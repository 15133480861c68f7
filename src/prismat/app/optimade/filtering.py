"""Filters of the OPTIMADE language: parsed by the grammar of the standard, answered by whole columns.

OPTIMADE specification v1.2, "API Filtering Format Specification". The grammar is that of the ``optimade``
package; nothing of a filter is ever evaluated as code.
"""

import math
import re
from collections.abc import Mapping
from functools import cache, reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

import numpy as np

from prismat.app.optimade.columns import Column, Constant, ListColumn, StringColumn
from prismat.app.optimade.errors import refused, unsupported
from prismat.app.optimade.fields import is_unknown
from prismat.app.optimade.truth import Truth
from prismat.errors import MissingExtraError

if TYPE_CHECKING:
    from lark import Lark, Tree

MAX_LENGTH = 4_000
"""Characters: the grammar's parser takes some 60 µs for each."""
MAX_DEPTH = 40
"""Parentheses within each other."""
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@cache
def _grammar() -> "Lark":
    try:
        from optimade.filterparser import LarkParser
    except ImportError as error:
        raise MissingExtraError("optimade", "app") from error
    return LarkParser().lark


def parse(text: str) -> "Tree":
    """The tree of a filter.

    Raises:
        OptimadeError: too long or too deep, or not in the language.
    """
    from lark.exceptions import LarkError

    if len(text) > MAX_LENGTH:
        raise refused(
            f"The filter has {len(text)} characters, more than {MAX_LENGTH}. Ask in several requests."
        )
    if not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise refused("The filter holds half of a surrogate pair. Send UTF-8.")
    if _depth(text) > MAX_DEPTH:
        raise refused(f"More than {MAX_DEPTH} parentheses within each other. Leave some out.")
    try:
        tree = _grammar().parse(text)
    except LarkError as error:
        raise refused(_told(error, text)) from error
    if len(tree.children) != 1:
        raise refused("Two conditions without AND or OR between them.")
    return tree


def matching(
    text: str, columns: Mapping[str, Column], fields: Mapping[str, bool], records: int
) -> np.ndarray:
    """Which records a filter lets pass.

    Args:
        text: filter, not empty.
        columns: of the properties that can be asked for.
        fields: all properties, and whether each can be asked for.
        records: number of records.

    Returns:
        Mask of shape (records,).

    Raises:
        OptimadeError: 400 for a filter that is wrong or names a property that is none, 501 for an optional
            feature that is not offered and for values of another type than the property's.
    """
    return _Evaluation(columns, fields, records).truth(parse(text).children[0]).true


class _Evaluation:
    """Walks over a tree; each condition becomes a mask."""

    def __init__(self, columns: Mapping[str, Column], fields: Mapping[str, bool], records: int) -> None:
        self.columns, self.fields, self.records = columns, fields, records

    def truth(self, tree: "Tree") -> Truth:
        children = tree.children
        if tree.data == "expression":
            return reduce(or_, map(self.truth, children))
        if tree.data == "expression_clause":
            return reduce(and_, map(self.truth, children))
        if tree.data == "expression_phrase":
            inner = self.truth(children[-1])
            return ~inner if len(children) > 1 else inner
        (comparison,) = children
        return (
            self._constant_first(comparison)
            if comparison.data.startswith("constant")
            else (self._property_first(comparison))
        )

    def _constant_first(self, tree: "Tree") -> Truth:
        constant, sign, other = tree.children
        if other.data != "non_string_value" or other.children[0].data != "property":
            raise unsupported("Two constants cannot be compared; name a property.")
        column = self._column(other.children[0])
        return self._compare(column, _MIRRORED[str(sign)], _constant(constant))

    def _property_first(self, tree: "Tree") -> Truth:
        name, condition = tree.children[0], tree.children[-1]
        if condition.data == "set_zip_op_rhs":
            raise unsupported("Lists are not compared position by position.")
        if condition.data == "known_op_rhs":
            return self._known(name, str(condition.children[-1]) == "KNOWN")
        column = self._column(name)
        ask = {
            "value_op_rhs": self._value,
            "fuzzy_string_op_rhs": self._match,
            "set_op_rhs": self._has,
            "length_op_rhs": self._length,
        }[condition.data]
        return ask(column, condition.children)

    def _value(self, column: Column | None, parts: list[Any]) -> Truth:
        return self._compare(column, str(parts[0]), _constant(parts[1]))

    def _compare(self, column: Column | None, sign: str, value: Constant) -> Truth:
        if column is None:
            return Truth.unknown(self.records)
        if isinstance(column, ListColumn):
            raise unsupported(f"{column.name} is a list: ask with HAS, HAS ALL, HAS ANY, HAS ONLY or LENGTH.")
        return column.compare(sign, value)

    def _match(self, column: Column | None, parts: list[Any]) -> Truth:
        if column is None:
            return Truth.unknown(self.records)
        if not isinstance(column, StringColumn):
            raise unsupported(f"{column.name} is no string: {parts[0]} is not offered for it.")
        return column.match(str(parts[0]), _constant(parts[-1]))

    def _has(self, column: Column | None, parts: list[Any]) -> Truth:
        wanted = _wanted(parts)
        if column is None:
            return Truth.unknown(self.records)
        if not isinstance(column, ListColumn):
            raise unsupported(f"{column.name} is no list: compare it with =, !=, <, <=, > or >=.")
        kind = str(parts[1]) if len(parts) > 1 else ""
        if kind == "ONLY":
            return column.has_only(wanted)
        found = [column.has(sign, value) for sign, value in wanted]
        return reduce(and_ if kind == "ALL" else or_, found)

    def _length(self, column: Column | None, parts: list[Any]) -> Truth:
        sign = str(parts[1]) if len(parts) > 2 else "="
        number = _number(str(parts[-1].children[0]))
        if column is None:
            return Truth.unknown(self.records)
        if not isinstance(column, ListColumn):
            raise unsupported(f"{column.name} is no list and has no LENGTH.")
        return column.length(sign, number)

    def _known(self, tree: "Tree", wanted: bool) -> Truth:
        column = self._column(tree)
        known = np.zeros(self.records, bool) if column is None else column.known
        return Truth.of(known if wanted else ~known, np.ones(self.records, bool))

    def _column(self, tree: "Tree") -> Column | None:
        """Column of a property; None for one that is unknown everywhere."""
        name = str(tree.children[0])
        if name in self.fields and len(tree.children) > 1:
            raise unsupported(f"Nothing within {name} can be asked for.")
        if name in self.columns:
            return self.columns[name]
        if name in self.fields:
            raise unsupported(f"{name} cannot be asked for, only read.")
        if is_unknown(name):
            return None
        raise refused(f"There is no property {name[:100]!r}; /info/structures lists all.")


def _wanted(parts: list[Any]) -> list[tuple[str, Constant]]:
    """(sign, value) pairs behind HAS; equality where no sign is given."""
    items = parts[-1].children if parts[-1].data == "value_list" else parts[1:]
    found: list[tuple[str, Constant]] = []
    sign = "="
    for item in items:
        if not hasattr(item, "data"):
            sign = str(item)
            continue
        found.append((sign, _constant(item)))
        sign = "="
    return found


def _constant(tree: "Tree") -> Constant:
    """A value of the filter: string, number or truth value."""
    inner = tree.children[0]
    token = "".join(map(str, inner.children))
    if inner.data == "string":
        return _ESCAPED.sub(r"\1", token[1:-1])
    if inner.data == "number":
        return _number(token)
    if inner.data == "property":
        raise unsupported(f"A property on both sides ({token[:60]}); quote the value if it is a string.")
    raise unsupported("No property here is TRUE or FALSE.")


def _number(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise unsupported(f"{token[:40]} is beyond the numbers of this server, ±1.8e308.")
    return number


def _depth(text: str) -> int:
    """Deepest nesting of parentheses outside strings."""
    depth = deepest = 0
    for sign in _STRING.sub("", text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        deepest = max(deepest, depth)
    return deepest


def _told(error: Exception, text: str) -> str:
    """What cannot be read, and where."""
    place = getattr(error, "pos_in_stream", None)
    if not isinstance(place, int) or not 0 <= place < len(text):
        return "The filter ends where something must follow, or a quote is not closed."
    return f"The filter cannot be read at character {place + 1}: {text[place : place + 40]!r}."
