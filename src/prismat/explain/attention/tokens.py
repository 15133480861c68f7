"""Tokens of a text with the characters they stand for, and the words they make up."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Word:
    """A stretch of a text between spaces.

    Attributes:
        text: its characters.
        start: first character.
        end: behind the last character.
    """

    text: str
    start: int
    end: int


def words_of(text: str) -> tuple[Word, ...]:
    """Words of a text, in order."""
    return tuple(Word(found.group(), *found.span()) for found in _WORD.finditer(text))


def text_of(words: tuple[Word, ...], kept: Bool[np.ndarray, " words"]) -> str:
    """A text of some of its words, in their order, with single spaces."""
    return " ".join(word.text for word, keep in zip(words, kept, strict=True) if keep)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of one text.

    Attributes:
        text: as it was cleaned for the tokeniser.
        pieces: the tokens as the tokeniser writes them.
        ids: their ids, shape (tokens,).
        start: first character of each, shape (tokens,).
        end: behind the last character, shape (tokens,).
        special: whether a token stands for no part of the text ([CLS], [SEP]), shape (tokens,).
    """

    text: str
    pieces: tuple[str, ...]
    ids: Int[np.ndarray, " tokens"]
    start: Int[np.ndarray, " tokens"]
    end: Int[np.ndarray, " tokens"]
    special: Bool[np.ndarray, " tokens"]

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Words of the text."""
        return words_of(self.text)

    @cached_property
    def word(self) -> Int[np.ndarray, " tokens"]:
        """Number of the word that each token is part of; −1 for special tokens.

        A token that begins with the space before a word is part of that word.
        """
        ends = np.array([word.end for word in self.words], dtype=np.int64)
        return np.where(self.special, -1, np.searchsorted(ends, self.start, side="right"))

    @cached_property
    def counts(self) -> Int[np.ndarray, " words"]:
        """Tokens of each word; 0 behind where the text was cut."""
        return np.bincount(self.word[~self.special], minlength=len(self.words))

    def by_word(self, weights: Float[np.ndarray, "*more tokens"]) -> Float[np.ndarray, "*more words"]:
        """Sum of the weights of each word's tokens; those of special tokens are left out.

        Args:
            weights: of every token, shape (…, tokens).
        """
        owner = np.zeros((len(self.word), len(self.words)))
        places = np.flatnonzero(~self.special)
        owner[places, self.word[places]] = 1.0
        return weights @ owner
