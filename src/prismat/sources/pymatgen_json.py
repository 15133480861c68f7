"""Crystals from the dictionaries that pymatgen's ``Structure.as_dict`` writes, read without pymatgen.

Only numbers and symbols are taken from them: the classes that they name are never looked up.
"""

from typing import Any

import numpy as np

from prismat.crystal import Crystal, Site, make_site
from prismat.elements import atomic_number
from prismat.errors import BadInputError

_REMEDY = "Give the dictionary of pymatgen's Structure.as_dict()."


def crystal_from_dict(record: Any) -> Crystal:
    """A crystal from the dictionary of a pymatgen ``Structure``; partial occupancies are kept.

    Args:
        record: ``lattice.matrix`` (row vectors in Å), and ``sites`` with ``abc`` (fractional coordinates) and
            ``species``, each an ``element`` with its ``occu``. Oxidation states and all else are not read.

    Raises:
        BadInputError: no such dictionary, a structure that is not periodic in three directions, an unknown
            element, or occupancies that cannot be.
    """
    try:
        matrix = np.array(record["lattice"]["matrix"], dtype=np.float64)
        frac = np.array([site["abc"] for site in record["sites"]], dtype=np.float64).reshape(-1, 3)
        periodic = all(record["lattice"].get("pbc", (True, True, True)))
        sites = tuple(_site(site["species"]) for site in record["sites"])
    except BadInputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(
            f"not a structure as pymatgen writes it ({type(error).__name__}: {str(error)[:80]})",
            field="structure",
            remedy=_REMEDY,
        ) from error
    if matrix.shape != (3, 3) or not periodic:
        raise BadInputError("not periodic in three directions", field="lattice", remedy=_REMEDY)
    return Crystal(matrix, frac, sites)


def _site(species: list[dict[str, Any]]) -> Site:
    """What sits on a site; ions of one element count together."""
    content: dict[int, float] = {}
    for one in species:
        z = atomic_number(one["element"])
        content[z] = content.get(z, 0.0) + float(one["occu"])
    return make_site(content)
