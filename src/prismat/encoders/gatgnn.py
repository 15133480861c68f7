"""Global attention graph network, GATGNN (Louis et al., Phys. Chem. Chem. Phys. 22, 18141, 2020)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.elements import MAX_Z
from prismat.encoders.initialize import initialize_glorot
from prismat.encoders.layers import AtomEmbedding, RadialBasis, WeightedBatchNorm
from prismat.encoders.segment import Groups, group_softmax, group_sum, spread
from prismat.encoders.shells import Shells
from prismat.modalities.structure import StructureBatch, composition_of

_ATTENTION_WIDTH = 32
"""Hidden width of the global attention, as in the paper's code."""


@dataclass(frozen=True)
class GatgnnConfig:
    """Size of a GATGNN.

    Attributes:
        width: features per atom and per edge (paper: 64).
        layers: augmented graph-attention layers (paper: 3).
        heads: of each layer, averaged (paper: 4).
        out: width of the crystal feature.
        centers: Gaussians of the radial basis, 0 … ``cutoff`` (paper: 41).
        cutoff: Å, last centre of the radial basis.
    """

    width: int = 64
    layers: int = 3
    heads: int = 4
    out: int = 128
    centers: int = 41
    cutoff: float = 8.0


class GatgnnLayer(nn.Module):
    """Augmented graph attention: a mean over heads of attention sums over neighbours.

    a_i = g(W (v_i ⊕ e_ij)), a_j = g(W (v_j ⊕ e_ij)), g = softplus;
    α_ij = softmax_j g(norm(g(a · (a_i ⊕ a_j)))),  v_i ← Σ_j α_ij a_j + b.

    W (v ⊕ e) = v W_v + e W_e: atoms are projected before edges read them, and e once for both ends.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.atom = nn.Linear(width, heads * width, bias=False)
        self.edge = nn.Linear(width, heads * width, bias=False)
        self.score = nn.Parameter(torch.empty(heads, 2 * width))
        self.norm = WeightedBatchNorm(heads)
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_uniform_(self.score)

    def forward(
        self,
        nodes: Float[torch.Tensor, "nodes width"],
        edges: Float[torch.Tensor, "shells width"],
        shells: Shells,
    ) -> Float[torch.Tensor, "nodes width"]:
        """Attention sums, shape (nodes, width)."""
        dtype, width = self.bias.dtype, nodes.shape[1]
        atom, edge = self.atom(nodes).to(dtype), self.edge(edges).to(dtype)
        sender = nn.functional.softplus(edge + spread(atom, shells.sender)).unflatten(1, (self.heads, width))
        receiver = nn.functional.softplus(edge + spread(atom, shells.receiver)).view_as(sender)
        alpha = self._attention(receiver, sender, shells) / self.heads
        groups = shells.receiver.refined(self.heads)
        return group_sum(sender.flatten(0, 1), groups, alpha.flatten()) + self.bias

    def _attention(
        self,
        receiver: Float[torch.Tensor, "shells heads width"],
        sender: Float[torch.Tensor, "shells heads width"],
        shells: Shells,
    ) -> Float[torch.Tensor, "shells heads"]:
        """α of every shell: that of all its edges together, shape (shells, heads)."""
        of_receiver, of_sender = self.score.chunk(2, dim=1)
        scores = (receiver * of_receiver).sum(2) + (sender * of_sender).sum(2)
        scores = self.norm(nn.functional.softplus(scores), shells.atoms)
        return group_softmax(nn.functional.softplus(scores), shells.receiver, shells.count.to(scores.dtype))


class Gatgnn(nn.Module):
    """Crystal → (batch, out): attention layers, attention over atoms by composition, two dense layers.

    Exact on symmetry-reduced graphs: scores are those of receiver, sender and distance, and the global
    softmax and the normalisations weigh a node by the atoms it stands for. Each layer keeps only an average
    over neighbours: how many there are does not enter.
    """

    def __init__(self, config: GatgnnConfig = GatgnnConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = AtomEmbedding(width)
        self.basis = RadialBasis(0.0, config.cutoff, config.centers)
        self.edge = nn.Linear(config.centers, width)
        self.layers = nn.ModuleList(GatgnnLayer(width, config.heads) for _ in range(config.layers))
        self.norms = nn.ModuleList(WeightedBatchNorm(width) for _ in range(config.layers))
        self.atom_score = nn.Linear(width, _ATTENTION_WIDTH)
        self.composition_score = nn.Linear(MAX_Z + 1, _ATTENTION_WIDTH, bias=False)
        self.score = nn.Linear(_ATTENTION_WIDTH, 1)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.Softplus(), nn.Linear(width, config.out), nn.Softplus()
        )
        initialize_glorot(self)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        shells = Shells.of(batch)
        nodes = self.embedding(batch)
        edges = nn.functional.leaky_relu(self.edge(self.basis(shells.distance)), 0.2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            nodes = nn.functional.softplus(norm(layer(nodes, edges, shells), batch.multiplicity))
        return self.head(self._pool(nodes, batch))

    def _pool(
        self, nodes: Float[torch.Tensor, "nodes width"], batch: StructureBatch
    ) -> Float[torch.Tensor, "graphs width"]:
        """Σ over atoms, with attention by their features and the composition; adding up to 1."""
        atoms = Groups.of(batch.node_graph, batch.n_graphs)
        composition = composition_of(batch).to(self.composition_score.weight.dtype)
        scores = self.atom_score(nodes) + self.composition_score(composition).index_select(0, atoms.index)
        scores = self.score(nn.functional.softplus(scores)).to(nodes.dtype)
        attention = group_softmax(scores, atoms, batch.multiplicity.to(nodes.dtype))
        return group_sum(nodes, atoms, attention[:, 0])
