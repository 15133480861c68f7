"""One record in full: from the store where there is one, else from the index."""

from typing import Any

import numpy as np

from prismat.app.problems import Problem, absent
from prismat.app.state import Served
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.search.hits import Hit
from prismat.store import Store

MEASURED = ("dos", "phonon_dos", "charge_density", "image")
_COLUMN = {"charge_density": "charge_density.values", "image": "image.pixels"}
_LATTICE = ("a", "b", "c", "alpha", "beta", "gamma")


def find_hit(served: Served, id: str) -> Hit:
    """The record in the index.

    Raises:
        Problem: status 404.
    """
    try:
        return served.index.record(id)
    except BadInputError:
        raise no_record(id) from None


def no_record(id: str) -> Problem:
    """No record of this name."""
    return Problem(
        404, f"There is no record {id[:200]!r}.", "no-record", field="id", remedy="Take ids from a search."
    )


def stored(served: Served, id: str, wanted: str) -> tuple[Store, int]:
    """The store, and the row of a record in it.

    Raises:
        Problem: status 404: no such record, no store, or a record that the store lacks.
    """
    find_hit(served, id)
    if served.store is None:
        raise absent(f"store, from which {wanted} would come", "Start it with 'prismat serve --store STORE'.")
    row = served.rows.get(id)
    if row is None:
        raise Problem(
            404,
            f"The store lacks the record {id[:200]!r}.",
            "no-record",
            field="id",
            remedy="Serve the store that the index was built from.",
        )
    return served.store, row


def find_crystal(served: Served, id: str) -> Crystal:
    """The primitive cell of a record.

    Raises:
        Problem: status 404.
    """
    store, row = stored(served, id, "structures")
    crystal = store.crystals(np.array([row]))[0]
    if crystal is None:
        raise lacking(id, "structure")
    return crystal


def lacking(id: str, what: str) -> Problem:
    """A record that has no such data."""
    return Problem(404, f"The record {id[:200]!r} has no {what}.", "no-data", field="id")


def material(served: Served, id: str) -> dict[str, Any]:
    """Everything that is shown of a record.

    Raises:
        Problem: status 404.
    """
    found = facts_of(find_hit(served, id))
    row = served.rows.get(id)
    place = None if served.world is None else served.world.rows.get(id)
    known = _UNKNOWN if served.store is None or row is None else _from_store(served.store, row)
    spot = None if served.world is None or place is None else served.world.xy[place].tolist()
    return found | known | {"map": spot}


_UNKNOWN = {
    "texts": {},
    "tags": {},
    "provenance": {},
    "lattice": None,
    "has": dict.fromkeys(("structure", *MEASURED), False),
}


def facts_of(hit: Hit) -> dict[str, Any]:
    """What the index knows of a record."""
    return {
        "id": hit.id,
        "formula": hit.formula,
        "spacegroup": hit.spacegroup,
        "spacegroup_number": hit.spacegroup_number,
        "title": hit.title,
        "elements": list(hit.elements),
        "n_sites": hit.n_sites,
        "properties": {n: {"value": p.value, "unit": p.unit} for n, p in hit.properties.items()},
    }


def _from_store(store: Store, row: int) -> dict[str, Any]:
    record = store.table.slice(row, 1).to_pylist()[0]
    has = {window: _has(store, row, window) for window in MEASURED}
    return {
        "texts": dict(record["texts"]),
        "tags": dict(record["tags"]),
        "provenance": dict(record["provenance"]),
        "lattice": lattice_of(record["cell"]),
        "has": {"structure": bool(record["n_sites"]), **has},
    }


def _has(store: Store, row: int, window: str) -> bool:
    """Whether a record has data of a window; a store may lack the window's column altogether."""
    name = _COLUMN.get(window, f"{window}.density")
    try:
        return bool(store.take(np.array([row]), [name])[name].lengths[0])
    except FileNotFoundError:
        return False


def lattice_of(cell: list[float] | None) -> dict[str, float] | None:
    """Lengths in Å, angles in degrees and volume in Å³ of a conventional cell; None for a molecule."""
    if not cell or not all(cell):
        return None
    cosines = np.cos(np.radians(cell[3:]))
    root = 1 - (cosines**2).sum() + 2 * cosines.prod()
    volume = float(np.prod(cell[:3]) * np.sqrt(max(root, 0.0)))
    return {**{name: round(x, 5) for name, x in zip(_LATTICE, cell, strict=True)}, "volume": round(volume, 3)}
