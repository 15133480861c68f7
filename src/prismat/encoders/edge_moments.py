"""Mean and variance over edges of r_i + s_j + u_ij W, without a row per edge.

Batch normalisation of gates needs them before the gates exist. The variance of a sum is that of its terms and
their covariances; r and s live on atoms and W is common to all edges, so that sums over edges reduce to
products of atom-sized matrices with moments of u that all layers share.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.autograd.function import once_differentiable

from prismat.encoders.layers import scatter_sum
from prismat.modalities.structure import StructureBatch


class NeighborSum(torch.autograd.Function):
    """Σ_j x_j over the edges of each receiver, and its transpose backwards; no row is gathered first."""

    @staticmethod
    def forward(
        ctx: Any, values: Float[torch.Tensor, "nodes width"], moments: "EdgeMoments"
    ) -> Float[torch.Tensor, "nodes width"]:
        """The sums, shape (nodes, width)."""
        ctx.moments = moments
        return nn.functional.embedding_bag(moments.senders, values, moments.first_in, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[torch.Tensor, "nodes width"]) -> tuple[torch.Tensor, None]:
        """Gradient of the values."""
        moments = ctx.moments
        rows = grad.contiguous()
        return nn.functional.embedding_bag(moments.receivers, rows, moments.first_out, mode="sum"), None


@dataclass(frozen=True)
class EdgeMoments:
    """Sums over edges from which mean and variance of any r_i + s_j + u_ij W follow (weights add up to 1).

    Attributes:
        mean: weighted mean of u, shape (centers,).
        covariance: of u, shape (centers, centers).
        by_receiver: Σ p (u − mean) over the edges into each node, shape (nodes, centers).
        by_sender: the same over the edges out of each node, shape (nodes, centers).
        received: Σ p over the edges into each node, shape (nodes,).
        sent: the same over the edges out of each node, shape (nodes,).
        share: weight p of one edge into each node, shape (nodes,).
        senders: sending node of each edge, by receiver, shape (edges,).
        receivers: receiving node of each edge, by sender, shape (edges,).
        first_in: first of ``senders`` for each node, shape (nodes,).
        first_out: first of ``receivers`` for each node, shape (nodes,).
    """

    mean: Float[torch.Tensor, " centers"]
    covariance: Float[torch.Tensor, "centers centers"]
    by_receiver: Float[torch.Tensor, "nodes centers"]
    by_sender: Float[torch.Tensor, "nodes centers"]
    received: Float[torch.Tensor, " nodes"]
    sent: Float[torch.Tensor, " nodes"]
    share: Float[torch.Tensor, " nodes"]
    senders: Int[torch.Tensor, " edges"]
    receivers: Int[torch.Tensor, " edges"]
    first_in: Int[torch.Tensor, " nodes"]
    first_out: Int[torch.Tensor, " nodes"]

    @classmethod
    def of(cls, radial: Float[torch.Tensor, "edges centers"], batch: StructureBatch) -> "EdgeMoments":
        """Moments of a batch; an edge weighs as many atoms as its receiver stands for."""
        count = torch.bincount(batch.receiver, minlength=batch.n_nodes)
        count_out = torch.bincount(batch.sender, minlength=batch.n_nodes)
        weight = batch.multiplicity.to(radial.dtype)
        share = weight / (weight * count).sum()
        per_edge = share.index_select(0, batch.receiver)
        mean = per_edge @ radial
        centred = radial - mean
        weighted = centred * per_edge[:, None]
        return cls(
            mean=mean,
            covariance=weighted.t() @ centred,
            by_receiver=scatter_sum(weighted, batch.receiver, batch.n_nodes),
            by_sender=scatter_sum(weighted, batch.sender, batch.n_nodes),
            received=share * count,
            sent=scatter_sum(per_edge[:, None], batch.sender, batch.n_nodes)[:, 0],
            share=share,
            senders=batch.sender,
            receivers=batch.receiver.index_select(0, batch.sender.argsort()),
            first_in=count.cumsum(0) - count,
            first_out=count_out.cumsum(0) - count_out,
        )

    def mean_and_variance(
        self,
        weight: Float[torch.Tensor, "centers gates"],
        receiver: Float[torch.Tensor, "nodes gates"],
        sender: Float[torch.Tensor, "nodes gates"],
    ) -> tuple[Float[torch.Tensor, " gates"], Float[torch.Tensor, " gates"]]:
        """Of r_i + s_j + u_ij W over edges, from variances and covariances of the three centred terms."""
        mean_r, mean_s = self.received @ receiver, self.sent @ sender
        r, s = receiver - mean_r, sender - mean_s
        variance = (
            (weight * (self.covariance @ weight)).sum(0)
            + self.received @ r.square()
            + self.sent @ s.square()
            + 2 * (weight * (self.by_receiver.t() @ r + self.by_sender.t() @ s)).sum(0)
            + 2 * (self.share @ (r * NeighborSum.apply(s, self)))
        )
        return self.mean @ weight + mean_r + mean_s, variance.clamp_min(0)
