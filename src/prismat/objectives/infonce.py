"""Symmetric InfoNCE of a pair of modalities."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float

from prismat.objectives.cross_entropy import blockwise_cross_entropy, symmetric_cross_entropy
from prismat.objectives.pairs import PairTerm, pair_name
from prismat.objectives.scale import Scale

__all__ = ["InfoNce", "InfoNceConfig", "pair_name", "symmetric_cross_entropy"]


@dataclass(frozen=True)
class InfoNceConfig:
    """Settings of the loss.

    Attributes:
        temperature: initial τ; learned as log(1/τ).
        min_temperature: τ never falls below, so that the loss stays bounded (CLIP: 0.01).
        learn_temperature: keep τ fixed where false.
        shared: one τ for all pairs, as in the tri-modal proposal, instead of one per pair.
        chunk: rows of the similarity matrix in memory at once; 0 for all. The loss is the same.
    """

    temperature: float = 0.07
    min_temperature: float = 0.01
    learn_temperature: bool = True
    shared: bool = False
    chunk: int = 0


class InfoNce(PairTerm):
    """½ [CE(a→b) + CE(b→a)], CE(a→b) = −mean_i log(e^{s_ii/τ} / Σ_j e^{s_ij/τ}), s_ij = a_i·b_j.

    van den Oord et al. 2018, equation 4; Radford et al. 2021 (CLIP), figure 3; the tri-modal proposal,
    section 3.3. Records marked ``same`` as i are left out of its denominator, other than i itself, in both
    directions.

    Relations: ``CosFace`` with margin 0 and s = 1/τ is this loss. ``TensorClip`` carries it to triples.
    ``SigLip`` and the Jensen–Shannon loss replace the softmax over negatives by a decision on each pair, so
    that their terms do not depend on the size of the batch through a denominator.

    Args:
        config: temperature.
    """

    def __init__(self, config: InfoNceConfig = InfoNceConfig()) -> None:
        super().__init__()
        self.config = config
        self.scale = Scale(config.temperature, config.min_temperature, config.learn_temperature)

    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """Nats per record."""
        scale = self.scale().to(left.dtype)
        if self.config.chunk:
            return blockwise_cross_entropy(left * scale, right, same, self.config.chunk)
        return symmetric_cross_entropy(left @ right.T * scale, same)

    def scalars(self) -> dict[str, float]:
        """1/τ."""
        return {"scale": self.scale.value}
