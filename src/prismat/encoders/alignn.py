"""ALIGNN: messages over bonds and bond angles (Choudhary & DeCost, npj Comput. Mater. 7, 185, 2021)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.encoders.edge_gated import EdgeGatedConv, Links
from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean, scatter_sum
from prismat.encoders.line_graph import line_graph
from prismat.encoders.normed_rows import NormedLayer
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class AlignnConfig:
    """Size of an ALIGNN; the defaults are those of the paper and of CrysMMNet.

    Attributes:
        width: features per atom, bond and angle, and of the crystal.
        embedding: width between the two layers that embed lengths and angles.
        alignn_layers: layers that update angles, bonds and atoms.
        gcn_layers: layers behind them that update bonds and atoms.
        edge_centers: Gaussians over lengths, 0 … ``cutoff``.
        angle_centers: Gaussians over cosines, −1 … 1.
        cutoff: Å, last centre over lengths.
        angle_neighbors: angles are taken between the bonds to so many nearest neighbours, the last shell
            whole; None takes all bonds, as published. Time and memory grow as its square.
        pool_links: adds the means over bonds and over angles to that over atoms. Published is False, but then
            every crystal of one element is the same: normalised gates average equal neighbours to the same
            value, whatever their lengths and angles are.
    """

    width: int = 256
    embedding: int = 64
    alignn_layers: int = 4
    gcn_layers: int = 4
    edge_centers: int = 80
    angle_centers: int = 40
    cutoff: float = 8.0
    angle_neighbors: int | None = None
    pool_links: bool = True


class ScalarEmbedding(nn.Module):
    """A length or a cosine → Gaussians → two layers."""

    def __init__(self, basis: RadialBasis, hidden: int, width: int) -> None:
        super().__init__()
        self.basis = basis
        self.first = NormedLayer(len(basis.centers), hidden)
        self.second = NormedLayer(hidden, width)

    def forward(
        self, values: Float[torch.Tensor, " rows"], weight: Float[torch.Tensor, " rows"]
    ) -> Float[torch.Tensor, "rows width"]:
        """Features of each value."""
        return self.second(self.first(self.basis(values), weight), weight)


class Alignn(nn.Module):
    """Crystal → (batch, width): atoms, bonds and angles, then the mean over atoms.

    Each of the first layers updates angles and bonds on the line graph (eq. 3 of CrysMMNet), then bonds and
    atoms on the crystal graph (eq. 4); the layers behind them do the second only. Where eq. 5 writes a sum
    over atoms, its text says average pooling; only the average is the same for a supercell.
    Exact on symmetry-reduced graphs, see ``line_graph``. Mirror images are one: angles have no hand.
    """

    def __init__(self, config: AlignnConfig = AlignnConfig()) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.embedding = AtomEmbedding(width)
        self.atom_norm = WeightedBatchNorm(width)
        lengths = RadialBasis(0.0, config.cutoff, config.edge_centers)
        cosines = RadialBasis(-1.0, 1.0, config.angle_centers)
        self.edge_embedding = ScalarEmbedding(lengths, config.embedding, width)
        self.angle_embedding = ScalarEmbedding(cosines, config.embedding, width)
        self.on_angles = nn.ModuleList(EdgeGatedConv(width) for _ in range(config.alignn_layers))
        layers = config.alignn_layers + config.gcn_layers
        self.on_bonds = nn.ModuleList(EdgeGatedConv(width) for _ in range(layers))
        pooled = (config.pool_links, config.pool_links and config.alignn_layers > 0)
        self.of_bonds, self.of_angles = (
            nn.Linear(width, width, bias=False) if is_pooled else None for is_pooled in pooled
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs width"]:
        """Crystal features, shape (graphs, width)."""
        of_edge = batch.multiplicity[batch.receiver]
        bonds = Links(batch.receiver, batch.sender, of_edge, batch.multiplicity)
        atom = self.embedding(batch).to(self.atom_norm.weight.dtype)
        atom = nn.functional.silu(self.atom_norm(atom, batch.multiplicity))
        edge = self.edge_embedding(batch.distance, of_edge)
        if self.on_angles:
            found = line_graph(batch, self.config.angle_neighbors)
            angles = Links(found.edge_of, found.edge_in, found.multiplicity, of_edge)
            angle = self.angle_embedding(found.cosine, found.multiplicity)
        for depth, convolution in enumerate(self.on_bonds):
            if depth < len(self.on_angles):
                edge, angle = self.on_angles[depth](edge, angle, angles)
            atom, edge = convolution(atom, edge, bonds)
        crystal = pool_mean(atom, batch)
        graph = batch.node_graph[batch.receiver]
        if self.of_bonds is not None:
            crystal = crystal + self.of_bonds(_mean(edge, graph, of_edge, batch.n_graphs))
        if self.of_angles is not None:
            of_angle = graph[found.edge_of]
            crystal = crystal + self.of_angles(_mean(angle, of_angle, found.multiplicity, batch.n_graphs))
        return crystal


def _mean(
    rows: Float[torch.Tensor, "rows width"],
    graph: Int[torch.Tensor, " rows"],
    weight: Float[torch.Tensor, " rows"],
    n_graphs: int,
) -> Float[torch.Tensor, "graphs width"]:
    """Weighted mean over the rows of each crystal; zero where there are none."""
    weight = weight[:, None].to(rows.dtype)
    count = scatter_sum(weight, graph, n_graphs)
    return scatter_sum(rows * weight, graph, n_graphs) / count.clamp_min(1)
