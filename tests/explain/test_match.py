import json
from dataclasses import replace

import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError
from prismat.explain.comparisons import directed
from prismat.explain.match import ExplainSettings, explain_match
from prismat.explain.source import material_of, stored_windows
from prismat.material import Material
from prismat.search.query import Query
from prismat.search.steer import Steer

FEW = ExplainSettings(orders=3, points=4, bonds=False)
BOTH = replace(FEW, method="both")


@pytest.fixture(scope="module")
def prismat(small_engine):
    return small_engine.prismat


def queries():
    pattern, crystal = small.measured("rock_salt_K-Br"), small.crystal("fluorite_Ca-F")
    return {
        "text": Query(text="Thermal expansion of calcium fluoride"),
        "xrd": Query(xrd=pattern),
        "structure": Query(structure=crystal),
        "text and xrd": Query(text="rock salt", xrd=pattern),
        "weighted": Query(text="rock salt", structure=crystal, weights={"text": 3.0}),
    }


@pytest.mark.parametrize("name", ["text", "xrd", "structure", "text and xrd", "weighted"])
def test_the_score_explained_is_the_one_that_the_search_ranks_by(small_engine, small_store, prismat, name):
    query = queries()[name]
    for hit in small_engine.answer(replace(query, k=4)):
        found = explain_match(prismat, query, material_of(small_store, hit.id), FEW)
        assert found.id == hit.id
        assert found.formula == hit.formula
        assert found.score == pytest.approx(hit.score, abs=2e-5)


def test_every_side_and_window_that_is_compared_is_explained(small_engine, small_store, prismat):
    query = queries()["text and xrd"]
    (hit,) = small_engine.answer(replace(query, k=1))
    parts = explain_match(prismat, query, material_of(small_store, hit.id), FEW).parts
    told = {(p.side, p.window, p.unit) for p in parts}
    assert {("query", "text", "word"), ("query", "xrd", "peak"), ("material", "xrd", "peak")} <= told
    assert ("material", "structure", "atom") in told


def test_two_methods_give_two_parts_and_one_check_of_random_orders(small_store, prismat):
    query = Query(text="High-pressure study of calcium oxide")
    found = explain_match(prismat, query, material_of(small_store, "rock_salt_Ca-O"), BOTH)
    first, second = (p for p in found.parts if p.side == "query")
    assert (first.method, second.method) == ("occlusion", "integrated gradients")
    np.testing.assert_array_equal(first.check.random_deletion, second.check.random_deletion)
    assert first.completeness is None
    assert second.completeness is not None
    assert second.baseline
    assert not first.baseline


def test_the_check_begins_with_the_score(small_store, prismat):
    query = Query(text="High-pressure study of calcium oxide")
    for part in explain_match(prismat, query, material_of(small_store, "rock_salt_Ca-O"), FEW).parts:
        assert part.check.deletion[0] == pytest.approx(part.score, abs=1e-6)
        assert part.check.insertion[-1] == pytest.approx(part.score, abs=1e-6)


def test_bonds_are_a_part_of_their_own(small_store, prismat):
    query = Query(text="calcium oxide of rock salt")
    found = explain_match(
        prismat, query, material_of(small_store, "rock_salt_Ca-O"), replace(FEW, bonds=True)
    )
    (bonds,) = [p for p in found.parts if p.unit == "bond"]
    assert bonds.items[0].x == pytest.approx(4.81 / 2, abs=1e-3)


def test_one_direction_is_one_cosine(small_store, prismat):
    query, material = Query(text="calcium oxide"), material_of(small_store, "rock_salt_Ca-O")
    found = explain_match(prismat, query, material, replace(FEW, direction="text->structure"))
    words = prismat.embed(texts=["calcium oxide"])["text@structure"][0]
    crystal = prismat.embed(structures=[material.structure])["structure@text"][0]
    assert found.score == pytest.approx(float(words @ crystal), abs=1e-5)
    assert {p.compared for p in found.parts} == {("text@structure",), ("structure@text",)}


def test_only_the_sides_asked_for(small_store, prismat):
    query = Query(text="calcium oxide")
    found = explain_match(
        prismat, query, material_of(small_store, "rock_salt_Ca-O"), replace(FEW, sides=("material",))
    )
    assert {p.side for p in found.parts} == {"material"}


def test_json_is_plain_and_complete(small_store, prismat):
    query = replace(queries()["text and xrd"], steer=Steer(not_text=("perovskite",)))
    found = explain_match(prismat, query, material_of(small_store, "rock_salt_K-Br"), BOTH)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(told) == {"id", "formula", "score", "parts", "notes"}
    assert any("steers" in note for note in told["notes"])
    for part in told["parts"]:
        assert part["items"]
        assert part["operator"]
        if part["unit"] == "word":
            text = part["data"]["text"]
            assert all(text[i["start"] : i["end"]] == i["label"] for i in part["items"])
        if part["unit"] == "peak":
            assert len(part["data"]["two_theta"]) == len(part["data"]["intensity"])


def test_the_same_seed_gives_the_same_numbers(small_store, prismat):
    query, material = queries()["xrd"], material_of(small_store, "rock_salt_K-Br")
    made = [explain_match(prismat, query, material, BOTH).to_dict() for _ in range(2)]
    assert made[0] == made[1]


def test_one_word_has_no_order_to_check(small_store, prismat):
    found = explain_match(prismat, Query(text="halite"), material_of(small_store, "rock_salt_Na-Cl"), FEW)
    (part,) = [p for p in found.parts if p.side == "query"]
    assert part.check is None
    assert part.to_dict()["check"] is None


def test_what_a_store_keeps_is_taken_as_it_is(small_store, prismat):
    stored = stored_windows(prismat, small_store, "rock_salt_K-Br")
    assert set(stored) == {"xrd"}
    material = material_of(small_store, "rock_salt_K-Br")
    query = queries()["xrd"]
    one = explain_match(prismat, query, material, FEW).score
    assert explain_match(prismat, query, material, FEW, stored=stored).score == pytest.approx(one, abs=1e-5)


def test_a_record_of_a_store_has_its_context(small_store):
    found = material_of(small_store, "rock_salt_Na-Cl")
    assert found.texts["context"].startswith("Halite. ")
    assert found.structure.formula == "NaCl"


def test_nothing_in_common_is_refused(prismat):
    words_only = Material("note", texts={"title": "A note"})
    with pytest.raises(BadInputError, match="share no window"):
        explain_match(prismat, queries()["structure"], words_only, FEW)


def test_a_direction_from_what_the_query_lacks_is_refused(small_store, prismat):
    material = material_of(small_store, "rock_salt_Ca-O")
    with pytest.raises(BadInputError, match="the query has no xrd"):
        explain_match(prismat, Query(text="x y"), material, replace(FEW, direction="xrd->structure"))


@pytest.mark.parametrize("direction", ["text", "text->text", "text->dos", "->", ""])
def test_an_unknown_direction_is_refused(prismat, direction):
    with pytest.raises(BadInputError, match="unknown direction"):
        directed(prismat, direction)


def test_an_unknown_record_is_refused(small_store, prismat):
    with pytest.raises(BadInputError, match="no such record"):
        material_of(small_store, "nobody")
    with pytest.raises(BadInputError, match="no such record"):
        stored_windows(prismat, small_store, "nobody")


def test_a_query_of_examples_alone_is_refused(small_store, prismat):
    query = Query(steer=Steer(like=("rock_salt_Na-Cl",)))
    with pytest.raises(BadInputError, match="share no window"):
        explain_match(prismat, query, material_of(small_store, "rock_salt_Ca-O"), FEW)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sides": ()}, "sides"),
        ({"orders": 1}, "1 orders"),
        ({"points": 0}, "0 points"),
        ({"steps": 10_000}, "10000 steps"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, said):
    with pytest.raises(BadInputError, match=said):
        ExplainSettings(**wrong)


def test_an_unknown_method_is_refused():
    settings = ExplainSettings()
    # Past the type checker of the tests, as a caller without one would.
    object.__setattr__(settings, "method", "magic")
    with pytest.raises(BadInputError, match="unknown method 'magic'"):
        settings.__post_init__()
