"""Crystals as rows of a Parquet table, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from prismat.crystal import Crystal

CRYSTALS = pa.schema(
    [
        ("periodic", pa.bool_()),
        ("lattice", pa.list_(pa.float64())),
        ("frac", pa.list_(pa.float64())),
        ("species", pa.list_(pa.int16())),
        ("occupancies", pa.list_(pa.float64())),
        ("per_site", pa.list_(pa.int16())),
    ]
)
"""Nine numbers of the lattice (row vectors, Å), three per site, and what sits there: ``per_site`` entries of
``species`` (atomic numbers) and ``occupancies`` for each site. A record without a structure has no site."""


def crystal_table(crystals: Sequence[Crystal | None]) -> pa.Table:
    """One row per crystal."""
    return pa.Table.from_pylist([_row(crystal) for crystal in crystals], schema=CRYSTALS)


def _row(crystal: Crystal | None) -> dict[str, Any]:
    if crystal is None:
        return {"periodic": True, "lattice": [], "frac": [], "species": [], "occupancies": [], "per_site": []}
    contents = [entry for site in crystal.sites for entry in site]
    return {
        "periodic": crystal.periodic,
        "lattice": crystal.lattice.ravel().tolist(),
        "frac": crystal.frac.ravel().tolist(),
        "species": [z for z, _ in contents],
        "occupancies": [occupancy for _, occupancy in contents],
        "per_site": [len(site) for site in crystal.sites],
    }


def crystal_of(row: dict[str, Any]) -> Crystal | None:
    """The crystal of one row, or None for a record without a structure."""
    if not row["per_site"]:
        return None
    contents = list(zip(row["species"], row["occupancies"], strict=True))
    ends = np.cumsum(row["per_site"]).tolist()
    sites = tuple(tuple(contents[end - n : end]) for end, n in zip(ends, row["per_site"], strict=True))
    lattice = np.array(row["lattice"], dtype=np.float64).reshape(3, 3)
    return Crystal(lattice, np.array(row["frac"]).reshape(-1, 3), sites, row["periodic"])
