"""Several ways to say what a record is: the title, the title in context, plain facts, or any text it has."""

import re
from collections.abc import Callable, Collection

import numpy as np

from prismat.elements import table
from prismat.errors import BadInputError
from prismat.modalities.keywords import keyword_view

TextView = Callable[[dict], str]

_CODE = re.compile(r"_cod_database_code\s*\d*;?\s*")
_IMPRINT = re.compile(r"[^;]*\bedition\b[^;]*\bpublishers\b[^;]*;?\s*", re.IGNORECASE)
_APART = frozenset(
    (
        *("title", "abstract", "synthesis", "composition"),
        *("template", "template_global", "template_local", "robocrys", "narrative"),
    )
)
_SYSTEMS = (
    (2, "triclinic"),
    (15, "monoclinic"),
    (74, "orthorhombic"),
    (142, "tetragonal"),
    (167, "trigonal"),
    (194, "hexagonal"),
    (230, "cubic"),
)


def crystal_system(spacegroup: int) -> str:
    """Crystal system of a space-group number; empty for 0."""
    return next((name for last, name in _SYSTEMS if 0 < spacegroup <= last), "")


def title_view(row: dict) -> str:
    """The publication title, or nothing."""
    return dict(row["texts"]).get("title", "")


def context_view(row: dict) -> str:
    """Mineral name, title, notes and locality, in one line."""
    tags = dict(row["tags"])
    notes = _IMPRINT.sub("", _CODE.sub("", tags.get("notes", ""))).strip("; ")
    parts = (tags.get("mineral", ""), title_view(row), notes, tags.get("locality", ""))
    return ". ".join(p for p in parts if p)


def description_view(row: dict) -> str:
    """Facts of the crystal in words: formula, element names, crystal system, space group, own description.

    Texts that ``prismat describe`` makes, and those that are no description, are views of their own.
    """
    if not row["elements"]:
        return ""
    names = {r["symbol"]: r["name"] for r in table()}
    order = np.argsort(row["fractions"], kind="stable")[::-1]
    elements = ", ".join(names[row["elements"][i]] for i in order)
    symmetry = f"{crystal_system(row['spacegroup_number'])}, space group {row['spacegroup']}"
    others = [t for kind, t in dict(row["texts"]).items() if kind not in _APART]
    return ". ".join([f"{row['formula']}: {elements}; {symmetry}", *others])


VIEWS: dict[str, TextView] = {
    "title": title_view,
    "context": context_view,
    "description": description_view,
    "keywords": keyword_view,
}
"""Views by name; ``title`` is what retrieval is judged on. Any other kind of text that a store has is a view
by its own name, see ``text_view``."""


def text_view(name: str, kinds: Collection[str]) -> TextView:
    """A view by name.

    Args:
        name: one of ``VIEWS``, or a kind of text.
        kinds: kinds of text that any record has.

    Raises:
        BadInputError: neither.
    """
    if name in VIEWS:
        return VIEWS[name]
    if name not in kinds:
        raise BadInputError(
            f"unknown text view {name!r}",
            field="views.text",
            remedy=f"Known: {', '.join([*VIEWS, *sorted(set(kinds) - set(VIEWS))])}.",
        )
    return lambda row: dict(row["texts"]).get(name, "")


def as_rows(columns: dict[str, list]) -> list[dict]:
    """A table given by columns as one dictionary per row."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
