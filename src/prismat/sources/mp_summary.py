"""Summaries of the Materials Project: which fields are asked for, and what they become.

Names and units as in the documentation of the API, api.materialsproject.org/docs, "Materials Summary".
"""

import math
from typing import Any

from prismat.crystal import Crystal, check
from prismat.errors import BadInputError
from prismat.fetch.client import Client
from prismat.fetch.errors import FetchError
from prismat.fetch.pages import Cursor, Row
from prismat.material import Property
from prismat.sources.mp_api import PAGE, documents
from prismat.sources.pymatgen_json import crystal_from_dict

_PROPERTIES = {
    "formation_energy_per_atom": ("formation_energy_per_atom", "eV/atom"),
    "energy_above_hull": ("e_above_hull", "eV/atom"),
    "band_gap": ("band_gap", "eV"),
    "density": ("density", "g/cm3"),
    "total_magnetization": ("total_magnetization", "μB"),
    "e_total": ("dielectric_total", ""),
    "e_electronic": ("dielectric_electronic", ""),
    "n": ("refractive_index", ""),
    "homogeneous_poisson": ("poisson_ratio", ""),
}
"""Name in the store and unit by field of the summary."""
_MODULI = {"bulk_modulus": "bulk_modulus_vrh", "shear_modulus": "shear_modulus_vrh"}
"""Fields that hold averages by the names of Voigt, Reuss and both (``vrh``), in GPa."""
_DETAILS = ("theoretical", "last_updated", "builder_meta")
FIELDS = ("material_id", "structure", *_PROPERTIES, *_MODULI, *_DETAILS)
"""What is asked for."""
_COMMON = ("formation_energy_per_atom", "energy_above_hull", "band_gap", "builder_meta")
"""Fields that nearly every material has."""
_MANY = 20
LICENCES = {"BY-C": "CC BY 4.0", "BY-NC": "CC BY-NC 4.0"}
"""By the name in ``builder_meta.license``: part of the data (GNoME) is not for commercial use."""


def fetch_page(
    client: Client, url: str, filters: dict[str, str | int], limit: int, cursor: Cursor
) -> tuple[list[Row], Cursor]:
    """Summaries of the page at a cursor, in the order of their ids, and where the next page begins.

    Args:
        client: with the key.
        url: of the endpoint.
        filters: which materials.
        limit: materials at most; 0 for all.
        cursor: how many came before, and how many there are; None at the beginning.

    Raises:
        FetchError: no answer, one of another form, or the database has changed since the first page.
    """
    skip, known = (cursor["skip"], cursor["total"]) if cursor else (0, None)
    size = min(PAGE, limit - skip) if limit else PAGE
    page: dict[str, str | int] = {"_fields": ",".join(FIELDS), "_sort_fields": "material_id"}
    page |= {"_skip": skip, "_limit": size}
    rows, total = documents(client, url, filters | page, ("material_id", "structure", "density"))
    for field in _COMMON if len(rows) >= _MANY else ():
        if not any(field in row for row in rows):
            raise FetchError(f"an answer without {field!r}; the service may have changed", url)
    if known is not None and total != known:
        raise FetchError(
            f"{known:,} materials at first, and {total:,} now: the database was renewed meanwhile",
            url,
            remedy="Give another cache folder, to read it from the beginning.",
        )
    if not rows and skip < total:
        raise FetchError(f"{skip:,} of {total:,} materials, and an empty page after them", url)
    end = skip + len(rows)
    more = end < min(total, limit or total)
    return rows, {"skip": end, "total": total} if more else None


def crystal_of(row: Row, max_sites: int) -> Crystal:
    """The structure of a summary.

    Raises:
        BadInputError: no structure, or one that cannot be.
    """
    if row.get("structure") is None:
        raise BadInputError("no structure", field="structure", remedy="It is left out.")
    return check(crystal_from_dict(row["structure"]), max_sites)


def properties_of(row: Row) -> dict[str, Property]:
    """Numbers of a summary with their units; what is not there is left out.

    Raises:
        BadInputError: a value that is no finite number.
    """
    values = {name: (row.get(field), unit) for field, (name, unit) in _PROPERTIES.items()}
    for field, name in _MODULI.items():
        averages = row.get(field)
        values[name] = (averages.get("vrh") if isinstance(averages, dict) else averages, "GPa")
    return {name: Property(_number(x, name), unit) for name, (x, unit) in values.items() if x is not None}


def tags_of(row: Row) -> dict[str, str]:
    """Whether no experiment is known, when the material was last changed, and the database's version."""
    theoretical = row.get("theoretical")
    meta = row.get("builder_meta")
    updated = row.get("last_updated")
    updated = updated.get("$date") if isinstance(updated, dict) else updated
    tags = {
        "theoretical": str(theoretical).lower() if isinstance(theoretical, bool) else "",
        "last_modified": updated,
        "database_version": meta.get("database_version") if isinstance(meta, dict) else "",
    }
    return {name: value for name, value in tags.items() if isinstance(value, str) and value}


def licence_of(row: Row) -> str:
    """Terms of one material.

    Raises:
        BadInputError: terms of a name that is not known.
    """
    meta = row.get("builder_meta")
    name = (meta.get("license") if isinstance(meta, dict) else None) or "BY-C"
    if name not in LICENCES:
        raise BadInputError(
            f"unknown terms {name!r}", field="license", remedy="Look for a newer version of Prismat."
        )
    return LICENCES[name]


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInputError(f"{str(value)[:60]!r}, not a number", field=name, remedy="It is left out.")
    return float(value)
