"""Large-margin cosine loss of a pair of modalities (CosFace)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.objectives.cross_entropy import blockwise_cross_entropy, symmetric_cross_entropy
from prismat.objectives.pairs import PairTerm
from prismat.objectives.scale import Scale


@dataclass(frozen=True)
class CosFaceConfig:
    """Settings of the loss; those of CLaSP by default.

    Attributes:
        margin: m, taken from the cosine of a record with itself, from 0 to 1.
        scale: s, the factor of the cosines.
        learn_margin: learn m, one per pair, kept in 0 to 1.
        learn_scale: learn log s, one per pair; s stays at 100 or below.
        chunk: rows of the similarity matrix in memory at once; 0 for all. The loss is the same.
    """

    margin: float = 0.5
    scale: float = 3.0
    learn_margin: bool = False
    learn_scale: bool = False
    chunk: int = 0


class CosFace(PairTerm):
    """½ [L(a→b) + L(b→a)], L(a→b) = −mean_i log(e^{s(c_ii−m)} / (e^{s(c_ii−m)} + Σ_{j≠i} e^{s c_ij})).

    c_ij = a_i·b_j. CLaSP (Suzuki et al. 2024), equation 1, after Wang et al., CVPR 2018. The equation as
    printed is L(crystal→text) alone; its code takes the mean of both directions, and so does this one.
    Records marked ``same`` as i are left out of its denominator, other than i itself.

    Relations: with m = 0 it is ``InfoNce`` with 1/τ = s. The derivative by m is never negative, so a learned
    margin can only fall: towards 0, and the loss towards InfoNCE.

    Args:
        config: margin and scale.

    Raises:
        BadInputError: a margin outside 0 to 1, or a scale of 0 or less.
    """

    def __init__(self, config: CosFaceConfig = CosFaceConfig()) -> None:
        super().__init__()
        if not 0 <= config.margin <= 1 or config.scale <= 0:
            raise BadInputError(
                f"margin {config.margin}, scale {config.scale}",
                field="objective.cosface",
                remedy="Give a margin of 0 to 1 and a scale greater than 0; CLaSP: 0.5 and 3.",
            )
        self.config = config
        self.margin = nn.Parameter(torch.tensor(config.margin), requires_grad=config.learn_margin)
        self.scale = Scale(1 / config.scale, min(0.01, 1 / config.scale), config.learn_scale)

    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """Nats per record."""
        scale = self.scale().to(left.dtype)
        margin = scale * self.margin.clamp(0, 1).to(left.dtype)
        if self.config.chunk:
            return blockwise_cross_entropy(left * scale, right, same, self.config.chunk, margin)
        scores = left @ right.T * scale
        return symmetric_cross_entropy(scores.diagonal_scatter(scores.diagonal() - margin), same)

    def scalars(self) -> dict[str, float]:
        """Scale s and margin m."""
        return {"scale": self.scale.value, "margin": float(self.margin.detach().clamp(0, 1))}
