"""Crystal graph convolution (Xie & Grossman, Phys. Rev. Lett. 120, 145301, 2018)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean, scatter_sum
from prismat.modalities.structure import StructureBatch


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


class CgcnnLayer(nn.Module):
    """One convolution, eq. 5 of the paper.

    v_i ← g(v_i + Σ_j σ(z_ij W_f + b_f) ⊙ g(z_ij W_s + b_s)),  z_ij = v_i ⊕ v_j ⊕ u_ij, g = softplus.

    z_ij W = v_i W_i + v_j W_j + u_ij W_u, so atoms are projected first and gathered after: the same function
    as the concatenation with a fraction of the multiplications, since edges outnumber atoms twelve to one.
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
    ) -> Float[torch.Tensor, "nodes width"]:
        """New node features, shape (nodes, width)."""
        gates = (
            self.edge(radial)
            + self.receiver(nodes).index_select(0, batch.receiver)
            + self.sender(nodes).index_select(0, batch.sender)
        )
        if self.edge_norm is not None:
            gates = self.edge_norm(gates, batch.multiplicity.index_select(0, batch.receiver))
        gate, core = gates.chunk(2, dim=1)
        message = torch.sigmoid(gate) * nn.functional.softplus(core)
        total = scatter_sum(message, batch.receiver, batch.n_nodes)
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
        for convolution in self.convolutions:
            nodes = convolution(nodes, radial, batch)
        return self.head(pool_mean(nodes, batch))
