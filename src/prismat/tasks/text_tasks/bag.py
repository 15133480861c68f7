"""Baselines that know words and no language: counts of words for texts, words in a window for tags."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

MOST_WORDS = 2_000
LEAST_TEXTS = 2
_WORD = re.compile(r"\w+")
_MOST_IN_WINDOW = 20_000


def bag_of_words(
    texts: Sequence[str], train: Int[np.ndarray, " train"], most: int = MOST_WORDS
) -> Float[np.ndarray, "texts words"]:
    """Uni-grams as tf-idf: (1 + log count) · log(n / texts with it), rows of unit length.

    Args:
        texts: all of them.
        train: rows by which words and their weights are chosen: the commonest that two of them share.
        most: words that are counted.
    """
    counted = [Counter(word.lower() for word in _WORD.findall(text)) for text in texts]
    within = Counter(word for row in train for word in counted[row])
    kept = [w for w, n in sorted(within.items(), key=lambda i: (-i[1], i[0])) if n >= LEAST_TEXTS][:most]
    place = {word: i for i, word in enumerate(kept)}
    found = np.zeros((len(texts), max(len(kept), 1)), dtype=np.float32)
    for row, counts in enumerate(counted):
        for word in counts.keys() & place.keys():
            found[row, place[word]] = 1 + np.log(counts[word])
    found *= np.log(len(train) / np.array([within[w] for w in kept] or [1.0]), dtype=np.float64)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.where(length > 0, length, 1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class WordWindows:
    """The word before, the word and the word after, as numbers.

    Attributes:
        numbers: of all words of all sentences, shape (words, 3); 0 for unknown words and for edges.
        first: of each sentence, where its words begin.
        lengths: words of each sentence.
        vocabulary: how many numbers there are.
    """

    numbers: Int[np.ndarray, "words three"]
    first: Int[np.ndarray, " sentences"]
    lengths: Int[np.ndarray, " sentences"]
    vocabulary: int

    def take(self, rows: Int[np.ndarray, " n"]) -> Int[torch.Tensor, "words three"]:
        """Windows of the words of some sentences."""
        chosen = [np.arange(self.first[r], self.first[r] + self.lengths[r]) for r in rows]
        return torch.from_numpy(self.numbers[np.concatenate(chosen)])


def word_windows(
    sentences: Sequence[Sequence[str]], train: Int[np.ndarray, " train"], most: int = _MOST_IN_WINDOW
) -> WordWindows:
    """Numbers the commonest words of the training sentences, in lower case.

    Args:
        sentences: words of each.
        train: rows by which words are chosen.
        most: words that are known.
    """
    counts = Counter(word.lower() for row in train for word in sentences[row])
    ordered = sorted(counts, key=lambda w: (-counts[w], w))[:most]
    place = {word: i for i, word in enumerate(ordered, start=1)}
    rows = []
    for sentence in sentences:
        own = [0, *(place.get(w.lower(), 0) for w in sentence), 0]
        rows.append(np.stack([own[:-2], own[1:-1], own[2:]], axis=1).astype(np.int64).reshape(-1, 3))
    lengths = np.array([len(s) for s in sentences])
    return WordWindows(np.concatenate(rows), np.cumsum(lengths) - lengths, lengths, len(ordered) + 1)
