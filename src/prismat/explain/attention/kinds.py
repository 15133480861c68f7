"""What kind of word a word is: chemistry, symmetry, condition, or the glue between."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool

from prismat.explain.attention.tokens import Word
from prismat.modalities.chemistry_text import scan
from prismat.modalities.lexicon import EMPTY, Lexicon

Kind = Literal["formula", "element", "mineral", "symmetry", "condition", "glue", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHEMISTRY: frozenset[Kind] = frozenset(("formula", "element", "mineral", "symmetry"))
"""Kinds that tell what a crystal is."""

_SYMMETRY = re.compile(
    r"\W*((?:pseudo|non)?(?:cubic|isometric|tetragonal|trigonal|rhombohedral|hexagonal|orthorhombic|monoclinic"
    r"|triclinic|centrosymmetric|centric|centred|centered|polar)|symmetr(?:y|ic|ies)|space-?group|poly(?:morph|type)s?"
    r"|polymorphism|poly(?:morphic|typic|typism)|superstructures?|octahedr(?:al|on|a)|tetrahedr(?:al|on|a)"
    r"|[PIFABCR][-\d][\w/-]*)\W*",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\W*(pressures?|temperatures?|[GMk]?Pa|k?bars?|K|°C|low|high|room|heated|compress\w*|compressibility|thermal|expansion"
    r"|[\d.,–-]+)\W*"
)
_GLUE_WORDS = (
    "a an and are as at be been between by for from has have in into is it its new of on or some than that",
    "the their this to under upon using was were which with without und der die das von des de la le et note",
    "i ii iii iv v",
)
_GLUE = frozenset(word for line in _GLUE_WORDS for word in line.split())


def kinds_of(words: Sequence[Word], text: str, lexicon: Lexicon = EMPTY) -> list[Kind]:
    """The kind of every word.

    Formulas, elements and minerals are those that ``modalities.chemistry_text.scan`` finds; symmetry and
    conditions are closed lists; glue are articles, prepositions and the like.

    Args:
        words: of the text.
        text: the text.
        lexicon: mineral names that are known.
    """
    spans = scan(text, lexicon)
    found: list[Kind] = []
    for word in words:
        chemical = next((s.kind for s in spans if s.start < word.end and word.start < s.end), None)
        found.append(chemical or _plain_kind(word.text))
    return found


def is_kind(kinds: Sequence[Kind], wanted: frozenset[Kind] = CHEMISTRY) -> Bool[np.ndarray, " words"]:
    """Which words are of some kinds."""
    return np.array([kind in wanted for kind in kinds], dtype=bool)


def _plain_kind(word: str) -> Kind:
    if word.strip(".,;:()[]'\"").lower() in _GLUE or not any(c.isalnum() for c in word):
        return "glue"
    if _SYMMETRY.fullmatch(word):
        return "symmetry"
    return "condition" if _CONDITION.fullmatch(word) else "other"
