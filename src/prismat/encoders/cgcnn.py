"""Crystal graph convolution (Xie & Grossman, Phys. Rev. Lett. 120, 145301, 2018)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.edge_moments import EdgeMoments
from prismat.encoders.gated_sum import GatedSum, product_dtype
from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm, pool_mean
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
        factors = product_dtype(self.edge.weight)
        # Statistics and sums keep the parameters' precision; products alone have that of autocast.
        with torch.autocast(device, enabled=False):
            weight = self.edge.weight.t()
            if self.edge_norm is not None:
                mean, variance = self.edge_norm.running_mean, self.edge_norm.running_var
                if self.training and len(radial):
                    moments = moments or EdgeMoments.of(radial, batch)
                    mean, variance = moments.mean_and_variance(weight, receiver, sender)
                    self.edge_norm.update(mean, variance)
                # The affine map of the normalisation, applied to each of the three terms.
                scale = self.edge_norm.weight * torch.rsqrt(variance + self.edge_norm.eps)
                receiver = torch.addcmul(self.edge_norm.bias, receiver - mean, scale)
                weight, sender = weight * scale, sender * scale
            total = GatedSum.apply(radial.to(factors), weight.to(factors), receiver, sender, edges)
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
        radial = radial.to(product_dtype(self.embedding.linear.weight))
        for convolution in self.convolutions:
            nodes = convolution(nodes, radial, batch, moments)
        return self.head(pool_mean(nodes, batch))
