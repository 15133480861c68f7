"""The tri-modal proposal's message-passing network f_g (trimodal proposal, section 3.2)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.layers import AtomEmbedding, pool_mean, scatter_sum
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class MpgnnConfig:
    """Size of the network.

    Attributes:
        width: features per atom, and of the crystal.
        layers: message-passing layers L.
    """

    width: int = 128
    layers: int = 3


class MpgnnLayer(nn.Module):
    """h_i ← ReLU(W₁ h_i + Σ_{j∈N(i)} W₂ h_j + b), literally; distances do not enter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.neighbor = nn.Linear(width, width, bias=False)

    def forward(
        self, nodes: Float[torch.Tensor, "nodes width"], batch: StructureBatch
    ) -> Float[torch.Tensor, "nodes width"]:
        """New node features, shape (nodes, width)."""
        # Σ W₂ h_j = W₂-projected nodes gathered: one multiplication per node instead of one per edge.
        message = self.neighbor(nodes).index_select(0, batch.sender)
        return torch.relu(self.own(nodes) + scatter_sum(message, batch.receiver, batch.n_nodes))


class Mpgnn(nn.Module):
    """Crystal → (batch, width): L literal layers and the mean over atoms."""

    def __init__(self, config: MpgnnConfig = MpgnnConfig()) -> None:
        super().__init__()
        self.config = config
        self.embedding = AtomEmbedding(config.width)
        self.layers = nn.ModuleList(MpgnnLayer(config.width) for _ in range(config.layers))

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs width"]:
        """h^g, shape (graphs, width)."""
        nodes = self.embedding(batch)
        for layer in self.layers:
            nodes = layer(nodes, batch)
        return pool_mean(nodes, batch)
