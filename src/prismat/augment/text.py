"""Views of texts for contrastive training: sentences in another order, formulas written differently, gaps.

Views of strings change what is read, and frozen features are cached by text: they serve encoders that read
tokens in every step (``TokenReader``, ``EncoderReader``), not the frozen sentence embeddings.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch

from prismat.elements import SYMBOLS, column, table
from prismat.encoders.masked_language import MaskingConfig, MaskVocabulary, mask_tokens
from prismat.errors import BadInputError
from prismat.formula import reduced_formula
from prismat.modalities.formula_spans import Span, formula_spans
from prismat.modalities.formula_text import PLACEHOLDER, SYMBOL
from prismat.modalities.text import TokenBatch

Replacement = Literal["reduced", "names", "mask"]
"""A formula as its reduced formula, as the names of its elements, or as the placeholder ``[formula]``."""


@dataclass(frozen=True)
class TextViews:
    """What is drawn anew for every text.

    Attributes:
        masking: share of the tokens that become the mask token.
        shuffle: chance that the sentences come in another order.
        replacement: chance that one formula is written differently.
        ways: how a formula may be written, each equally likely.

    Raises:
        BadInputError: a value out of range, or no way to write a formula.
    """

    masking: float = 0.0
    shuffle: float = 0.0
    replacement: float = 0.0
    ways: tuple[Replacement, ...] = ("reduced", "names", "mask")

    def __post_init__(self) -> None:
        in_range = 0 <= self.masking < 1 and all(0 <= c <= 1 for c in (self.shuffle, self.replacement))
        if not (in_range and self.ways and set(self.ways) <= set(get_args(Replacement))):
            raise BadInputError(
                f"views of {self}",
                field="text views",
                remedy="Give chances of 0 to 1, masking below 1, and ways out of reduced, names and mask.",
            )


def text_views(texts: Sequence[str], config: TextViews, rng: np.random.Generator) -> list[str]:
    """One view of each text; tokens are masked later, by ``token_views``.

    Args:
        texts: an empty one stays so.
        config: what may change.
        rng: of all draws; the same state gives the same views.
    """
    draws = rng.random((len(texts), 2)) < [config.shuffle, config.replacement]
    views = []
    for text, (is_shuffled, is_replaced) in zip(texts, draws, strict=True):
        view = shuffle_sentences(text, rng) if is_shuffled else text
        if is_replaced:
            view = replace_formulas(view, rng, config.ways[rng.integers(len(config.ways))])
        views.append(view)
    return views


def token_views(
    batch: TokenBatch, vocabulary: MaskVocabulary, config: TextViews, generator: torch.Generator
) -> TokenBatch:
    """Texts of which a share of the tokens is replaced by the mask token; special tokens stay.

    Args:
        batch: token ids.
        vocabulary: of their tokeniser.
        config: the share.
        generator: of the draws.
    """
    masking = MaskingConfig(share=config.masking, masked=1.0, random=0.0)
    return mask_tokens(batch, vocabulary, generator, masking)[0]


_END = re.compile(r"(?<=[^\s.!?])([.!?]+[\"'”’)\]]*)\s+(?=[\"'“‘(\[]*[A-Z\d\u0370-\u03ff])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:al|figs?|eqs?|refs?|nos?|vols?|pp?|ca|cf|vs|etc|approx|resp|e\.g|i\.e|viz|dr|prof|st|mt|sp|gr|wt"
    r"|mol|calc|obs|anal|ser|ed|eds|inc|co|am|acta|rev|phys|chem|bull|int|univ|abb|tab|nr|bzw|z\.b|u\.a)"
    # An initial, but not the unit of a number (at 300 K.), or a roman numeral.
    r"|(?:^|[\s(.])(?<!\d\s)[A-Z]|(?-i:\b[IVXLC]+))\Z",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_SYMBOL = re.compile(SYMBOL)
# Where a symbol can be read it is one: the A of Al is no placeholder.
_PLACEHOLDER = re.compile(rf"(?!(?:{SYMBOL}))(?:{PLACEHOLDER})")


def sentences(text: str) -> list[str]:
    """Sentences of a text, which joined by single spaces give it back.

    No sentence ends within a number or a formula (Fe2.5O), after an abbreviation (et al., Fig. 3), an initial
    or a roman numeral, and none is without a word.
    """
    found, start = [], 0
    for match in _END.finditer(text):
        piece = text[start : match.start(1)]
        if _WORD.search(piece) and not (match.group(1)[0] == "." and _ABBREVIATION.search(piece)):
            found.append(text[start : match.end(1)])
            start = match.end()
    rest = text[start:]
    if found and not _WORD.search(rest):
        return [*found[:-1], f"{found[-1]} {rest}".rstrip()]
    return [*found, rest] if rest else found


def shuffle_sentences(text: str, rng: np.random.Generator) -> str:
    """The sentences of a text in random order; one that lacked its full stop at the end gets it elsewhere.

    Args:
        text: any; one of a single sentence comes back as it is.
        rng: of the order.
    """
    parts = sentences(text)
    if len(parts) < 2:
        return text
    is_open = parts[-1].rstrip("\"'”’)]")[-1:] not in (".", "!", "?")
    if is_open:
        parts[-1] += "."
    joined = " ".join(parts[i] for i in rng.permutation(len(parts)))
    return joined.removesuffix(".") if is_open else joined


def replace_formulas(text: str, rng: np.random.Generator, how: Replacement) -> str:
    """A text of which one formula, drawn at random, is written in another way.

    What another way would not say the same of stays: variables (Mg1-xFexO) and open choices ((Mg,Fe)O) have
    no reduced formula, placeholders (A2X4) and deuterium neither that nor names, and a structure type
    (NaCl-type) is nobody's composition.

    Args:
        text: any; one without a formula comes back as it is.
        rng: of the choice.
        how: the other way.
    """
    write = _WAYS[how]
    spans = [span for span in formula_spans(text) if span.kind == "formula"]
    choices = [(s, w) for s in spans if (w := write(s, text[s.start : s.end])) and w != text[s.start : s.end]]
    if not choices:
        return text
    span, written = choices[rng.integers(len(choices))]
    return f"{text[: span.start]}{written}{text[span.end :]}"


def _reduced(span: Span, written: str) -> str:
    """The reduced formula, empty where it is not the same substance."""
    is_open = "," in written or re.search(r"[a-z]", _SYMBOL.sub("", written))
    return "" if is_open or not _is_plain(span, written) else reduced_formula(dict(span.amounts))


def _names(span: Span, written: str) -> str:
    """Element names, the most electropositive first; empty where they are not the same elements."""
    if not _is_plain(span, written):
        return ""
    rank = np.nan_to_num(column("electronegativity"), nan=9.0)
    return " ".join(
        _element_names()[z] for z in sorted((z for z, _ in span.amounts), key=lambda z: (rank[z], z))
    )


def _is_plain(span: Span, written: str) -> bool:
    """Whether the amounts tell all elements: no placeholder for any of several, no isotope."""
    return bool(span.amounts) and "D" not in _SYMBOL.findall(written) and not _PLACEHOLDER.search(written)


def _masked(span: Span, written: str) -> str:
    """The placeholder that ``chemistry_text.mask`` writes."""
    del span, written
    return "[formula]"


_WAYS: dict[Replacement, Callable[[Span, str], str]] = {"reduced": _reduced, "names": _names, "mask": _masked}


@cache
def _element_names() -> tuple[str, ...]:
    """Lower-case names by atomic number."""
    names = {row["symbol"]: row["name"].lower() for row in table()}
    return tuple(names.get(symbol, "") for symbol in SYMBOLS)
