import numpy as np
import pytest

import helpers_small as small
from prismat.errors import BadInputError
from prismat.search.comparisons import DEFAULT_BLEND, Blend, Comparison, combine, compare, like_shares
from prismat.search.engine import SearchEngine
from prismat.search.query import Query
from prismat.search.steer import Steer


def brute(engine, query):
    """Total and score by part of every record, straight from the definition."""
    index, rows = engine.index, len(engine.index)
    found = compare(engine.prismat, index, query.resolved(), engine.blend)
    top, bottom = np.zeros(rows), np.zeros(rows)
    parts = {}
    for one in found:
        cosine = np.asarray(index.vectors[one.key], np.float64) @ one.vector
        there = index.present[one.key]
        top += one.weight * one.share * cosine * there
        bottom += abs(one.weight) * one.share * there
        total, weight = parts.setdefault(one.part, (np.zeros(rows), np.zeros(rows)))
        total += one.share * cosine * there
        weight += one.share * there
    with np.errstate(invalid="ignore", divide="ignore"):
        return top / bottom, {part: total / weight for part, (total, weight) in parts.items()}


@pytest.mark.parametrize(
    "query",
    [
        Query("rock salt", steer=Steer(("oxide", "zinc sulfide"))),
        Query("rock salt", structure=small.crystal("rutile_Ti-O"), weights={"structure": 2.0}),
        Query("oxide", steer=Steer((), ("rock_salt_Mg-O", "wurtzite_Zn-O"), ("rutile_Ti-O",))),
        Query(
            "oxide",
            xrd=small.measured("rutile_Sn-O"),
            steer=Steer(("chloride",), ("rock_salt_Mg-O",)),
            weights={"not_text": 0.9, "like": 0.3, "xrd": 2.0},
        ),
    ],
    ids=["not", "text and structure", "examples", "everything"],
)
def test_totals_and_parts_are_those_of_the_definition(small_engine, query):
    engine = SearchEngine(small_engine.prismat, small_engine.index)
    total, parts = brute(engine, query)
    answer = engine.respond(Query(**{**vars(query), "k": 500}))
    left_out = set(query.steer.examples)
    assert len(answer.matches) == len(engine.index) - len(left_out)
    for match in answer.matches:
        assert match.hit.id not in left_out
        assert match.hit.score == pytest.approx(total[match.hit.row], abs=2e-5)
        known = {p: v[match.hit.row] for p, v in parts.items() if np.isfinite(v[match.hit.row])}
        assert dict(match.parts) == pytest.approx(known, abs=2e-5)
    scores = [match.hit.score for match in answer.matches]
    assert scores == sorted(scores, reverse=True)


def test_parts_count_alike_and_what_is_avoided_counts_less(small_engine):
    query = Query(
        "oxide",
        xrd=small.measured("rutile_Sn-O"),
        steer=Steer(("salt",), ("rutile_Ti-O",), ("rock_salt_Mg-O",)),
    )
    found = compare(small_engine.prismat, small_engine.index, query.resolved(), DEFAULT_BLEND)
    weights = {}
    for one in found:
        weights.setdefault(one.part, []).append(one.weight * one.share)
    assert {part: sum(w) for part, w in weights.items()} == pytest.approx(
        {"text": 1.0, "xrd": 1.0, "not_text": -0.4, "like": 1.0, "unlike": -0.2}
    )


def test_examples_are_their_own_stored_vectors(small_engine):
    index = small_engine.index
    blend = Blend({}, {}, {}, like={"structure": 1.0})
    query = Query(steer=Steer(like=("rock_salt_Mg-O", "rutile_Ti-O")))
    found = compare(small_engine.prismat, index, query, blend)
    assert {one.key for one in found} == {"structure@text", "structure@xrd"}
    rows = [index.ids[i] for i in query.steer.like]
    for one in found:
        assert one.share == pytest.approx(0.5)
        assert one.vector == pytest.approx(np.asarray(index.vectors[one.key][rows]).mean(axis=0), abs=1e-6)


def test_an_example_that_the_index_lacks_is_named(small_engine):
    with pytest.raises(BadInputError, match="record 'nobody', id: no such record in this index"):
        small_engine.answer(Query("oxide", steer=Steer(unlike=("nobody",))))


def test_keys_that_examples_are_compared_by():
    blend = Blend({}, {}, {}, like={"structure": 1.0, "sentence": 0.5})
    keys = ["structure@text", "structure@xrd", "sentence", "profile"]
    assert like_shares(keys, blend) == {"structure@text": 0.5, "structure@xrd": 0.5, "sentence": 0.5}
    assert like_shares(["image@dos", "dos@image"], blend) == {"image@dos": 1.0, "dos@image": 1.0}


def test_examples_without_a_window_to_compare_are_refused(small_engine):
    lacking = next(
        i for i, row in small_engine.index.ids.items() if not small_engine.index.present["text@xrd"][row]
    )
    engine = SearchEngine(small_engine.prismat, small_engine.index, Blend({}, {}, {}, like={"text": 1.0}))
    with pytest.raises(BadInputError, match="the examples have none of the windows"):
        engine.answer(Query(steer=Steer(like=(lacking,))))


def test_parts_that_cancel_out_are_refused(small_engine):
    with pytest.raises(BadInputError, match="query: the parts of the query cancel out"):
        small_engine.answer(Query("oxide", steer=Steer(("oxide",)), weights={"not_text": 1.0}))


def test_what_looks_at_one_key_is_added():
    a, b = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    found = combine([Comparison("text", "key", a, 1.0, 1.0), Comparison("not_text", "key", b, 1.0, -0.5)])
    assert found.weights["key"] * found.vectors["key"] == pytest.approx(a - 0.5 * b)
    assert np.linalg.norm(found.vectors["key"]) == pytest.approx(1)
    assert found.shares == {"key": 1.5}
