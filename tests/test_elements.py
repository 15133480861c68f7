import numpy as np
import pytest
from pymatgen.core import Element

from prismat.elements import MAX_Z, SYMBOLS, atomic_number, column, features, mass, names, table
from prismat.errors import BadInputError


def test_symbols_and_masses_agree_with_pymatgen():
    for z in range(1, MAX_Z + 1):
        element = Element.from_Z(z)
        assert SYMBOLS[z] == element.symbol
        assert mass(z) == pytest.approx(float(element.atomic_mass), rel=2e-3)


def test_electronegativities_agree_with_pymatgen():
    stated = [z for z in range(1, MAX_Z + 1) if np.isfinite(column("electronegativity")[z])]
    assert len(stated) > 85
    for z in stated:
        assert column("electronegativity")[z] == pytest.approx(Element.from_Z(z).X)


def test_isotopes_of_hydrogen_are_hydrogen():
    assert [atomic_number(s) for s in ("H", "D", "T")] == [1, 1, 1]
    assert atomic_number("Cf") == MAX_Z == 98


@pytest.mark.parametrize("symbol", ["X", "", "Xx", "fe", "Es", "Fe2+"])
def test_unknown_element_is_named(symbol):
    with pytest.raises(BadInputError, match=f"unknown element '{symbol.replace('+', '.')}'"):
        atomic_number(symbol)


def test_names_in_both_spellings():
    known = names()
    assert known["iron"] == 26
    for pair in (("aluminum", "aluminium"), ("sulfur", "sulphur"), ("cesium", "caesium")):
        assert {known.get(name) for name in pair} <= {known[pair[0]]}, pair
    assert len(set(known.values())) == MAX_Z == len(table())


def test_features_are_standardised_finite_and_distinct():
    found = features()
    assert found.shape == (MAX_Z + 1, 50)
    assert np.isfinite(found).all()
    assert not found[0].any()
    assert len(np.unique(found[1:], axis=0)) == MAX_Z
    assert (found[1:, :18].sum(1) == 1).all()
    assert (found[1:, 18:25].sum(1) == 1).all()
    assert (found[1:, 25:29].sum(1) == 1).all()
    atomic_numbers = found[1:, 35]
    assert atomic_numbers.mean() == pytest.approx(0, abs=1e-9)
    assert atomic_numbers.std() == pytest.approx(1)


def test_iron_sits_where_it_belongs():
    iron = features()[26]
    assert iron[7] == 1  # group 8
    assert iron[18 + 3] == 1  # period 4
    assert iron[25 + 2] == 1  # d block
