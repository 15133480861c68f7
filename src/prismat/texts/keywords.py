"""Keywords of a material by a language model: the captions of CLaSP's second stage (Suzuki et al., 2024)."""

import json
import re
from collections.abc import Mapping

from prismat.modalities.keywords import LIMIT, keywords
from prismat.texts.prompts import MalformedAnswerError, Prompt

LONGEST = 60
"""Characters of one keyword at most."""
MAX_ABSTRACT = 6000
"""Characters of an abstract that are read."""

_SYSTEM = f"""\
You read the title, and where there is one the abstract, of a paper that reports a crystal structure.
List at most {LIMIT} keywords for the material itself: its family or structure type, its structural features,
its composition class, its properties, and what it is used for.
Leave out everything about how it was studied: diffraction, spectroscopy, refinement, calculation, synthesis
and measuring conditions. Leave out people, places and words that fit every crystal.
Use only what the text says or directly implies. Each keyword is a noun phrase of one to four words.
Answer with a JSON list of strings and nothing else, such as ["garnet", "ionic conductor"].
If the text says nothing about the material, answer []."""

_FENCE = re.compile(r"\A```[a-z]*\s*(.*?)\s*```\Z", re.DOTALL)


def check_keywords(answer: str, given: str = "") -> str:  # noqa: ARG001 - the form of all checks
    """Keywords joined by commas, terms of measurement and repetitions left out.

    Args:
        answer: of the model; a JSON list of strings, in a code fence or not.
        given: what it was asked about; not used.

    Raises:
        MalformedAnswerError: no such list, or a keyword that is empty or too long.
    """
    fenced = _FENCE.match(answer.strip())
    try:
        found = json.loads(fenced.group(1) if fenced else answer)
    except ValueError as error:
        raise MalformedAnswerError("It is no JSON.") from error
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise MalformedAnswerError("It is no JSON list of strings.")
    kept: dict[str, str] = {}
    for word in (" ".join(word.replace(",", " ").split()) for word in found):
        if not word or len(word) > LONGEST:
            raise MalformedAnswerError(f"A keyword has {len(word)} characters, of 1 to {LONGEST}.")
        # What the local method leaves nothing of tells how something was measured.
        if keywords(word):
            kept.setdefault(word.casefold(), word)
    return ", ".join(list(kept.values())[:LIMIT])


KEYWORDS = Prompt("keywords", _SYSTEM, check_keywords, typical_tokens=60)
"""The prompt for keywords."""


def keyword_input(texts: Mapping[str, str]) -> str:
    """Title and abstract of a record as the prompt takes them; empty where it has neither."""
    title, abstract = texts.get("title", "").strip(), texts.get("abstract", "").strip()
    lines = [f"Title: {title}"] if title else []
    return "\n".join([*lines, f"Abstract: {abstract[:MAX_ABSTRACT]}"] if abstract else lines)


def local_keywords(given: str) -> str:
    """Keywords by the local, deterministic method, joined by commas; empty where it finds none."""
    return ", ".join(keywords(given.replace("Title: ", "").replace("\nAbstract: ", ". ")))
