"""Which sites of a crystal are bonded: a rule on distances over sums of covalent radii.

Radii are those of Cordero et al., Dalton Trans. 2008, 2832, electronegativities Pauling's. With r the
distance over the sum of both radii:

1. contacts up to r = 1.25 count, between a metal and a non-metal up to 1.45 where the metal has nothing
   nearer;
2. cations do not bond to each other: of two sites that both have a contact to something more
   electronegative, two metals are not bonded, nor are a metal and a non-metal beyond r = 1 (calcium and the
   sulfur of sulfate), nor two non-metals beyond r = 1.1;
3. metals bond to each other within 10 % of the nearest contact of either (8 in body-centred iron);
4. sites too close for a bond are alternatives of one position.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from prismat.crystal import Crystal
from prismat.elements import SYMBOLS, column
from prismat.neighbors import Pairs, neighbor_pairs

REACH, FAR_REACH = 1.25, 1.45
"""Largest r of a bond, and that of a metal's nearest contacts to non-metals."""
_SHELL = 1.1
_POLAR = 0.38
_APART, _APART_NON_METALS = 1.0, 1.1
_OVERLAP, _ALTERNATIVES, _LIKE_ALTERNATIVES = 0.6, 0.75, 0.9

_NON_METALS = frozenset(
    [
        "H",
        "He",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Ne",
        "Si",
        "P",
        "S",
        "Cl",
        "Ar",
        "Ge",
        "As",
        "Se",
        "Br",
        "Kr",
        "Sb",
        "Te",
        "I",
        "Xe",
        "At",
        "Rn",
    ]
)
_ANIONS = frozenset(["O", "S", "Se", "Te", "F", "Cl", "Br", "I"])


@dataclass(frozen=True, eq=False)
class Contents:
    """What sits on each site, averaged over its occupants.

    Attributes:
        radius: covalent radius in Å.
        electronegativity: Pauling's; NaN for what has none.
        occupancy: sum over the occupants, 0 … 1.
        metal: whether more than half of the site is metal.
        anion: whether more than half is a chalcogen or halogen.
    """

    radius: Float[np.ndarray, " sites"]
    electronegativity: Float[np.ndarray, " sites"]
    occupancy: Float[np.ndarray, " sites"]
    metal: Bool[np.ndarray, " sites"]
    anion: Bool[np.ndarray, " sites"]


@cache
def _element_columns() -> Float[np.ndarray, "z 4"]:
    """Radius, electronegativity, is metal, is chalcogen or halogen, by atomic number."""
    metal = [symbol not in _NON_METALS for symbol in SYMBOLS]
    anion = [symbol in _ANIONS for symbol in SYMBOLS]
    return np.stack([column("covalent_radius"), column("electronegativity"), metal, anion], axis=1)


def contents(crystal: Crystal) -> Contents:
    """Radius, electronegativity, occupancy and kind of every site."""
    per_site = np.array([len(site) for site in crystal.sites])
    flat = np.array([entry for site in crystal.sites for entry in site])
    owner = np.repeat(np.arange(len(per_site)), per_site)
    occupancy = np.bincount(owner, flat[:, 1], len(per_site))
    values = _element_columns()[flat[:, 0].astype(np.int64)] * (flat[:, 1] / occupancy[owner])[:, None]
    radius, chi, metal, anion = (np.bincount(owner, v, len(per_site)) for v in values.T)
    return Contents(radius, chi, occupancy, metal > 0.5, anion > 0.5)


def bonded_pairs(crystal: Crystal) -> Pairs:
    """Bonds of a crystal or molecule, each in both directions, by the rule of this module.

    Args:
        crystal: any cell; its bonds do not depend on the choice of cell or the order of its sites.
    """
    found = contents(crystal)
    pairs = neighbor_pairs(crystal.lattice, crystal.frac, _cutoff(found), crystal.periodic)
    ratio = pairs.distance / (found.radius[pairs.i] + found.radius[pairs.j])
    # Rounded, so that the noise of another choice of cell does not decide at a limit.
    ratio = np.round(ratio, 6)
    possible = _possible(pairs, ratio, found)
    pairs, ratio = pairs[possible], ratio[possible]
    apart = _between_cations(pairs, ratio, found)
    pairs, ratio = pairs[~apart], ratio[~apart]
    nearest = np.full(len(crystal), np.inf)
    np.minimum.at(nearest, pairs.i, ratio)
    mi, mj = found.metal[pairs.i], found.metal[pairs.j]
    own, other = nearest[pairs.i] * _SHELL, nearest[pairs.j] * _SHELL
    metallic = (ratio <= REACH) & (ratio <= np.maximum(own, other))
    rest = (ratio <= REACH) | (mi & (ratio <= own)) | (mj & (ratio <= other))
    return pairs[np.where(mi & mj, metallic, rest)]


def _cutoff(found: Contents) -> float:
    """Å beyond which nothing is bonded."""
    metals, others = found.radius[found.metal], found.radius[~found.metal]
    metal, other = metals.max(initial=0.0), others.max(initial=0.0)
    mixed = FAR_REACH * (metal + other) if len(metals) and len(others) else 0.0
    return float(max(REACH * 2 * metal, REACH * 2 * other, mixed))


def _possible(
    pairs: Pairs, ratio: Float[np.ndarray, " pairs"], found: Contents
) -> Bool[np.ndarray, " pairs"]:
    """Contacts within reach that are no alternatives of one position."""
    different = found.metal[pairs.i] != found.metal[pairs.j]
    near = ratio <= np.where(different, FAR_REACH, REACH)
    shared = found.occupancy[pairs.i] + found.occupancy[pairs.j] <= 1.02
    polar = np.abs(found.electronegativity[pairs.i] - found.electronegativity[pairs.j]) >= _POLAR
    least = np.where(shared, np.where(polar, _ALTERNATIVES, _LIKE_ALTERNATIVES), _OVERLAP)
    return near & (ratio >= least)


def _between_cations(
    pairs: Pairs, ratio: Float[np.ndarray, " pairs"], found: Contents
) -> Bool[np.ndarray, " pairs"]:
    """Contacts of two sites that are both cations (rule 2)."""
    mi, mj = found.metal[pairs.i], found.metal[pairs.j]
    step = np.round(found.electronegativity[pairs.j] - found.electronegativity[pairs.i], 6)
    # Lead and tungsten are no less electronegative than the chalcogens they are oxidised by.
    gives = ~mj & ((step >= _POLAR) | (mi & found.anion[pairs.j]))
    cation = np.bincount(pairs.i, gives, len(found.metal)) > 0
    limit = np.where(mi & mj, 0.0, np.where(mi | mj, _APART, _APART_NON_METALS))
    return cation[pairs.i] & cation[pairs.j] & (ratio > limit)
