import numpy as np
import pytest
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

import helpers_crystals as real
from prismat.crystal import Crystal
from prismat.modalities.standard_cell import standardize
from prismat.neighbors import neighbor_pairs

NUMBERS = {
    "NaCl": 225,
    "diamond": 227,
    "SrTiO3": 221,
    "CaTiO3": 62,
    "rutile": 136,
    "quartz": 154,
    "wurtzite": 186,
    "calcite": 167,
    "baddeleyite": 14,
    "diopside": 15,
    "kyanite": 2,
    "spinel": 227,
    "wuestite": 225,
    "ice": 194,
}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_space_group_orbits_and_primitive_cell(name):
    crystal = real.crystals()[name]
    cell = standardize(crystal)
    assert cell.number == NUMBERS[name]
    assert cell.primitive.density == pytest.approx(crystal.density)
    assert cell.primitive.formula == crystal.formula
    assert len(cell.orbit) == len(cell.primitive)
    assert sorted(set(cell.orbit.tolist())) == list(range(cell.orbit.max() + 1))
    spglib = SpacegroupAnalyzer(cell.primitive.to_pymatgen(), symprec=0.01)
    theirs = spglib.get_symmetry_dataset().equivalent_atoms
    assert len(set(zip(theirs.tolist(), cell.orbit.tolist(), strict=True))) == len(set(theirs.tolist()))
    assert len(set(theirs.tolist())) == cell.orbit.max() + 1


@pytest.mark.parametrize("name", list(NUMBERS))
def test_atoms_of_one_orbit_have_equal_surroundings(name):
    cell = standardize(real.crystals()[name])
    pairs = neighbor_pairs(cell.primitive.lattice, cell.primitive.frac, 5.0)
    around = [np.sort(pairs.distance[pairs.i == atom]) for atom in range(len(cell.primitive))]
    for orbit in range(cell.orbit.max() + 1):
        atoms = np.flatnonzero(cell.orbit == orbit)
        assert len({cell.primitive.sites[a] for a in atoms}) == 1
        for atom in atoms[1:]:
            np.testing.assert_allclose(around[atom], around[atoms[0]], atol=1e-9)


def test_conventional_cell_is_given():
    assert standardize(real.crystals()["diamond"]).cell_lengths_angles == pytest.approx(
        (3.567,) * 3 + (90,) * 3
    )
    calcite = standardize(real.crystals()["calcite"])
    assert calcite.cell_lengths_angles == pytest.approx((4.99, 4.99, 17.061, 90, 90, 120))
    assert len(calcite.primitive) == 10


def test_measured_coordinates_are_symmetrised():
    rng = np.random.default_rng(0)
    rutile = real.crystals()["rutile"]
    shaken = Crystal(rutile.lattice, rutile.frac + rng.uniform(-5e-4, 5e-4, rutile.frac.shape), rutile.sites)
    cell = standardize(shaken)
    assert cell.number == 136
    oxygen = np.array([s == ((8, 1.0),) for s in cell.primitive.sites])
    pairs = neighbor_pairs(cell.primitive.lattice, cell.primitive.frac, 2.2)
    bonds = np.sort(pairs.distance[~oxygen[pairs.i]])
    assert len(bonds) == 12
    assert bonds[7] - bonds[0] < 1e-9
    assert bonds[-1] - bonds[8] < 1e-9


def test_different_occupancies_break_symmetry():
    lattice, frac = np.eye(3) * 3.0, np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    alike = Crystal(lattice, frac, (((26, 0.5), (27, 0.5)),) * 2)
    unlike = Crystal(lattice, frac, (((26, 0.5), (27, 0.5)), ((26, 0.4), (27, 0.6))))
    assert (standardize(alike).number, len(standardize(alike).primitive)) == (229, 1)
    assert (standardize(unlike).number, len(standardize(unlike).primitive)) == (221, 2)


def test_a_crystal_that_no_search_can_read_is_kept_as_it_is():
    """Two atoms on one position: the symmetry search refuses, the crystal stays whole in P1."""
    split = Crystal(np.eye(3) * 4.0, np.array([[0, 0, 0.1], [0, 0, 0.1]]), (((1, 0.5),), ((1, 0.5),)))
    cell = standardize(split)
    assert (cell.number, cell.symbol) == (1, "P1")
    assert cell.orbit.tolist() == [0, 1]
    assert cell.primitive is split
