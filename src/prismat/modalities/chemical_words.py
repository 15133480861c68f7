"""Words that name elements, in English, German, French and Italian, taken apart into their roots.

``data/chemical_words.csv`` holds element names, roots that take endings (``phosph-`` in phosphide, Phosphat,
fluorophosphate, fosfato), whole compound words, names of mineral groups, prefixes of mineral names, and words
to leave alone. A word counts only where such parts cover it from end to end: tin is not found in
``containing``, nor iron in ``environment``.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

from prismat.elements import atomic_number

Kind = Literal["element", "mineral", "other"]


@dataclass(frozen=True)
class WordMeaning:
    """What a word says of the elements.

    Attributes:
        kind: ``element`` for element names and chemical words, ``mineral`` for groups and what looks like a
            mineral's name, ``other`` for the rest of the language.
        elements: atomic numbers.
    """

    kind: Kind
    elements: frozenset[int] = frozenset()


_NOTHING = WordMeaning("other")

_MULTIPLIER = (
    "mono|mon|di|tri|tetra|tetr|penta|pent|hexa|hex|hepta|hept|octa|oct|nona|deca|dodeca|hemi|sesqui|bis|bi|tris"
    "|un|ortho|meta|pyro|poly|per|hypo|cyclo|ino|soro|neso|phyllo|tecto|esa|otta|ennea|endeca|eicosa|super|sub|de|non"
)
_IDE = r"id(?:e|es|en|s|o|i|is)?|yd(?:e|es|en|s)?|ur(?:e|es|o|i)|uret"
_ATE = r"at(?:e|es|en|s|o|i|ed|ee|ees|o-)?|yl"
_JOIN = r"(?:[oyi]|oxy|an)(?=[a-z]{3})|(?=ox)"
_ADJECTIVE = r"ian|oan|ean|iferous|ic(?=acid)|eux|ique|iques"

_MINERAL_ENDING = re.compile(r"[a-z]{3,}(?<!bil)(?<!tiv)ites?\Z")


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Lower case without accents: Molybdän and molybdan become one."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@cache
def vocabulary() -> dict[str, dict[str, frozenset[int]]]:
    """Atomic numbers by kind of entry (element, root, compound, group, prefix, plain) and word."""
    text = (files("prismat") / "data" / "chemical_words.csv").read_text(encoding="utf-8")
    found: dict[str, dict[str, frozenset[int]]] = {}
    for row in csv.DictReader(text.splitlines()):
        numbers = frozenset(atomic_number(symbol) for symbol in row["elements"].split())
        found.setdefault(row["kind"], {})[row["word"]] = numbers
    return found


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(one part of a chemical word, a whole chemical word)."""
    nouns = _alternatives([*vocabulary()["compound"], *vocabulary()["element"]])
    roots = _alternatives(vocabulary()["root"])
    part = (
        rf"(?P<times>(?:{_MULTIPLIER})*)(?:(?P<root>{roots})(?:(?P<ate>{_ATE})|{_IDE}|{_JOIN}|{_ADJECTIVE})"
        rf"|(?P<noun>{nouns})(?:s|es|en|e|o|i)?)"
    )
    whole = rf"(?:{re.sub(r'[?]P<[a-z]+>', '?:', part)})"
    # A part counts only where the rest of the word can be covered too: carbonate is not carbon and a rest.
    return re.compile(rf"{part}(?={whole}*\Z)"), re.compile(rf"{whole}+")


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=lambda w: (-len(w), w)))


@lru_cache(maxsize=65536)
def meaning(word: str) -> WordMeaning:
    """What one folded word (see ``fold``) says of the elements, mineral names of a lexicon apart."""
    group = vocabulary()["group"].get(word)
    if group is not None:
        return WordMeaning("mineral", group)
    if len(word) < 3 or word in vocabulary()["plain"]:
        return _NOTHING
    part, whole = _patterns()
    if whole.fullmatch(word):
        return WordMeaning("element", _elements_of_parts(part, word))
    if _MINERAL_ENDING.match(word) and len(word) >= 6:
        return WordMeaning("mineral", _elements_of_prefix(word))
    return _NOTHING


def _elements_of_parts(part: re.Pattern[str], word: str) -> frozenset[int]:
    """Elements of all parts; -ate brings oxygen unless counted ligands precede it (hexafluorosilicate)."""
    roots, nouns = vocabulary()["root"], vocabulary()["compound"] | vocabulary()["element"]
    found: set[int] = set()
    ligands = False
    for match in part.finditer(word):
        if match.group("noun"):
            found |= nouns[match.group("noun")]
            continue
        numbers = roots[match.group("root")]
        found |= numbers
        if match.group("ate") and not ligands:
            found.add(8)
        ligands |= bool(match.group("times")) and bool(numbers & {9, 16, 17, 35, 53})
    return frozenset(found)


def _elements_of_prefix(word: str) -> frozenset[int]:
    """Elements that the prefix of a mineral's name tells: magnesioferrite, fluorapatite."""
    prefixes = vocabulary()["prefix"]
    # Six letters have to be left, the shortest stem of a name with its ending.
    for length in range(min(len(word) - 6, 10), 2, -1):
        if word[:length] in prefixes:
            return prefixes[word[:length]]
    return frozenset()
