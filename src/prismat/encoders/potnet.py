"""PotNet: message passing over interatomic potentials summed to infinity (Lin et al., ICML 2023)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean, scatter_sum
from prismat.errors import BadInputError
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class PotNetConfig:
    """Size of a PotNet.

    Attributes:
        width: features per atom and per edge (published: 256).
        layers: convolutions (published: 3).
        out: width of the crystal feature.
        edge_centers: Gaussians for the local potential −0.75/d, from ``low`` to ``high`` (published: 256).
        pair_centers: Gaussians for the mixed lattice sums, on the same range (published: 64).
        coefficients: of the Coulomb, London and Pauli sums in their mixture (published).
        low, high: range of the Gaussians (published).
    """

    width: int = 256
    layers: int = 3
    out: int = 128
    edge_centers: int = 256
    pair_centers: int = 64
    coefficients: tuple[float, float, float] = (-0.801, -0.074, 0.145)
    low: float = -4.0
    high: float = 4.0


class PotentialBasis(RadialBasis):
    """Gaussians of a potential on a regular grid, each as wide as the square root of the grid step.

    Wider than the step, since potentials of neighbouring atoms differ little on a scale of −4 … 4.
    """

    def __init__(self, config: PotNetConfig, count: int) -> None:
        super().__init__(config.low, config.high, count)
        self.inverse_width = math.sqrt(self.inverse_width)


@dataclass(frozen=True)
class _Graph:
    """Local edges and all pairs of one batch behind one another; ``weight`` counts receiving atoms."""

    receiver: Int[torch.Tensor, " edges"]
    sender: Int[torch.Tensor, " edges"]
    weight: Float[torch.Tensor, " edges"]
    node_weight: Float[torch.Tensor, " nodes"]


class PotNetLayer(nn.Module):
    """v_i ← relu(v_i + BN(Σ_j σ(BN(F(z_ij))) ⊙ G(z_ij))),  z_ij = v_i ⊕ v_j ⊕ e_ij.

    F and G are networks with one hidden layer (SiLU). Their first layers are linear in z_ij, so atoms are
    projected before they are gathered: the same function as on the concatenation, with fewer multiplications.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        # First layers of F and G side by side.
        self.receiver = nn.Linear(width, 2 * width)
        self.sender = nn.Linear(width, 2 * width, bias=False)
        self.edge = nn.Linear(width, 2 * width, bias=False)
        self.gate = nn.Linear(width, width)
        self.message = nn.Linear(width, width)
        self.gate_norm = WeightedBatchNorm(width)
        self.node_norm = WeightedBatchNorm(width)

    def forward(
        self,
        nodes: Float[torch.Tensor, "nodes width"],
        edges: Float[torch.Tensor, "edges width"],
        graph: _Graph,
    ) -> Float[torch.Tensor, "nodes width"]:
        """New node features, shape (nodes, width)."""
        gathered = self.receiver(nodes).index_select(0, graph.receiver)
        gathered = gathered + self.sender(nodes).index_select(0, graph.sender) + self.edge(edges)
        gate, message = nn.functional.silu(gathered).chunk(2, dim=1)
        gate = torch.sigmoid(self.gate_norm(self.gate(gate), graph.weight))
        # Sums keep the parameters' precision whatever autocast made of their terms.
        message = (gate * self.message(message)).to(self.gate.weight.dtype)
        total = scatter_sum(message, graph.receiver, len(nodes))
        return torch.relu(nodes + self.node_norm(total, graph.node_weight))


class PotNet(nn.Module):
    """Crystal → (batch, out): local edges and all pairs of the cell, convolutions, mean over atoms.

    Every pair of atoms of the cell is an edge that carries the Coulomb, London and Pauli potentials summed
    over all its images. Time and memory of one crystal therefore grow with nodes × atoms. Invariant to
    rotation, reflection, translation, atom order and choice of cell; exact on symmetry-reduced graphs, since
    every node keeps its pairs with all atoms and norms and pooling weigh nodes by multiplicity.
    """

    coefficients: torch.Tensor

    def __init__(self, config: PotNetConfig = PotNetConfig()) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("coefficients", torch.tensor(config.coefficients))
        self.embedding = AtomEmbedding(config.width)
        self.edge_embedding = nn.Sequential(
            PotentialBasis(config, config.edge_centers),
            nn.Linear(config.edge_centers, config.width),
            nn.SiLU(),
        )
        self.pair_embedding = nn.Sequential(
            PotentialBasis(config, config.pair_centers),
            nn.Linear(config.pair_centers, config.width),
            nn.Softplus(),
        )
        self.pair_norm = WeightedBatchNorm(config.width)
        self.layers = nn.ModuleList(PotNetLayer(config.width) for _ in range(config.layers))
        self.head = nn.Linear(config.width, config.out)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out).

        Raises:
            BadInputError: the batch comes from a store without lattice sums.
        """
        graph, edges = self._edges(batch)
        nodes = self.embedding(batch)
        for layer in self.layers:
            nodes = layer(nodes, edges, graph)
        return self.head(pool_mean(nodes, batch))

    def _edges(self, batch: StructureBatch) -> tuple[_Graph, Float[torch.Tensor, "edges width"]]:
        """Local edges, then pairs, with their features."""
        if batch.potential is None or batch.pair_receiver is None or batch.pair_sender is None:
            raise BadInputError(
                "PotNet needs lattice sums, and this batch has none",
                field="structure.potential",
                remedy="Prepare the store with the structure setting extras=('potentials',).",
            )
        # Written out, since a matrix product would be rounded under autocast.
        mixture = (batch.potential[:, :3] * self.coefficients).sum(dim=1)
        pair_weight = batch.multiplicity.index_select(0, batch.pair_receiver)
        pairs = self.pair_norm(self.pair_embedding(mixture), pair_weight)
        edges = self.edge_embedding(-0.75 / batch.distance)
        graph = _Graph(
            receiver=torch.cat([batch.receiver, batch.pair_receiver]),
            sender=torch.cat([batch.sender, batch.pair_sender]),
            weight=torch.cat([batch.multiplicity.index_select(0, batch.receiver), pair_weight]),
            node_weight=batch.multiplicity,
        )
        return graph, torch.cat([edges, pairs.to(edges.dtype)])
