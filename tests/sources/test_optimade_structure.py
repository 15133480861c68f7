"""OPTIMADE structures against pymatgen's own adapter-free construction, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from helpers_optimade import element, structure
from prismat.errors import BadInputError
from prismat.sources.optimade_structure import crystal_of


def test_a_crystal_as_pymatgen_has_it():
    crystal = crystal_of(structure())
    expected = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    assert crystal.periodic
    assert crystal.formula == "NaCl"
    assert np.isclose(crystal.density, expected.density, rtol=1e-4)
    mine = sorted((s[0][0], *np.round(x, 6)) for s, x in zip(crystal.sites, crystal.frac, strict=True))
    theirs = sorted((s.specie.Z, *np.round(s.frac_coords % 1, 6)) for s in expected)
    assert mine == theirs


def test_a_skew_cell_keeps_its_positions():
    lattice = np.array([[3.1, 0.2, -0.4], [-1.1, 4.0, 0.3], [0.5, 0.7, 5.2]])
    frac = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]])
    entry = structure(
        lattice_vectors=lattice.tolist(),
        cartesian_site_positions=(frac @ lattice).tolist(),
        species_at_sites=["Na", "Cl"],
    )
    crystal = crystal_of(entry)
    np.testing.assert_allclose(crystal.frac, frac, atol=1e-12)
    np.testing.assert_array_equal(crystal.lattice, lattice)


def test_mixed_species_and_vacancies_are_occupancies():
    mixed = {"name": "M", "chemical_symbols": ["Na", "K", "vacancy"], "concentration": [0.5, 0.3, 0.2]}
    hole = {"name": "hole", "chemical_symbols": ["vacancy"], "concentration": [1.0]}
    entry = structure(
        species=[mixed, element("Cl"), hole], species_at_sites=["M"] * 4 + ["Cl"] * 3 + ["hole"]
    )
    crystal = crystal_of(entry)
    assert len(crystal) == 7
    assert crystal.sites[0] == ((11, 0.5), (19, 0.3))
    assert crystal.composition == pytest.approx({11: 2.0, 17: 3.0, 19: 1.2})


def test_a_molecule_has_no_lattice():
    water = [[0.0, 0.0, 0.117], [0.0, 0.757, -0.467], [0.0, -0.757, -0.467]]
    entry = structure(
        cartesian_site_positions=water,
        species=[element("O"), element("H")],
        species_at_sites=["O", "H", "H"],
        lattice_vectors=[[None] * 3] * 3,
        dimension_types=[0, 0, 0],
        nperiodic_dimensions=0,
    )
    for known in ({}, {"dimension_types": None}, {"dimension_types": None, "nperiodic_dimensions": None}):
        molecule = crystal_of(entry | known)
        assert not molecule.periodic
        np.testing.assert_array_equal(molecule.frac, water)
        assert molecule.formula == "H2O"


def test_without_a_word_on_dimensions_three_vectors_are_a_cell():
    assert crystal_of(structure(dimension_types=None, nperiodic_dimensions=None)).periodic


def test_assemblies_become_occupancies():
    entry = structure(
        species=[element("Na"), element("K"), element("Cl")],
        cartesian_site_positions=[[0, 0, 0], [0, 0, 0], [2.0, 0, 0]],
        species_at_sites=["Na", "K", "Cl"],
        lattice_vectors=[[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]],
        structure_features=["assemblies"],
        assemblies=[{"sites_in_groups": [[0], [1]], "group_probabilities": [0.3, 0.7]}],
    )
    crystal = crystal_of(entry)
    assert crystal.sites == (((11, 0.3), (19, 0.7)), ((17, 1.0),))


BAD = [
    ({"dimension_types": [1, 1, 0], "nperiodic_dimensions": 2}, "periodic in 2 of 3 directions"),
    ({"dimension_types": None, "nperiodic_dimensions": 1}, "periodic in 1 of 3 directions"),
    ({"dimension_types": [1, 1]}, r"dimension_types: \[1, 1\]"),
    (
        {"species": [element("X"), element("Cl")], "species_at_sites": ["X"] * 4 + ["Cl"] * 4},
        "unknown element",
    ),
    ({"species": [element("Qq"), element("Cl")], "species_at_sites": ["Qq"] * 8}, "unknown element 'Qq'"),
    ({"species_at_sites": ["Na"] * 7}, "7 names for 8 positions"),
    ({"species_at_sites": ["Zn"] * 8}, "'Zn' is no species of the entry"),
    ({"species": None}, "species: not given"),
    ({"species": [{"chemical_symbols": ["Na"]}]}, "no species with a name"),
    ({"cartesian_site_positions": None}, "cartesian_site_positions: not given"),
    ({"cartesian_site_positions": [[0, None, 0]] * 8}, "cartesian_site_positions"),
    ({"cartesian_site_positions": [["a", 0, 0]] * 8}, "not rows of three numbers"),
    ({"lattice_vectors": [[1, 0, 0], [2, 0, 0], [0, 0, 4]]}, "no three vectors that span a cell"),
    ({"lattice_vectors": [[None] * 3] * 3}, "lattice_vectors"),
    ({"structure_features": ["implicit_atoms"]}, "atoms without positions"),
    ({"structure_features": ["site_attachments"]}, "atoms attached"),
    ({"species": [{**element("Na"), "attached": ["H"], "nattached": [3]}, element("Cl")]}, "atoms attached"),
    ({"species": [{**element("Na"), "concentration": [0.5]}, element("Cl")]}, "add up to 0.500"),
    ({"species": [{**element("Na"), "concentration": []}, element("Cl")]}, "concentrations"),
    ({"assemblies": [{"sites_in_groups": [[0], [9]], "group_probabilities": [0.5, 0.5]}]}, "site 9 is none"),
    ({"assemblies": [{"sites_in_groups": [[0], [0]], "group_probabilities": [0.5, 0.5]}]}, "in two groups"),
    ({"assemblies": [{"sites_in_groups": [[0]], "group_probabilities": [0.5]}]}, "add up to 0.500"),
    ({"assemblies": [{"sites_in_groups": [[0]], "group_probabilities": []}]}, "of 1 groups"),
    ({"assemblies": ["x"]}, "assemblies"),
    ({"species_at_sites": [], "cartesian_site_positions": []}, "cartesian_site_positions"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_is_refused(changes, message):
    with pytest.raises(BadInputError, match=message):
        crystal_of(structure(**changes))


def test_nothing_but_vacancies():
    hole = {"name": "hole", "chemical_symbols": ["vacancy"], "concentration": [1.0]}
    with pytest.raises(BadInputError, match="no atom on any site"):
        crystal_of(structure(species=[hole], species_at_sites=["hole"] * 8))


def test_too_many_sites():
    with pytest.raises(BadInputError, match="8 sites, more than the limit of 4"):
        crystal_of(structure(), max_sites=4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(sorted(structure())), JSON)
def test_whatever_an_attribute_holds_it_is_a_crystal_or_an_error(name, value):
    try:
        found = crystal_of(structure(**{name: value}))
    except BadInputError:
        return
    assert 1 <= len(found) <= 8
