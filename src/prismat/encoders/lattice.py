"""The cell as a whole: edges, angles, volume per atom and space group."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.layers import RadialBasis, hidden_layer, scatter_sum
from prismat.modalities.structure import StructureBatch

_EDGE_RANGE = (0.9, 3.7)
_VOLUME_RANGE = (1.6, 4.0)
_SPACE_GROUPS = 230
_MIRRORED = {
    78: 76,
    95: 91,
    96: 92,
    145: 144,
    153: 151,
    154: 152,
    170: 169,
    172: 171,
    179: 178,
    181: 180,
    213: 212,
}
"""Space groups and their mirror images: left and right quartz are one to a powder pattern and to a text."""


@dataclass(frozen=True)
class LatticeConfig:
    """Size of the lattice encoder.

    Attributes:
        hidden: width of the hidden layer.
        out: width of the output.
        centers: Gaussians on the logarithm of each edge.
        dropout: on the hidden layer.
    """

    hidden: int = 256
    out: int = 256
    centers: int = 60
    dropout: float = 0.1


class LatticeEncoder(nn.Module):
    """Conventional cell → (batch, out).

    Local graphs end at the cutoff and cannot measure a long axis; peak positions of a diffraction pattern
    depend on nothing else. Edges enter as logarithms in Gaussians, so that a relative change of 5 % looks
    alike for every axis. The cell is the standardised one: no choice of the user's cell is visible, nor is
    the hand of a chiral crystal.
    """

    unhanded: torch.Tensor

    def __init__(self, config: LatticeConfig = LatticeConfig()) -> None:
        super().__init__()
        self.config = config
        group = torch.arange(_SPACE_GROUPS + 1)
        group[list(_MIRRORED)] = torch.tensor(list(_MIRRORED.values()))
        self.register_buffer("unhanded", group, persistent=False)
        self.edges = RadialBasis(*_EDGE_RANGE, config.centers)
        self.volume = RadialBasis(*_VOLUME_RANGE, 40)
        inputs = 3 * config.centers + 40 + 8 + _SPACE_GROUPS + 1
        self.net = hidden_layer(inputs, config.hidden, config.out, config.dropout)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Lattice features, shape (graphs, out)."""
        atoms = scatter_sum(batch.multiplicity[:, None], batch.node_graph, batch.n_graphs)[:, 0].clamp_min(1)
        edges = batch.cell[:, :3].clamp_min(1e-3).log()
        volume = (torch.linalg.det(batch.lattice).abs() / atoms).clamp_min(1e-3).log()
        group = nn.functional.one_hot(self.unhanded[batch.spacegroup], _SPACE_GROUPS + 1).to(edges.dtype)
        plain = [edges, batch.cell[:, 3:] / 90 - 1, volume[:, None], atoms.log()[:, None]]
        basis = [self.edges(edges[:, k]) for k in range(3)] + [self.volume(volume)]
        return self.net(torch.cat([*plain, *basis, group], dim=1))
