"""ALIGNN as its equations stand, operation by operation, with PyTorch Geometric's scatter.

Choudhary & DeCost, npj Comput. Mater. 7, 185 (2021); as in its public code nodes are projected before edges
gather them, and the line graph is made ahead. Atom embedding and radial bases are Prismat's.
"""

from copy import deepcopy

import torch
from torch import nn
from torch_geometric.nn import global_mean_pool
from torch_geometric.utils import scatter

from prismat.encoders.alignn import Alignn, ScalarEmbedding
from prismat.encoders.edge_gated import EPSILON, EdgeGatedConv
from prismat.encoders.line_graph import LineGraph
from prismat.modalities.structure import StructureBatch


class ReferenceConv(nn.Module):
    """Edge-gated graph convolution with the weights of ours."""

    def __init__(self, ours: EdgeGatedConv) -> None:
        super().__init__()
        width = ours.link.out_features
        self.receiver_gate, self.own = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.sender_gate, self.value = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.link_gate = nn.Linear(width, width, bias=False)
        self.link_norm, self.node_norm = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        weights = [*ours.own.weight.chunk(2), *ours.other.weight.chunk(2), ours.link.weight]
        linears = (self.receiver_gate, self.own, self.sender_gate, self.value, self.link_gate)
        for linear, weight in zip(linears, weights, strict=True):
            linear.load_state_dict({"weight": weight})
        self.link_norm.load_state_dict(ours.link_norm.state_dict(), strict=False)
        self.node_norm.load_state_dict(ours.node_norm.state_dict(), strict=False)

    def forward(
        self, nodes: torch.Tensor, links: torch.Tensor, receiver: torch.Tensor, sender: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New features of nodes and links."""
        gates = self.receiver_gate(nodes).index_select(0, receiver) + self.link_gate(links)
        gates = gates + self.sender_gate(nodes).index_select(0, sender)
        links = links + nn.functional.silu(self.link_norm(gates))
        gate, n = torch.sigmoid(links), len(nodes)
        values = scatter(gate * self.value(nodes).index_select(0, sender), receiver, 0, n)
        mean = values / (scatter(gate, receiver, 0, n) + EPSILON)
        return nodes + nn.functional.silu(self.node_norm(self.own(nodes) + mean)), links


def _embedding(ours: ScalarEmbedding) -> nn.Sequential:
    """Gaussians, then twice a linear map, batch normalisation and SiLU."""
    layers: list[nn.Module] = [deepcopy(ours.basis)]
    for layer in (ours.first, ours.second):
        norm = nn.BatchNorm1d(layer.linear.out_features)
        norm.load_state_dict(layer.norm.state_dict(), strict=False)
        layers += [deepcopy(layer.linear), norm, nn.SiLU()]
    return nn.Sequential(*layers)


class ReferenceAlignn(nn.Module):
    """An ALIGNN with the weights of ours, which pools bonds and angles beside atoms."""

    def __init__(self, ours: Alignn) -> None:
        super().__init__()
        self.embedding, self.of_bonds, self.of_angles = (
            deepcopy(x) for x in (ours.embedding, ours.of_bonds, ours.of_angles)
        )
        self.atom_norm = nn.BatchNorm1d(ours.width)
        self.atom_norm.load_state_dict(ours.atom_norm.state_dict(), strict=False)
        self.edge_embedding = _embedding(ours.edge_embedding)
        self.angle_embedding = _embedding(ours.angle_embedding)
        self.on_angles = nn.ModuleList(ReferenceConv(x) for x in ours.on_angles)
        self.on_bonds = nn.ModuleList(ReferenceConv(x) for x in ours.on_bonds)

    def forward(self, batch: StructureBatch, angles: LineGraph) -> torch.Tensor:
        """Crystal features, shape (graphs, width); of full graphs only."""
        atom = nn.functional.silu(self.atom_norm(self.embedding(batch)))
        edge, angle = self.edge_embedding(batch.distance), self.angle_embedding(angles.cosine)
        for depth, convolution in enumerate(self.on_bonds):
            if depth < len(self.on_angles):
                edge, angle = self.on_angles[depth](edge, angle, angles.edge_of, angles.edge_in)
            atom, edge = convolution(atom, edge, batch.receiver, batch.sender)
        of_edge = batch.node_graph.index_select(0, batch.receiver)
        of_angle = of_edge.index_select(0, angles.edge_of)
        crystal = global_mean_pool(atom, batch.node_graph, batch.n_graphs)
        crystal = crystal + self.of_bonds(global_mean_pool(edge, of_edge, batch.n_graphs))
        return crystal + self.of_angles(global_mean_pool(angle, of_angle, batch.n_graphs))
