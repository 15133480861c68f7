"""Sigmoid loss of a pair of modalities (SigLIP)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.objectives.cross_entropy import off_diagonal
from prismat.objectives.pairs import PairTerm


@dataclass(frozen=True)
class SigLipConfig:
    """Settings of the loss.

    Attributes:
        scale: initial t, the factor of the cosines; learned as log t, one per pair.
        bias: initial b; learned, one per pair. It offsets the many negatives of the first steps.
    """

    scale: float = 10.0
    bias: float = -10.0


class SigLip(PairTerm):
    """1/n Σ_ij softplus(−z_ij (t a_i·b_j + b)) with z = 1 for a record with itself and −1 for all others.

    Zhai et al., ICCV 2023, algorithm 1. The sum over pairs is divided by the number of
    records n, not of pairs. Pairs of different records marked ``same`` have no term; n stays.

    Relations: the Jensen–Shannon loss is the same without bias, and with positives and negatives each
    averaged rather than summed; ``InfoNce`` lets negatives compete in a softmax.

    Args:
        config: first scale and bias.

    Raises:
        BadInputError: a scale of 0 or less.
    """

    def __init__(self, config: SigLipConfig = SigLipConfig()) -> None:
        super().__init__()
        if config.scale <= 0:
            raise BadInputError(
                f"scale {config.scale}",
                field="objective.siglip.scale",
                remedy="Give a number greater than 0; SigLIP starts with 10.",
            )
        # Not clamped, as in the paper: a bias keeps the loss bounded where a softmax needs a floor for τ.
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """Nats per record."""
        scores = left @ right.T * self.log_scale.exp().to(left.dtype) + self.bias.to(left.dtype)
        own = scores.diagonal()
        # softplus(-inf) is 0, and so is its derivative: such a pair has no term.
        none = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        none = none if same is None else off_diagonal(same) | none
        others = nn.functional.softplus(scores.masked_fill(none, float("-inf")))
        return (nn.functional.softplus(-own).sum() + others.sum()) / len(scores)

    def scalars(self) -> dict[str, float]:
        """Scale t and bias b."""
        return {"scale": float(self.log_scale.detach().exp()), "bias": float(self.bias.detach())}
