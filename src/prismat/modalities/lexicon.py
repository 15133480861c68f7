"""Mineral names and what they are made of."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prismat.elements import MAX_Z, SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.modalities.chemical_words import fold, meaning

_WORD = re.compile(r"[^\W\d_]+")
_NO_NAMES = frozenset(
    [
        "phase",
        "group",
        "high",
        "low",
        "ideal",
        "sample",
        "mineral",
        "minerals",
        "subgroup",
        "series",
        "exchanged",
        "dimorph",
        "blue",
        "green",
        "rich",
        "cubic",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "rust",
        "type",
        "hypothetical",
        "missing",
        "synthetic",
        "unnamed",
        "unknown",
        "lime",
        "maya",
    ]
)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Mean element fractions by mineral name.

    Build it from training rows only: a name that the test rows alone hold would otherwise tell their formula.

    Attributes:
        fractions: by lower-case name, element fractions indexed by atomic number, shape (99,).
    """

    fractions: Mapping[str, Float[np.ndarray, "99"]]

    @classmethod
    def from_rows(cls, names: Sequence[str], fractions: Float[np.ndarray, "rows 99"]) -> "Lexicon":
        """Mean fractions of the rows that share a name.

        Of a name its longest word is kept (``Chukhrovite-(Y)`` and ``Uranophane - alpha`` lose their
        suffixes); element names and chemical words are left to the parser that knows them.

        Args:
            names: mineral name of each row; empty where it has none.
            fractions: element fractions of each row.

        Raises:
            BadInputError: the two differ in length.
        """
        if len(names) != len(fractions):
            raise BadInputError(f"{len(names)} names for {len(fractions)} rows of fractions", field="names")
        rows: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(names):
            if key := key_word(name):
                rows[key].append(row)
        return cls({key: fractions[members].mean(axis=0) for key, members in sorted(rows.items())})

    @classmethod
    def from_names(cls, names: Iterable[str]) -> "Lexicon":
        """Names without fractions, for masking."""
        return cls({key: np.zeros(MAX_Z + 1) for key in sorted({key_word(name) for name in names} - {""})})

    def find(self, word: str) -> str | None:
        """The name that a folded word stands for; plurals and the German and French forms count as well."""
        for form in _forms(word):
            if form in self.fractions:
                return form
        return None

    def to_json(self) -> dict[str, dict[str, float]]:
        """Fractions by symbol and name, ready for ``json.dumps``."""
        return {
            name: {SYMBOLS[z]: float(values[z]) for z in np.flatnonzero(values)}
            for name, values in self.fractions.items()
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Mapping[str, float]]) -> "Lexicon":
        """The lexicon that ``to_json`` wrote.

        Raises:
            BadInputError: a symbol is unknown or a fraction is no number between 0 and 1.
        """
        found = {}
        for name, parts in payload.items():
            values = np.zeros(MAX_Z + 1)
            for symbol, fraction in parts.items():
                if not isinstance(fraction, (int, float)) or not 0 <= fraction <= 1:
                    raise BadInputError(
                        f"{fraction!r} is no fraction of {symbol}", record=name, field="lexicon"
                    )
                values[atomic_number(symbol)] = fraction
            found[name] = values
        return cls(found)


EMPTY = Lexicon({})
"""A lexicon without names."""


def key_word(name: str) -> str:
    """The word under which a mineral's name is kept; empty where it has none of its own."""
    words = [word for word in _WORD.findall(fold(name)) if len(word) >= 4 and word not in _NO_NAMES]
    words = [word for word in words if meaning(word).kind != "element"]
    return max(words, key=len, default="")


def _forms(word: str) -> list[str]:
    """A word and the forms it may be an inflection of: garnets, Strontianit, Covellins."""
    stem = word[:-1] if word.endswith("s") else word
    forms = [word, stem, stem + "e", word + "e"]
    return [*forms, stem[:-1]] if word.endswith(("en", "es")) else forms
