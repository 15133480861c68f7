"""Jensen–Shannon loss between modalities and within each, with a prior (CLaC)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.errors import BadInputError
from prismat.objectives.base import MIN_RECORDS, Embedded, Term, among, at_least_single
from prismat.objectives.cross_entropy import off_diagonal
from prismat.objectives.pairs import AllPairs, PairTerm, pair_name
from prismat.objectives.prior import SpherePrior
from prismat.objectives.scale import Scale


@dataclass(frozen=True)
class JsdConfig:
    """Settings of the loss; those of CLaC by default.

    Attributes:
        temperature: initial τ; learned as log(1/τ), one per pair and one per modality; at least 0.01.
        inter: weight of the terms between modalities.
        intra: weight of the terms between two views of one modality; 0 for none.
        prior: weight of the terms that draw embeddings towards the uniform distribution; 0 for none.
        hidden: width of the prior's discriminators.
    """

    temperature: float = 0.07
    inter: float = 0.9
    intra: float = 0.9
    prior: float = 0.1
    hidden: int = 256


class JsdTerm(PairTerm):
    """mean_{i≠j} softplus(s_ij/τ) + mean_i softplus(−s_ii/τ), s_ij = a_i·b_j.

    The negative of the Jensen–Shannon estimate of mutual information (Nowozin et al. 2016; Hjelm et al., ICLR
    2019, equation 4). The first mean is over all pairs of different records that are
    not marked ``same``; where there are none it is 0.

    Relations: ``SigLip`` with its bias fixed at 0 has the same summands under other weights.

    Args:
        temperature: initial τ.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.scale = Scale(temperature)

    def forward(
        self,
        left: Float[torch.Tensor, "batch dim"],
        right: Float[torch.Tensor, "batch dim"],
        same: Bool[torch.Tensor, "batch batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """In nats."""
        scores = left @ right.T * self.scale().to(left.dtype)
        own = scores.diagonal()
        none = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        none = none if same is None else off_diagonal(same) | none
        count = none.numel() - none.sum()
        # softplus(-inf) is 0, and so is its derivative: such a pair has no term.
        others = nn.functional.softplus(scores.masked_fill(none, float("-inf")))
        return others.sum() / count.clamp(min=1) + nn.functional.softplus(-own).mean()

    def scalars(self) -> dict[str, float]:
        """1/τ."""
        return {"scale": self.scale.value}


class JensenShannon(AllPairs):
    """L = inter Σ_ab λ_ab JSD(a, b) + intra Σ_a JSD(a, a′) + prior Σ_a P(a).

    CLaC (arXiv:2502.16451): inter-modal terms over all pairs; intra-modal ones between a modality's embedding
    a and its second view a′, over the records that have the modality, for the modalities of which the batch
    holds one; P is ``SpherePrior``. Masked language modelling, the fourth part of CLaC's loss with weight
    0.1, comes with the batch as an auxiliary loss. CLaC's code takes one negative per record, the batch
    rolled by a random number of places; here all valid negatives enter, of which that is a random sample.

    Args:
        windows: two or more modalities.
        dim: of the joint space.
        config: temperature and weights.
        weights: λ by pair name.
        auxiliary: as in ``Objective``.

    Raises:
        BadInputError: a negative weight; or as ``AllPairs``.
    """

    def __init__(
        self,
        windows: Sequence[str],
        dim: int,
        config: JsdConfig = JsdConfig(),
        weights: Mapping[str, float] | None = None,
        auxiliary: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(windows, lambda: JsdTerm(config.temperature), weights, auxiliary)
        if min(config.inter, config.intra, config.prior) < 0:
            raise BadInputError(
                f"weights {config.inter}, {config.intra}, {config.prior}",
                field="objective.jsd",
                remedy="Weights are 0 or more; CLaC: 0.9, 0.9 and 0.1.",
            )
        self.config = config
        self.views = self.windows if config.intra else ()
        self.needs_shared_heads = bool(config.intra or config.prior)
        self.intra = nn.ModuleDict({name: JsdTerm(config.temperature) for name in self.views})
        adverse = self.windows if config.prior else ()
        self.priors = nn.ModuleDict({name: SpherePrior(dim, config.hidden) for name in adverse})

    def terms(self, batch: Embedded, weights: Mapping[str, float]) -> Iterator[Term]:
        """Terms between modalities, within each, and of the prior, in this order."""
        if self.config.inter:
            for name, weight, value in super().terms(batch, weights):
                yield name, self.config.inter * weight, value
        for name, term in self.intra.items():
            keep = self._kept(batch, name)
            if keep is not None and name in batch.views:
                left, right = self.shared(batch, name)[keep], at_least_single(batch.views[name])[keep]
                yield pair_name(name, name), self.config.intra, term(left, right, among(keep, batch.same))
        for name, prior in self.priors.items():
            keep = self._kept(batch, name)
            if keep is not None:
                yield f"{name}-prior", self.config.prior, prior(self.shared(batch, name)[keep])

    def _kept(self, batch: Embedded, window: str) -> Bool[torch.Tensor, " batch"] | None:
        keep = batch.present.get(window)
        return keep if keep is not None and int(keep.sum()) >= MIN_RECORDS else None

    def scales(self) -> dict[str, float]:
        """1/τ by pair, and by modality paired with itself."""
        found = super().scales()
        for name, term in self.intra.items():
            found[pair_name(name, name)] = term.scalars()["scale"]  # ty: ignore[not-callable]
        return found
