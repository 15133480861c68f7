from functools import reduce
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from prismat.elements import SYMBOLS
from prismat.formula import reduced_formula


@pytest.mark.parametrize(
    ("composition", "formula"),
    [
        ({11: 4, 17: 4}, "NaCl"),
        ({8: 6, 14: 3}, "SiO2"),
        ({20: 3.988, 38: 0.012, 6: 4, 8: 12}, "Sr0.003Ca0.997CO3"),
        ({26: 3.788, 8: 4}, "Fe0.947O"),
        ({12: 16, 13: 32, 8: 64}, "MgAl2O4"),
        ({6: 8}, "C"),
        ({2: 1}, "He"),
        ({1: 4, 8: 2}, "H2O"),
        ({29: 3, 79: 1}, "Cu3Au"),
        ({47: 0.5, 79: 0.5}, "Ag0.5Au0.5"),
        ({26: 1, 1: 0.0}, "Fe"),
    ],
)
def test_formulas_as_a_chemist_writes_them(composition, formula):
    assert reduced_formula({z: float(n) for z, n in composition.items()}) == formula


amounts = st.dictionaries(st.integers(1, 98), st.integers(1, 30).map(float), min_size=1, max_size=5)


@given(amounts)
def test_whole_amounts_are_divided_by_their_common_factor(composition):
    ours = Composition(reduced_formula(composition))
    divisor = reduce(gcd, map(int, composition.values()))
    assert dict(ours.get_el_amt_dict()) == {SYMBOLS[z]: n / divisor for z, n in composition.items()}


@given(amounts, st.integers(1, 6))
def test_size_of_the_cell_does_not_matter(composition, factor):
    larger = {z: n * factor for z, n in composition.items()}
    assert reduced_formula(larger) == reduced_formula(composition)


@given(st.dictionaries(st.integers(1, 98), st.floats(0.01, 20), min_size=1, max_size=5))
def test_fractions_survive(composition):
    ours = Composition(reduced_formula(composition)).fractional_composition
    total = sum(composition.values())
    for z, n in composition.items():
        assert ours[SYMBOLS[z]] == pytest.approx(n / total, abs=3e-3)
