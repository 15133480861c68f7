import gemmi
import pytest

from prismat.errors import BadInputError
from prismat.modalities.text_views import (
    VIEWS,
    as_rows,
    context_view,
    crystal_system,
    description_view,
    text_view,
    title_view,
)

ROW = {
    "formula": "NaCl",
    "elements": ["Na", "Cl"],
    "fractions": [0.5, 0.5],
    "spacegroup_number": 225,
    "spacegroup": "Fm-3m",
    "texts": [("title", "The structure of rock salt"), ("keywords", "cubic, ionic")],
    "tags": [
        ("mineral", "Halite"),
        ("notes", "_cod_database_code 1000041; T = 300 K"),
        ("locality", "Wieliczka"),
    ],
}


def test_every_crystal_system_agrees_with_gemmi():
    for number in range(1, 231):
        group = gemmi.find_spacegroup_by_number(number)
        assert crystal_system(number) == group.crystal_system_str(), number
    assert crystal_system(0) == ""


def test_views_of_a_record():
    assert title_view(ROW) == "The structure of rock salt"
    assert context_view(ROW) == "Halite. The structure of rock salt. T = 300 K. Wieliczka"
    described = description_view(ROW)
    assert described.startswith("NaCl: ")
    assert {"Sodium", "Chlorine"} <= {w.strip(",;:").capitalize() for w in described.split()}
    assert "cubic, space group Fm-3m" in described
    assert described.endswith("cubic, ionic")
    assert "rock salt" not in described


def test_elements_are_named_by_falling_share():
    row = ROW | {"formula": "SiO2", "elements": ["O", "Si"], "fractions": [2 / 3, 1 / 3], "texts": []}
    first, second = (description_view(row).lower().index(n) for n in ("oxygen", "silicon"))
    assert first < second


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_record_without_anything_gives_nothing(view):
    empty = ROW | {"elements": [], "fractions": [], "texts": [], "tags": []}
    assert VIEWS[view](empty) == ""


def test_tables_become_rows():
    assert as_rows({"a": [1, 2], "b": ["x", "y"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        as_rows({"a": [1, 2], "b": ["x"]})


def test_any_kind_of_text_is_a_view_by_its_name():
    row = {**ROW, "texts": [*ROW["texts"], ("template_local", "six neighbours")]}
    assert text_view("template_local", {"template_local"})(row) == "six neighbours"
    assert text_view("title", ()) is title_view
    assert "six neighbours" not in description_view(row)
    with pytest.raises(BadInputError, match=r"unknown text view 'poem'.*Known: title, .*, template_local"):
        text_view("poem", {"template_local"})
