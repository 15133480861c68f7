import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from prismat.elements import SYMBOLS
from prismat.modalities.formula_text import parse_formula


def read(text):
    amounts = parse_formula(text)
    return None if amounts is None else {SYMBOLS[z]: n for z, n in amounts}


@pytest.mark.parametrize(
    "formula",
    [
        "NaMgF3",
        "Ca2ZnSi2O7",
        "Al2(SO4)3",
        "Fe6(OH)12SO4",
        "K2[PtCl6]",
        "Cu3Mo2O10H2",
        "Fe0.925O",
        "Ca5(PO4)3(OH)",
    ],
)
def test_plain_formulas_agree_with_pymatgen(formula):
    expected = {str(k): v for k, v in Composition(formula).as_dict().items()}
    assert read(formula) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.sampled_from(SYMBOLS[1:]), st.integers(1, 30)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0],
    )
)
def test_any_plain_formula_agrees_with_pymatgen(parts):
    formula = "".join(f"{symbol}{n}" for symbol, n in parts)
    assert read(formula) == pytest.approx(Composition(formula).as_dict())


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Ca2(Mg.55Fe.45)Si2O7", {"Ca": 2, "Mg": 0.55, "Fe": 0.45, "Si": 2, "O": 7}),
        ("(Mg,Fe)2SiO4", {"Mg": 1, "Fe": 1, "Si": 1, "O": 4}),
        ("(Na0.5,K0.5)Cl", {"Na": 0.5, "K": 0.5, "Cl": 1}),
        ("(FexMn1-x)2SiO4", {"Fe": 1, "Mn": 1, "Si": 1, "O": 4}),
        ("Ca2Fe2-xAlxO5", {"Ca": 2, "Fe": 1.5, "Al": 0.5, "O": 5}),
        ("Ni6+2xMn1-xO8", {"Ni": 7, "Mn": 0.5, "O": 8}),
        ("La(2-x)Sr(x)NiO(4-delta)", {"La": 1.5, "Sr": 0.5, "Ni": 1, "O": 4}),
        ("TlBa2(Eu,Ce)2Cu2O9+d", {"Tl": 1, "Ba": 2, "Eu": 1, "Ce": 1, "Cu": 2, "O": 9}),
        ("Fe6(OH)12SO4*8H2O", {"Fe": 6, "S": 1, "O": 24, "H": 28}),
        ("CuSO4·5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CaSO4.2H2O", {"Ca": 1, "S": 1, "O": 6, "H": 4}),
        ("MgCl2*nH2O", {"Mg": 1, "Cl": 2, "O": 1, "H": 2}),
        ("2CaO", {"Ca": 2, "O": 2}),
        ("Pb3Te4+O4Cl2", {"Pb": 3, "Te": 1, "O": 4, "Cl": 2}),
        ("Mg2+2SiO4", {"Mg": 2, "Si": 1, "O": 4}),
        ("Fe3+", {"Fe": 1}),
        ("Mn(III)O2", {"Mn": 1, "O": 2}),
        ("D2O", {"H": 2, "O": 1}),
        ("KAs4O6X", {"K": 1, "As": 4, "O": 6}),
        ("A2X4", {}),
    ],
)
def test_what_authors_print(formula, expected):
    assert read(formula) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        "structure",
        "Fm-3m",
        "((F)",
        ")",
        "O)2",
        "(,F)",
        "FeS*",
        "*H2O",
        "12",
        "x",
        "NaF-CaF2",
        "Fe,O",
    ],
)
def test_what_is_no_formula(text):
    assert parse_formula(text) is None


@given(st.text(alphabet="CaOHFex12+-.,*()[]{}· IVd", max_size=30))
def test_any_text_gives_positive_amounts_or_none(text):
    amounts = parse_formula(text)
    assert amounts is None or all(1 <= z <= 98 and n > 0 for z, n in amounts)
