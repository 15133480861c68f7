"""Text transformers that show their attention: byte-pair ones trained here, and any of Hugging Face."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from tokenizers import Tokenizer
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.huggingface import HuggingFaceConfig, pool
from prismat.errors import BadInputError
from prismat.explain.attention.tokens import Tokens
from prismat.modalities.text import TokenBatch, clean_text, pad_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Readout = Literal["cls", "mean"]
"""Which token's vector is the text's: the first one's, or the mean of all."""


@dataclass(frozen=True, eq=False)
class Pass:
    """What one pass through a transformer leaves.

    Attributes:
        weights: of each layer, rows summing to 1, zero at padding.
        mask: False at padding.
        feature: one vector per text, as the parts behind the transformer read it.
    """

    weights: tuple[Float[torch.Tensor, "batch heads tokens tokens"], ...]
    mask: Bool[torch.Tensor, "batch tokens"]
    feature: Float[torch.Tensor, "batch width"]


@runtime_checkable
class TextTransformer(Protocol):
    """A transformer over the tokens of texts.

    Attributes:
        readout: which token's vector is the text's.
    """

    readout: Readout

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of every text with the characters they stand for."""
        ...

    def forward(self, tokens: Sequence[Tokens]) -> Pass:
        """Attention of every layer and head, in the graph of the feature."""
        ...


class BpeText:
    """A transformer over byte-pair tokens, trained from scratch (``encoders.bpe_transformer``).

    Args:
        encoder: the transformer.
        tokenizer: that it was trained with.
    """

    readout: Readout = "cls"

    def __init__(self, encoder: BpeTransformer, tokenizer: Tokenizer) -> None:
        self.encoder, self._tokenizer = encoder.eval(), tokenizer

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of every text, cut where the tokeniser cuts."""
        cleaned = [clean_text(text) for text in texts]
        return [
            _tokens(text, tuple(e.tokens), e.ids, e.offsets, e.special_tokens_mask)
            for text, e in zip(cleaned, self._tokenizer.encode_batch(cleaned), strict=True)
        ]

    def forward(self, tokens: Sequence[Tokens]) -> Pass:
        """Attention of every layer and head, and the vector of [CLS]."""
        batch = _batch(tokens, 0)
        encoder, weights = self.encoder, []
        x = encoder.token(batch.ids) + encoder.position.weight[: batch.ids.shape[1]]
        for layer in encoder.layers:
            weights.append(layer.attention(x, batch.mask))  # ty: ignore[not-callable]
            x = layer.mix(x, weights[-1])  # ty: ignore[not-callable]
        return Pass(tuple(weights), batch.mask, x[:, 0])


class HuggingFaceText:
    """A transformer of Hugging Face, run without fused attention, which keeps no weights.

    Args:
        model: the transformer; a copy of it is used.
        tokenizer: its own, one that knows which characters a token stands for.
        config: pooling, normalisation and longest text.
        head: what stands between the pooled vector and the feature.

    Raises:
        BadInputError: the tokeniser knows no characters, or the model has no attention of its own writing.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        config: HuggingFaceConfig,
        head: nn.Module | None = None,
    ) -> None:
        if not tokenizer.is_fast:
            raise BadInputError(
                "the tokeniser does not tell which characters a token stands for",
                field="model",
                remedy="Save it with tokenizer.json.",
            )
        self._model = copy.deepcopy(model).eval().requires_grad_(True)
        try:
            self._model.set_attn_implementation("eager")
        except ValueError as error:
            raise BadInputError(f"the model does not show its attention ({error})", field="model") from error
        self._tokenizer, self._config, self._head = tokenizer, config, head
        positions = getattr(model.config, "max_position_embeddings", None) or config.max_tokens
        self._longest = min(config.max_tokens, positions)
        self.readout: Readout = "mean" if config.pooling == "mean" else "cls"

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of every text, cut to the longest that the model takes."""
        cleaned = [clean_text(text) for text in texts]
        found = self._tokenizer(
            cleaned,
            truncation=True,
            max_length=self._longest,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        rows = zip(
            cleaned, found["input_ids"], found["offset_mapping"], found["special_tokens_mask"], strict=True
        )
        return [
            _tokens(text, tuple(self._tokenizer.convert_ids_to_tokens(ids)), ids, offsets, special)
            for text, ids, offsets, special in rows
        ]

    def forward(self, tokens: Sequence[Tokens]) -> Pass:
        """Attention of every layer and head, and the pooled vector behind the head."""
        batch = _batch(tokens, self._tokenizer.pad_token_id or 0)
        output = self._model(
            input_ids=batch.ids, attention_mask=batch.mask.long(), output_attentions=True, return_dict=True
        )
        if not output.attentions:
            raise BadInputError("the model does not show its attention", field="model")
        pooling = self._config.pooling
        if pooling == "pooler":
            feature = output.pooler_output
        else:
            feature = pool(output.last_hidden_state, batch.mask, pooling)
        if self._config.normalize:
            feature = nn.functional.normalize(feature, dim=1)
        feature = self._head(feature, batch.present) if self._head is not None else feature
        return Pass(tuple(output.attentions), batch.mask, feature)


def _tokens(
    text: str,
    pieces: tuple[str, ...],
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    special: Sequence[int],
) -> Tokens:
    spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    numbers = np.array(ids, dtype=np.int64)
    return Tokens(text, pieces, numbers, spans[:, 0], spans[:, 1], np.array(special, dtype=bool))


def _batch(tokens: Sequence[Tokens], pad: int) -> TokenBatch:
    return pad_tokens([one.ids.tolist() for one in tokens], [True] * len(tokens), pad)
