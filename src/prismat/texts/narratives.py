"""Narratives of a material by a language model from facts alone: the captions of CLaC's pretraining."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prismat.texts.prompts import MalformedAnswerError, Prompt

FEWEST_WORDS, MOST_WORDS = 30, 300

_SYSTEM = f"""\
You are given facts about one crystalline material: composition, symmetry, bonding and properties.
Write one paragraph of {FEWEST_WORDS} to {MOST_WORDS} words in plain scientific English that tells what the
material is, how its atoms are arranged, and what its properties mean for it.
State nothing that the facts do not state or that does not follow from them. Add no numbers of your own: every
number you write must stand in the facts, in the same unit. Do not guess names, synthesis, uses or sources.
Write the paragraph only, without heading, list or comment."""

_REFUSAL = re.compile(
    r"\b(?:as an ai\b|as a (?:large )?language model|i(?:'|’)?m (?:sorry|unable)|i am (?:sorry|unable)"
    r"|i (?:cannot|can(?:'|’)t)|i apologi[sz]e)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)")
_MARKED = re.compile(r"```|^\s*(?:#{1,6} |[-*] |\d+\. )", re.MULTILINE)


def check_narrative(answer: str, given: str) -> str:
    """The paragraph, its spaces made single.

    Args:
        answer: of the model.
        given: the facts it was given; every number with decimals in the answer must round from one of these.

    Raises:
        MalformedAnswerError: empty, too short or long, a refusal, marked up, or with numbers of its own.
    """
    if _REFUSAL.search(answer):
        raise MalformedAnswerError("It is a refusal.")
    if _MARKED.search(answer.strip()):
        raise MalformedAnswerError("It is marked up and no plain paragraph.")
    text = " ".join(answer.split())
    words = len(text.split())
    if not FEWEST_WORDS <= words <= MOST_WORDS:
        raise MalformedAnswerError(f"It has {words} words, of {FEWEST_WORDS} to {MOST_WORDS}.")
    facts = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", given)]
    for number in _NUMBER.findall(text):
        tolerance = 0.5000001 * 10.0 ** -len(number.partition(".")[2])
        if not any(abs(float(number) - fact) <= tolerance for fact in facts):
            raise MalformedAnswerError(f"It states {number}, which is not among the facts.")
    return text


NARRATIVE = Prompt("narrative", _SYSTEM, check_narrative, typical_tokens=220)
"""The prompt for narratives."""


def narrative_input(description: str, properties: Sequence[Mapping[str, Any]]) -> str:
    """Facts of a record as the prompt takes them.

    Args:
        description: from the template.
        properties: {name, value, unit} of each property.
    """
    lines = [f"{p['name'].replace('_', ' ')}: {p['value']:.4g} {p['unit']}".strip() for p in properties]
    return "\n".join([description, *lines])
