"""Transformer over byte-pair tokens, trained from scratch."""

from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.modalities.text import MAX_TOKENS, TokenBatch


@dataclass(frozen=True)
class BpeTransformerConfig:
    """Size of the transformer.

    Attributes:
        vocab_size: entries of the tokeniser.
        width: of tokens and output, a multiple of ``heads``.
        layers: self-attention layers.
        heads: 1 is the published equation; with more, each attends in its own slice of the width.
        hidden: width inside the feed-forward network.
        max_tokens: learned positions.
        dropout: on the token vectors, the attention sum and inside the feed-forward network.
    """

    vocab_size: int = 8192
    width: int = 256
    layers: int = 4
    heads: int = 1
    hidden: int = 1024
    max_tokens: int = MAX_TOKENS
    dropout: float = 0.1


class BpeTransformerLayer(nn.Module):
    r"""One layer, with the token added inside the attention sum, before W_V.

    x̃_i = x_i + Σ_j α_ij x_j,   α_ij = softmax_j((x_i W_Q)·(x_j W_K) / √d_k)
    x'_i = LayerNorm(x̃_i W_V),   x_i ← FFN(x'_i) = W_2 GELU(W_1 x'_i + b_1) + b_2

    With H heads, W_Q and W_K are cut in H slices of d_k = width / H, and slice h of the sum is taken over
    slice h of x_j with that head's α. Padded tokens j get α_ij = 0.
    """

    def __init__(self, config: BpeTransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.width, bias=False)
        self.value = nn.Linear(config.width, config.width, bias=False)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.width, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.width),
        )

    def forward(
        self, x: Float[torch.Tensor, "batch tokens width"], mask: Bool[torch.Tensor, "batch tokens"]
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """New token vectors; ``mask`` is False at padding."""
        return self.mix(x, self.attention(x, mask))

    def mix(
        self,
        x: Float[torch.Tensor, "batch tokens width"],
        alpha: Float[torch.Tensor, "batch heads tokens tokens"],
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """New token vectors under given attention weights."""
        mixed = alpha @ self._split(x)
        summed = x + self.dropout(mixed.transpose(1, 2).flatten(2))
        return self.feed_forward(self.norm(self.value(summed)))

    def attention(
        self, x: Float[torch.Tensor, "batch tokens width"], mask: Bool[torch.Tensor, "batch tokens"]
    ) -> Float[torch.Tensor, "batch heads tokens tokens"]:
        """Weights α of every head, rows summing to 1 over the tokens that are not padding."""
        query, key = self._split(self.query(x)), self._split(self.key(x))
        scores = query @ key.transpose(2, 3) / sqrt(query.shape[3])
        return scores.masked_fill(~mask[:, None, None, :], float("-inf")).softmax(dim=3)

    def _split(
        self, x: Float[torch.Tensor, "batch tokens width"]
    ) -> Float[torch.Tensor, "batch heads tokens slice"]:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class BpeTransformer(nn.Module):
    """Tokens → (batch, width): learned token and position vectors, layers, the vector of [CLS].

    Raises:
        BadInputError: the width is no multiple of the heads.
    """

    def __init__(self, config: BpeTransformerConfig = BpeTransformerConfig()) -> None:
        super().__init__()
        if config.width % config.heads:
            raise BadInputError(
                f"width {config.width} is no multiple of {config.heads} heads", field="BpeTransformerConfig"
            )
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.width)
        self.position = nn.Embedding(config.max_tokens, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(BpeTransformerLayer(config) for _ in range(config.layers))

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width

    def forward(self, batch: TokenBatch) -> Float[torch.Tensor, "batch width"]:
        """Vector of the first token, [CLS], after the last layer, shape (batch, width).

        Raises:
            BadInputError: a text has more tokens than there are positions.
        """
        return self.tokens(batch)[:, 0]

    def tokens(self, batch: TokenBatch) -> Float[torch.Tensor, "batch tokens width"]:
        """Vectors of all tokens after the last layer, such as for masked language modelling.

        Raises:
            BadInputError: a text has more tokens than there are positions.
        """
        length = batch.ids.shape[1]
        if length > self.config.max_tokens:
            raise BadInputError(
                f"{length} tokens are more than {self.config.max_tokens} positions",
                field="tokens",
                remedy="Cut the texts or raise max_tokens.",
            )
        x = self.dropout(self.token(batch.ids) + self.position.weight[:length])
        for layer in self.layers:
            x = layer(x, batch.mask)
        return x
