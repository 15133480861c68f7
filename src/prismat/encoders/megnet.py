"""Materials graph network, MEGNet (Chen, Ye, Zuo, Zheng & Ong, Chem. Mater. 31, 3564, 2019)."""

from dataclasses import dataclass
from itertools import pairwise
from math import log

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.initialize import initialize_glorot
from prismat.encoders.layers import AtomEmbedding, RadialBasis
from prismat.encoders.segment import Groups, group_sum, spread
from prismat.encoders.set2set import Set2Set
from prismat.encoders.shells import Shells
from prismat.modalities.structure import StructureBatch


@dataclass(frozen=True)
class MegnetConfig:
    """Size of a MEGNet.

    Attributes:
        width: features per atom, edge and state (paper: 32).
        hidden: width of the hidden layers (paper: 64).
        blocks: paper: 3.
        readout: features that Set2Set keeps of a set (paper: 16).
        passes: steps of Set2Set (paper: 3).
        centers: Gaussians of the radial basis, 0 … ``cutoff``, each 0.5 Å wide (paper: 100).
        cutoff: Å, last centre; that of the graph, 8 Å (paper: 5 Å for a graph of 4 Å).
        out: width of the crystal feature.
    """

    width: int = 32
    hidden: int = 64
    blocks: int = 3
    readout: int = 16
    passes: int = 3
    centers: int = 100
    cutoff: float = 8.0
    out: int = 128


@dataclass(frozen=True)
class MegnetSets:
    """Which set each row is averaged over, and how many rows of the full graph it counts for.

    Attributes:
        shells: merged edges.
        atoms: nodes by crystal.
        bonds: shells by crystal.
        of_shell: of each shell as a share of its receiver's edges, shape (shells,).
        of_atom: of each node as a share of its crystal's atoms, shape (nodes,).
        of_bond: of each shell as a share of its crystal's edges, shape (shells,).
        multiplicity: atoms of each node, shape (nodes,).
    """

    shells: Shells
    atoms: Groups
    bonds: Groups
    of_shell: Float[torch.Tensor, " shells"]
    of_atom: Float[torch.Tensor, " nodes"]
    of_bond: Float[torch.Tensor, " shells"]
    multiplicity: Float[torch.Tensor, " nodes"]

    @classmethod
    def of(cls, batch: StructureBatch, dtype: torch.dtype) -> "MegnetSets":
        """The sets of a batch."""
        shells = Shells.of(batch)
        atoms = Groups.of(batch.node_graph, batch.n_graphs)
        bonds = Groups.of(batch.node_graph[shells.receiver.index], batch.n_graphs)
        count, multiplicity = shells.count.to(dtype), batch.multiplicity.to(dtype)
        return cls(
            shells=shells,
            atoms=atoms,
            bonds=bonds,
            of_shell=_share(count, shells.receiver),
            of_atom=_share(multiplicity, atoms),
            of_bond=_share(shells.atoms.to(dtype), bonds),
            multiplicity=multiplicity,
        )


def _share(count: Float[torch.Tensor, " rows"], groups: Groups) -> Float[torch.Tensor, " rows"]:
    """Counts as shares of their group's total: a sum with them is the mean over the full graph."""
    return count / group_sum(count[:, None], groups)[:, 0].index_select(0, groups.index)


def softplus2(x: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """ln(½ eˣ + ½), the paper's activation: softplus that is zero at zero."""
    return nn.functional.softplus(x).sub_(log(2))


class Softplus2(nn.Module):
    """Softplus that is zero at zero, as a layer."""

    def forward(self, x: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """ln(½ eˣ + ½)."""
        return softplus2(x)


def _dense(*widths: int) -> nn.Sequential:
    """Layers from each width to the next, each with its activation."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), Softplus2())]
    return nn.Sequential(*layers)


class MegnetBlock(nn.Module):
    """Two dense layers, then updates of edges, atoms and state (eqs. 1 to 6), added to what came in.

    e'_ij = φ_e(v_i ⊕ v_j ⊕ e_ij ⊕ u),  v'_i = φ_v(v_i ⊕ mean_j e'_ij ⊕ u),  u' = φ_u(u ⊕ mean v' ⊕ mean e'),
    each φ three dense layers. The first layer of φ_e is linear in its four parts: those of atoms and state
    are projected before edges read them.

    Args:
        width: of atoms, edges and state.
        hidden: width of the hidden layers.
        first: whether this is the first block, whose dense layers stand before it.
    """

    def __init__(self, width: int, hidden: int, first: bool) -> None:
        super().__init__()
        names = ("atom", "bond", "state")
        self.dense = nn.ModuleDict({} if first else {n: _dense(width, hidden, width) for n in names})
        self.receiver = nn.Linear(width, hidden)
        self.sender = nn.Linear(width, hidden, bias=False)
        self.edge = nn.Linear(width, hidden, bias=False)
        self.common = nn.Linear(width, hidden, bias=False)
        self.bond = _dense(hidden, hidden, width)
        self.atom = _dense(3 * width, hidden, hidden, width)
        self.state = _dense(3 * width, hidden, hidden, width)

    def forward(
        self,
        atom: Float[torch.Tensor, "nodes width"],
        bond: Float[torch.Tensor, "shells width"],
        state: Float[torch.Tensor, "graphs width"],
        sets: MegnetSets,
    ) -> tuple[
        Float[torch.Tensor, "nodes width"],
        Float[torch.Tensor, "shells width"],
        Float[torch.Tensor, "graphs width"],
    ]:
        """Atoms, edges and state after the block."""
        dtype, inputs = self.edge.weight.dtype, {"atom": atom, "bond": bond, "state": state}
        inner = {name: self.dense[name](x) if self.dense else x for name, x in inputs.items()}
        v, e, u = inner["atom"], inner["bond"], inner["state"]
        e = self._edges(v, e, u, sets).to(dtype)
        around = spread(u.to(dtype), sets.atoms)
        v = self.atom(torch.cat([v, group_sum(e, sets.shells.receiver, sets.of_shell), around], dim=1)).to(
            dtype
        )
        means = group_sum(v, sets.atoms, sets.of_atom), group_sum(e, sets.bonds, sets.of_bond)
        u = self.state(torch.cat([u, *means], dim=1)).to(dtype)
        return atom + v, bond + e, state + u

    def _edges(
        self,
        v: Float[torch.Tensor, "nodes width"],
        e: Float[torch.Tensor, "shells width"],
        u: Float[torch.Tensor, "graphs width"],
        sets: MegnetSets,
    ) -> Float[torch.Tensor, "shells width"]:
        """φ_e with its first layer taken apart; what receiver and state bring is added before copying."""
        received = self.receiver(v) + spread(self.common(u), sets.atoms)
        ends = spread(received, sets.shells.receiver) + spread(self.sender(v), sets.shells.sender)
        return self.bond(softplus2(torch.addmm(ends, e, self.edge.weight.t())))


class Megnet(nn.Module):
    """Crystal → (batch, out): blocks, Set2Set over atoms and bonds, these and the state through two layers.

    The paper's state of two zeros is a constant after its dense layers: here it is that learned constant.
    Exact on symmetry-reduced graphs: an edge's features are those of its receiver, sender and distance, and
    means and attention weigh a node by the atoms it stands for, an edge by those of its receiver.
    """

    def __init__(self, config: MegnetConfig = MegnetConfig()) -> None:
        super().__init__()
        self.config = config
        self.basis = RadialBasis(0.0, config.cutoff, config.centers)
        self.basis.inverse_width = 2.0
        self.embedding = AtomEmbedding(config.width)
        self.atom = _dense(config.width, config.hidden, config.width)
        self.bond = _dense(config.centers, config.hidden, config.width)
        self.state = nn.Parameter(torch.zeros(config.width))
        self.blocks = nn.ModuleList(
            MegnetBlock(config.width, config.hidden, first=i == 0) for i in range(config.blocks)
        )
        self.read_atoms = Set2Set(config.width, config.readout, config.passes)
        self.read_bonds = Set2Set(config.width, config.readout, config.passes)
        self.head = _dense(4 * config.readout + config.width, config.out, config.out)
        initialize_glorot(self)
        nn.init.normal_(self.state, std=0.1)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        dtype = self.state.dtype
        sets = MegnetSets.of(batch, dtype)
        atom = self.atom(self.embedding(batch)).to(dtype)
        bond = self.bond(self.basis(sets.shells.distance)).to(dtype)
        state = self.state.expand(batch.n_graphs, -1)
        for block in self.blocks:
            atom, bond, state = block(atom, bond, state, sets)
        atoms = self.read_atoms(atom, sets.atoms, sets.multiplicity)
        bonds = self.read_bonds(bond, sets.bonds, sets.shells.atoms)
        return self.head(torch.cat([atoms, bonds, state], dim=1))
