"""Matformer: attention over periodic graphs whose atoms see their own images (Yan et al., NeurIPS 2022)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.encoders.blocked_sum import BlockedSum, Edges, Message
from prismat.encoders.lattice_minima import lattice_minima
from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean
from prismat.encoders.shells import Shells
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class MatformerConfig:
    """Size of a Matformer; the defaults are the published ones.

    Attributes:
        width: features per atom, per edge and per head.
        heads: attention heads.
        layers: attention layers.
        out: width of the crystal feature.
        centers: Gaussians over −0.75/d.
        low, high: first and last centre in Å⁻¹.
        self_edges: three edges from each atom to itself, as long as the successive minima of the lattice.
    """

    width: int = 128
    heads: int = 4
    layers: int = 5
    out: int = 128
    centers: int = 128
    low: float = -4.0
    high: float = 0.0
    self_edges: bool = True


@dataclass(frozen=True)
class PeriodicGraph:
    """Rows that carry one message each: shells of equal neighbours, then edges of atoms to themselves.

    Attributes:
        edges: receiver, sender and length of each row, and the equal edges that it stands for.
        distance: the different lengths in Å, shape (lengths,).
    """

    edges: Edges
    distance: Float[torch.Tensor, " lengths"]

    @classmethod
    def of(cls, batch: StructureBatch, self_edges: bool = True) -> "PeriodicGraph":
        """Graph of a batch. Molecules have no lattice and no edges to themselves."""
        shells = Shells.of(batch)
        node, minima = _self_edges(batch) if self_edges else (batch.receiver[:0], batch.distance[:0])
        receiver = torch.cat([shells.receiver.index, node])
        sender = torch.cat([shells.sender.index, node])
        # What an edge contributes depends on its length alone, and i → j is as long as j → i.
        distance, length = torch.unique(torch.cat([shells.distance, minima]), return_inverse=True)
        count = torch.cat([shells.count, torch.ones_like(minima)])
        return cls(Edges(torch.stack([receiver, sender, length]), count), distance)


def _self_edges(
    batch: StructureBatch,
) -> tuple[Int[torch.Tensor, " edges"], Float[torch.Tensor, " edges"]]:
    """Node and length of three edges for each atom of a crystal.

    The published lengths are those of the cell's axes as given; successive minima are the same for every
    choice of the axes.
    """
    is_crystal = batch.cell[:, 0] > 0
    lengths = batch.lattice.new_zeros(batch.n_graphs, 3)
    lengths[is_crystal] = lattice_minima(batch.lattice[is_crystal])
    nodes = is_crystal[batch.node_graph].nonzero()[:, 0]
    return nodes.repeat_interleave(3), lengths[batch.node_graph[nodes]].flatten().to(batch.distance.dtype)


class MatformerLayer(nn.Module):
    """One layer of attention, as published.

    For each head, with C the width:
    α_ij = (q_i|q_i|q_i) ⊙ (k_i|k_j|e_ij) / √(3C),
    m_ij = LN(W₂ [σ(LN(α_ij)) ⊙ (W₁ (v_i|v_j|e_ij) + b₁)] + b₂),
    h_i ← softplus(h_i + BN(W₃ Σ_j m_ij + b₃)).
    A sigmoid in place of softmax: weights do not add up to one, so that degrees are seen. W₁ is applied to
    atoms and to distinct lengths before these are gathered.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, heads * width) for _ in range(3))
        self.edge = nn.Linear(width, heads * width, bias=False)
        self.mix = nn.Linear(3 * width, 3 * width)
        self.attention_norm = nn.LayerNorm(3 * width)
        self.message = nn.Linear(3 * width, width)
        self.message_norm = nn.LayerNorm(width)
        self.merge = nn.Linear(heads * width, width)
        self.norm = WeightedBatchNorm(width)

    def forward(
        self,
        nodes: Float[torch.Tensor, "nodes width"],
        lengths: Float[torch.Tensor, "lengths width"],
        graph: PeriodicGraph,
        multiplicity: Float[torch.Tensor, " nodes"],
    ) -> Float[torch.Tensor, "nodes width"]:
        """New node features; ``lengths`` are the features of each distinct length."""
        message = Message(self._messages, self.heads * nodes.shape[1], tables=3)
        modules = (self.attention_norm, self.message, self.message_norm)
        parameters = (p for module in modules for p in module.parameters())
        total = BlockedSum.apply(message, graph.edges, *self._tables(nodes, lengths), *parameters)
        merged = self.merge(total).to(nodes.dtype)
        return nn.functional.softplus(nodes + self.norm(merged, multiplicity))

    def _messages(
        self,
        receiver: Float[torch.Tensor, "rows of_receiver"],
        sender: Float[torch.Tensor, "rows of_sender"],
        edge: Float[torch.Tensor, "rows of_edge"],
    ) -> Float[torch.Tensor, "rows of_heads"]:
        """m_ij of every head from the rows of the three tables."""
        receiver, sender, edge = (x.unflatten(1, (self.heads, -1)) for x in (receiver, sender, edge))
        width = self.message.out_features
        query, own, mixed = receiver.split((width, width, 3 * width), dim=2)
        # The thirds of α, and of W₁ (v_i|v_j|e_ij), that each table knows.
        attention = torch.cat([own, query * sender[..., :width], query * edge[..., :width]], dim=2)
        gate = torch.sigmoid(self.attention_norm(attention))
        message = gate * (mixed + sender[..., width:] + edge[..., width:])
        return self.message_norm(self.message(message)).flatten(1).to(receiver.dtype)

    def _tables(
        self, nodes: Float[torch.Tensor, "nodes width"], lengths: Float[torch.Tensor, "lengths width"]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a row needs of its receiver (q, q ⊙ k, W₁ v), of its sender (k, W₁ v) and of its length."""
        dtype = self.norm.weight.dtype
        query, key, value, edge = (
            projection(x).unflatten(1, (self.heads, -1))
            for projection, x in (
                (self.query, nodes),
                (self.key, nodes),
                (self.value, nodes),
                (self.edge, lengths),
            )
        )
        query = query / math.sqrt(3 * nodes.shape[1])
        w_receiver, w_sender, w_edge = self.mix.weight.chunk(3, dim=1)
        mix = nn.functional.linear
        tables = (
            (query, query * key, mix(value, w_receiver, self.mix.bias)),
            (key, mix(value, w_sender)),
            (edge, mix(edge, w_edge)),
        )
        of_receiver, of_sender, of_edge = (torch.cat(t, dim=2).flatten(1).to(dtype) for t in tables)
        return of_receiver, of_sender, of_edge


class Matformer(nn.Module):
    """Crystal → (batch, out): attention layers, mean over atoms, one hidden layer.

    Lengths enter as −0.75/d: finely for bonds, coarsely but without an end for the axes of a cell. Exact on
    symmetry-reduced graphs: messages depend on lengths only, and equal ones are computed once and counted.
    """

    def __init__(self, config: MatformerConfig = MatformerConfig()) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.embedding = AtomEmbedding(width)
        self.basis = RadialBasis(config.low, config.high, config.centers)
        self.length = nn.Sequential(nn.Linear(config.centers, width), nn.Softplus(), nn.Linear(width, width))
        self.layers = nn.ModuleList(MatformerLayer(width, config.heads) for _ in range(config.layers))
        self.head = nn.Sequential(nn.Linear(width, config.out), nn.SiLU())

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        graph = PeriodicGraph.of(batch, self.config.self_edges)
        nodes = self.embedding(batch).to(self.embedding.learned.weight.dtype)
        lengths = self.length(self.basis(-0.75 / graph.distance.clamp_min(1e-3)))
        for layer in self.layers:
            nodes = layer(nodes, lengths, graph, batch.multiplicity)
        return self.head(pool_mean(nodes, batch))
