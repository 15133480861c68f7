import numpy as np
import pytest

import helpers_small as small
from helpers_confidence import draw_facts, draw_scored
from prismat.confidence.confidence import Confidence
from prismat.confidence.direction import fit_direction
from prismat.confidence.gallery import Direction
from prismat.confidence.identify import Identifier
from prismat.errors import MismatchError
from prismat.search.filters import Filter
from prismat.search.query import Query
from prismat.search.steer import Steer

NAMES = ("xrd->xrd", "xrd->structure", "text->structure")


@pytest.fixture(scope="module")
def confidence(small_engine):
    """Fitted on drawn scores: what counts here is which scores it is asked about."""
    systems = draw_facts(150).systems
    own = {n: fit_direction(Direction.named(n), draw_scored(1), systems) for n in NAMES}
    return Confidence(small_engine.prismat.hash, "store", own, {"dos->structure": "too few"})


@pytest.mark.parametrize(
    ("query", "direction"),
    [
        (Query("rock salt structure", k=40), "text->structure"),
        (Query(xrd=small.measured("rutile_Ti-O"), k=40), "xrd->xrd"),
    ],
)
def test_probabilities_are_those_of_the_identifier(small_engine, confidence, query, direction):
    answer = small_engine.respond(query, confidence)
    identifier = Identifier(small_engine.prismat, small_engine.index, confidence)
    found = identifier.identify(Query(**{**vars(query), "k": 10}))
    expected = {c.id: c.probability for c in found.candidates}
    given = {m.hit.id: m.probability for m in answer.matches if m.probability is not None}
    assert answer.trust.direction == found.direction == direction
    assert given
    assert given == pytest.approx({i: p for i, p in expected.items() if i in given}, abs=1e-4)
    assert answer.trust.missing == pytest.approx(found.verdict.probability, abs=1e-3)
    assert answer.trust.is_flagged == found.verdict.is_flagged
    shown = {m.hit.id for m in answer.matches}
    assert set(given) == set(expected) & shown
    assert any("ten best records of the whole index" in note for note in answer.trust.notes)
    assert any("this index has" in note for note in answer.trust.notes)


def test_a_filter_leaves_probabilities_and_takes_the_flag(small_engine, confidence):
    query = Query(xrd=small.measured("rutile_Ti-O"), k=40)
    whole = small_engine.respond(query, confidence)
    some = small_engine.respond(Query(**{**vars(query), "filter": Filter(("O",))}), confidence)
    known = {m.hit.id: m.probability for m in whole.matches}
    assert all(m.probability == known[m.hit.id] for m in some.matches if m.hit.id in known)
    assert (some.trust.missing, some.trust.is_flagged) == (None, False)
    assert any("The filter changes no probability" in note for note in some.trust.notes)
    assert some.matching < whole.matching == some.gallery
    assert some.matching == sum("O" in small.crystal(i).elements for i in small_engine.index.ids)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (Query("oxide", steer=Steer(("salt",))), "what steers a query"),
        (Query("oxide", xrd=small.measured("rutile_Ti-O")), "mixtures are not calibrated, and text and xrd"),
        (Query("the of and"), "the text is not like the titles that were calibrated"),
        (Query(structure=small.crystal("rutile_Ti-O")), "a structure compared with structures"),
    ],
)
def test_what_was_not_calibrated_has_no_probability(small_engine, confidence, query, reason):
    answer = small_engine.respond(query, confidence)
    assert all(m.probability is None for m in answer.matches)
    assert (answer.trust.direction, answer.trust.missing) == (None, None)
    (note,) = answer.trust.notes
    assert note.startswith("No probability: ")
    assert reason in note


def test_directions_that_were_left_out_say_why(small_engine, confidence):
    only = Confidence(confidence.model_hash, "store", {}, {"text->structure": "too few groups"})
    answer = small_engine.respond(Query("oxide"), only)
    assert answer.trust.notes == ("No probability: too few groups.",)
    answer = small_engine.respond(Query(xrd=small.measured("rutile_Ti-O")), only)
    assert answer.trust.notes == ("No probability: xrd->xrd was not calibrated.",)


def test_without_a_calibration_or_with_that_of_another_model(small_engine, confidence):
    assert small_engine.respond(Query("oxide")).trust.notes == (
        "No calibration is at hand: make one with prismat calibrate.",
    )
    other = Confidence("other", "store", confidence.directions)
    with pytest.raises(MismatchError, match="The calibration is of another model"):
        small_engine.respond(Query("oxide"), other)


def test_other_back_ends_give_no_probability(small_engine, confidence):
    class Other:
        """An index that can be searched but does not show its vectors."""

        def __getattr__(self, name):
            assert name not in ("vectors", "present")
            return getattr(small_engine.index, name)

        def __len__(self):
            return len(small_engine.index)

    engine = type(small_engine)(small_engine.prismat, Other())
    answer = engine.respond(Query("oxide", k=3), confidence)
    assert "this back end does not give the scores of its whole gallery" in answer.trust.notes[0]
    assert [m.hit.id for m in answer.matches] == [
        m.hit.id for m in small_engine.respond(Query("oxide", k=3)).matches
    ]
    assert np.isfinite(answer.took_ms)
