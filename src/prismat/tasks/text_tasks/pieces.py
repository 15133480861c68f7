"""Words as byte-pair tokens in pieces that a transformer has positions for; nothing is cut off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Tokenizer

from prismat.modalities.text import CLS, TokenBatch, clean_text, pad_tokens
from prismat.ragged import ranges


@dataclass(frozen=True, eq=False)
class PieceBatch:
    """Pieces of some texts.

    Attributes:
        tokens: one row per piece, [CLS] first.
        owner: text of each piece, from 0.
        texts: how many texts there are.
        piece: row of ``tokens`` in which each word stands, all words of all texts in order.
        place: column of its first token there; 0 for a word that has none.
    """

    tokens: TokenBatch
    owner: Int[torch.Tensor, " pieces"]
    texts: int
    piece: Int[torch.Tensor, " words"]
    place: Int[torch.Tensor, " words"]


class Pieces:
    """Many texts, cut into pieces once, from which batches are taken.

    A text is cut between words, each piece filled as far as there are positions. A word that alone has more
    tokens is cut.

    Args:
        words: of each text.
        tokenizer: byte pairs, as trained with the encoder.
        positions: of the encoder; each piece begins with [CLS].
    """

    def __init__(self, words: Sequence[Sequence[str]], tokenizer: Tokenizer, positions: int) -> None:
        whole = Tokenizer.from_str(tokenizer.to_str())
        whole.no_truncation()
        whole.no_padding()
        self._cls = int(whole.token_to_id(CLS) or 1)
        room = positions - 1
        encoded = whole.encode_batch(
            [list(text) for text in words], is_pretokenized=True, add_special_tokens=False
        )
        self._ids: list[list[int]] = []
        pieces, piece, place = [], [], []
        for text, found in zip(words, encoded, strict=True):
            first = len(self._ids)
            own_piece, own_place = self._cut(_by_word(found.ids, found.word_ids, len(text)), room)
            pieces.append(len(self._ids) - first)
            piece += own_piece
            place += own_place
        self._piece, self._place = np.array(piece, dtype=np.int64), np.array(place, dtype=np.int64)
        self._pieces, self._words = np.array(pieces), np.array([len(text) for text in words])
        self._first_piece = np.cumsum(self._pieces) - self._pieces
        self._first_word = np.cumsum(self._words) - self._words

    def __len__(self) -> int:
        return len(self._pieces)

    def _cut(self, by_word: list[list[int]], room: int) -> tuple[list[int], list[int]]:
        """Adds the pieces of one text; gives the piece, within the text, and the place of each word."""
        piece, place, at = [], [], 0
        self._ids.append([self._cls])
        for ids in by_word:
            own = ids[:room]
            if len(self._ids[-1]) - 1 + len(own) > room:
                self._ids.append([self._cls])
                at += 1
            piece.append(at)
            place.append(len(self._ids[-1]) if own else 0)
            self._ids[-1] += own
        return piece, place

    def take(self, rows: Int[np.ndarray, " n"]) -> PieceBatch:
        """The pieces of some texts."""
        counts, words = self._pieces[rows], self._words[rows]
        chosen = ranges(self._first_piece[rows], counts)
        inside = ranges(self._first_word[rows], words)
        start = np.repeat(np.cumsum(counts) - counts, words)
        tokens = pad_tokens([self._ids[i] for i in chosen], [True] * len(chosen))
        return PieceBatch(
            tokens,
            torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
            len(rows),
            torch.from_numpy(self._piece[inside] + start),
            torch.from_numpy(self._place[inside]),
        )


def _by_word(ids: list[int], word_ids: list[int | None], count: int) -> list[list[int]]:
    """Tokens of each word."""
    found: list[list[int]] = [[] for _ in range(count)]
    for token, word in zip(ids, word_ids, strict=True):
        if word is not None:
            found[word].append(token)
    return found


def words_of(text: str) -> list[str]:
    """Words of a cleaned text, as they stand between spaces; one empty word where there is none."""
    return clean_text(text).split() or [""]
