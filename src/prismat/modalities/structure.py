"""Crystal to graph: periodic neighbours of each symmetry orbit, packed as arrays."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.crystal import Crystal
from prismat.elements import MAX_Z
from prismat.material import Material
from prismat.modalities.base import Columns, Features
from prismat.modalities.standard_cell import StandardCell, standardize
from prismat.neighbors import Pairs, nearest_shells, neighbor_pairs
from prismat.ragged import Packed, Ragged

Extra = Literal["potentials", "chgnet"]
"""Features that only some encoders read: PotNet's lattice sums, and those of the pretrained CHGNet."""


@dataclass(frozen=True)
class StructureSettings:
    """How a crystal becomes a graph.

    Attributes:
        cutoff: Å, beyond which nothing is a neighbour; doubled for an atom that has none within it.
        neighbors: nearest neighbours kept per atom (CGCNN: 12); the shell of the last one stays whole.
        keep_tied: keep that shell (default) or drop it.
        reduced: one node per symmetry orbit, which is exact for invariant message passing; else one per atom.
        symprec: Å, tolerance of the symmetry search.
        extras: further features, slower to make: ``potentials`` for PotNet, ``chgnet`` for that encoder.
    """

    cutoff: float = 8.0
    neighbors: int = 12
    keep_tied: bool = True
    reduced: bool = True
    symprec: float = 0.01
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True)
class StructureBatch:
    """Graphs of a batch behind one another. Nodes are orbits (or atoms where not reduced).

    Attributes:
        species: atomic numbers, ``species_node`` tells of which node, shape (species,).
        occupancy: occupancy of each, shape (species,).
        species_node: shape (species,).
        node_graph: graph of each node, ascending, shape (nodes,).
        multiplicity: atoms that a node stands for, shape (nodes,).
        receiver: receiving node of each edge, ascending, shape (edges,).
        sender: sending node of each edge, shape (edges,).
        vector: from receiver to sender in Å, recomputed from integer image offsets, shape (edges, 3).
        distance: Å, shape (edges,).
        sender_atom: sending atom of each edge, an index into ``rotation``, shape (edges,).
        rotation: for each atom of the cells the orthogonal matrix M that turns a row vector at its orbit's
            representative into that at the atom, v ← v M, shape (atoms, 3, 3).
        lattice: primitive cell, row vectors in Å, shape (graphs, 3, 3).
        cell: a, b, c in Å and α, β, γ in degrees of the conventional standardised cell, shape (graphs, 6).
        spacegroup: number, 0 where absent and for molecules, shape (graphs,).
        present: which graphs have a structure, shape (graphs,).
        pair_receiver, pair_sender: nodes of every pair of a node and an atom of its cell, shape (pairs,).
        potential: Coulomb (Å⁻¹), London (Å⁻⁶) and Pauli sums over all images of the pair, and the logarithmic
            derivative of the last by length, shape (pairs, 4).
        pretrained: features of a frozen pretrained encoder, zero where it has none, shape (graphs, 64).
        has_pretrained: where it has some, shape (graphs,).
    """

    species: Int[torch.Tensor, " species"]
    occupancy: Float[torch.Tensor, " species"]
    species_node: Int[torch.Tensor, " species"]
    node_graph: Int[torch.Tensor, " nodes"]
    multiplicity: Float[torch.Tensor, " nodes"]
    receiver: Int[torch.Tensor, " edges"]
    sender: Int[torch.Tensor, " edges"]
    vector: Float[torch.Tensor, "edges 3"]
    distance: Float[torch.Tensor, " edges"]
    sender_atom: Int[torch.Tensor, " edges"]
    rotation: Float[torch.Tensor, "atoms 3 3"]
    lattice: Float[torch.Tensor, "graphs 3 3"]
    cell: Float[torch.Tensor, "graphs 6"]
    spacegroup: Int[torch.Tensor, " graphs"]
    present: Bool[torch.Tensor, " graphs"]
    pair_receiver: Int[torch.Tensor, " pairs"] | None = None
    pair_sender: Int[torch.Tensor, " pairs"] | None = None
    potential: Float[torch.Tensor, "pairs 4"] | None = None
    pretrained: Float[torch.Tensor, "graphs 64"] | None = None
    has_pretrained: Bool[torch.Tensor, " graphs"] | None = None

    @property
    def n_graphs(self) -> int:
        """Number of graphs, absent ones included."""
        return self.present.shape[0]

    @property
    def n_nodes(self) -> int:
        """Number of nodes in the whole batch."""
        return self.node_graph.shape[0]


_COLUMNS: Columns = {
    "structure.lattice": (np.dtype(np.float64), (3,)),
    "structure.frac": (np.dtype(np.float64), (3,)),
    "structure.rotation": (np.dtype(np.int8), (3, 3)),
    "structure.node_of_atom": (np.dtype(np.int32), ()),
    "structure.atom_of_node": (np.dtype(np.int32), ()),
    "structure.species": (np.dtype(np.int16), ()),
    "structure.occupancy": (np.dtype(np.float32), ()),
    "structure.species_node": (np.dtype(np.int32), ()),
    "structure.receiver": (np.dtype(np.int32), ()),
    "structure.sender_atom": (np.dtype(np.int32), ()),
    "structure.offset": (np.dtype(np.int16), (3,)),
    "structure.cell": (np.dtype(np.float32), (6,)),
    "structure.spacegroup": (np.dtype(np.int16), ()),
}
_EXTRA_COLUMNS: dict[Extra, Columns] = {
    "potentials": {"structure.potential": (np.dtype(np.float64), (4,))},
    "chgnet": {"structure.chgnet": (np.dtype(np.float32), (64,))},
}


class StructureModality:
    """The structure window: graph of the primitive cell, one node per symmetry orbit."""

    name = "structure"

    def __init__(self, settings: StructureSettings = StructureSettings()) -> None:
        self.settings = settings
        self.columns: Columns = dict(_COLUMNS)
        for extra in settings.extras:
            self.columns |= _EXTRA_COLUMNS[extra]

    def featurize(self, material: Material) -> Features | None:
        """Graph arrays of one material, or None without a structure. A molecule is a graph without images."""
        if material.structure is None:
            return None
        return self.featurize_cell(standardize(material.structure, self.settings.symprec))

    def featurize_cell(self, cell: StandardCell) -> Features:
        """Graph arrays of a standardised cell."""
        return self._graph(cell) | self._extras(cell)

    def _orbits(self, cell: StandardCell) -> tuple[np.ndarray, np.ndarray]:
        """Node of each atom, and the rotation from its representative."""
        if self.settings.reduced:
            return cell.orbit, cell.rotation
        n = len(cell.primitive)
        return np.arange(n), np.broadcast_to(np.eye(3), (n, 3, 3))

    def _graph(self, cell: StandardCell) -> Features:
        crystal = cell.primitive
        orbit, rotation = self._orbits(cell)
        _, atom_of_node = np.unique(orbit, return_index=True)
        pairs = self._neighbors(crystal)
        is_kept = np.zeros(len(crystal), dtype=bool)
        is_kept[atom_of_node] = True
        pairs = pairs[is_kept[pairs.i]]
        order = np.lexsort((pairs.distance, orbit[pairs.i]))
        sites = [crystal.sites[a] for a in atom_of_node]
        return {
            "structure.lattice": crystal.lattice,
            "structure.frac": crystal.frac,
            "structure.rotation": rotation.astype(np.int8),
            "structure.node_of_atom": orbit.astype(np.int32),
            "structure.atom_of_node": atom_of_node.astype(np.int32),
            "structure.species": np.array([z for s in sites for z, _ in s], dtype=np.int16),
            "structure.occupancy": np.array([x for s in sites for _, x in s], dtype=np.float32),
            "structure.species_node": np.repeat(np.arange(len(sites)), [len(s) for s in sites]).astype(
                np.int32
            ),
            "structure.receiver": orbit[pairs.i[order]].astype(np.int32),
            "structure.sender_atom": pairs.j[order].astype(np.int32),
            "structure.offset": pairs.offset[order].astype(np.int16),
            "structure.cell": np.array([cell.cell_lengths_angles], dtype=np.float32),
            "structure.spacegroup": np.array([cell.number], dtype=np.int16),
        }

    def _neighbors(self, crystal: Crystal) -> Pairs:
        """The k nearest of every atom; alternatives of one split position are not neighbours."""
        wanted, n, cutoff = self.settings, len(crystal), self.settings.cutoff
        occupancy = np.array([sum(x for _, x in s) for s in crystal.sites])
        while True:
            pairs = neighbor_pairs(crystal.lattice, crystal.frac, cutoff, crystal.periodic)
            shared = (pairs.distance < 0.6) & (occupancy[pairs.i] + occupancy[pairs.j] <= 1.05)
            pairs = pairs[~shared]
            if (np.bincount(pairs.i, minlength=n) > 0).all() or cutoff > 50:
                return nearest_shells(pairs, n, wanted.neighbors, wanted.keep_tied)
            cutoff *= 2

    def _extras(self, cell: StandardCell) -> Features:
        """Features that were asked for beside the graph."""
        made: Features = {}
        if "potentials" in self.settings.extras:
            from prismat.modalities.lattice_sums import pair_potentials

            _, atom_of_node = np.unique(self._orbits(cell)[0], return_index=True)
            made["structure.potential"] = pair_potentials(cell.primitive, atom_of_node)
        if "chgnet" in self.settings.extras:
            from prismat.modalities.chgnet_features import chgnet_features

            found = chgnet_features(cell.primitive)
            made["structure.chgnet"] = np.zeros((0, 64), np.float32) if found is None else found[None]
        return made

    def collate(self, packed: Packed) -> StructureBatch:
        """One batch by slicing: no loop over records."""
        nodes, atoms = packed["structure.atom_of_node"], packed["structure.frac"]
        first_node, first_atom = nodes.offsets[:-1], atoms.offsets[:-1]
        edges = packed["structure.receiver"]
        edge_graph = np.repeat(np.arange(len(edges)), edges.lengths)
        node_of_atom = packed["structure.node_of_atom"].values + np.repeat(first_node, atoms.lengths)
        atom_of_node = nodes.values + np.repeat(first_atom, nodes.lengths)
        receiver = edges.values + first_node[edge_graph]
        sender_atom = packed["structure.sender_atom"].values + first_atom[edge_graph]
        lattice = _lattices(packed)
        vector = _edge_vectors(
            atoms.values,
            lattice[edge_graph],
            atom_of_node[receiver],
            sender_atom,
            packed["structure.offset"].values,
        )
        species = packed["structure.species_node"]
        return StructureBatch(
            species=_long(packed["structure.species"].values),
            occupancy=torch.from_numpy(packed["structure.occupancy"].values),
            species_node=_long(species.values + np.repeat(first_node, species.lengths)),
            node_graph=_long(np.repeat(np.arange(len(nodes)), nodes.lengths)),
            multiplicity=torch.from_numpy(
                np.bincount(node_of_atom, minlength=len(nodes.values)).astype(np.float32)
            ),
            receiver=_long(receiver),
            sender=_long(node_of_atom[sender_atom]),
            vector=torch.from_numpy(vector.astype(np.float32)),
            distance=torch.from_numpy(np.sqrt((vector * vector).sum(1)).astype(np.float32)),
            sender_atom=_long(sender_atom),
            rotation=_rotations(packed["structure.rotation"], lattice),
            lattice=torch.from_numpy(lattice.astype(np.float32)),
            cell=torch.from_numpy(_one_per_graph(packed["structure.cell"], np.float32)),
            spacegroup=torch.from_numpy(_one_per_graph(packed["structure.spacegroup"], np.int64)),
            present=torch.from_numpy(nodes.lengths > 0),
            **_pairs(packed, node_of_atom),
            **_pretrained(packed),
        )


def _long(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64))


def _lattices(packed: Packed) -> Float[np.ndarray, "graphs 3 3"]:
    """Cells of the batch; an absent structure gets the identity, which nothing reads."""
    rows = packed["structure.lattice"]
    lattice = np.broadcast_to(np.eye(3), (len(rows), 3, 3)).copy()
    lattice[rows.lengths > 0] = rows.values.reshape(-1, 3, 3)
    return lattice


def _rotations(rows: Ragged, lattice: Float[np.ndarray, "graphs 3 3"]) -> torch.Tensor:
    """Cartesian matrices M = L⁻¹ Wᵀ L of the rotations W given in the lattices' bases."""
    graph = np.repeat(np.arange(len(rows)), rows.lengths)
    turned = rows.values.astype(np.float64).transpose(0, 2, 1) @ lattice[graph]
    return torch.from_numpy((np.linalg.inv(lattice)[graph] @ turned).astype(np.float32))


def _pairs(packed: Packed, node_of_atom: Int[np.ndarray, " atoms"]) -> dict[str, torch.Tensor]:
    """Pairs of nodes and atoms with their lattice sums, where the store has these."""
    if "structure.potential" not in packed:
        return {}
    nodes, atoms = packed["structure.atom_of_node"], packed["structure.frac"]
    per_node = np.repeat(atoms.lengths, nodes.lengths)
    first = np.repeat(np.repeat(atoms.offsets[:-1], nodes.lengths), per_node)
    rank = np.arange(per_node.sum()) - np.repeat(np.cumsum(per_node) - per_node, per_node)
    return {
        "pair_receiver": _long(np.repeat(np.arange(len(per_node)), per_node)),
        "pair_sender": _long(node_of_atom[first + rank]),
        "potential": torch.from_numpy(packed["structure.potential"].values.astype(np.float32)),
    }


def _pretrained(packed: Packed) -> dict[str, torch.Tensor]:
    """Features of the frozen pretrained encoder, where the store has them."""
    if "structure.chgnet" not in packed:
        return {}
    rows = packed["structure.chgnet"]
    return {
        "pretrained": torch.from_numpy(_one_per_graph(rows, np.float32)),
        "has_pretrained": torch.from_numpy(rows.lengths > 0),
    }


def _one_per_graph(rows: Ragged, dtype: type) -> np.ndarray:
    """Values of a column with one entry per record; zero where it is absent."""
    out = np.zeros((len(rows), *rows.values.shape[1:]), dtype=dtype)
    out[rows.lengths > 0] = rows.values
    return out


def _edge_vectors(
    frac: Float[np.ndarray, "atoms 3"],
    lattice: Float[np.ndarray, "edges 3 3"],
    receiver: Int[np.ndarray, " edges"],
    sender: Int[np.ndarray, " edges"],
    offset: Int[np.ndarray, "edges 3"],
) -> Float[np.ndarray, "edges 3"]:
    """r_j + S·L − r_i, recomputed from fractional coordinates and integer offsets."""
    difference = frac[sender] - frac[receiver] + offset
    return np.einsum("ei,eij->ej", difference, lattice)


def strained(batch: StructureBatch, scale: Float[torch.Tensor, " graphs"]) -> StructureBatch:
    """The same crystals isotropically expanded by one factor each: a view, or a change of volume.

    Args:
        batch: any batch.
        scale: factor on every length, shape (graphs,).
    """
    edge = scale[batch.node_graph[batch.receiver]]
    lengths = torch.cat([batch.cell[:, :3] * scale[:, None], batch.cell[:, 3:]], dim=1)
    if batch.potential is not None and batch.pair_receiver is not None:
        batch = replace(
            batch, potential=_scaled(batch.potential, scale[batch.node_graph[batch.pair_receiver]])
        )
    return replace(
        batch,
        vector=batch.vector * edge[:, None],
        distance=batch.distance * edge,
        lattice=batch.lattice * scale[:, None, None],
        cell=lengths,
    )


def _scaled(
    potential: Float[torch.Tensor, "pairs 4"], scale: Float[torch.Tensor, " pairs"]
) -> Float[torch.Tensor, "pairs 4"]:
    """Coulomb and London sums are powers of the length; Pauli's logarithm is followed to first order."""
    coulomb, london, pauli, slope = potential.unbind(1)
    return torch.stack([coulomb / scale, london / scale**6, pauli * scale**slope, slope], dim=1)


def composition_of(batch: StructureBatch) -> Float[torch.Tensor, "graphs elements"]:
    """Atomic fractions of each graph by atomic number, shape (graphs, 99)."""
    amount = batch.occupancy * batch.multiplicity[batch.species_node]
    cell = batch.node_graph[batch.species_node] * (MAX_Z + 1) + batch.species
    total = torch.zeros(batch.n_graphs * (MAX_Z + 1), dtype=amount.dtype, device=amount.device)
    total = total.index_add(0, cell, amount).view(batch.n_graphs, MAX_Z + 1)
    return total / total.sum(1, keepdim=True).clamp_min(1e-9)
