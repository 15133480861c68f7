"""Is attention an explanation? Words left out and put in by its order, against random orders.

Attention need not tell what holds a score up (Jain & Wallace, NAACL 2019). The curves are those of every
other explanation: ``prismat.explain.check``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from prismat.errors import BadInputError
from prismat.explain.attention.source import TextSource
from prismat.explain.attention.tokens import Word, text_of
from prismat.explain.check import ORDERS, POINTS, many_curves
from prismat.explain.explanation import Curves, Item, Unit
from prismat.explain.side import Comparison, Side, Target, Vectors, score_kept

_KEY = "text"


@dataclass(frozen=True)
class CheckSettings:
    """How an order of words is checked.

    Attributes:
        orders: random orders that it is compared with.
        points: steps of a curve, fewer where there are fewer words.
        seed: of the random orders.
    """

    orders: int = ORDERS
    points: int = POINTS
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses counts that make no curve."""
        if self.orders < 1 or self.points < 2:
            raise BadInputError(
                f"{self.orders} orders and {self.points} steps",
                field="check",
                remedy="Give at least 1 order and 2 steps.",
            )


class WordSide(Side):
    """A text as words that can be left out, as a transformer that shows its attention reads it.

    Args:
        source: the encoder and the way behind it.
        text: cleaned.
        words: of the text.
    """

    window = "text"
    unit: Unit = "word"
    operator = "words are left out"
    chunk = 64

    def __init__(self, source: TextSource, text: str, words: tuple[Word, ...]) -> None:
        self._source, self._words = source, words
        self.data: dict[str, Any] = {"text": text}

    def __len__(self) -> int:
        return len(self._words)

    def items(self, values: Float[np.ndarray, " words"]) -> list[Item]:
        """Every word with its value."""
        pairs = zip(self._words, values, strict=True)
        return [Item(word.text, float(value), start=word.start, end=word.end) for word, value in pairs]

    def embed(self, kept: Bool[np.ndarray, "subsets words"]) -> Vectors:
        """Unit vectors of the text of some of its words."""
        return {_KEY: self._source.vectors([text_of(self._words, row) for row in kept])}


def target_of(vector: Float[torch.Tensor, " dim"]) -> Target:
    """The cosine with one unit vector as a score."""
    return Target([Comparison(_KEY, "target", vector.numpy(), 1.0)])


def check_orders(
    side: WordSide,
    vector: Float[torch.Tensor, " dim"],
    values: Mapping[str, Float[np.ndarray, " words"]],
    settings: CheckSettings = CheckSettings(),
) -> dict[str, Curves]:
    """Checks several orders of the words of one text against the same random orders.

    Args:
        side: the text.
        vector: unit vector that the text is compared with.
        values: by name, a value per word; the highest is left out, or put in, first.
        settings: random orders and steps.

    Raises:
        BadInputError: the text has fewer than two words, so that there is no order.
    """
    if len(side) < 2:
        raise BadInputError(
            "a text of one word has no order of words", field="text", remedy="Give two words or more."
        )
    ranked = list(values.values())
    found = many_curves(side, target_of(vector), ranked, settings.orders, settings.points, settings.seed)
    return dict(zip(values, found, strict=True))


def occlusion(side: WordSide, vector: Float[torch.Tensor, " dim"]) -> Float[np.ndarray, " words"]:
    """What the cosine with a unit vector loses when a word is left out."""
    return lost(side, vector, np.eye(len(side), dtype=bool))


def lost(
    side: WordSide, vector: Float[torch.Tensor, " dim"], gone: Bool[np.ndarray, "subsets words"]
) -> Float[np.ndarray, " subsets"]:
    """What the cosine with a unit vector loses when some words are left out together."""
    kept = np.concatenate([np.ones((1, len(side)), dtype=bool), ~gone])
    scores = score_kept(side, target_of(vector), kept)
    return scores[0] - scores[1:]


def deletion_gain(curves: Curves) -> float:
    """How much lower the area under the deletion curve is than that of random orders; above 0 is better."""
    return float(curves.area(curves.random_deletion).mean() - curves.area(curves.deletion))


def insertion_gain(curves: Curves) -> float:
    """How much higher the area under the insertion curve is than that of random orders."""
    return float(curves.area(curves.insertion) - curves.area(curves.random_insertion).mean())
