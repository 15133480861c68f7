"""From the attributes of an OPTIMADE structure to a crystal or a molecule.

OPTIMADE specification v1.2, "Structures Entries"; Andersen et al., Sci. Data 8, 217 (2021).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.crystal import MAX_SITES, Crystal, check, make_site
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.symmetry import expand

STRUCTURE_FIELDS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "dimension_types",
    "nperiodic_dimensions",
    "structure_features",
    "assemblies",
)
"""Attributes that make a structure."""
NEEDED_FIELDS = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites")
"""Those of them without which there is none."""
_LACKING_ATOMS = {"implicit_atoms": "atoms without positions", "site_attachments": "atoms attached to sites"}
_DIMENSIONS = [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
_TOLERANCE = 0.02
"""By which concentrations and probabilities may miss 1."""

Content = dict[int, float]


def crystal_of(attributes: Mapping[str, Any], max_sites: int = MAX_SITES) -> Crystal:
    """The structure that an entry describes.

    Vacancies lower the occupancy of their site; a site of nothing else is left out. Assemblies, groups of
    sites of which one is there with a probability, become occupancies: what is averaged over is kept, which
    groups exclude each other is not. Positions that coincide within 0.01 Å are one mixed site.

    Args:
        attributes: ``attributes`` of the entry.
        max_sites: larger cells are refused.

    Raises:
        BadInputError: an attribute that is missing or of another form, a structure that is periodic in one or
            two directions, atoms of unknown element or position, or a crystal that cannot be.
    """
    features = _list(attributes, "structure_features", optional=True)
    for feature, what in _LACKING_ATOMS.items():
        if feature in features:
            raise _error(f"{what} ({feature})", "structure_features", "The structure is not complete.")
    positions = _matrix(attributes, "cartesian_site_positions")
    contents = _contents(attributes, len(positions))
    filled = [number for number, content in enumerate(contents) if content]
    if not filled:
        raise _error("no atom on any site", "species", "Give at least one atom.")
    positions, contents = positions[filled], [contents[number] for number in filled]
    if not _is_periodic(attributes):
        return check(Crystal.molecule(positions, tuple(map(make_site, contents))), max_sites)
    lattice = _matrix(attributes, "lattice_vectors")
    if lattice.shape != (3, 3) or not abs(np.linalg.det(lattice)) > 1e-6:
        raise _error("no three vectors that span a cell", "lattice_vectors", "Correct the entry.")
    frac = positions @ np.linalg.inv(lattice)
    return check(expand(lattice, frac, contents, np.eye(3)[None], np.zeros((1, 3))), max_sites)


def _is_periodic(attributes: Mapping[str, Any]) -> bool:
    """Whether the structure repeats in all three directions; False for a molecule."""
    types = attributes.get("dimension_types")
    count = attributes.get("nperiodic_dimensions") if types is None else None
    if types is not None and types not in _DIMENSIONS:
        raise _error(f"{types!r}", "dimension_types", "Give three numbers, 0 or 1.")
    periodic = sum(types) if types is not None else count
    if periodic is None:
        # Neither is obligatory; vectors are null along what does not repeat.
        vectors = _list(attributes, "lattice_vectors", optional=True)
        return bool(vectors) and all(isinstance(vector, list) and None not in vector for vector in vectors)
    if periodic not in (0, 3):
        raise _error(
            f"periodic in {str(periodic)[:60]} of 3 directions",
            "dimension_types",
            "Give the structure with a vacuum as a three-dimensional cell.",
        )
    return bool(periodic)


def _matrix(attributes: Mapping[str, Any], name: str) -> Float[np.ndarray, "rows 3"]:
    """An attribute of rows of three finite numbers."""
    try:
        values = np.array(attributes.get(name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _error("not rows of three numbers", name, "Correct the entry.") from error
    if values.ndim != 2 or values.shape[1:] != (3,) or not np.isfinite(values).all():
        problem = "not given" if attributes.get(name) is None else "not rows of three numbers"
        raise _error(problem, name, "Complete the entry.")
    return values


def _contents(attributes: Mapping[str, Any], count: int) -> list[Content]:
    """{atomic number: occupancy} of every site; empty where there is a vacancy only."""
    names = _list(attributes, "species_at_sites")
    if len(names) != count:
        raise _error(f"{len(names)} names for {count} positions", "species_at_sites", "Correct the entry.")
    species = {}
    for one in _list(attributes, "species"):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise _error(f"{str(one)[:60]!r}, no species with a name", "species", "Correct the entry.")
        species[one["name"]] = one
    known: dict[str, Content] = {}
    for name in names:
        if not isinstance(name, str) or name not in species:
            raise _error(f"{name!r} is no species of the entry", "species_at_sites", "Correct the entry.")
        if name not in known:
            known[name] = _species(species[name])
    weights = _weights(_list(attributes, "assemblies", optional=True), count)
    return [
        {z: x * weight for z, x in known[name].items() if x * weight > 0}
        for name, weight in zip(names, weights, strict=True)
    ]


def _species(species: Mapping[str, Any]) -> Content:
    """What sits on a site of a species."""
    name = species["name"]
    symbols, shares = _list(species, "chemical_symbols"), _list(species, "concentration")
    if any(symbol != "vacancy" for symbol in _list(species, "attached", optional=True)):
        raise _error(f"species {name!r} with atoms attached", "species", "The structure is not complete.")
    if len(symbols) != len(shares) or not all(_is_number(x) and 0 <= x <= 1 + _TOLERANCE for x in shares):
        raise _error(f"concentrations {shares} of {symbols}", "species", "Give one from 0 to 1 for each.")
    if abs(sum(shares) - 1) > _TOLERANCE:
        raise _error(f"concentrations of {name!r} add up to {sum(shares):.3f}", "species", "Correct them.")
    content: Content = {}
    for symbol, share in zip(symbols, shares, strict=True):
        if symbol == "X":
            raise _error(f"an unknown element in species {name!r}", "species", "It is left out.")
        if symbol != "vacancy":
            z = atomic_number(str(symbol))
            content[z] = content.get(z, 0.0) + float(share)
    return content


def _weights(assemblies: Sequence[Any], count: int) -> list[float]:
    """Probability that each site is there."""
    weights: dict[int, float] = {}
    for assembly in assemblies:
        if not isinstance(assembly, dict):
            raise _error(f"{str(assembly)[:60]!r}", "assemblies", "Correct the entry.")
        groups, chances = _list(assembly, "sites_in_groups"), _list(assembly, "group_probabilities")
        if len(groups) != len(chances) or not all(_is_number(x) and 0 <= x <= 1 for x in chances):
            raise _error(f"probabilities {chances} of {len(groups)} groups", "assemblies", "Correct them.")
        if abs(sum(chances) - 1) > _TOLERANCE:
            raise _error(f"probabilities add up to {sum(chances):.3f}", "assemblies", "Correct them.")
        for group, chance in zip(groups, chances, strict=True):
            for site in group if isinstance(group, list) else [group]:
                if not isinstance(site, int) or not 0 <= site < count or site in weights:
                    raise _error(
                        f"site {site!r} is none, or in two groups", "assemblies", "Correct the entry."
                    )
                weights[site] = float(chance)
    return [weights.get(site, 1.0) for site in range(count)]


def _list(holder: Mapping[str, Any], name: str, optional: bool = False) -> list[Any]:
    found = holder.get(name)
    if found is None and optional:
        return []
    if not isinstance(found, list):
        problem = "not given" if found is None else f"{str(found)[:60]!r} where a list belongs"
        raise _error(problem, name, "Complete the entry.")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _error(problem: str, field: str, remedy: str) -> BadInputError:
    return BadInputError(problem, field=field, remedy=remedy)
