"""Triplet margin loss of a pair of modalities."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float

from prismat.errors import BadInputError
from prismat.objectives.pairs import PairTerm

Mining = Literal["noneasy", "all", "hardest"]

NEAREST = 1e-6
"""Squared distance below which two embeddings count as equal: the root has no slope at 0."""


@dataclass(frozen=True)
class TripletConfig:
    """Settings of the loss; those of CMML by default.

    Attributes:
        margin: m, by which a negative must be farther than the positive; distances are 0 to 2.
        mining: ``noneasy`` for the negatives nearer than the positive plus m, those that cost something;
            ``all``; or ``hardest`` for the nearest.
    """

    margin: float = 1.0
    mining: Mining = "noneasy"


class Triplet(PairTerm):
    """½ [L(a→b) + L(b→a)], L(a→b) = mean_i mean_{j ∈ N_i} max(0, d_ii − d_ij + m), d_ij = ‖a_i − b_j‖.

    CMML (Y. Suzuki et al., Mach. Learn.: Sci. Technol. 3, 045034, 2022), after Schroff et al., CVPR 2015.
    Distances are plain, not squared; between unit vectors d = √(2 − 2 a·b). N_i is what is mined among the
    records other than i that are not marked ``same`` as i; records with an empty N_i leave the mean. CMML
    draws one negative of N_i at random; the mean over N_i is the expectation of that draw, and draws nothing.
    Which negatives are mined is decided by numbers without gradient.

    Relations: with one negative per record and no margin, InfoNCE is a smooth form of this loss in which
    all negatives count, the nearer ones more.

    Args:
        config: margin and mining.

    Raises:
        BadInputError: a margin of 0 or less, or another mining.
    """

    def __init__(self, config: TripletConfig = TripletConfig()) -> None:
        super().__init__()
        if config.margin <= 0 or config.mining not in ("noneasy", "all", "hardest"):
            raise BadInputError(
                f"margin {config.margin}, mining {config.mining!r}",
                field="objective.triplet",
                remedy="Give a margin greater than 0, and noneasy, all or hardest.",
            )
        self.config = config

    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """In units of distance."""
        distances = (2 - 2 * (left @ right.T)).clamp(min=NEAREST).sqrt()
        equal = torch.eye(len(left), dtype=torch.bool, device=left.device)
        valid = ~(equal if same is None else equal | same)
        return (self._direction(distances, valid) + self._direction(distances.T, valid.T)) / 2

    def _direction(
        self, distances: Float[torch.Tensor, "batch batch"], valid: Bool[torch.Tensor, "batch batch"]
    ) -> Float[torch.Tensor, ""]:
        cost = (distances.diagonal()[:, None] - distances + self.config.margin).clamp(min=0)
        if self.config.mining == "hardest":
            mined = valid.any(1)
            per_record = cost.masked_fill(~valid, 0).amax(1)
        else:
            chosen = valid & (cost.detach() > 0) if self.config.mining == "noneasy" else valid
            count = chosen.sum(1)
            mined = count > 0
            per_record = cost.masked_fill(~chosen, 0).sum(1) / count.clamp(min=1)
        return per_record.sum() / mined.sum().clamp(min=1)

    def scalars(self) -> dict[str, float]:
        """The margin."""
        return {"margin": self.config.margin}
