import pytest

from prismat.search.notes import query_notes
from prismat.search.query import Query
from prismat.search.steer import Steer


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("the of and", "only words without a meaning"),
        ("Show me some of these!", "only words without a meaning"),
        ("岩塩の結晶構造", "mostly in Chinese or Japanese script"),
        ("структура граната", "mostly in Cyrillic script"),
        ("123 456", "no letters"),
    ],
)
def test_text_that_tells_little(text, part):
    (note,) = query_notes(Query(text))
    assert part in note


@pytest.mark.parametrize("text", ["garnet", "the garnet", "NaCl", "structure of α-quartz", "I"])
def test_text_that_means_something(text):
    notes = list(query_notes(Query(text)))
    assert notes == [] or text == "I"


def test_examples_are_told():
    assert list(query_notes(Query(steer=Steer(like=("a",))))) == [
        "The record given as an example is left out of the results."
    ]
    (note,) = query_notes(Query("garnet", steer=Steer(like=("a",), unlike=("b",))))
    assert note == "Records given as examples are left out of the results."
