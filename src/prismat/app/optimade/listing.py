"""The query parameters of a listing, read and checked, and the rows they ask for.

OPTIMADE specification v1.2, "Entry Listing URL Query Parameters".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from prismat.app.optimade.columns import ListColumn
from prismat.app.optimade.errors import OptimadeError, refused
from prismat.app.optimade.fields import Field, is_foreign, is_unknown
from prismat.app.optimade.filtering import matching
from prismat.app.optimade.library import Library

DEFAULT_PAGE = 20
MAX_PAGE = 500
VERSION = "1.2.0"
_MINOR = 2
LISTING = (
    "filter",
    "page_limit",
    "page_offset",
    "sort",
    "response_fields",
    "response_format",
    "include",
    "email_address",
    "api_hint",
)
"""Parameters of a listing; a single entry takes those that neither choose nor order."""
ENTRY = ("response_fields", "response_format", "include", "email_address", "api_hint")
INFO = ("response_format", "email_address", "api_hint")
_HINT = re.compile(r"v(\d{1,6})(?:\.(\d{1,6}))?")
_FOREIGN = re.compile(r"_[a-z0-9]+_")


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        filter: empty for all entries.
        limit: entries of a page.
        offset: entries before it.
        sort: (property, descending) pairs, the most important first.
        fields: attributes wanted; None for all.
        foreign: attributes that no entry has, given as null.
        warnings: what was overlooked.
    """

    filter: str = ""
    limit: int = DEFAULT_PAGE
    offset: int = 0
    sort: tuple[tuple[str, bool], ...] = ()
    fields: frozenset[str] | None = None
    foreign: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_parameters(
    given: Mapping[str, str], known: Iterable[str], fields: Mapping[str, Field] | None = None
) -> Asked:
    """What the query parameters of a request ask for.

    Args:
        given: parameters by name.
        known: names that the endpoint takes.
        fields: properties of the entries, where it gives entries.

    Raises:
        OptimadeError: an unknown parameter or value (400), a page that is too large (403), or another version
            of the standard (553).
    """
    overlooked = _check_names(given, frozenset(known))
    _check_hint(given.get("api_hint", ""))
    if given.get("response_format") not in (None, "", "json"):
        raise refused("Answers come as json only.", "response_format")
    if given.get("include") not in (None, "", "references"):
        raise refused("There are no relationships to include.", "include")
    limit = _whole(given, "page_limit", DEFAULT_PAGE, 1)
    if limit > MAX_PAGE:
        raise OptimadeError(403, f"A page has {MAX_PAGE} entries at most.", "page_limit")
    wanted, foreign = _response_fields(given.get("response_fields", ""), fields or {})
    unknown = tuple(
        f"{name} is a property of another provider: null." for name in foreign if is_foreign(name)
    )
    return Asked(
        given.get("filter", "").strip(),
        limit,
        _whole(given, "page_offset", 0, 0),
        _sort(given.get("sort", ""), fields or {}),
        wanted,
        foreign,
        (*overlooked, *unknown),
    )


def rows_of(library: Library, asked: Asked) -> Int[np.ndarray, " n"]:
    """Rows of all records that are asked for, in the order asked for, whatever the page.

    Raises:
        OptimadeError: a filter that cannot be answered.
    """
    rows = np.arange(len(library))
    if asked.filter:
        queryable = {name: field.queryable for name, field in library.fields.items()}
        rows = np.flatnonzero(matching(asked.filter, library.columns, queryable, len(library)))
    if not asked.sort:
        return rows
    keys = []
    for name, descending in asked.sort:
        column = library.columns[name]
        if isinstance(column, ListColumn):
            raise refused(f"Entries cannot be sorted by {name}.", "sort")
        keys.append(column.order(descending)[rows])
    # lexsort takes the most important key last and keeps the order of rows among equals.
    return rows[np.lexsort(keys[::-1])]


def _check_names(given: Mapping[str, str], known: frozenset[str]) -> tuple[str, ...]:
    """Refuses unknown parameters; those of other providers are overlooked with a warning."""
    overlooked = []
    for name in given:
        if name in known:
            continue
        if not _FOREIGN.match(name) or name.startswith("_prismat_"):
            taken = ", ".join(sorted(known))
            raise refused(f"There is no parameter {name[:60]!r} here; known: {taken}.", name[:60])
        overlooked.append(f"The parameter {name[:60]} of another provider was overlooked.")
    return tuple(overlooked)


def _check_hint(hint: str) -> None:
    """Refuses versions of the standard that are not served."""
    if not hint:
        return
    match = _HINT.fullmatch(hint)
    if match is None:
        raise refused("An api_hint has the form v1 or v1.2.", "api_hint")
    if int(match[1]) != 1 or int(match[2] or 0) > _MINOR:
        raise OptimadeError(553, f"This server speaks version {VERSION}.", "api_hint")


def _whole(given: Mapping[str, str], name: str, default: int, least: int) -> int:
    """A whole number among the parameters."""
    text = given.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < least:
        raise refused(f"{text[:40]!r} is no whole number of at least {least}.", name)
    return int(text)


def _sort(text: str, fields: Mapping[str, Field]) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))):
        name = part.removeprefix("-")
        if name not in fields or not fields[name].sortable:
            raise refused(f"Entries cannot be sorted by {name[:60]!r}.", "sort")
        order.append((name, part.startswith("-")))
    return tuple(order)


def _response_fields(text: str, fields: Mapping[str, Field]) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """Attributes asked for: those there are, and those that are null."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        return None, ()
    foreign = tuple(name[:100] for name in names if name not in fields)
    for name in foreign:
        if not is_unknown(name):
            raise refused(f"There is no property {name[:60]!r}.", "response_fields")
    return frozenset(names) & set(fields), foreign
