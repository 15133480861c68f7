"""Crystal graph convolution (Xie & Grossman, Phys. Rev. Lett. 120, 145301, 2018)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.autograd.function import once_differentiable

from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean, scatter_sum
from prismat.modalities.structure import StructureBatch

BLOCK = 4096
"""Edges handled at once on a processor, so that their gates stay in its cache."""


@dataclass(frozen=True)
class CgcnnConfig:
    """Size of a CGCNN.

    Attributes:
        width: features per atom (paper: 64).
        layers: convolutions (paper: 3; CLaSP: 5).
        out: width of the crystal feature.
        centers: Gaussians of the radial basis, 0 … ``cutoff``.
        cutoff: Å, last centre of the radial basis.
        normalize: weighted batch normalisation of gates and sums, as the paper's code has it.
    """

    width: int = 64
    layers: int = 3
    out: int = 128
    centers: int = 41
    cutoff: float = 8.0
    normalize: bool = True


class GatedSum(torch.autograd.Function):
    """Σ_j σ(f_ij) ⊙ softplus(c_ij) over the edges of each receiver, f_ij ⊕ c_ij = r_i + s_j + u_ij W.

    Nothing of size edges × width outlives its block: the backward pass computes the gates again, which costs
    less than carrying them through memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        radial: Float[torch.Tensor, "edges centers"],
        weight: Float[torch.Tensor, "centers gates"],
        receiver: Float[torch.Tensor, "nodes gates"],
        sender: Float[torch.Tensor, "nodes gates"],
        edges: Int[torch.Tensor, "2 edges"],
    ) -> Float[torch.Tensor, "nodes width"]:
        """The sums; ``edges`` holds receiving and sending node of each edge."""
        ctx.save_for_backward(radial, weight, receiver, sender, edges)
        total = receiver.new_zeros(len(receiver), receiver.shape[1] // 2)
        for block in _blocks(radial):
            gate, core = _gates(radial[block], weight, receiver, sender, edges[:, block]).chunk(2, dim=1)
            total.index_add_(0, edges[0, block], gate.sigmoid().mul_(nn.functional.softplus(core)))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the first four arguments."""
        radial, weight, receiver, sender, edges = ctx.saved_tensors
        of_radial = torch.empty_like(radial) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=receiver.dtype)
        of_receiver, of_sender = torch.zeros_like(receiver), torch.zeros_like(sender)
        for block in _blocks(radial):
            gates = _gates(radial[block], weight, receiver, sender, edges[:, block])
            slope = _slope(gates, grad.index_select(0, edges[0, block]))
            of_receiver.index_add_(0, edges[0, block], slope)
            of_sender.index_add_(0, edges[1, block], slope)
            slope = slope.to(radial.dtype)
            _add_product(of_weight, radial[block].t(), slope)
            if of_radial is not None:
                of_radial[block] = slope @ weight.t()
        return of_radial, of_weight.to(weight.dtype), of_receiver, of_sender, None


def _blocks(radial: torch.Tensor) -> Iterator[slice]:
    """Ranges of edges; a single one on an accelerator."""
    step = BLOCK if radial.device.type == "cpu" else max(1, len(radial))
    return (slice(start, start + step) for start in range(0, len(radial), step))


def _gates(
    radial: torch.Tensor,
    weight: torch.Tensor,
    receiver: torch.Tensor,
    sender: torch.Tensor,
    edges: torch.Tensor,
) -> Float[torch.Tensor, "block gates"]:
    """Gates f ⊕ c of one block of edges."""
    gates = receiver.index_select(0, edges[0]).add_(sender.index_select(0, edges[1]))
    return _add_product(gates, radial, weight)


def _slope(gates: torch.Tensor, grad: torch.Tensor) -> Float[torch.Tensor, "block gates"]:
    """Gradient of σ(f) ⊙ softplus(c) by f ⊕ c, with softplus′ = σ; ``gates`` may be overwritten."""
    value = nn.functional.softplus(gates[:, grad.shape[1] :])
    of_gate, of_core = gates.sigmoid_().chunk(2, dim=1)
    passed = grad * of_gate
    of_core.mul_(passed)
    # σ′ = σ − σ²
    torch.addcmul(passed, passed, of_gate, value=-1, out=of_gate).mul_(value)
    return gates


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Adds left @ right in place; factors of half precision are summed in that of ``total``."""
    return total.addmm_(left, right) if total.dtype == left.dtype else total.add_(left @ right)


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
        first: first edge of each node, shape (nodes,).
    """

    mean: Float[torch.Tensor, " centers"]
    covariance: Float[torch.Tensor, "centers centers"]
    by_receiver: Float[torch.Tensor, "nodes centers"]
    by_sender: Float[torch.Tensor, "nodes centers"]
    received: Float[torch.Tensor, " nodes"]
    sent: Float[torch.Tensor, " nodes"]
    share: Float[torch.Tensor, " nodes"]
    first: Int[torch.Tensor, " nodes"]

    @classmethod
    def of(cls, radial: Float[torch.Tensor, "edges centers"], batch: StructureBatch) -> "EdgeMoments":
        """Moments of a batch; an edge weighs as many atoms as its receiver stands for."""
        count = torch.bincount(batch.receiver, minlength=batch.n_nodes)
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
            first=count.cumsum(0) - count,
        )

    def mean_and_variance(
        self,
        weight: Float[torch.Tensor, "centers gates"],
        receiver: Float[torch.Tensor, "nodes gates"],
        sender: Float[torch.Tensor, "nodes gates"],
        edges: Int[torch.Tensor, "2 edges"],
    ) -> tuple[Float[torch.Tensor, " gates"], Float[torch.Tensor, " gates"]]:
        """Of r_i + s_j + u_ij W over edges, from variances and covariances of the three centred terms."""
        mean_r, mean_s = self.received @ receiver, self.sent @ sender
        r, s = receiver - mean_r, sender - mean_s
        # embedding_bag sums rows that need not be gathered first; edges are sorted by receiver.
        around = nn.functional.embedding_bag(edges[1], s, self.first, mode="sum")
        variance = (
            (weight * (self.covariance @ weight)).sum(0)
            + self.received @ r.square()
            + self.sent @ s.square()
            + 2 * (weight * (self.by_receiver.t() @ r + self.by_sender.t() @ s)).sum(0)
            + 2 * (self.share @ (r * around))
        )
        return self.mean @ weight + mean_r + mean_s, variance.clamp_min(0)


class CgcnnLayer(nn.Module):
    """One convolution, eq. 5 of the paper.

    v_i ← g(v_i + Σ_j σ(z_ij W_f + b_f) ⊙ g(z_ij W_s + b_s)),  z_ij = v_i ⊕ v_j ⊕ u_ij, g = softplus.

    z_ij W = v_i W_i + v_j W_j + u_ij W_u, so atoms are projected first and gathered after: the same function
    as the concatenation with a fraction of the multiplications, since edges outnumber atoms twelve to one.
    Batch normalisation of the gates is affine too and goes into the three terms before they are gathered.
    """

    def __init__(self, width: int, centers: int, normalize: bool) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, 2 * width)
        self.sender = nn.Linear(width, 2 * width, bias=False)
        self.edge = nn.Linear(centers, 2 * width, bias=False)
        self.edge_norm = WeightedBatchNorm(2 * width) if normalize else None
        self.node_norm = WeightedBatchNorm(width) if normalize else None

    def forward(
        self,
        nodes: Float[torch.Tensor, "nodes width"],
        radial: Float[torch.Tensor, "edges centers"],
        batch: StructureBatch,
        moments: EdgeMoments | None = None,
    ) -> Float[torch.Tensor, "nodes width"]:
        """New node features, shape (nodes, width); ``moments`` are those of ``radial``, if at hand."""
        edges = torch.stack([batch.receiver, batch.sender])
        dtype, device = self.edge.weight.dtype, nodes.device.type
        receiver, sender = self.receiver(nodes).to(dtype), self.sender(nodes).to(dtype)
        half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else dtype
        # Statistics and sums keep the parameters' precision; only the product over edges is of half.
        with torch.autocast(device, enabled=False):
            weight = self.edge.weight.t()
            if self.edge_norm is not None:
                mean, variance = self.edge_norm.running_mean, self.edge_norm.running_var
                if self.training and len(radial):
                    moments = moments or EdgeMoments.of(radial, batch)
                    mean, variance = moments.mean_and_variance(weight, receiver, sender, edges)
                    self.edge_norm.update(mean, variance)
                # The affine map of the normalisation, applied to each of the three terms.
                scale = self.edge_norm.weight * torch.rsqrt(variance + self.edge_norm.eps)
                receiver = torch.addcmul(self.edge_norm.bias, receiver - mean, scale)
                weight, sender = weight * scale, sender * scale
            total = GatedSum.apply(radial.to(half), weight.to(half), receiver, sender, edges)
            if self.node_norm is not None:
                total = self.node_norm(total, batch.multiplicity)
            return nn.functional.softplus(nodes + total)


class Cgcnn(nn.Module):
    """Crystal → (batch, out): atom embedding, convolutions, mean over atoms, one hidden layer.

    Invariant to rotation, translation, atom order, choice of cell and supercell. Exact on symmetry-reduced
    graphs: messages depend on distances only, pooling and normalisation weigh orbits by multiplicity.
    """

    def __init__(self, config: CgcnnConfig = CgcnnConfig()) -> None:
        super().__init__()
        self.config = config
        self.embedding = AtomEmbedding(config.width)
        self.basis = RadialBasis(0.0, config.cutoff, config.centers)
        self.convolutions = nn.ModuleList(
            CgcnnLayer(config.width, config.centers, config.normalize) for _ in range(config.layers)
        )
        self.head = nn.Sequential(nn.Softplus(), nn.Linear(config.width, config.out), nn.Softplus())

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        nodes = self.embedding(batch)
        radial = self.basis(batch.distance)
        moments = None
        if self.config.normalize and self.training:
            with torch.autocast(radial.device.type, enabled=False):
                moments = EdgeMoments.of(radial, batch)
        for convolution in self.convolutions:
            nodes = convolution(nodes, radial, batch, moments)
        return self.head(pool_mean(nodes, batch))
