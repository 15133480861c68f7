"""Entity-level measures: by hand, by conlleval's rules token by token, and by seqeval where it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.tasks.text_tasks.spans import (
    entity_differences,
    entity_metrics,
    find_entities,
    micro_f1,
    tag_types,
)

TAGS = st.lists(
    st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=7), min_size=1, max_size=4
)


def spans(*sentences):
    types = tag_types(sentences)
    found = find_entities(sentences, types)
    columns = (found.sentence, found.first, found.last, found.kind)
    return [(int(s), int(a), int(b), types[k]) for s, a, b, k in zip(*columns, strict=True)]


def one_by_one(tags):
    """Conlleval's rules read aloud, one token at a time."""
    found, start, kind, offset = set(), None, "", 0
    for number, sentence in enumerate(tags):
        for i, tag in enumerate([*sentence, "O"]):
            goes_on = start is not None and tag == f"I-{kind}"
            if start is not None and not goes_on:
                found.add((number, start, offset + i - 1, kind))
                start = None
            if tag != "O" and not goes_on:
                start, kind = offset + i, tag[2:]
        offset += len(sentence)
    return found


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A O", [(0, 0, 1, "A")]),
        ("B-A B-A", [(0, 0, 0, "A"), (0, 1, 1, "A")]),
        ("O I-A I-A", [(0, 1, 2, "A")]),
        ("B-A I-B", [(0, 0, 0, "A"), (0, 1, 1, "B")]),
        ("I-A B-A I-A", [(0, 0, 0, "A"), (0, 1, 2, "A")]),
        ("O O", []),
        ("B-x-y I-x-y", [(0, 0, 1, "x-y")]),
    ],
    ids=["plain", "adjacent", "starts-with-I", "other-type", "I-then-B", "none", "hyphen"],
)
def test_where_an_entity_starts_and_ends(tags, expected):
    assert spans(tags.split()) == expected


def test_an_entity_ends_with_its_sentence():
    assert spans(["O", "B-A"], ["I-A"], []) == [(0, 1, 1, "A"), (1, 2, 2, "A")]


@given(TAGS)
def test_entities_are_those_of_conlleval(tags):
    assert set(spans(*tags)) == one_by_one(tags)


def test_measures_by_hand():
    truth = [["B-A", "I-A", "O", "B-B"], ["B-A", "O"]]
    told = [["B-A", "I-A", "B-B", "O"], ["B-A", "I-A"]]
    found = entity_metrics(truth, told, resamples=10)
    # A: two true, two told, one of them right; B: one true, one told, none right.
    assert found["micro_precision"][0] == found["micro_recall"][0] == pytest.approx(1 / 3)
    assert found["macro_f1"][0] == pytest.approx((0.5 + 0) / 2)
    assert found["per_type"]["A"]["f1"][0] == pytest.approx(0.5)
    assert [found["per_type"][k]["support"] for k in "AB"] == [2, 1]
    assert micro_f1(truth, told) == pytest.approx(1 / 3)


def test_nothing_to_find_and_nothing_found_is_zero():
    found = entity_metrics([["O"]], [["O"]], resamples=5)
    assert found["micro_f1"] == (0.0, 0.0, 0.0)
    assert found["per_type"] == {}


def test_intervals_draw_documents_as_wholes():
    """Two documents, all right and all wrong: the interval runs from one to the other."""
    truth = [["B-A"]] * 20
    told = [["B-A"]] * 10 + [["O"]] * 10
    recall = entity_metrics(truth, told, np.repeat([0, 1], 10), resamples=300)["micro_recall"]
    assert recall == (0.5, 0.0, 1.0)
    alone = entity_metrics(truth, told, resamples=300)["micro_recall"]
    assert alone[1] > 0.0


@given(TAGS, st.integers(0, 99))
def test_agrees_with_seqeval(tags, seed):
    seqeval = pytest.importorskip("seqeval.metrics")
    rng = np.random.default_rng(seed)
    told = [[t if rng.random() < 0.7 else str(rng.choice(["O", "B-A", "I-B"])) for t in s] for s in tags]
    found = entity_metrics(tags, told, resamples=2)
    for average in ("micro", "macro"):
        if found["per_type"]:
            scores = (seqeval.precision_score, seqeval.recall_score, seqeval.f1_score)
            expected = [score(tags, told, average=average, zero_division=0) for score in scores]
            mine = [found[f"{average}_{m}"][0] for m in ("precision", "recall", "f1")]
            assert mine == pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "told", "groups", "message"),
    [
        ([], [], None, "0 true and 0 predicted sentences"),
        ([["O"]], [], None, "1 true and 0 predicted sentences"),
        ([["O", "O"]], [["O"]], None, "sentence 0.*2 true and 1 predicted tags"),
        ([["X-A"]], [["O"]], None, "'X-A' is no IOB2 tag"),
        ([["B-"]], [["O"]], None, "'B-' is no IOB2 tag"),
        ([["O"]], [["O"]], [1, 2], "2 groups for 1 sentences"),
    ],
    ids=["none", "fewer", "length", "scheme", "no-type", "groups"],
)
def test_what_is_refused(truth, told, groups, message):
    with pytest.raises(BadInputError, match=message):
        entity_metrics(truth, told, None if groups is None else np.array(groups))


def test_differences_of_two_taggers():
    truth = [["B-A", "O"], ["B-B", "I-B"], ["O", "B-A"]] * 8
    right, none = truth, [["O", "O"]] * len(truth)
    assert entity_differences(truth, right, right, resamples=20)["micro_f1"] == (0.0, 0.0, 0.0)
    found = entity_differences(truth, right, none, resamples=50)
    assert found["micro_f1"] == found["macro_recall"] == (1.0, 1.0, 1.0)
