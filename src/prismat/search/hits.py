"""One result of a search, and results from rows of metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from prismat.material import Property
from prismat.search.filters import PROPERTY, property_names


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        row: place among the records of the index.
        score: weighted mean cosine over the keys present; 0 where nothing was asked.
        scores: cosine by key; keys that the record lacks are left out.
        properties: known properties with their units.
    """

    row: int
    id: str
    score: float
    scores: dict[str, float]
    formula: str
    spacegroup: str
    spacegroup_number: int | None
    title: str
    elements: tuple[str, ...]
    n_sites: int | None
    properties: dict[str, Property]


def make_hit(
    row: int, record: Mapping[str, Any], units: Mapping[str, str], score: float, scores: dict[str, float]
) -> Hit:
    """A result from a row of metadata.

    Args:
        row: place among the records.
        record: values by column of ``SCHEMA`` and ``property.<name>``.
        units: unit of each property.
        score: weighted mean cosine.
        scores: cosine by key.
    """
    known = {name: record.get(PROPERTY + name) for name in units}
    return Hit(
        row=row,
        id=record["id"],
        score=score,
        scores=scores,
        formula=record["formula"] or "",
        spacegroup=record["spacegroup"] or "",
        spacegroup_number=record["spacegroup_number"],
        title=record["title"] or "",
        elements=tuple(record["elements"] or ()),
        n_sites=record["n_sites"],
        properties={
            name: Property(value, units[name])
            for name, value in known.items()
            if value is not None and np.isfinite(value)
        },
    )


def property_units(schema: pa.Schema) -> dict[str, str]:
    """Unit of each property of a metadata table."""
    names = property_names(pa.Table.from_batches([], schema))
    fields = {name: schema.field(PROPERTY + name) for name in names}
    return {name: (f.metadata or {}).get(b"unit", b"").decode() for name, f in fields.items()}
