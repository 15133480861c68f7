import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.modalities.keywords import keyword_view, keywords

TITLES = {
    "High-pressure phase transitions of Fe3-xTixO4 solid solution up to 60 GPa correlated with electronic "
    "spin transition. Note: P = 7 GPa": [
        "high-pressure phase transitions",
        "Fe3-xTixO4 solid solution",
        "electronic spin transition",
    ],
    "Neutron powder diffraction study of the magnetic ordering of LuMn6Ge6": [
        "magnetic ordering",
        "LuMn6Ge6",
    ],
    "The crystal structure of sulfur dioxide. Sample: T = -130 C": ["sulfur dioxide"],
    "Rietveld refinement of synthetic Co and CO": ["Co", "CO"],
    "Untersuchung der Kristallstruktur von Li Bi3 O4 Cl2": ["Li Bi3 O4 Cl2"],
    "Single-crystal X-ray diffraction determination, x-ray powder study. Sample K-12, 300 K": [],
    "": [],
    "12.5 % ... (2)": [],
}


@pytest.mark.parametrize("title", TITLES)
def test_what_a_title_is_about(title):
    assert keywords(title) == TITLES[title]


def test_words_are_scored_by_degree_over_frequency():
    """Degrees: solid 5, solution 2, garnet 4; frequencies 3, 1 and 2."""
    found = keywords("Solid solution, solid garnet, solid, garnet under stress")
    # solid solution 5/3 + 2, solid garnet 5/3 + 3/2, stress 1; alone solid 5/3 and garnet 3/2.
    assert found == ["solid solution", "solid garnet", "solid", "garnet", "stress"]


def test_long_runs_are_cut_from_behind():
    assert keywords("ordered layered lithium cobalt oxide") == ["lithium cobalt oxide", "ordered layered"]


def test_at_most_so_many():
    text = "quartz, garnet, spinel, olivine, halite, calcite, fluorite, rutile, zircon, topaz, beryl"
    assert len(keywords(text)) == 10
    assert keywords(text, limit=2) == ["quartz", "garnet"]
    assert keywords(text, limit=0) == []


@given(st.text(max_size=200))
def test_any_text(text):
    found = keywords(text)
    assert found == keywords(text)
    assert len(found) == len(set(found)) <= 10
    assert all(phrase.strip() for phrase in found)


ROW = {
    "texts": [("title", "Thermal expansion of topaz")],
    "tags": [
        ("mineral", "Topaz"),
        ("notes", "_cod_database_code 1000041; T = 300 K"),
        ("locality", "Saxony"),
    ],
}


def test_the_view_of_a_record():
    assert keyword_view(ROW) == "thermal expansion, topaz"
    given_ones = ROW | {"texts": [("title", "Thermal expansion"), ("keywords", "gem, fluorosilicate")]}
    assert keyword_view(given_ones) == "gem, fluorosilicate"
    blank = ROW | {"texts": {"title": "Thermal expansion of topaz", "keywords": " "}}
    assert keyword_view(blank) == "thermal expansion, topaz"
    assert keyword_view({"texts": [], "tags": []}) == ""
