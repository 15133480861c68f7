"""Real crystals, and ways to write the same crystal differently."""

from functools import cache

import gemmi
import numpy as np
from pymatgen.core import Lattice

from prismat.crystal import Crystal
from prismat.elements import atomic_number
from prismat.symmetry import expand, parse_operations

# Space group, cell, then the asymmetric unit as (content, x, y, z).
PUBLISHED = {
    "NaCl": ("F m -3 m", (5.6402,) * 3 + (90,) * 3, [("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)]),
    "diamond": ("F d -3 m:1", (3.567,) * 3 + (90,) * 3, [("C", 0, 0, 0)]),
    "SrTiO3": (
        "P m -3 m",
        (3.905,) * 3 + (90,) * 3,
        [("Sr", 0.5, 0.5, 0.5), ("Ti", 0, 0, 0), ("O", 0.5, 0, 0)],
    ),
    "CaTiO3": (
        "P b n m",
        (5.3796, 5.4423, 7.6401, 90, 90, 90),
        [
            ("Ca", -0.00676, 0.03602, 0.25),
            ("Ti", 0, 0.5, 0),
            ("O", 0.0714, 0.4838, 0.25),
            ("O", 0.7108, 0.2888, 0.0371),
        ],
    ),
    "rutile": (
        "P 42/m n m",
        (4.5937, 4.5937, 2.9587, 90, 90, 90),
        [("Ti", 0, 0, 0), ("O", 0.3053, 0.3053, 0)],
    ),
    "quartz": (
        "P 32 2 1",
        (4.9134, 4.9134, 5.4052, 90, 90, 120),
        [("Si", 0.4699, 0, 2 / 3), ("O", 0.4141, 0.2681, 0.7854667)],
    ),
    "wurtzite": (
        "P 63 m c",
        (3.2495, 3.2495, 5.2069, 90, 90, 120),
        [("Zn", 1 / 3, 2 / 3, 0), ("O", 1 / 3, 2 / 3, 0.3821)],
    ),
    "calcite": (
        "R -3 c:H",
        (4.99, 4.99, 17.061, 90, 90, 120),
        [("Ca", 0, 0, 0), ("C", 0, 0, 0.25), ("O", 0.2568, 0, 0.25)],
    ),
    "baddeleyite": (
        "P 1 21/c 1",
        (5.1505, 5.2116, 5.3173, 90, 99.23, 90),
        [("Zr", 0.2754, 0.0395, 0.2083), ("O", 0.07, 0.3317, 0.3447), ("O", 0.4496, 0.7569, 0.4792)],
    ),
    "diopside": (
        "C 1 2/c 1",
        (9.746, 8.899, 5.251, 90, 105.63, 90),
        [
            ("Ca", 0, 0.3015, 0.25),
            ("Mg", 0, 0.9082, 0.25),
            ("Si", 0.2862, 0.0933, 0.2293),
            ("O", 0.1156, 0.0873, 0.1422),
            ("O", 0.3611, 0.25, 0.318),
            ("O", 0.3505, 0.0176, 0.9953),
        ],
    ),
    "kyanite": (
        "P -1",
        (7.1262, 7.852, 5.5724, 89.99, 101.11, 106.03),
        [
            ("Al", 0.3254, 0.704, 0.4582),
            ("Al", 0.2974, 0.6989, 0.9505),
            ("Al", 0.0998, 0.3862, 0.6403),
            ("Al", 0.112, 0.9175, 0.1649),
            ("Si", 0.2962, 0.0649, 0.7066),
            ("Si", 0.291, 0.3317, 0.1892),
            ("O", 0.1095, 0.1468, 0.1288),
            ("O", 0.123, 0.6856, 0.1812),
            ("O", 0.2747, 0.4545, 0.9547),
            ("O", 0.2831, 0.9354, 0.9353),
            ("O", 0.1084, 0.152, 0.6669),
            ("O", 0.1219, 0.6307, 0.6389),
            ("O", 0.2822, 0.4453, 0.4288),
            ("O", 0.2915, 0.9467, 0.4659),
            ("O", 0.5008, 0.2749, 0.244),
            ("O", 0.5015, 0.2312, 0.7553),
        ],
    ),
    "spinel": (
        "F d -3 m:2",
        (8.0832,) * 3 + (90,) * 3,
        [
            ({"Mg": 0.7, "Al": 0.3}, 0.125, 0.125, 0.125),
            ({"Mg": 0.15, "Al": 0.85}, 0.5, 0.5, 0.5),
            ("O", 0.2624, 0.2624, 0.2624),
        ],
    ),
    "wuestite": ("F m -3 m", (4.3088,) * 3 + (90,) * 3, [({"Fe": 0.947}, 0, 0, 0), ("O", 0.5, 0.5, 0.5)]),
    # Hydrogen is split over two positions, each half full, on every line between two oxygens.
    "ice": (
        "P 63/m m c",
        (4.511, 4.511, 7.346, 90, 90, 120),
        [
            ("O", 1 / 3, 2 / 3, 0.0618),
            ({"H": 0.5}, 1 / 3, 2 / 3, 0.197),
            ({"H": 0.5}, 0.454, 0.908, 0.018),
        ],
    ),
}
DISORDERED = ("spinel", "wuestite", "ice")
HANDED = ("quartz",)
"""Crystals whose mirror image has another space group."""


def build(group, cell, atoms, reverse=False):
    """A crystal from its asymmetric unit; ``reverse`` turns the order of elements on a site."""
    operations = parse_operations([op.triplet() for op in gemmi.find_spacegroup_by_name(group).operations()])
    contents = [c if isinstance(c, dict) else {c: 1.0} for c, *_ in atoms]
    numbered = [{atomic_number(s): x for s, x in sorted(c.items(), reverse=reverse)} for c in contents]
    frac = np.array([xyz for _, *xyz in atoms], dtype=float)
    return expand(np.array(Lattice.from_parameters(*cell).matrix), frac, numbered, *operations)


@cache
def crystals():
    """Crystals by name."""
    return {name: build(*published) for name, published in PUBLISHED.items()}


def random_rotation(rng):
    """A proper rotation matrix, uniformly drawn."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def random_unimodular(rng, shears=4):
    """An integer matrix of determinant ±1: elementary shears, then the axes in any order."""
    matrix = np.eye(3, dtype=int)
    for _ in range(shears):
        i, j = rng.permutation(3)[:2]
        shear = np.eye(3, dtype=int)
        shear[i, j] = rng.integers(-1, 2)
        matrix = shear @ matrix
    return matrix[rng.permutation(3)]


def rotated(crystal, rng):
    return Crystal(crystal.lattice @ random_rotation(rng).T, crystal.frac, crystal.sites)


def translated(crystal, rng):
    return Crystal(crystal.lattice, crystal.frac + rng.random(3), crystal.sites)


def reordered(crystal, rng):
    order = rng.permutation(len(crystal))
    return Crystal(crystal.lattice, crystal.frac[order], tuple(crystal.sites[i] for i in order))


def other_axes(crystal, rng):
    matrix = random_unimodular(rng)
    frac = crystal.frac @ np.linalg.inv(matrix)
    return Crystal(matrix @ crystal.lattice, frac - np.floor(frac), crystal.sites)


def mirrored(crystal, rng):
    del rng
    return Crystal(crystal.lattice @ np.diag([1.0, 1.0, -1.0]), crystal.frac, crystal.sites)


def inverted(crystal, rng):
    del rng
    return Crystal(crystal.lattice, -crystal.frac, crystal.sites)


def supercell(crystal, repeats):
    """The same crystal in a cell repeated along its three axes."""
    cells = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    frac = (crystal.frac[:, None] + cells) / np.array(repeats)
    sites = tuple(site for site in crystal.sites for _ in cells)
    return Crystal(crystal.lattice * np.array(repeats)[:, None], frac.reshape(-1, 3), sites)
