"""Words of a text as parts of a match."""

import re
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from prismat.api import SENTENCE, Prismat
from prismat.device import moved
from prismat.errors import BadInputError
from prismat.explain.explanation import Item, Unit
from prismat.explain.side import Vectors
from prismat.modalities.text import FrozenTextBatch, check_query

MOST_WORDS = 32
_WORD = re.compile(r"\S+")


class TextSide:
    """Words as parts, in runs where there are many; taking one away leaves it out of the text.

    Args:
        prismat: the model.
        text: words.

    Raises:
        BadInputError: the model reads no text, or the text says nothing.
    """

    window = "text"
    unit: Unit = "word"
    operator = "words are left out"
    chunk = 512

    def __init__(self, prismat: Prismat, text: str) -> None:
        if prismat.reader is None:
            raise BadInputError("this model has no text window", field="text", remedy="Explain another side.")
        self.model, self.reader = prismat.model, prismat.reader
        self.text = check_query(text)
        self.data: dict[str, Any] = {"text": self.text}
        self.spans = word_spans(self.text)

    def __len__(self) -> int:
        return len(self.spans)

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per word, or run of words."""
        told = zip(self.spans, values, strict=True)
        return [Item(self.text[a:b], float(value), start=a, end=b) for (a, b), value in told]

    def without(self, kept: Bool[np.ndarray, " parts"]) -> str | None:
        """The text of the words that are kept; None without any."""
        words = [self.text[a:b] for (a, b), stays in zip(self.spans, kept, strict=True) if stays]
        return " ".join(words) or None

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the text with only some of its words; of no text where none is left."""
        batch = self.reader.read([self.without(row) for row in kept])
        found = self.model.embed("text", moved(batch, next(self.model.parameters()).device))
        return found | ({SENTENCE: batch.embedding} if isinstance(batch, FrozenTextBatch) else {})


def word_spans(text: str, most: int = MOST_WORDS) -> list[tuple[int, int]]:
    """First and last character of every word, or of runs of words where there are more than ``most``."""
    words = [match.span() for match in _WORD.finditer(text)]
    run = max(1, -(-len(words) // most))
    return [(words[i][0], words[min(i + run, len(words)) - 1][1]) for i in range(0, len(words), run)]


def word_of_tokens(
    offsets: list[tuple[int, int]], spans: list[tuple[int, int]]
) -> Int[np.ndarray, " tokens"]:
    """The word that each token's first character lies in; −1 for tokens of no character."""
    ends = np.array([end for _, end in spans])
    # A token may begin with the space before its word, and so belongs to the first word that ends after it.
    found = [int(np.searchsorted(ends, start, side="right")) if end > start else -1 for start, end in offsets]
    return np.minimum(np.array(found, dtype=np.int64), len(spans) - 1)
