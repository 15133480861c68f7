"""Coordination environments: what every symmetry-distinct site is bonded to, how far away, in which shape."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from prismat.modalities.standard_cell import StandardCell
from prismat.neighbors import Pairs
from prismat.texts.template_words import site_label

_LINEAR = -0.8660254
"""Cosine of 150°: two bonds beyond it are opposite to each other."""
_PLANAR, _ONE_SIDED, _ICOSAHEDRAL = 0.6, 2.0, 0.47
_SHAPES = {
    (2, 1): "linear",
    (2, 0): "bent",
    (3, 1): "T-shaped",
    (4, 0): "tetrahedral",
    (4, 1): "see-saw",
    (4, 2): "square planar",
    (5, 1): "trigonal bipyramidal",
    (5, 2): "square pyramidal",
    (6, 0): "trigonal prismatic",
    (6, 3): "octahedral",
    (8, 4): "cubic",
    (12, 3): "anticuboctahedral",
}
"""Name by coordination number and number of pairs of opposite bonds."""


@dataclass(frozen=True)
class Ligand:
    """Neighbours of one kind.

    Attributes:
        label: what sits there, as ``O`` or ``Ca/Na``.
        count: how many, partly occupied ones by their occupancy.
        distance: mean bond length in Å.
    """

    label: str
    count: float
    distance: float


@dataclass(frozen=True)
class Environment:
    """The surroundings of one symmetry-distinct site.

    Attributes:
        label: what sits there.
        atoms: how many atoms of the primitive cell have these surroundings.
        ligands: by label.
        shape: name of the polyhedron; empty where it has none or neighbours are partly occupied.
    """

    label: str
    atoms: int
    ligands: tuple[Ligand, ...]
    shape: str

    @property
    def coordination(self) -> float:
        """Coordination number, partly occupied neighbours by their occupancy."""
        return sum(ligand.count for ligand in self.ligands)


def environments(cell: StandardCell, pairs: Pairs) -> list[Environment]:
    """Surroundings of the first atom of every orbit, in the order of orbits.

    Args:
        cell: its primitive crystal's sites are those of the bonds.
        pairs: bonds of ``cell.primitive``, each in both directions.
    """
    crystal = cell.primitive
    _, first, atoms = np.unique(cell.orbit, return_index=True, return_counts=True)
    orbit_of = np.full(len(crystal), -1)
    orbit_of[first] = np.arange(len(first))
    pairs = pairs[orbit_of[pairs.i] >= 0]
    orbit = orbit_of[pairs.i]
    by_site = [site_label(site) for site in crystal.sites]
    labels, label_of = np.unique(by_site, return_inverse=True)
    occupancy = np.array([sum(x for _, x in site) for site in crystal.sites])
    ligands = _ligands(orbit, label_of[pairs.j], occupancy[pairs.j], pairs.distance, labels.tolist())
    full = np.bincount(orbit, occupancy[pairs.j] < 0.999, len(first)) == 0
    shapes = _shapes(orbit, _directions(cell, pairs), len(first))
    return [
        Environment(by_site[a], int(n), tuple(ligands.get(k, ())), shapes[k] if full[k] else "")
        for k, (a, n) in enumerate(zip(first.tolist(), atoms.tolist(), strict=True))
    ]


def _ligands(
    orbit: Int[np.ndarray, " bonds"],
    label: Int[np.ndarray, " bonds"],
    occupancy: Float[np.ndarray, " bonds"],
    distance: Float[np.ndarray, " bonds"],
    names: list[str],
) -> dict[int, list[Ligand]]:
    """Neighbours of every orbit, grouped by label."""
    groups, group = np.unique(orbit * len(names) + label, return_inverse=True)
    counts = np.bincount(group, occupancy).tolist()
    means = (np.bincount(group, occupancy * distance) / np.bincount(group, occupancy)).tolist()
    found: dict[int, list[Ligand]] = {}
    for key, count, mean in zip(groups.tolist(), counts, means, strict=True):
        found.setdefault(key // len(names), []).append(Ligand(names[key % len(names)], count, mean))
    return found


def _directions(cell: StandardCell, pairs: Pairs) -> Float[np.ndarray, "bonds 3"]:
    """Unit vectors from the receiving atom to its neighbour."""
    crystal = cell.primitive
    frac = crystal.frac[pairs.j] + pairs.offset - crystal.frac[pairs.i]
    return (frac @ crystal.lattice) / pairs.distance[:, None]


def _shapes(orbit: Int[np.ndarray, " bonds"], unit: Float[np.ndarray, "bonds 3"], count: int) -> list[str]:
    """Name of the polyhedron around every orbit."""
    numbers = np.bincount(orbit, minlength=count)
    order = np.argsort(orbit, kind="stable")
    place = np.arange(len(orbit)) - (np.cumsum(numbers) - numbers)[orbit[order]]
    padded = np.zeros((count, max(numbers.max(initial=0), 1), 3))
    padded[orbit[order], place] = unit[order]
    cosines = np.round(padded @ padded.transpose(0, 2, 1), 6)
    linear = (cosines < _LINEAR).sum(axis=(1, 2)) // 2
    upper = np.triu(np.ones(cosines.shape[1:], dtype=bool), 1)
    closest = np.where(upper, cosines, -1.0).max(axis=(1, 2))
    lean = np.linalg.norm(padded.sum(axis=1), axis=1)
    rows = zip(numbers.tolist(), linear.tolist(), closest.tolist(), lean.tolist(), strict=True)
    return [_shape(*row) for row in rows]


def _shape(number: int, linear: int, closest: float, lean: float) -> str:
    """Name of one polyhedron.

    Args:
        number: bonds.
        linear: pairs of opposite bonds.
        closest: largest cosine between two bonds.
        lean: length of the sum of unit vectors; zero where bonds point to all sides alike.
    """
    if number == 3 and not linear:
        return "trigonal planar" if lean < _PLANAR else "trigonal pyramidal"
    if number == 12 and linear == 6:
        return "icosahedral" if closest < _ICOSAHEDRAL else "cuboctahedral"
    if number >= 4 and lean > _ONE_SIDED:
        return "one-sided"
    return _SHAPES.get((number, linear), "")
