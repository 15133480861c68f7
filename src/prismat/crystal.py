"""A crystal, ordered or disordered, or a molecule, as plain arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError

Site = tuple[tuple[int, float], ...]
"""What sits on one site: ((atomic number, occupancy), …), heaviest element last."""

MAX_SITES = 500
FLAT = 0.05
"""A cell of a smaller share of the volume that its edges could enclose is no crystal's."""
FLATTEST = 1e-6
"""No basis helps a cell of less than this share."""
LEAST_EDGE = 1.5
"""Å."""
MIN_DISTANCE = 0.6
"""Å. Sites closer than this must be alternatives of one position (occupancies sum to ≤ 1)."""
_MOST_PAIRED = 128
"""Sites up to which all pairs are compared at once."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """Lattice, positions and what sits on each of them.

    Attributes:
        lattice: row vectors in Å, shape (3, 3).
        frac: fractional coordinates, shape (sites, 3).
        sites: for each site its ((atomic number, occupancy), …).
        periodic: False for a molecule: the lattice is then the identity and ``frac`` holds positions in Å.
    """

    lattice: Float[np.ndarray, "3 3"]
    frac: Float[np.ndarray, "sites 3"]
    sites: tuple[Site, ...]
    periodic: bool = True

    @classmethod
    def molecule(cls, positions: Float[np.ndarray, "sites 3"], sites: tuple[Site, ...]) -> "Crystal":
        """Atoms in empty space; ``positions`` in Å, shape (sites, 3)."""
        return cls(np.eye(3), np.asarray(positions, dtype=np.float64), sites, periodic=False)

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def volume(self) -> float:
        """Cell volume in Å³; not a number for a molecule."""
        return float("nan") if not self.periodic else float(abs(np.linalg.det(self.lattice)))

    @property
    def is_ordered(self) -> bool:
        """Whether every site holds one element with occupancy 1."""
        return all(len(s) == 1 and abs(s[0][1] - 1) < 1e-6 for s in self.sites)

    @cached_property
    def composition(self) -> dict[int, float]:
        """Atoms per cell by atomic number, occupancies added."""
        total: dict[int, float] = {}
        for site in self.sites:
            for z, occupancy in site:
                total[z] = total.get(z, 0.0) + occupancy
        return dict(sorted(total.items()))

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements present, by atomic number."""
        return tuple(SYMBOLS[z] for z in self.composition)

    @property
    def fractions(self) -> dict[str, float]:
        """Atomic fraction of each element, by symbol."""
        total = sum(self.composition.values())
        return {SYMBOLS[z]: n / total for z, n in self.composition.items()}

    @property
    def formula(self) -> str:
        """Reduced formula, most electropositive element first."""
        from prismat.formula import reduced_formula

        return reduced_formula(self.composition)

    @property
    def density(self) -> float:
        """Mass density in g/cm³; not a number for a molecule."""
        from prismat.elements import mass

        return sum(mass(z) * n for z, n in self.composition.items()) * 1.66053907 / self.volume

    def to_pymatgen(self):
        """The crystal as ``pymatgen.core.Structure``, a molecule as ``pymatgen.core.Molecule``."""
        from pymatgen.core import Molecule, Structure

        species = [{SYMBOLS[z]: x for z, x in site} for site in self.sites]
        if not self.periodic:
            return Molecule(species, self.frac)
        return Structure(self.lattice, species, self.frac)


def make_site(content: dict[int, float]) -> Site:
    """A site from {atomic number: occupancy}; full within 1 % counts as full.

    Raises:
        BadInputError: an occupancy is negative or not a number, none is positive, or they add up to more
            than 1.05.
    """
    if any(not x >= 0 for x in content.values()):
        raise BadInputError(
            f"an occupancy of {min(content.values()):g}",
            field="occupancy",
            remedy="Give occupancies from 0 to 1.",
        )
    content = {z: x for z, x in content.items() if x > 0}
    total = sum(content.values())
    if not content:
        raise BadInputError("a site is empty", field="occupancy", remedy="Remove it or give an occupancy.")
    if not np.isfinite(total) or total > 1.05:
        raise BadInputError(
            f"occupancies of one site add up to {total:.3f}",
            field="occupancy",
            remedy="Split the site or correct its occupancies.",
        )
    if total > 1 or total > 0.99:
        content = {z: x / total for z, x in content.items()}
    return tuple(sorted(content.items()))


def element_site(symbol: str) -> Site:
    """A site fully occupied by one element (D and T count as H)."""
    return ((atomic_number(symbol), 1.0),)


def _is_flat(lattice: Float[np.ndarray, "3 3"]) -> bool:
    """Whether the shortest basis of a lattice, too, encloses little or has an edge that no crystal has."""
    fullness = _fullness(lattice)
    if fullness >= FLAT or fullness < FLATTEST:
        return fullness < FLAT
    from pymatgen.core import Lattice

    try:
        reduced = np.array(Lattice(lattice).get_lll_reduced_lattice().matrix)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return True
    return _fullness(reduced) < FLAT or float(np.linalg.norm(reduced, axis=1).min()) < LEAST_EDGE


def _fullness(lattice: Float[np.ndarray, "3 3"]) -> float:
    """Volume over that of a right-angled cell with the same edges."""
    return float(abs(np.linalg.det(lattice)) / np.prod(np.linalg.norm(lattice, axis=1)))


def check(crystal: Crystal, max_sites: int = MAX_SITES) -> Crystal:
    """Refuses cells that no diffraction experiment could have given.

    Raises:
        BadInputError: no sites, more than ``max_sites``, a cell that is flat, not finite or
            absurdly large or small, or atoms on top of each other.
    """
    n = len(crystal)
    if n == 0:
        raise BadInputError("the cell is empty", field="sites", remedy="Give at least one atom.")
    if n > max_sites:
        raise BadInputError(
            f"{n} sites, more than the limit of {max_sites}", field="sites", remedy="Raise max_sites."
        )
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac).all()):
        raise BadInputError("not a finite number", field="lattice or coordinates", remedy="Correct it.")
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    if not crystal.periodic:
        _check_overlap(crystal)
        return crystal
    if lengths.min() < LEAST_EDGE or lengths.max() > 200 or _is_flat(crystal.lattice):
        raise BadInputError(
            f"absurd cell: edges {lengths.round(3).tolist()} Å, volume {crystal.volume:.2f} Å³",
            field="lattice",
            remedy="Check units (Å) and angles (degrees).",
        )
    _check_overlap(crystal)
    return crystal


def _is_apart(crystal: Crystal) -> bool:
    """Whether surely no two atoms are close: quick for small cells, where a list of neighbours is not.

    A vector shorter than MIN_DISTANCE has fractional coordinates below MIN_DISTANCE / height. Where all
    heights of the cell exceed twice that distance, these are below ½, so that the image given by rounding is
    the only one to look at.
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    if len(crystal) > _MOST_PAIRED or not crystal.periodic or heights.min() <= 2.01 * MIN_DISTANCE:
        return False
    delta = crystal.frac[:, None] - crystal.frac
    delta -= np.round(delta)
    vectors = (delta @ crystal.lattice)[~np.eye(len(crystal), dtype=bool)]
    return bool((np.einsum("pi,pi->p", vectors, vectors) > (1.001 * MIN_DISTANCE) ** 2).all())


def _check_overlap(crystal: Crystal) -> None:
    """Atoms closer than MIN_DISTANCE must be alternatives of one position."""
    from prismat.neighbors import neighbor_pairs

    if _is_apart(crystal):
        return
    pairs = neighbor_pairs(crystal.lattice, crystal.frac, MIN_DISTANCE, crystal.periodic)
    if not len(pairs.i):
        return
    occupancy = np.array([sum(x for _, x in s) for s in crystal.sites])
    worst = int(np.argmax(occupancy[pairs.i] + occupancy[pairs.j]))
    i, j = int(pairs.i[worst]), int(pairs.j[worst])
    if occupancy[i] + occupancy[j] > 1.05:
        raise BadInputError(
            f"atoms {i} and {j} lie {pairs.distance[worst]:.2f} Å apart, on top of each other",
            field="coordinates",
            remedy="Remove the duplicate, or give both a partial occupancy.",
        )
