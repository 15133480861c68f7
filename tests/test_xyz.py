import numpy as np
import pytest

from prismat.errors import BadInputError
from prismat.formats import read_crystal, to_cif
from prismat.xyz import molecule_from_xyz

WATER = "3\nwater\nO 0 0 0.117\nH 0 0.757 -0.471\nD 0 -0.757 -0.471 0.1\n"


def test_first_frame():
    water = molecule_from_xyz(WATER + WATER, 10)
    assert not water.periodic
    assert water.composition == {1: 2, 8: 1}
    np.testing.assert_allclose(water.frac[1], [0, 0.757, -0.471])
    assert np.isnan(water.volume)
    assert water.formula == "H2O"


def test_read_from_a_path(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text(WATER, encoding="utf-8")
    assert read_crystal(path).sites == molecule_from_xyz(WATER, 10).sites


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with the number of atoms"),
        ("O 0 0 0\n", "begins with the number of atoms"),
        ("3\nwater\nO 0 0 0\n", "1 of 3 atoms"),
        ("1\n\nO 0 zero 0\n", "not an element and three numbers"),
        ("1\n\nO 0 0\n", "not an element and three numbers"),
        ("1\n\nXx 0 0 0\n", "Xx"),
        ('1\nLattice="5 0 0 0 5 0 0 0 5"\nO 0 0 0\n', "with a lattice"),
        ("2\n\nO 0 0 0\nO 0 0 0.1\n", "on top of each other"),
        ("0\n\n", "the cell is empty"),
    ],
)
def test_errors(tmp_path, text, said):
    path = tmp_path / "bad.xyz"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=said):
        read_crystal(path)


def test_too_many_atoms():
    with pytest.raises(BadInputError, match="limit 2"):
        molecule_from_xyz(WATER, 2)


def test_molecules_of_other_packages():
    from ase.build import molecule
    from pymatgen.core import Molecule

    water = molecule("H2O")
    assert not read_crystal(water).periodic
    theirs = Molecule(["O", "H", "H"], water.get_positions())
    np.testing.assert_allclose(read_crystal(theirs).frac, read_crystal(water).frac)
    np.testing.assert_allclose(read_crystal(water).to_pymatgen().cart_coords, water.get_positions())


def test_a_molecule_is_no_cif():
    with pytest.raises(BadInputError, match="has no cell"):
        to_cif(molecule_from_xyz(WATER, 10))
