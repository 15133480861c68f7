"""MultiMat's transformer for densities of states: tokens of energy and density, no positional encoding."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from prismat.errors import BadInputError
from prismat.modalities.dos import DosBatch


@dataclass(frozen=True)
class DosTransformerConfig:
    """Size of the transformer; the defaults are MultiMat's.

    Attributes:
        width: of tokens and output.
        depth: layers.
        heads: of the attention.
        head_width: of each head.
        hidden: width inside the feed-forward network.
        dropout: on attention weights and on what each block adds.

    Raises:
        BadInputError: a size below 1, or a dropout outside 0 to 1.
    """

    width: int = 128
    depth: int = 4
    heads: int = 8
    head_width: int = 64
    hidden: int = 512
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.width, self.depth, self.heads, self.head_width, self.hidden)
        if min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise BadInputError(
                f"sizes {sizes} and dropout {self.dropout}",
                field="DosTransformerConfig",
                remedy="Give sizes from 1 and a dropout from 0 to below 1.",
            )

    @classmethod
    def laptop(cls) -> "DosTransformerConfig":
        """A smaller one, which two processor cores train: 7 times as fast at 128 points."""
        return cls(depth=2, heads=4, head_width=32, hidden=256)


class DosTransformerLayer(nn.Module):
    """x ← x + Attention(LayerNorm(x)); x ← x + FFN(LayerNorm(x)), FFN(y) = W₂ GELU(W₁ y + b₁) + b₂."""

    def __init__(self, config: DosTransformerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads, self.rate = config.heads, config.dropout
        self.attention_norm = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * inner, bias=False)
        self.project = nn.Linear(inner, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, config.hidden)
        self.contract = nn.Linear(config.hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[torch.Tensor, "batch tokens width"],
        mask: Bool[torch.Tensor, "batch 1 1 tokens"] | None,
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """New token vectors; ``mask`` is False at tokens that nothing attends to, None where all are real."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        inner = self.dropout(gelu(self.expand(self.norm(x))))
        return x + self.dropout(self.contract(inner))

    def attention(
        self,
        x: Float[torch.Tensor, "batch tokens width"],
        mask: Bool[torch.Tensor, "batch 1 1 tokens"] | None,
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """softmax(Q Kᵀ / √d) V of every head, projected."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
        return self.project(mixed.transpose(1, 2).flatten(2))


class DosTransformer(nn.Module):
    """Density of states → (batch, width): token embedding, pre-norm layers, mean over the tokens.

    A token is W (W_E E + b_E ⊕ W_D D + b_D) + b of its energy E and density D. There is no positional
    encoding: the energy says where a token is, so that the order of tokens does not matter. The published
    network (V. Moro et al., MultiMat, arXiv:2312.00111, and its code) reads 601 tokens of one spin; it is
    this one with every token real. Masked tokens are attended to by none and left out of the mean, so that
    it serves densities of states of any length. The label of a one-spin DOS adds a learned vector to its
    tokens, zero at first.
    """

    def __init__(self, config: DosTransformerConfig = DosTransformerConfig()) -> None:
        super().__init__()
        self.config = config
        self.energy = nn.Linear(1, config.width)
        self.density = nn.Linear(1, config.width)
        self.mix = nn.Linear(2 * config.width, config.width)
        self.spin = nn.Embedding(3, config.width, padding_idx=0)
        nn.init.zeros_(self.spin.weight)
        self.layers = nn.ModuleList(DosTransformerLayer(config) for _ in range(config.depth))

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width

    def forward(self, batch: DosBatch) -> Float[torch.Tensor, "batch width"]:
        """Features of each record, zeros where absent, shape (batch, width)."""
        rows = batch.mask.any(1).nonzero()[:, 0]
        mask = batch.mask[rows]
        x = self.tokens(batch.energy[rows], batch.density[rows]) + self.spin(batch.spin[rows])[:, None]
        # Without a mask, attention may take its fastest path.
        attended = None if mask.all() else mask[:, None, None, :]
        for layer in self.layers:
            x = layer(x, attended)
        # A sum over hundreds of tokens keeps the parameters' precision whatever autocast made of them.
        x = x.to(self.mix.weight.dtype)
        kept = mask[:, :, None].to(x.dtype)
        mean = (x * kept).sum(1) / kept.sum(1)
        return mean.new_zeros(len(batch.mask), self.width).index_copy(0, rows, mean)

    def tokens(
        self, energy: Float[torch.Tensor, "batch points"], density: Float[torch.Tensor, "batch points"]
    ) -> Float[torch.Tensor, "batch points width"]:
        """Vectors of the tokens, shape (batch, points, width)."""
        # Affine maps in a row are one: multiplied out, they cost 2 products per number, not 2 · width.
        by_energy, by_density = self.mix.weight.chunk(2, dim=1)
        weight = torch.cat([by_energy @ self.energy.weight, by_density @ self.density.weight], dim=1)
        bias = by_energy @ self.energy.bias + by_density @ self.density.bias + self.mix.bias
        return linear(torch.stack([energy, density], dim=2).to(weight.dtype), weight, bias)
