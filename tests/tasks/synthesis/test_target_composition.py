import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.sources.synthesis_recipe import composition_key
from prismat.tasks.synthesis.composition import (
    composition_of,
    composition_of_key,
    composition_of_table,
    composition_similarity,
)


def test_a_formula_is_fractions():
    found = composition_of("La0.7Sr0.3MnO3")
    expected = {57: 0.14, 38: 0.06, 25: 0.2, 8: 0.6}
    assert {int(z): round(float(found[z]), 6) for z in np.flatnonzero(found)} == expected


@pytest.mark.parametrize("formula", ["", "perovskite", "Xy2O3", "12", "?"])
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(BadInputError, match="cannot read the formula") as found:
        composition_of(formula)
    assert "LiCoO2" in str(found.value)


def test_a_key_of_the_source_is_read_back():
    key = composition_key({56: 1, 22: 1, 8: 3})
    np.testing.assert_allclose(composition_of_key(key), composition_of("BaTiO3"), atol=1e-4)


@given(st.text(max_size=30))
def test_any_other_text_is_no_composition(text):
    found = composition_of_key(text)
    assert found.sum() == pytest.approx(1.0) or not found.any()


def test_a_row_of_a_table():
    np.testing.assert_allclose(composition_of_table(["O", "Ti"], [2 / 3, 1 / 3]), composition_of("TiO2"))
    assert not composition_of_table([], []).any()


def test_similarity_is_one_for_the_same_and_zero_without_a_shared_element():
    rows = np.stack([composition_of(f) for f in ("BaTiO3", "Ba2Ti2O6", "SrTiO3", "NaCl")])
    np.testing.assert_allclose(composition_similarity(rows[:1], rows), [[1.0, 1.0, 0.8, 0.0]], atol=1e-12)
    assert composition_similarity(rows, np.zeros((1, rows.shape[1]))).max() == 0
