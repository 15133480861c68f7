from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimade.models.utils import reduce_formula
from pymatgen.core import Composition

from prismat.app.optimade.formulas import amounts_of, anonymous, hill, reduced, whole_amounts
from prismat.elements import SYMBOLS
from prismat.formula import reduced_formula


@pytest.mark.parametrize(
    ("formula", "forms"),
    [
        ("TiO2", ("O2Ti", "A2B", "O2Ti")),
        ("Sr0.003Ca0.997CO3", ("C1000Ca997O3000Sr3", "A3000B1000C997D3", "C1000Ca997O3000Sr3")),
        ("CH3", ("CH3", "A3B", "CH3")),
        ("Ca2H4O8", ("CaH2O4", "A4B2C", "CaH2O4")),
        ("NaHCO3", ("CHNaO3", "A3BCD", "CHNaO3")),
        ("Fe0.9O", ("Fe9O10", "A10B9", "Fe9O10")),
    ],
)
def test_forms_of_a_formula(formula, forms):
    whole = whole_amounts(amounts_of(formula))
    assert (reduced(whole), anonymous(whole), hill(whole)) == forms


@given(
    st.dictionaries(
        st.sampled_from([z for z in range(1, 99) if z not in (2, 10, 18)]),
        st.integers(1, 30),
        min_size=1,
        max_size=8,
    )
)
def test_whole_formulas_agree_with_pymatgen_and_the_reference(composition):
    whole = whole_amounts(amounts_of(reduced_formula({z: float(n) for z, n in composition.items()})))
    factor = gcd(*composition.values())
    # Its own reduction would keep O2 and N2.
    expected = Composition({SYMBOLS[z]: n // factor for z, n in composition.items()})
    assert Composition(reduced(whole)).almost_equals(expected)
    assert reduced(whole) == reduce_formula(expected.formula.replace(" ", ""))
    assert anonymous(whole) == reduce_formula(anonymous(whole))
    assert hill(whole) == expected.hill_formula.replace(" ", "")


@pytest.mark.parametrize("formula", ["", "water", "Ca(OH)2", "2H", "<b>"])
def test_what_is_no_formula_has_no_amounts(formula):
    assert amounts_of(formula) == {}
    assert whole_amounts({}) is None


def test_a_trace_below_the_resolution_has_no_whole_formula():
    assert amounts_of("Na1e-04Cl") == {"Cl": 1.0, "Na": 1e-4}
    assert whole_amounts({"Cl": 1.0, "Na": 1e-4}) is None
