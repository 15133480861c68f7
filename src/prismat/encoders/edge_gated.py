"""Edge-gated graph convolution with its own gradient: the hot loop of ALIGNN."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.autograd.function import once_differentiable

from prismat.encoders.gated_sum import product_dtype
from prismat.encoders.layers import WeightedBatchNorm
from prismat.encoders.normed_rows import Statistics, add_product, blocks, silu_slope

EPSILON = 1e-6
"""ε of eqs. 3 and 4: keeps the normalised gates of a node without links finite."""


@dataclass(frozen=True)
class Links:
    """Directed links of a graph: edges between atoms, or triplets between edges.

    Attributes:
        receiver: receiving node of each link, shape (links,).
        sender: sending node of each link, shape (links,).
        weight: links of the full graph that each stands for, shape (links,).
        node_weight: nodes of the full graph that each node stands for, shape (nodes,).
    """

    receiver: Int[torch.Tensor, " links"]
    sender: Int[torch.Tensor, " links"]
    weight: Float[torch.Tensor, " links"]
    node_weight: Float[torch.Tensor, " nodes"]

    def blocks(self) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Ranges of links with their receivers and senders; a single range on an accelerator."""
        for rows in blocks(len(self.receiver), self.receiver.device):
            yield rows, self.receiver[rows], self.sender[rows]


class EdgeGatedSum(torch.autograd.Function):
    """u' = u + SiLU(BN(r_i + s_j + u W)), and for each node i Σ_j σ(u'_ij) ⊙ v_j / (Σ_j σ(u'_ij) + ε).

    Only two arrays of one row per link go through memory: the centred gates in front of the activation, and
    u'. Everything else lives one block at a time and is computed again in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        links: Float[torch.Tensor, "links width"],
        matrix: Float[torch.Tensor, "width width"],
        receiver: Float[torch.Tensor, "nodes width"],
        sender: Float[torch.Tensor, "nodes width"],
        values: Float[torch.Tensor, "nodes width"],
        scale: Float[torch.Tensor, " width"],
        bias: Float[torch.Tensor, " width"],
        graph: Links,
        statistics: Statistics,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """u', the sums, and mean and variance of the gates, which carry no gradient."""
        gates = torch.empty_like(links)
        for rows, i, j in graph.blocks():
            block = torch.index_select(receiver, 0, i, out=gates[rows]).add_(sender.index_select(0, j))
            add_product(block, links[rows], matrix)
        mean, variance = statistics.centre(gates)
        inverse = torch.rsqrt(variance + statistics.eps)
        updated, factor = torch.empty_like(links), scale * inverse
        sums, weight = torch.zeros_like(receiver), torch.zeros_like(receiver)
        for rows, i, j in graph.blocks():
            step = nn.functional.silu(torch.addcmul(bias, gates[rows], factor), inplace=True)
            gate = torch.add(links[rows], step, out=updated[rows]).sigmoid()
            weight.index_add_(0, i, gate)
            sums.index_add_(0, i, gate.mul_(values.index_select(0, j)))
        sums.mul_(weight.add_(EPSILON).reciprocal_())
        ctx.graph, ctx.statistics = graph, statistics
        ctx.save_for_backward(links, matrix, gates, updated, values, scale, bias, inverse, weight, sums)
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return updated, sums, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the first seven arguments."""
        links, matrix, gates, updated, values, scale, bias, inverse, weight, sums = ctx.saved_tensors
        of_updated, of_sums = grads[:2]
        of_sums = torch.zeros_like(sums) if of_sums is None else of_sums * weight
        of_weight = -of_sums * sums
        of_links, of_gates, of_values = map(torch.empty_like, (links, gates, values))
        of_values.zero_()
        of_scale, of_bias, factor = torch.zeros_like(scale), torch.zeros_like(bias), scale * inverse
        for rows, i, j in ctx.graph.blocks():
            gate, of_sum = updated[rows].sigmoid(), of_sums.index_select(0, i)
            of_values.index_add_(0, j, gate * of_sum)
            of_link = torch.index_select(of_weight, 0, i, out=of_links[rows])
            of_link.addcmul_(of_sum, values.index_select(0, j))
            of_link.mul_(gate.addcmul_(gate, gate, value=-1))  # σ′ = σ − σ²
            if of_updated is not None:
                of_link.add_(of_updated[rows])
            slope = silu_slope(torch.addcmul(bias, gates[rows], factor))
            of_gate = torch.mul(of_link, slope, out=of_gates[rows])
            of_bias += of_gate.sum(0)
            of_scale += torch.mul(of_gate, gates[rows], out=slope).sum(0)
        of_scale *= inverse
        ctx.statistics.backward(of_gates, gates, factor, (of_bias, of_scale * inverse))
        of_matrix, of_receiver, of_sender = _of_projections(of_gates, of_links, links, matrix, ctx.graph)
        return of_links, of_matrix, of_receiver, of_sender, of_values, of_scale, of_bias, None, None


def _of_projections(
    of_gates: Float[torch.Tensor, "links width"],
    of_links: Float[torch.Tensor, "links width"],
    links: Float[torch.Tensor, "links width"],
    matrix: Float[torch.Tensor, "width width"],
    graph: Links,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of W, r and s; that of u through W is added to ``of_links`` in place."""
    of_matrix = torch.zeros_like(matrix, dtype=of_gates.dtype)
    of_receiver = of_gates.new_zeros(len(graph.node_weight), of_gates.shape[1])
    of_sender = torch.zeros_like(of_receiver)
    for rows, i, j in graph.blocks():
        block = of_gates[rows]
        of_receiver.index_add_(0, i, block)
        of_sender.index_add_(0, j, block)
        factor = block.to(matrix.dtype)
        add_product(of_matrix, links[rows].t(), factor)
        add_product(of_links[rows], factor, matrix.t())
    return of_matrix.to(matrix.dtype), of_receiver, of_sender


class EdgeGatedConv(nn.Module):
    """Edge-gated graph convolution (Bresson & Laurent, arXiv:1711.07553; eqs. 3 and 4 of CrysMMNet).

    u' = u + SiLU(BN(A h_i + B h_j + C u)),
    h' = h + SiLU(BN(W h_i + Σ_j σ(u') ⊙ V h_j / (Σ_j σ(u') + ε))).
    Nodes are projected before they are gathered. Both norms count what a row stands for.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, 2 * width, bias=False)
        self.other = nn.Linear(width, 2 * width, bias=False)
        self.link = nn.Linear(width, width, bias=False)
        self.link_norm, self.node_norm = WeightedBatchNorm(width), WeightedBatchNorm(width)

    def forward(
        self,
        nodes: Float[torch.Tensor, "nodes width"],
        links: Float[torch.Tensor, "links width"],
        graph: Links,
    ) -> tuple[Float[torch.Tensor, "nodes width"], Float[torch.Tensor, "links width"]]:
        """New features of nodes and links."""
        norm, dtype = self.link_norm, self.link.weight.dtype
        receiver, own = self.own(nodes).to(dtype).chunk(2, dim=1)
        sender, values = self.other(nodes).to(dtype).chunk(2, dim=1)
        matrix = self.link.weight.t().to(product_dtype(self.link.weight))
        statistics = Statistics.of(norm, graph.weight)
        # Statistics and sums keep the parameters' precision; products alone have that of autocast.
        with torch.autocast(nodes.device.type, enabled=False):
            tables = (x.contiguous() for x in (receiver, sender, values))
            links, sums, mean, variance = EdgeGatedSum.apply(
                links, matrix, *tables, norm.weight, norm.bias, graph, statistics
            )
            if statistics.running is None:
                norm.update(mean, variance)
            return nodes + nn.functional.silu(self.node_norm(own + sums, graph.node_weight)), links
