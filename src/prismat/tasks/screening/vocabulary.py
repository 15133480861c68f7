"""The words that structures are tagged with: keywords of training titles, and which titles hold them."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from prismat.errors import BadInputError
from prismat.modalities.chemical_words import fold
from prismat.modalities.chemistry_text import mask
from prismat.modalities.keywords import keywords
from prismat.modalities.lexicon import Lexicon
from prismat.tasks.opened import Opened

LEAST_GROUPS = 3
"""Groups of training records that a keyword must come from: one paper's own term is no tag for others."""
_LONGEST = 4
_SEGMENT = re.compile(r"[^\w\s\-‐–'’]+")
_TOKEN = re.compile(r"\w+")
_KEEPS_S = ("ss", "us", "is")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Keywords of training records.

    Attributes:
        words: as most titles write them, in lower case.
        counts: training records whose texts hold each.
        chemical: which of them tell elements, compounds or minerals.
    """

    words: tuple[str, ...]
    counts: Int[np.ndarray, " words"]
    chemical: Bool[np.ndarray, " words"]

    def __len__(self) -> int:
        return len(self.words)


def record_texts(opened: Opened) -> list[str]:
    """What is read of each record: its title and, where it has them, its own keywords."""
    given = [dict(texts).get("keywords", "") for texts in opened.records.table["texts"]]
    return ["; ".join(filter(None, pair)) for pair in zip(opened.records.titles, given, strict=True)]


def build_vocabulary(
    texts: Sequence[str],
    groups: Int[np.ndarray, " texts"],
    minerals: Sequence[str] = (),
    least_groups: int = LEAST_GROUPS,
) -> Vocabulary:
    """Keywords that the texts of several groups hold; formulas and symbols of elements are left out.

    Args:
        texts: titles and keywords of training records.
        groups: of each text.
        minerals: names that count as chemistry.
        least_groups: groups whose texts must hold a word.

    Raises:
        BadInputError: no keyword is in the texts of enough groups.
    """
    written: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for word in keywords(text):
            # The plural of a silent word is silent too.
            if (key := _key(word)) and keywords(key):
                written[key][word] += 1
    lexicon = Lexicon.from_names(minerals)
    shown = {key: forms.most_common(1)[0][0] for key, forms in sorted(written.items())}
    shown = {key: word for key, word in shown.items() if mask(word, "formula") == word and len(key) > 2}
    there = tag_matrix(texts, list(shown))
    names, cluster = np.unique(groups, return_inverse=True)
    held = np.zeros((len(names), len(shown)), dtype=bool)
    np.logical_or.at(held, cluster.ravel(), there)
    kept = np.flatnonzero(held.sum(axis=0) >= least_groups)
    if not len(kept):
        raise BadInputError(
            f"no keyword is in the texts of {least_groups} groups",
            field="vocabulary",
            remedy="Give a store with titles or keywords, such as AMCSD.",
        )
    words = [list(shown.values())[i] for i in kept]
    chemical = [mask(_spaced(word), "minerals", lexicon) != _spaced(word) for word in words]
    lower = tuple(fold(word) for word in words)
    return Vocabulary(lower, there[:, kept].sum(axis=0), np.array(chemical, dtype=bool))


def tag_matrix(texts: Sequence[str], words: Sequence[str]) -> Bool[np.ndarray, "texts words"]:
    """Which texts hold which words, whole; case, accents, hyphens and the plural do not matter."""
    column = defaultdict(list)
    for i, word in enumerate(words):
        column[_key(word)].append(i)
    found = np.zeros((len(texts), len(words)), dtype=bool)
    for row, text in enumerate(texts):
        for key in _ngrams(text):
            if key in column:
                found[row, column[key]] = True
    return found


def _key(word: str) -> str:
    return " ".join(_tokens(word))


def _spaced(word: str) -> str:
    return word.replace("-", " ")


def _tokens(text: str) -> list[str]:
    """Folded words without the s of the plural."""
    return [_singular(token) for token in _TOKEN.findall(fold(text))]


def _singular(token: str) -> str:
    ends = token.endswith("s") and len(token) > 3 and not token.endswith(_KEEPS_S)
    return token[:-1] if ends else token


def _ngrams(text: str) -> set[str]:
    """Runs of up to four words that no punctuation divides."""
    found = set()
    for segment in _SEGMENT.split(text):
        tokens = _tokens(segment)
        for size in range(1, _LONGEST + 1):
            found |= {" ".join(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
    return found
