import pytest

from prismat.errors import BadInputError
from prismat.search.steer import Steer


def test_parts_and_examples():
    steer = Steer(("iron",), ("a", "b"), ("c",))
    assert steer.parts == ("not_text", "like", "unlike")
    assert steer.examples == ("a", "b", "c")
    assert Steer().parts == ()
    assert Steer.from_dict(steer.to_dict()) == steer
    assert Steer.from_dict({}) == Steer()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"not_text": ("a",) * 17}, "steer not_text: 17 entries. Give at most 16"),
        ({"like": ("a",) * 101}, "steer like: 101 entries. Give at most 100"),
        ({"unlike": ("a",) * 101}, "steer unlike: 101 entries"),
        ({"not_text": (" ",)}, "steer not_text: an entry has 0 characters"),
        ({"not_text": ("a" * 201,)}, "steer not_text: an entry has 201 characters. Give 1 to 200"),
        ({"like": ("a" * 501,)}, "steer like: an entry has 501 characters"),
        ({"not_text": ("\ud800",)}, "an entry is not Unicode. Write it in UTF-8"),
        ({"like": ("a", "b"), "unlike": ("b",)}, "'b' is both wanted and not wanted. Take it out"),
    ],
)
def test_bad_entries_are_named(arguments, message):
    with pytest.raises(BadInputError, match=message):
        Steer(**arguments)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "steer: not an object of lists. Give any of not_text, like, unlike"),
        ({"dislike": []}, "steer: not an object of lists"),
        ({"like": "a"}, "steer like: not a list of strings"),
        ({"like": [1]}, r'steer like: not a list of strings. Write \["perovskite"\]'),
    ],
)
def test_bad_payloads_are_named(payload, message):
    with pytest.raises(BadInputError, match=message):
        Steer.from_dict(payload)
