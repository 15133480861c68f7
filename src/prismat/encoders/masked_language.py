"""Masked language modelling: hidden tokens are told from those around them.

As in BERT (Devlin et al., NAACL 2019, section 3.1).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.huggingface import HuggingFaceEncoder
from prismat.errors import BadInputError
from prismat.modalities.text import MASK, SPECIAL_TOKENS, TokenBatch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@runtime_checkable
class TokenEncoder(Protocol):
    """A text encoder that gives a vector per token."""

    @property
    def token(self) -> nn.Module:
        """The table of the tokens' input embeddings."""
        ...

    def tokens(self, batch: TokenBatch) -> torch.Tensor:
        """Vectors of all tokens after the last layer, shape (batch, tokens, width)."""
        ...


@dataclass(frozen=True)
class MaskVocabulary:
    """What masking must know of a tokeniser.

    Attributes:
        size: number of tokens; ids are below it.
        mask: id of the token that stands for a hidden one.
        special: ids that are never hidden, nor put in place of another.
    """

    size: int
    mask: int
    special: tuple[int, ...]


def byte_pair_vocabulary(size: int) -> MaskVocabulary:
    """Vocabulary of a tokeniser of ``train_tokenizer`` with ``size`` entries."""
    return MaskVocabulary(size, SPECIAL_TOKENS.index(MASK), tuple(range(len(SPECIAL_TOKENS))))


def tokenizer_vocabulary(tokenizer: "PreTrainedTokenizerBase") -> MaskVocabulary:
    """Vocabulary of a Hugging Face tokeniser.

    Raises:
        BadInputError: it has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise BadInputError(
            "the tokeniser has no mask token",
            field="model",
            remedy="Use a model that was trained as a masked language model, such as scibert.",
        )
    return MaskVocabulary(len(tokenizer), tokenizer.mask_token_id, tuple(tokenizer.all_special_ids))


@dataclass(frozen=True)
class MaskingConfig:
    """How tokens are hidden.

    Attributes:
        share: chance that a token is to be told.
        masked: of these, the share that becomes the mask token.
        random: of these, the share that becomes any other token; the rest stays as it is.
    """

    share: float = 0.15
    masked: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        """Refuses shares that are none."""
        shares = (self.share, self.masked, self.random)
        if min(shares) < 0 or self.share > 1 or self.masked + self.random > 1:
            raise BadInputError(
                f"masking shares {shares}",
                field="masking",
                remedy="Give shares of 0 to 1; masked and random make 1 at most.",
            )


def mask_tokens(
    batch: TokenBatch,
    vocabulary: MaskVocabulary,
    generator: torch.Generator,
    config: MaskingConfig = MaskingConfig(),
) -> tuple[TokenBatch, Bool[torch.Tensor, "batch tokens"]]:
    """Hides tokens of the texts that are present.

    Args:
        batch: token ids.
        vocabulary: of their tokeniser.
        generator: of all draws; the same state and shapes give the same masks.
        config: shares.

    Returns:
        The batch with tokens hidden, and True where the token is to be told.
    """
    ids, device = batch.ids, batch.ids.device
    special = torch.tensor(vocabulary.special, device=device)
    draw = torch.rand((2, *ids.shape), generator=generator, device=generator.device).to(device)
    ordinary = torch.arange(vocabulary.size, device=device)
    ordinary = ordinary[~torch.isin(ordinary, special)]
    other = torch.randint(len(ordinary), ids.shape, generator=generator, device=generator.device).to(device)
    may = batch.mask & batch.present[:, None] & ~torch.isin(ids, special)
    told = may & (draw[0] < config.share)
    hidden = torch.where(told & (draw[1] < config.masked), vocabulary.mask, ids)
    is_other = told & (draw[1] >= config.masked) & (draw[1] < config.masked + config.random)
    return TokenBatch(torch.where(is_other, ordinary[other], hidden), batch.mask, batch.present), told


@dataclass(frozen=True)
class MaskedLanguageConfig:
    """Sizes of the head, and the vocabulary.

    Attributes:
        vocabulary: of the tokeniser.
        width: of the token vectors.
        embedding: of the input embeddings.
        entries: rows of the table of input embeddings, at least the vocabulary's.
        scale: first weight of the layer norm: one over the embeddings' norm gives logits of order one.
        masking: how tokens are hidden.
    """

    vocabulary: MaskVocabulary
    width: int
    embedding: int
    entries: int
    scale: float = 1.0
    masking: MaskingConfig = MaskingConfig()


class MaskedLanguageHead(nn.Module):
    """Token vectors → logits over the vocabulary, tied to the input embeddings E.

    z = LN(GELU(W h + b)),  logits = z Eᵀ + c.  E is the encoder's own and is given at every call: it lies in
    the encoder's weights alone.
    """

    def __init__(self, config: MaskedLanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.dense = nn.Linear(config.width, config.embedding)
        self.norm = nn.LayerNorm(config.embedding)
        nn.init.constant_(self.norm.weight, config.scale)
        self.bias = nn.Parameter(torch.zeros(config.entries))

    def logits(
        self, vectors: Float[torch.Tensor, "rows width"], table: Float[torch.Tensor, "entries embedding"]
    ) -> Float[torch.Tensor, "rows entries"]:
        """Unnormalised log-probability of every token."""
        hidden = self.norm(nn.functional.gelu(self.dense(vectors)))
        return nn.functional.linear(hidden, table, self.bias)

    def predictions(
        self, encoder: TokenEncoder, batch: TokenBatch, generator: torch.Generator
    ) -> tuple[Float[torch.Tensor, "hidden entries"], Int[torch.Tensor, " hidden"]]:
        """Logits of every token that was hidden, and the token.

        Args:
            encoder: the one that the head was made for.
            batch: whole texts; tokens are hidden here.
            generator: of the masks.
        """
        hidden, told = mask_tokens(batch, self.config.vocabulary, generator, self.config.masking)
        logits = self.logits(encoder.tokens(hidden)[told], encoder.token.weight)  # ty: ignore[invalid-argument-type]
        return logits, batch.ids[told]

    def forward(
        self, encoder: TokenEncoder, batch: TokenBatch, generator: torch.Generator
    ) -> Float[torch.Tensor, ""]:
        """Mean cross-entropy (nats) over the tokens that were hidden; 0, with gradients 0, where none was."""
        logits, targets = self.predictions(encoder, batch, generator)
        total = nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        return total / max(1, len(logits))


def masked_language_head(
    encoder: BpeTransformer | HuggingFaceEncoder, masking: MaskingConfig = MaskingConfig()
) -> MaskedLanguageHead:
    """The head that fits an encoder, with fresh weights.

    Raises:
        BadInputError: the encoder's tokeniser has no mask token.
    """
    entries, embedding = encoder.token.weight.shape
    if isinstance(encoder, HuggingFaceEncoder):
        vocabulary, width = tokenizer_vocabulary(encoder.tokenizer), encoder.token_width
    else:
        vocabulary, width = byte_pair_vocabulary(entries), encoder.width
    scale = 1 / float(encoder.token.weight.detach().norm(dim=1).mean())
    return MaskedLanguageHead(MaskedLanguageConfig(vocabulary, width, embedding, entries, scale, masking))
