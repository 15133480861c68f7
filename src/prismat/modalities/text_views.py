"""Several ways to say what a record is: the title, the title in context, and a template of plain facts."""

import re
from collections.abc import Callable

import numpy as np

from prismat.elements import table
from prismat.modalities.keywords import keyword_view

TextView = Callable[[dict], str]

_CODE = re.compile(r"_cod_database_code\s*\d*;?\s*")
_IMPRINT = re.compile(r"[^;]*\bedition\b[^;]*\bpublishers\b[^;]*;?\s*", re.IGNORECASE)
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
    """Facts of the crystal in words: formula, element names, crystal system, space group, other texts."""
    if not row["elements"]:
        return ""
    names = {r["symbol"]: r["name"] for r in table()}
    order = np.argsort(row["fractions"], kind="stable")[::-1]
    elements = ", ".join(names[row["elements"][i]] for i in order)
    symmetry = f"{crystal_system(row['spacegroup_number'])}, space group {row['spacegroup']}"
    others = [t for kind, t in dict(row["texts"]).items() if kind != "title"]
    return ". ".join([f"{row['formula']}: {elements}; {symmetry}", *others])


VIEWS: dict[str, TextView] = {
    "title": title_view,
    "context": context_view,
    "description": description_view,
    "keywords": keyword_view,
}
"""Views by name; ``title`` is what retrieval is judged on."""


def as_rows(columns: dict[str, list]) -> list[dict]:
    """A table given by columns as one dictionary per row."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
