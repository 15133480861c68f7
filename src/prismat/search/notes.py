"""What a user should know of a query before reading its answer."""

import re
from collections.abc import Iterator

from prismat.modalities.text import clean_text, main_script
from prismat.search.query import Query

_READ = ("LATIN", "GREEK")
_FUNCTION_WORDS = """
a about above after all also am an and any are as at be been being below between both but by can could did do
does doing down during each few find for from further get give had has have having he her here hers him his
how i if in into is it its itself just let like look me more most my no nor not of off on once one only or
other our out over own please same search see she should show so some such than that the their them then there
these they this those through to too under until up very want was we were what when where which while who whom
why will with would you your
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English function words, and the verbs of asking."""


def query_notes(query: Query) -> Iterator[str]:
    """Notes on a query that is answered but may not mean what was meant."""
    if query.text is not None:
        yield from text_notes(query.text)
    if examples := query.steer.examples:
        told = "The record given as an example is" if len(examples) == 1 else "Records given as examples are"
        yield f"{told} left out of the results."


def text_notes(text: str) -> Iterator[str]:
    """Why a text tells the model little; nothing where it tells something."""
    text = clean_text(text)
    words = re.findall(r"\w+", text.lower())
    if words and all(word in STOP_WORDS for word in words):
        yield (
            "The text has only words without a meaning of their own; the order of the results tells little. "
            "Name a mineral, a formula, a class of materials or a structure."
        )
    elif not any(c.isalpha() for c in text):
        yield "The text has no letters; the order of the results tells little."
    script, share = main_script(text)
    if script not in _READ and share > 0.5:
        name = "Chinese or Japanese" if script == "CJK" else script.title()
        yield (
            f"The text is mostly in {name} script, of which the text encoder knows little; "
            "English works best."
        )
