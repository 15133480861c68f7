"""CGCNN on PyTorch Geometric: what the benchmark compares Prismat's with, on the same batch.

Embedding, radial basis and head are Prismat's; the convolutions are PyTorch Geometric's message passing on
the concatenation of receiver, sender and edge.
"""

from copy import deepcopy

import torch
from torch import nn
from torch_geometric.nn import CGConv, MessagePassing, global_mean_pool

from prismat.encoders.cgcnn import Cgcnn, CgcnnLayer
from prismat.modalities.structure import StructureBatch


class NormalizedConv(MessagePassing):
    """One convolution with both normalisations of the paper's code, on nodes and edges of equal weight."""

    def __init__(self, width: int, centers: int) -> None:
        super().__init__(aggr="add")
        self.linear = nn.Linear(2 * width + centers, 2 * width)
        self.edge_norm, self.node_norm = nn.BatchNorm1d(2 * width), nn.BatchNorm1d(width)

    def forward(self, nodes: torch.Tensor, index: torch.Tensor, radial: torch.Tensor) -> torch.Tensor:
        """Nodes and the normalised sum of their messages, shape (nodes, width)."""
        return nodes + self.node_norm(self.propagate(index, x=nodes, radial=radial))

    def message(self, x_i: torch.Tensor, x_j: torch.Tensor, radial: torch.Tensor) -> torch.Tensor:
        """σ(f) ⊙ softplus(c) of every edge, shape (edges, width)."""
        gate, core = self.edge_norm(self.linear(torch.cat([x_i, x_j, radial], dim=1))).chunk(2, dim=1)
        return torch.sigmoid(gate) * nn.functional.softplus(core)


class ReferenceCgcnn(nn.Module):
    """A CGCNN with the weights of ours: CGConv without normalisation, else ``NormalizedConv``.

    CGConv's own normalisation leaves the gates alone, which is another function.
    """

    def __init__(self, ours: Cgcnn) -> None:
        super().__init__()
        config, self.embedding, self.basis = ours.config, deepcopy(ours.embedding), deepcopy(ours.basis)
        self.convolutions = nn.ModuleList(
            NormalizedConv(config.width, config.centers)
            if config.normalize
            else CGConv(config.width, dim=config.centers)
            for _ in range(config.layers)
        )
        self.head = deepcopy(ours.head)
        for mine, theirs in zip(self.convolutions, ours.convolutions, strict=True):
            _copy(theirs, mine)

    def forward(self, batch: StructureBatch) -> torch.Tensor:
        """Crystal features, shape (graphs, out)."""
        nodes, radial = self.embedding(batch), self.basis(batch.distance)
        index = torch.stack([batch.sender, batch.receiver])
        for convolution in self.convolutions:
            # The softplus that ends the paper's convolution; CGConv leaves it out.
            nodes = nn.functional.softplus(convolution(nodes, index, radial))
        return self.head(global_mean_pool(nodes, batch.node_graph, batch.n_graphs))


@torch.no_grad()
def _copy(ours: CgcnnLayer, conv: NormalizedConv | CGConv) -> None:
    weight = torch.cat([ours.receiver.weight, ours.sender.weight, ours.edge.weight], dim=1)
    if isinstance(conv, NormalizedConv):
        conv.linear.load_state_dict({"weight": weight, "bias": ours.receiver.bias})
        conv.edge_norm.load_state_dict(ours.edge_norm.state_dict(), strict=False)
        conv.node_norm.load_state_dict(ours.node_norm.state_dict(), strict=False)
        return
    gate, core = zip(weight.chunk(2), ours.receiver.bias.chunk(2), strict=True)
    conv.lin_f.load_state_dict({"weight": gate[0], "bias": gate[1]})
    conv.lin_s.load_state_dict({"weight": core[0], "bias": core[1]})
