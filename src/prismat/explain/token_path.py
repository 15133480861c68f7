"""Integrated gradients of words, through the embeddings of their tokens."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.api import SENTENCE, Prismat
from prismat.device import moved
from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.huggingface import HuggingFaceEncoder, _forward
from prismat.errors import BadInputError
from prismat.explain.modules import Given, exchanged
from prismat.explain.side import Tensors, Vectors
from prismat.explain.text_side import TextSide, word_of_tokens
from prismat.modalities.chemistry_text import parse_chemistry
from prismat.modalities.text import FrozenTextBatch, TokenBatch, clean_text
from prismat.text_reader import EncoderReader, FrozenReader, TokenReader


class FrozenTextPath(TextSide):
    """Words of a text that a frozen sentence encoder reads, beside the element channel.

    The path goes from the embedding of the padding token at every word's place, and an empty element channel,
    to the text's. What the channel gets is shared among words by how much of each number of it goes when
    a word is left out.

    Args:
        prismat: a model with a ``FrozenReader``.
        text: words.
    """

    baseline = "padding in the place of every word, and no element"

    def __init__(self, prismat: Prismat, text: str) -> None:
        super().__init__(prismat, text)
        assert isinstance(self.reader, FrozenReader)  # noqa: S101  ``differentiable_text`` chose by it
        frozen = self.reader.encoder
        self.transformer, self.config = frozen._model, frozen.config
        self.batch, offsets = _tokenized(frozen._text.tokenizer, self.text, frozen._text.max_tokens)
        self.word = word_of_tokens(offsets, self.spans)
        self.table: nn.Module = self.transformer.get_input_embeddings()
        self.pad = frozen._text.tokenizer.pad_token_id or 0

    def path(self) -> tuple[Tensors, Tensors]:
        """Token embeddings and element channel; padding and zeros."""
        tokens, blank = _tokens(self.table, self.batch, self.word, self.pad)
        channel = torch.from_numpy(self._channel(self.text).astype(np.float32))
        return (tokens, channel), (blank, torch.zeros_like(channel))

    def _channel(self, text: str | None) -> Float[np.ndarray, " channels"]:
        assert isinstance(self.reader, FrozenReader)  # noqa: S101
        return parse_chemistry(text or "", self.reader.lexicon)

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors of token embeddings and channels."""
        tokens, channel = inputs
        steps = len(tokens)
        network = exchanged(self.transformer, self.table, Given(tokens, self.table))
        there = TokenBatch(
            self.batch.ids.expand(steps, -1),
            self.batch.mask.expand(steps, -1),
            self.batch.present.expand(steps),
        )
        sentence = _forward(network, there, self.config)
        batch = FrozenTextBatch(sentence, channel, there.present)
        found = self.model.embed("text", moved(batch, next(self.model.parameters()).device))
        return {**found, SENTENCE: sentence}

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over a word's tokens, and its share of the element channel."""
        (tokens, channel), (blank, _) = self.path()
        values, rest = _by_word(((tokens - blank) * gradients[0]).sum(1), self.word, len(self))
        each = (channel * gradients[1]).double().numpy()
        shares = self._shares()
        return values + shares @ each, rest + float(each[shares.sum(0) == 0].sum())

    def _shares(self) -> Float[np.ndarray, "parts channels"]:
        """Whose each number of the element channel is: columns add up to 1, or to 0 where it is nobody's."""
        whole = self._channel(self.text)
        left = [self._channel(self.without(row)) for row in ~np.eye(len(self), dtype=bool)]
        change = np.abs(whole - np.stack(left))
        total = change.sum(0)
        return np.divide(change, total, out=np.zeros_like(change), where=total > 0)


class TokenTextPath(TextSide):
    """Words of a text whose tokens a trained transformer reads.

    Args:
        prismat: a model with a ``TokenReader`` or an ``EncoderReader``.
        text: words.
    """

    baseline = "padding in the place of every word"

    def __init__(self, prismat: Prismat, text: str) -> None:
        super().__init__(prismat, text)
        encoder = self.model.encoders["text"]
        if isinstance(self.reader, TokenReader):
            self.batch = self.reader.read([self.text])
            offsets = [tuple(o) for o in self.reader.tokenizer.encode(clean_text(self.text)).offsets]
        else:
            assert isinstance(encoder, HuggingFaceEncoder)  # noqa: S101
            self.batch, offsets = _tokenized(encoder.tokenizer, self.text, encoder._text.max_tokens)
        assert isinstance(encoder, BpeTransformer | HuggingFaceEncoder)  # noqa: S101
        self.encoder, self.table = encoder, encoder.token
        self.word = word_of_tokens(offsets[: self.batch.ids.shape[1]], self.spans)

    def path(self) -> tuple[Tensors, Tensors]:
        """Token embeddings; padding."""
        tokens, blank = _tokens(self.table, self.batch, self.word, 0)
        return (tokens,), (blank,)

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors of token embeddings."""
        steps = len(inputs[0])
        given = TokenBatch(
            self.batch.ids.expand(steps, -1),
            self.batch.mask.expand(steps, -1),
            self.batch.present.expand(steps),
        )
        network = exchanged(self.encoder, self.table, Given(inputs[0], self.table))
        features = network(moved(given, next(self.model.parameters()).device))
        keys = [k for k in self.model.projections if k.split("@")[0] == "text"]
        return {key: self.model.projections[key](features) for key in keys}

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over a word's tokens."""
        (tokens,), (blank,) = self.path()
        return _by_word(((tokens - blank) * gradients[0]).sum(1), self.word, len(self))


def differentiable_text(prismat: Prismat, text: str) -> FrozenTextPath | TokenTextPath:
    """Words with a path of token embeddings, by the kind of the model's reader.

    Raises:
        BadInputError: the model's reader is of a kind whose tokens are out of reach.
    """
    if isinstance(prismat.reader, FrozenReader):
        return FrozenTextPath(prismat, text)
    if isinstance(prismat.reader, TokenReader | EncoderReader):
        return TokenTextPath(prismat, text)
    raise BadInputError(
        "this model's text cannot be reached by gradients",
        field="method",
        remedy="Explain it by occlusion.",
    )


def _tokenized(tokenizer: Any, text: str, most: int) -> tuple[TokenBatch, list[tuple[int, int]]]:
    """Ids of one text as the encoder reads it, and the characters of each token."""
    found = tokenizer([text], truncation=True, max_length=most, return_offsets_mapping=True)
    ids = torch.tensor(found["input_ids"])
    batch = TokenBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.ones(1, dtype=torch.bool))
    return batch, [tuple(o) for o in found["offset_mapping"][0]]


@torch.no_grad()
def _tokens(
    table: nn.Module, batch: TokenBatch, word: Int[np.ndarray, " tokens"], pad: int
) -> tuple[Float[torch.Tensor, "tokens width"], Float[torch.Tensor, "tokens width"]]:
    """Embeddings of the tokens, and of the baseline: special tokens stay, all others are padding."""
    ids = batch.ids[0]
    blank = torch.where(torch.from_numpy(word >= 0), torch.full_like(ids, pad), ids)
    return table(ids).clone(), table(blank).clone()


def _by_word(
    each: Float[torch.Tensor, " tokens"], word: Int[np.ndarray, " tokens"], parts: int
) -> tuple[Float[np.ndarray, " parts"], float]:
    values = each.double().cpu().numpy()
    of_word = np.bincount(word[word >= 0], weights=values[word >= 0], minlength=parts)
    return of_word, float(values[word < 0].sum())
