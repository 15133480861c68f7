"""PaiNN as its equations stand, edge by edge, with PyTorch Geometric's scatter.

Schütt, Unke & Gastegger, ICML 2021, eqs. 7 to 10. Embedding, radial basis and head are Prismat's.
"""

from copy import deepcopy

import torch
from torch import nn
from torch_geometric.nn import global_mean_pool
from torch_geometric.utils import scatter

from prismat.encoders.bessel import cosine_cutoff
from prismat.encoders.painn import Painn
from prismat.modalities.structure import StructureBatch


class Message(nn.Module):
    """Eqs. 7 and 8: a filter per edge and layer, messages of shape (edges, width) and (edges, 3, width)."""

    def __init__(self, width: int, functions: int) -> None:
        super().__init__()
        self.filter = nn.Linear(functions, 3 * width)
        self.net = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(
        self,
        scalar: torch.Tensor,
        vector: torch.Tensor,
        radial: torch.Tensor,
        fade: torch.Tensor,
        direction: torch.Tensor,
        batch: StructureBatch,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scalars (nodes, width) and vectors (nodes, 3, width) after the messages of all neighbours."""
        filters = self.filter(radial) * fade
        message = self.net(scalar).index_select(0, batch.sender) * filters
        of_scalar, length, gate = message.chunk(3, dim=1)
        of_vector = length[:, None] * direction[:, :, None]
        of_vector = of_vector + gate[:, None] * vector.index_select(0, batch.sender)
        n = batch.n_nodes
        return (
            scalar + scatter(of_scalar, batch.receiver, 0, n),
            vector + scatter(of_vector, batch.receiver, 0, n),
        )


class Update(nn.Module):
    """Eqs. 9 and 10."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, 2 * width, bias=False)
        self.net = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(self, scalar: torch.Tensor, vector: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scalars and vectors after the update."""
        left, right = self.mix(vector).chunk(2, dim=2)
        length = (right.square().sum(1) + 1e-8).sqrt()
        plain, inner, gate = self.net(torch.cat([scalar, length], dim=1)).chunk(3, dim=1)
        return scalar + plain + inner * (left * right).sum(1), vector + gate[:, None] * left


class ReferencePainn(nn.Module):
    """A PaiNN with the weights of ours."""

    def __init__(self, ours: Painn) -> None:
        super().__init__()
        self.config, width = ours.config, ours.config.width
        self.embedding, self.basis, self.head = (deepcopy(x) for x in (ours.embedding, ours.basis, ours.head))
        self.messages = nn.ModuleList(Message(width, self.config.functions) for _ in ours.messages)
        self.updates = nn.ModuleList(Update(width) for _ in ours.updates)
        self.updates.load_state_dict(ours.updates.state_dict())
        filters = zip(ours.filters.weight.split(3 * width), ours.filters.bias.split(3 * width), strict=True)
        for mine, theirs, (weight, bias) in zip(self.messages, ours.messages, filters, strict=True):
            mine.net.load_state_dict(theirs.net.state_dict())
            mine.filter.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, batch: StructureBatch) -> torch.Tensor:
        """Crystal features, shape (graphs, out); of full graphs only, whose rotations are identities."""
        radial = self.basis(batch.distance)
        fade = cosine_cutoff(batch.distance, self.config.cutoff)[:, None]
        direction = batch.vector / batch.distance[:, None]
        scalar = self.embedding(batch)
        vector = scalar.new_zeros(len(scalar), 3, scalar.shape[1])
        for message, update in zip(self.messages, self.updates, strict=True):
            scalar, vector = update(*message(scalar, vector, radial, fade, direction, batch))
        return self.head(global_mean_pool(scalar, batch.node_graph, batch.n_graphs))
