import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.measurements import Pattern
from prismat.search.filters import Filter
from prismat.search.query import Query
from prismat.search.steer import Steer

SALT = Crystal(
    np.eye(3) * 4.2, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), (((11, 0.9), (19, 0.1)), ((17, 1.0),))
)
PATTERN = Pattern(np.array([10.0, 20.0, 30.5]), np.array([1.0, 1 / 3, 0.0]), 0.7)


def test_json_round_trip():
    query = Query("a salt", SALT, PATTERN, {"text": 0.3}, Filter(("Na",), n_sites=(1, 9)), 25)
    again = Query.from_json(query.to_json())
    assert (again.text, again.weights, again.filter, again.k) == ("a salt", {"text": 0.3}, query.filter, 25)
    assert again.structure.sites == SALT.sites
    assert np.allclose(again.structure.frac, SALT.frac)
    assert np.array_equal(again.xrd.two_theta, PATTERN.two_theta)
    assert np.array_equal(again.xrd.intensity, PATTERN.intensity)
    assert again.xrd.wavelength == 0.7
    assert again.parts == ("text", "structure", "xrd")


def test_what_steers_is_kept():
    steer = Steer(("iron",), ("a",), ("b", "c"))
    query = Query("garnet", weights={"not_text": 0.2, "like": 2.0}, steer=steer)
    assert query.parts == ("text", "not_text", "like", "unlike")
    payload = json.loads(query.to_json())
    assert payload["steer"] == {"not_text": ["iron"], "like": ["a"], "unlike": ["b", "c"]}
    assert Query.from_json(query.to_json()).steer == steer
    assert Query(steer=Steer(like=("a",))).parts == ("like",)


def test_null_is_as_good_as_left_out():
    given = dict.fromkeys(("structure", "xrd", "measured", "weights", "filter", "steer"))
    assert Query.from_json(json.dumps({"text": "a", **given})).to_json() == Query("a").to_json()


def test_parts_left_out_stay_out():
    again = Query.from_json(Query(text="garnet").to_json())
    assert (again.parts, again.k, again.filter, again.weights) == (("text",), 10, Filter(), {})


def test_files_are_read_when_resolved(tmp_path):
    from prismat.formats import to_cif

    (tmp_path / "a.cif").write_text(to_cif(SALT))
    (tmp_path / "a.xy").write_text("\n".join(f"{10 + 0.1 * i:.2f} {i % 7}" for i in range(60)))
    query = Query(structure=tmp_path / "a.cif", xrd=tmp_path / "a.xy").resolved()
    assert query.structure.formula == SALT.formula
    assert len(query.xrd.two_theta) == 60
    with pytest.raises(BadInputError, match="cannot open"):
        Query(structure=tmp_path / "b.cif").to_json()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "query: the query is empty"),
        ({"weights": {"text": 1.0}}, "query: the query is empty"),
        ({"text": "  "}, "text: the text has 0 characters"),
        ({"text": "a" * 20_001}, "text: the text has 20001 characters"),
        ({"text": "a", "weights": {"xrd": 1.0}}, "weights: weight 1.0 for 'xrd'"),
        ({"text": "a", "weights": {"text": 0.0}}, "weights: weight 0.0 for 'text'"),
        ({"text": "a", "weights": {"text": float("nan")}}, "weights: weight nan"),
        ({"text": "a", "k": 0}, "k: k is 0"),
        ({"text": "a\ud800"}, "text: the text is not Unicode"),
        ({"steer": Steer(("iron",))}, "query: the query says only what is not wanted. Give words"),
        ({"steer": Steer(unlike=("a",))}, "query: the query says only what is not wanted"),
        ({"text": "a", "weights": {"not_text": 1.0}}, "weights: weight 1.0 for 'not_text'"),
        ({"xrd": Pattern(np.array([2.0, 1.0]), np.ones(2))}, "xrd: not a powder pattern"),
        ({"xrd": Pattern(np.array([1.0, 2.0]), np.array([1.0, np.nan]))}, "xrd: not a powder pattern"),
        ({"xrd": Pattern(np.array([1.0, 2.0]), np.ones(2), 0.0)}, "xrd: not a powder pattern"),
    ],
)
def test_bad_queries_are_named(arguments, message):
    with pytest.raises(BadInputError, match=message):
        Query(**arguments)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "not a query"),
        (
            {"txt": "a"},
            "Give an object with any of filter, k, measured, steer, structure, text, weights, xrd",
        ),
        ({"text": 3}, "text: not a string"),
        ({"structure": "/etc/passwd"}, "structure: not the text of a file"),
        ({"structure": "a\nb"}, "neither a CIF"),
        ({"xrd": "/etc/passwd"}, "xrd: not a pattern"),
        ({"xrd": {"two_theta": [1, 2]}}, "xrd: not lists of numbers"),
        ({"xrd": {"two_theta": [1, 2], "intensity": [1, "2"]}}, "xrd: not lists of numbers"),
        ({"xrd": {"two_theta": [1, 2], "intensity": [1, 10**400]}}, "xrd: a number is too large"),
        ({"xrd": {"two_theta": [1, 2], "intensity": [1, 2, 3]}}, "xrd: 2 angles but 3 intensities"),
        ({"text": "a", "weights": [1]}, "weights: not an object of numbers"),
        ({"text": "a", "weights": {"text": "1"}}, "weights: not an object of numbers"),
        ({"text": "a", "k": 1.5}, "k: not a whole number"),
        ({"text": "a", "weights": {"text": 10**400}}, "weights: a number is too large"),
        ({"text": "a", "filter": []}, "filter: not a filter"),
        ({"text": "a", "steer": {"dislike": []}}, "steer: not an object of lists"),
        ({"text": "a", "steer": {"like": "b"}}, "steer like: not a list of strings"),
        ({"text": "a", "steer": {"not_text": ["b"] * 17}}, "steer not_text: 17 entries"),
        ({"text": "a", "filter": {"with_elements": ["Qq"]}}, "unknown element 'Qq'"),
    ],
)
def test_bad_payloads_are_named(payload, message):
    with pytest.raises(BadInputError, match=message):
        Query.from_json(json.dumps(payload))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["text", "structure", "xrd", "weights", "filter", "k", "steer", "measured"])


@given(st.one_of(st.text(), st.dictionaries(names, values).map(json.dumps)))
def test_any_json_gives_a_query_or_a_clear_error(text):
    try:
        assert Query.from_json(text).parts
    except BadInputError as error:
        assert error.problem  # noqa: PT017  (either outcome is right)
