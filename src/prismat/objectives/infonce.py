"""Symmetric InfoNCE over every available pair of modalities."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.embedded import Embedded
from prismat.objectives.base import Loss


@dataclass(frozen=True)
class InfoNceConfig:
    """Settings of the loss.

    Attributes:
        temperature: initial τ; learned as log(1/τ), one per pair.
        min_temperature: τ never falls below, so that the loss stays bounded (CLIP: 0.01).
        learn_temperature: keep τ fixed where false.
        weights: λ by pair, named ``a-b``; a pair not named weighs 1, one that weighs 0 is skipped.
    """

    temperature: float = 0.07
    min_temperature: float = 0.01
    learn_temperature: bool = True
    weights: dict[str, float] = field(default_factory=dict)


def pair_name(a: str, b: str) -> str:
    """Name of an unordered pair."""
    return "-".join(sorted((a, b)))


class InfoNce(nn.Module):
    """L = Σ_pairs λ_ab · ½ [CE(a→b) + CE(b→a)], CE(a→b) = −mean_i log(e^{s_ii/τ} / Σ_j e^{s_ij/τ}).

    s_ij = a_i·b_j (van den Oord et al. 2018; Radford et al. 2021; the tri-modal proposal, section 3.3).
    Records that lack either modality leave both sums. Records marked ``same`` as i are left out of its
    denominator, other than i itself. A pair with fewer than two complete records contributes nothing.

    Args:
        pairs: names of all pairs that may occur, from ``pair_name``.
        config: temperature and weights.
    """

    def __init__(self, pairs: list[str], config: InfoNceConfig = InfoNceConfig()) -> None:
        super().__init__()
        self.config = config
        start = torch.tensor(math.log(1 / config.temperature))
        self.log_scale = nn.ParameterDict(
            {name: nn.Parameter(start.clone(), requires_grad=config.learn_temperature) for name in pairs}
        )

    def scale(self, name: str) -> Float[torch.Tensor, ""]:
        """1/τ of a pair, clamped."""
        return self.log_scale[name].clamp(max=-math.log(self.config.min_temperature)).exp()

    def forward(self, batch: Embedded, weights: dict[str, float] | None = None) -> Loss:
        """Total and parts; ``weights`` (a curriculum's) replace the configured λ of the pairs they name."""
        weights = {**self.config.weights, **(weights or {})}
        parts, total = {}, torch.zeros(())
        for a, b in batch.pairs:
            name = pair_name(a, b)
            weight = weights.get(name, 1.0)
            keep = batch.present[a] & batch.present[b]
            if weight == 0 or int(keep.sum()) < 2:
                continue
            left, right = batch.pair(a, b)
            scores = left[keep] @ right[keep].T * self.scale(name).to(left.dtype)
            same = None if batch.same is None else batch.same[keep][:, keep]
            term = symmetric_cross_entropy(scores, same)
            total = total.to(term) + weight * term
            parts[name] = float(term.detach())
        for name, value in batch.auxiliary.items():
            total = total.to(value) + value
            parts[name] = float(value.detach())
        return Loss(total, parts)


def symmetric_cross_entropy(
    scores: Float[torch.Tensor, "batch batch"], same: Bool[torch.Tensor, "batch batch"] | None
) -> Float[torch.Tensor, ""]:
    """½ [CE(rows) + CE(columns)] with the diagonal as targets; ``same`` pairs off it are no negatives."""
    if same is not None:
        equal = same & ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(equal, float("-inf"))
    target = torch.arange(len(scores), device=scores.device)
    return (nn.functional.cross_entropy(scores, target) + nn.functional.cross_entropy(scores.T, target)) / 2
