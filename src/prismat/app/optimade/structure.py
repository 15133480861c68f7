"""A crystal as the structure attributes of an OPTIMADE entry.

OPTIMADE specification v1.2, "Structures Entries".
"""

from typing import Any

import numpy as np

from prismat.crystal import Crystal, Site
from prismat.elements import SYMBOLS

STRUCTURE = frozenset(("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites"))
"""Attributes that only a crystal tells."""
_FULL = 1e-6
"""By which occupancies may miss 1 before a vacancy is said."""


def structure_of(crystal: Crystal | None) -> dict[str, Any]:
    """Cell, positions (Å) and species; null for each where there is no crystal."""
    if crystal is None:
        return dict.fromkeys(STRUCTURE)
    names = [_name(site) for site in crystal.sites]
    species = {name: _species(name, site) for name, site in zip(names, crystal.sites, strict=True)}
    # A molecule's lattice is the identity, so that its coordinates are positions in Å.
    positions = crystal.frac @ crystal.lattice
    lattice = crystal.lattice.tolist() if crystal.periodic else [[None] * 3] * 3
    return {
        "lattice_vectors": lattice,
        "cartesian_site_positions": np.round(positions, 10).tolist(),
        "species": list(species.values()),
        "species_at_sites": names,
    }


def _vacancy(site: Site) -> float:
    """Share of a site that is empty."""
    empty = 1.0 - sum(occupancy for _, occupancy in site)
    return empty if empty > _FULL else 0.0


def _name(site: Site) -> str:
    """The symbol of a site's element, or all its contents with their shares."""
    if len(site) == 1 and not _vacancy(site):
        return SYMBOLS[site[0][0]]
    return "".join(f"{SYMBOLS[z]}{occupancy:.6g}" for z, occupancy in site)


def _species(name: str, site: Site) -> dict[str, Any]:
    empty = _vacancy(site)
    symbols = [SYMBOLS[z] for z, _ in site]
    shares = [occupancy for _, occupancy in site]
    return {
        "name": name,
        "chemical_symbols": [*symbols, "vacancy"] if empty else symbols,
        "concentration": [*shares, empty] if empty else shares,
    }
