"""Coordination numbers from distances, without a cutoff that bonds could cross."""

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.layers import RadialBasis, scatter_sum
from prismat.modalities.structure import StructureBatch

LARGEST = 14.0
"""Last centre of the basis over coordination numbers: those of close packings are 12 and 14."""


def effective_coordination(batch: StructureBatch) -> Float[torch.Tensor, " nodes"]:
    """Effective coordination number of every node (Hoppe, Z. Kristallogr. 150, 23, 1979); 0 without edges.

    ECoN_i = Σ_j exp(1 − (d_ij/d̄_i)⁶),  d̄_i = Σ_j d_ij w_ij / Σ_j w_ij,  w_ij = exp(1 − (d_ij/d_i,min)⁶).
    Neighbours fade out as they recede, so that it is continuous, and it does not change with the scale.
    """
    distance, receiver = batch.distance, batch.receiver
    nearest = distance.new_full((batch.n_nodes,), torch.inf).scatter_reduce(0, receiver, distance, "amin")
    weight = _fading(distance, nearest.index_select(0, receiver))
    sums = scatter_sum(torch.stack([distance * weight, weight], dim=1), receiver, batch.n_nodes)
    mean = sums[:, 0] / sums[:, 1].clamp_min(torch.finfo(distance.dtype).tiny)
    fading = _fading(distance, mean.index_select(0, receiver))
    return scatter_sum(fading[:, None], receiver, batch.n_nodes)[:, 0]


def _fading(
    distance: Float[torch.Tensor, " edges"], scale: Float[torch.Tensor, " edges"]
) -> Float[torch.Tensor, " edges"]:
    # What is more than twice as far counts less than 1e-27, and must not become infinite before.
    return torch.exp(1 - (distance / scale).clamp_max(2) ** 6)


class CoordinationEmbedding(nn.Module):
    """Effective coordination number → features of each node: Gaussians from 0 to 14, then a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.basis = RadialBasis(0.0, LARGEST, 15)
        self.linear = nn.Linear(15, width, bias=False)

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "nodes width"]:
        """Features, shape (nodes, width)."""
        return self.linear(self.basis(effective_coordination(batch).clamp_max(LARGEST)))
