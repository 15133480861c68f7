"""What a text says of the elements: formulas, symbols, chemical words and minerals, found or masked."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from prismat.elements import MAX_Z
from prismat.modalities.chemical_words import fold, meaning
from prismat.modalities.formula_spans import BORROWED, Span, formula_spans
from prismat.modalities.lexicon import EMPTY, Lexicon

MaskLevel = Literal["formula", "elements", "minerals"]

_N = MAX_Z + 1
FORMULA, MENTION, LEXICON, FLAGS = (
    slice(0, _N),
    slice(_N, 2 * _N),
    slice(2 * _N, 3 * _N),
    slice(3 * _N, 3 * _N + 6),
)
CHEMISTRY_WIDTH = 3 * _N + 6
"""Width of the element channel: three blocks of 99 indexed by atomic number, and six flags."""

_WORD = re.compile(r"[^\W\d_]{3,}")
_LEVELS = {
    "formula": {"formula"},
    "elements": {"formula", "element"},
    "minerals": {"formula", "element", "mineral"},
}
_PLACEHOLDERS = re.compile(r"(\[(?:formula|element|mineral)\])")


def scan(text: str, lexicon: Lexicon = EMPTY) -> list[Span]:
    """Stretches of a text that tell elements, in order and without overlap.

    Args:
        text: one title or query.
        lexicon: mineral names that are known.
    """
    spans = formula_spans(text)
    taken = [(span.start, span.end) for span in spans]
    for word in _words(text, taken):
        found = _word_span(word, text, lexicon)
        if found is not None:
            spans.append(found)
    return sorted(spans, key=lambda span: span.start)


def _words(text: str, taken: Sequence[tuple[int, int]]) -> Iterator[re.Match[str]]:
    """Words outside the stretches that formulas and symbols take."""
    position = 0
    for start, end in [*taken, (len(text), len(text))]:
        yield from _WORD.finditer(text, position, start)
        position = end


def _word_span(word: re.Match[str], text: str, lexicon: Lexicon) -> Span | None:
    folded = fold(word.group())
    meant = meaning(folded)
    name = lexicon.find(folded) if meant.kind != "element" else None
    if name is None and meant.kind == "other":
        return None
    kind = "element" if meant.kind == "element" else "mineral"
    borrowed = BORROWED.match(text, word.end()) is not None
    numbers = () if borrowed else tuple((z, 1.0) for z in sorted(meant.elements))
    return Span(word.start(), word.end(), kind, numbers, "" if borrowed else name or "")


def parse_chemistry(text: str, lexicon: Lexicon = EMPTY) -> Float[np.ndarray, "303"]:
    """The element channel of one text.

    Layout (see ``FORMULA``, ``MENTION``, ``LEXICON``, ``FLAGS``), blocks indexed by atomic number:

    * 0–98: element fractions of the formulas, averaged over formulas; sums to 1 where there is one.
    * 99–197: 1 for every element that a formula, a symbol, a name or a chemical word tells.
    * 198–296: mean element fractions of the minerals that the lexicon knows.
    * 297–302: whether a formula, an element or a known mineral was found, then log(1 + how many) of each.

    Args:
        text: one title or query.
        lexicon: mineral names with fractions, made from training rows.
    """
    channel = np.zeros(CHEMISTRY_WIDTH)
    formulas: list[tuple[tuple[int, float], ...]] = []
    minerals: list[str] = []
    mentioned: set[int] = set()
    for span in scan(text, lexicon):
        mentioned.update(z for z, _ in span.amounts)
        if span.kind == "formula" and span.amounts:
            formulas.append(span.amounts)
        if span.name:
            minerals.append(span.name)
    for amounts in formulas:
        total = sum(n for _, n in amounts) * len(formulas)
        for z, n in amounts:
            channel[z] += n / total
    for z in mentioned:
        channel[_N + z] = 1.0
    if minerals:
        channel[LEXICON] = np.mean([lexicon.fractions[name] for name in minerals], axis=0)
    counts = np.array([len(formulas), len(mentioned), len(minerals)])
    channel[FLAGS] = np.concatenate([counts > 0, np.log1p(counts)])
    return channel


def chemistry_channels(
    texts: Sequence[str | None], lexicon: Lexicon = EMPTY
) -> Float[np.ndarray, "texts 303"]:
    """Element channels of many texts, float32; a missing text gives zeros, a repeated one is read once."""
    rows: dict[str | None, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        rows[text].append(row)
    channels = np.zeros((len(texts), CHEMISTRY_WIDTH), np.float32)
    for text, members in rows.items():
        if text is not None:
            channels[members] = parse_chemistry(text, lexicon)
    return channels


def mask(text: str, level: MaskLevel, lexicon: Lexicon = EMPTY) -> str:
    """Replaces what tells the chemistry by placeholders; levels are cumulative and masking is idempotent.

    Args:
        text: one title or query.
        level: ``formula`` masks formulas; ``elements`` also element symbols, names and chemical words;
            ``minerals`` also names of the lexicon, mineral groups and words that end like a mineral's.
        lexicon: all mineral names that may occur, test rows included (see ``Lexicon.from_names``).
    """
    kinds = _LEVELS[level]
    while True:
        parts = _PLACEHOLDERS.split(text)
        parts[::2] = [_mask_once(part, kinds, lexicon) for part in parts[::2]]
        masked = "".join(parts)
        if masked == text:
            return text
        # Again, for a symbol may stand in another light once its neighbour is gone.
        text = masked


def _mask_once(text: str, kinds: set[str], lexicon: Lexicon) -> str:
    pieces, position = [], 0
    for span in scan(text, lexicon):
        if span.kind in kinds:
            pieces += [text[position : span.start], f"[{span.kind}]"]
            position = span.end
    return "".join([*pieces, text[position:]])
