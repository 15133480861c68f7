import numpy as np
import pytest

from prismat.elements import MAX_Z
from prismat.modalities.formula_text import parse_formula
from prismat.modalities.text_views import crystal_system
from prismat.tasks.quality.classes import (
    FAMILIES,
    SYSTEMS,
    chemistry_families,
    crystal_system_numbers,
    record_classes,
    routes,
)
from prismat.training.records import read_records


def family(formula):
    fractions = np.zeros((1, MAX_Z + 1))
    for z, amount in parse_formula(formula):
        fractions[0, z] += amount
    return FAMILIES[chemistry_families(fractions / fractions.sum())[0]]


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        *(("CaCO3", "carbonate"), ("SiO2", "silicate"), ("Mg2SiO4", "silicate"), ("KAlSi3O8", "silicate")),
        *(("FeS2", "sulfide"), ("CaSO4", "sulfate"), ("NaCl", "halide"), ("MgO", "oxide"), ("Fe", "element")),
        *(("Ca5P3O12F", "phosphate"), ("GaN", "other"), ("PbSe", "sulfide"), ("SiC", "other")),
    ],
)
def test_a_compound_has_the_family_a_chemist_gives_it(formula, wanted):
    assert family(formula) == wanted


def test_no_composition_is_no_family():
    assert chemistry_families(np.zeros((1, MAX_Z + 1)))[0] == -1


def test_crystal_systems_are_those_of_the_texts():
    numbers = np.arange(0, 231)
    found = crystal_system_numbers(numbers)
    assert found[0] == -1
    assert [SYSTEMS[n] for n in found[1:]] == [crystal_system(int(n)) for n in numbers[1:]]


def test_classes_of_a_store(small_store):
    ways = {way.name: way for way in record_classes(read_records(small_store), smallest=3)}
    assert {"crystal system", "chemistry", "gap range"} <= set(ways)
    gaps = ways["gap range"]
    counts = np.bincount(gaps.labels[gaps.labels >= 0])
    assert counts.max() - counts.min() <= 1
    assert (gaps.labels < 0).any()
    assert len(gaps.names) == 5


def test_a_route_comes_from_the_first_tag_that_names_one():
    assert routes([{"synthesis_type": "sol-gel"}, {"mineral": "Halite"}, {}]) == ["sol-gel", "", ""]
