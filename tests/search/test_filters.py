import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.elements import SYMBOLS
from prismat.errors import BadInputError
from prismat.search.filters import ElementBits, Filter

ELEMENTS = [["Fe", "O"], ["Na", "Cl"], ["O", "Si"], [], None, ["U", "O", "H"], ["Fe"]]
GAPS = [2.0, 8.5, None, 1.0, float("nan"), 0.0, -0.5]


@pytest.fixture
def table():
    return pa.table(
        {
            "elements": ELEMENTS,
            "n_sites": [5, 2, 9, None, 1, 30, 2],
            "spacegroup_number": pa.array([2, 225, 194, None, 195, 3, 230], pa.int32()),
            "property.band_gap": pa.array(GAPS),
            "property.density": pa.array([1.0] * 7),
        }
    )


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"with_elements": ("O",)}, [0, 2, 5]),
        ({"with_elements": ("O", "U")}, [5]),
        ({"without_elements": ("O", "Cl")}, [3, 4, 6]),
        ({"only_elements": ("Fe", "O", "Si")}, [0, 2, 3, 4, 6]),
        ({"with_elements": ("O",), "only_elements": ("Fe", "O")}, [0]),
        ({"with_elements": ("D",)}, [5]),
        ({"n_sites": (2, 9)}, [0, 1, 2, 6]),
        ({"n_sites": (None, 2)}, [1, 4, 6]),
        ({"properties": {"band_gap": (0.0, None)}}, [0, 1, 3, 5]),
        ({"properties": {"band_gap": (None, None)}}, [0, 1, 3, 5, 6]),
        ({"spacegroup_number": (195, None)}, [1, 4, 6]),
        ({"spacegroup_number": (None, 2)}, [0]),
        ({"crystal_systems": ("cubic",)}, [1, 4, 6]),
        ({"crystal_systems": ("triclinic", "monoclinic", "hexagonal")}, [0, 2, 5]),
        ({"n_elements": (None, 2)}, [0, 1, 2, 6]),
        ({"n_elements": (3, 3)}, [5]),
        ({"n_elements": (0, None), "crystal_systems": ("cubic",)}, [1, 6]),
        ({"properties": {"band_gap": (None, 1.0), "density": (0.5, 2.0)}, "n_sites": (20, None)}, [5]),
    ],
)
def test_each_condition(table, conditions, rows):
    assert np.flatnonzero(Filter(**conditions).mask(table)).tolist() == rows


@given(
    st.lists(st.lists(st.sampled_from(SYMBOLS[1:]), max_size=5, unique=True), min_size=1, max_size=20),
    st.lists(st.sampled_from(SYMBOLS[1:]), max_size=3),
)
def test_bits_agree_with_sets(records, symbols):
    bits, wanted = ElementBits.of(pa.chunked_array([pa.array(records, pa.list_(pa.string()))])), set(symbols)
    assert bits.holding(tuple(symbols)).tolist() == [wanted <= set(r) for r in records]
    assert bits.free_of(tuple(symbols)).tolist() == [not wanted & set(r) for r in records]
    assert bits.within(tuple(symbols)).tolist() == [set(r) <= wanted for r in records]
    assert bits.counts().tolist() == [len(r) for r in records]


def test_json_round_trip():
    original = Filter(
        ("Fe",), ("H",), ("Fe", "O"), (1, None), {"band_gap": (0.5, None)}, (2, 9), ("cubic",), (None, 3)
    )
    assert Filter.from_dict(json.loads(json.dumps(original.to_dict()))) == original
    assert Filter.from_dict({}).is_empty
    assert not original.is_empty


def test_two_filters_hold_at_once(table):
    one = Filter(
        ("O",), n_sites=(2, None), properties={"band_gap": (0.0, 5.0)}, crystal_systems=("cubic", "trigonal")
    )
    other = Filter(("O", "Fe"), ("H",), ("Fe", "O"), (1, 8), {"band_gap": (1.0, None), "density": (0.5, 2.0)})
    both = one.joined(other)
    assert both == Filter(
        ("O", "Fe"),
        ("H",),
        ("Fe", "O"),
        (2, 8),
        {"band_gap": (1.0, 5.0), "density": (0.5, 2.0)},
        crystal_systems=("cubic", "trigonal"),
    )
    assert both.mask(table).tolist() == (one.mask(table) & other.mask(table)).tolist()
    assert one.joined(Filter()) == one == Filter().joined(one)
    with pytest.raises(BadInputError, match="filter crystal_systems: two conditions leave nothing"):
        one.joined(Filter(crystal_systems=("hexagonal",)))
    with pytest.raises(BadInputError, match="filter n_sites: the range 9 to 3 is empty"):
        Filter(n_sites=(9, None)).joined(Filter(n_sites=(None, 3)))


def test_bad_conditions_are_named(table):
    with pytest.raises(BadInputError, match="unknown element 'Xx'"):
        Filter(without_elements=("Xx",))
    with pytest.raises(BadInputError, match=r"unknown property 'gap'. This index has: band_gap, density\."):
        Filter(properties={"gap": (0.0, 1.0)}).mask(table)
    with pytest.raises(BadInputError, match="no properties"):
        Filter(properties={"gap": (0.0, 1.0)}).mask(table.select(["elements"]))
    with pytest.raises(BadInputError, match=r"filter band_gap: the range 2.0 to 1.0 is empty"):
        Filter(properties={"band_gap": (2.0, 1.0)})
    with pytest.raises(BadInputError, match=r"unknown crystal system 'cubick'\. Use any of triclinic, mono"):
        Filter(crystal_systems=("cubick",))
    with pytest.raises(BadInputError, match="filter n_elements: the range 3 to 2 is empty"):
        Filter(n_elements=(3, 2))
    with pytest.raises(BadInputError, match="unknown element 'Q'"):
        ElementBits.of(pa.array([["Q"]]))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "not a filter"),
        ({"elements": []}, "Give an object with any of with_elements"),
        ({"with_elements": "Fe"}, "filter with_elements: not a list of symbols"),
        ({"with_elements": [1]}, "not a list of symbols"),
        ({"n_sites": 3}, "filter n_sites: not a range"),
        ({"n_sites": [1, 2, 3]}, "filter n_sites: not a range"),
        ({"n_sites": [None, 1e30]}, "filter n_sites: a number is too large. Stay below"),
        ({"n_sites": [1.5, 2]}, "filter n_sites: not a whole number"),
        ({"spacegroup_number": 225}, "filter spacegroup_number: not a range"),
        ({"n_elements": [1, "2"]}, "filter n_elements: not a range"),
        ({"crystal_systems": "cubic"}, "filter crystal_systems: not a list of names"),
        ({"crystal_systems": ["round"]}, "unknown crystal system 'round'"),
        ({"with_elements": ["Fe"] * 201}, "filter with_elements: 201 entries. Give at most 200"),
        ({"properties": {"gap": [1, 10**400]}}, "filter gap: a number is too large"),
        ({"n_sites": [float("nan"), 2]}, "filter n_sites: not a finite number"),
        ({"properties": []}, "filter properties: not an object"),
        ({"properties": {"gap": ["1", 2]}}, "filter gap: not a range"),
    ],
)
def test_bad_payloads_are_named(payload, message):
    with pytest.raises(BadInputError, match=message):
        Filter.from_dict(payload)
