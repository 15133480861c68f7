"""Attention of one text in one encoder, with what its check says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from prismat.explain.attention.check import CheckSettings, WordSide, check_orders
from prismat.explain.attention.source import TextSource
from prismat.explain.attention.study import word_values
from prismat.explain.attention.weights import Attention, read_attention
from prismat.explain.explanation import Curves
from prismat.modalities.text import check_query

AREAS = ("deletion", "deletion_random", "insertion", "insertion_random")
"""Of a check's dictionary, areas under the curves."""


@dataclass(frozen=True)
class Shown:
    """Which attention is looked at.

    Attributes:
        layer: from 1; the last one where not given.
        head: from 1; the mean of all heads where not given.
    """

    layer: int | None = None
    head: int | None = None

    def name(self, attention: Attention) -> str:
        """In words."""
        layers = attention.weights.shape[0]
        layer = f"layer {self.layer or layers} of {layers}"
        return f"{layer}, head {self.head}" if self.head else f"{layer}, mean of heads"


@dataclass(frozen=True, eq=False)
class Told:
    """Attention of one encoder for one text, with what its check says.

    Attributes:
        source: the encoder.
        attention: all weights.
        values: by way, a value per word; the attention that is looked at comes first.
        check: by way, curves; empty for a text of one word.
        target: what the score is the cosine with, in words.
    """

    source: TextSource
    attention: Attention
    values: dict[str, Float[np.ndarray, " words"]]
    check: dict[str, Curves]
    target: str

    @property
    def first(self) -> str:
        """Name of the attention that is looked at."""
        return next(iter(self.values))

    @property
    def unread(self) -> int:
        """Words behind where the encoder cuts a text."""
        return int((self.attention.tokens.counts == 0).sum())

    def to_dict(self, matrices: bool = False) -> dict[str, Any]:
        """As JSON types.

        Args:
            matrices: all token × token weights as well.
        """
        words = [{"word": word.text, "start": word.start, "end": word.end} for word in self.attention.words]
        return {
            "encoder": self.source.name,
            "note": self.source.note,
            "compared_with": self.target,
            "unread_words": self.unread,
            **self.attention.to_dict(matrices),
            "words": words,
            "values": {way: np.round(values, 6).tolist() for way, values in self.values.items()},
            "check": {way: curves.to_dict() for way, curves in self.check.items()},
        }


def tell(
    source: TextSource,
    text: str,
    shown: Shown = Shown(),
    target: Float[torch.Tensor, " dim"] | None = None,
    target_name: str = "the whole text",
    settings: CheckSettings = CheckSettings(),
) -> Told:
    """Reads the attention of one text and checks it.

    Args:
        source: the encoder.
        text: a query, or the text of a record.
        shown: layer and head.
        target: unit vector that the text is compared with; its own where not given.
        target_name: in words.
        settings: of the check.

    Raises:
        BadInputError: a text without letter or digit, or no such layer or head.
    """
    attention = read_attention(source.transformer, [check_query(text)])[0]
    tokens = attention.tokens
    chosen = tokens.by_word(attention.of(shown.layer, shown.head).astype(np.float64))
    values = {shown.name(attention): chosen, **word_values(source, attention, target)}
    if shown == Shown():
        del values[next(name for name in values if name == "attention, last layer")]
    check: dict[str, Curves] = {}
    if len(tokens.words) > 1:
        against = source.own_vector(tokens.text) if target is None else target
        check = check_orders(WordSide(source, tokens.text, tokens.words), against, values, settings)
    return Told(source, attention, values, check, target_name)


def number(value: float, digits: int = 2) -> str:
    """With a real minus, and none before zero."""
    told = f"{value:.{digits}f}"
    return told.lstrip("-") if float(told) == 0 else told.replace("-", "−")


def verdict(told: Told) -> str:
    """What the check says of the attention that is looked at, in a sentence."""
    if not told.check:
        return "One word alone has no order that could be checked."
    found = {name: told.check[told.first].to_dict()[name] for name in AREAS}
    falls = "sooner" if found["deletion"] < found["deletion_random"] else "no sooner"
    rises = "sooner" if found["insertion"] > found["insertion_random"] else "no sooner"
    gone, gone_random, put, put_random = (number(value) for value in found.values())
    return (
        f"Without its highest words first, the cosine with {told.target} falls {falls} than by chance (area "
        f"{gone} against {gone_random}); with them first it rises {rises} ({put} against {put_random})."
    )
