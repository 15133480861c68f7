"""Views of crystal graphs for contrastive training: bonds and atoms left out, parts, displaced atoms, axes.

Node dropping, edge removal and subgraphs are those of GraphCL (You et al., NeurIPS 2020); displaced atoms are
those of Crystal Twins (Magar et al., npj Comput. Mater. 8, 231, 2022).

What a view leaves out of a symmetry-reduced graph it leaves out by whole symmetry orbits, so that the view is
again a reduced graph and equals the same removal on the full one. The cell that was measured (``cell``,
``spacegroup``) and frozen features (``pretrained``) stay those of the whole crystal.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.modalities.structure import StructureBatch
from prismat.neighbors import TIE

_DIRECTION = (0.5404, 0.6529, 0.5307)
"""A direction in which no two different lattice vectors are likely to reach equally far."""


@dataclass(frozen=True)
class StructureViews:
    """What is drawn anew for every crystal, in the order cell, subgraph, nodes, edges, noise.

    Attributes:
        edge_removal: chance of a bond to be taken out, in both directions; on a reduced graph all bonds of
            equal ends and equal length go together.
        node_dropping: chance of a node to be left out with its edges; one node of a crystal always stays.
        subgraph: share of the atoms that are kept, grown over bonds from a random one; 0 keeps all.
        coordinate_noise: Å, standard deviation of each coordinate of each atom; neighbours stay those of the
            undisturbed crystal. Only for full graphs.
        cell_choice: other axes of the same lattice; no encoder that keeps its promises sees them.

    Raises:
        BadInputError: a value out of range.
    """

    edge_removal: float = 0.0
    node_dropping: float = 0.0
    subgraph: float = 0.0
    coordinate_noise: float = 0.0
    cell_choice: bool = False

    def __post_init__(self) -> None:
        shares = (self.edge_removal, self.node_dropping, self.subgraph)
        if not (all(0 <= share < 1 for share in shares) and 0 <= self.coordinate_noise <= 0.5):
            raise BadInputError(
                f"views of {self}",
                field="structure views",
                remedy="Give shares of 0 to below 1 and a coordinate noise of 0 to 0.5 Å.",
            )

    @property
    def needs_full_graph(self) -> bool:
        """Whether a view breaks symmetry, so that crystals must have been prepared one node per atom."""
        return self.coordinate_noise > 0


def structure_views(
    batch: StructureBatch, config: StructureViews, generator: torch.Generator
) -> StructureBatch:
    """One view of each crystal of a batch.

    Args:
        batch: any graphs; absent ones stay absent.
        config: what may change and by how much.
        generator: of all draws; the same state gives the same view.

    Raises:
        BadInputError: coordinate noise on a symmetry-reduced graph, or beside lattice sums, which do not
            follow displaced atoms.
    """
    _check_noise(batch, config)
    if config.cell_choice:
        batch = _other_axes(batch, generator)
    if config.subgraph > 0:
        batch = keep_nodes(batch, _grown(batch, config.subgraph, generator))
    if config.node_dropping > 0:
        batch = keep_nodes(batch, _spared(batch, config.node_dropping, generator))
    if config.edge_removal > 0:
        bond = bonds(batch)
        draw = _uniform((int(bond.max()) + 1 if len(bond) else 0,), batch, generator)
        batch = keep_edges(batch, (draw >= config.edge_removal)[bond])
    if config.coordinate_noise > 0:
        batch = _displaced(batch, config.coordinate_noise, generator)
    return batch


def _check_noise(batch: StructureBatch, config: StructureViews) -> None:
    """Refuses displacements that the batch cannot follow."""
    if not config.needs_full_graph:
        return
    if not _is_full(batch):
        raise BadInputError(
            "displaced atoms break the symmetry by which the graphs were reduced",
            field="coordinate_noise",
            remedy="Prepare the store with --settings.structure.reduced False.",
        )
    if batch.potential is not None:
        raise BadInputError(
            "lattice sums do not follow displaced atoms",
            field="coordinate_noise",
            remedy="Set it to 0 for encoders that read potentials, such as potnet.",
        )


def keep_nodes(batch: StructureBatch, kept: Bool[torch.Tensor, " nodes"]) -> StructureBatch:
    """The graphs without some nodes and what hangs on them; nodes are numbered anew, atoms are not.

    Args:
        batch: any graphs.
        kept: nodes that stay.
    """
    number = kept.cumsum(0) - 1
    species = kept[batch.species_node]
    batch = keep_edges(batch, kept[batch.receiver] & kept[batch.sender])
    if batch.pair_receiver is not None and batch.pair_sender is not None and batch.potential is not None:
        pair = kept[batch.pair_receiver] & kept[batch.pair_sender]
        batch = replace(
            batch,
            pair_receiver=number[batch.pair_receiver[pair]],
            pair_sender=number[batch.pair_sender[pair]],
            potential=batch.potential[pair],
        )
    return replace(
        batch,
        species=batch.species[species],
        occupancy=batch.occupancy[species],
        species_node=number[batch.species_node[species]],
        node_graph=batch.node_graph[kept],
        multiplicity=batch.multiplicity[kept],
        receiver=number[batch.receiver],
        sender=number[batch.sender],
    )


def keep_edges(batch: StructureBatch, kept: Bool[torch.Tensor, " edges"]) -> StructureBatch:
    """The graphs without some edges; all nodes stay, lattice sums of pairs too."""
    return replace(
        batch,
        receiver=batch.receiver[kept],
        sender=batch.sender[kept],
        vector=batch.vector[kept],
        distance=batch.distance[kept],
        sender_atom=batch.sender_atom[kept],
    )


def bonds(batch: StructureBatch) -> Int[torch.Tensor, " edges"]:
    """Number of the bond that each edge belongs to, counted from 0.

    On full graphs a bond is an edge and its reverse. On reduced ones it is all edges of one length between
    two orbits, which is one orbit of bonds or several that no length tells apart.
    """
    mark = _along(batch) if _is_full(batch) else batch.distance
    low, high = torch.minimum(batch.receiver, batch.sender), torch.maximum(batch.receiver, batch.sender)
    ends = low * batch.n_nodes + high
    order = mark.argsort(stable=True)
    order = order[ends[order].argsort(stable=True)]
    begins = torch.ones_like(order, dtype=torch.bool)
    begins[1:] = (ends[order].diff() != 0) | (mark[order].diff() > TIE)
    bond = torch.empty_like(order)
    bond[order] = begins.cumsum(0) - 1
    return bond


def _is_full(batch: StructureBatch) -> bool:
    """Whether every node is one atom: then no view has a symmetry to keep."""
    return bool((batch.multiplicity == 1).all())


def _along(batch: StructureBatch) -> Float[torch.Tensor, " edges"]:
    """How far each edge reaches in one direction from its end of lower number: equal for its reverse."""
    along = batch.vector @ batch.vector.new_tensor(_DIRECTION)
    along = torch.where(batch.receiver < batch.sender, along, -along)
    return torch.where(batch.receiver == batch.sender, along.abs(), along)


def _most(values: Float[torch.Tensor, " nodes"], batch: StructureBatch) -> Float[torch.Tensor, " graphs"]:
    """Largest value over the nodes of each graph, 0 where there is none."""
    return values.new_zeros(batch.n_graphs).scatter_reduce(0, batch.node_graph, values, "amax")


def _uniform(shape: tuple[int, ...], batch: StructureBatch, generator: torch.Generator) -> torch.Tensor:
    """Draws from 0 to 1, made where the generator lives."""
    return torch.rand(shape, generator=generator, device=generator.device).to(batch.present.device)


def _spared(batch: StructureBatch, share: float, generator: torch.Generator) -> Bool[torch.Tensor, " nodes"]:
    """Nodes that are not dropped: those of a large draw, and the largest of each graph in any case."""
    draw = _uniform((batch.n_nodes,), batch, generator)
    return (draw >= share) | (draw == _most(draw, batch)[batch.node_graph])


def _grown(batch: StructureBatch, share: float, generator: torch.Generator) -> Bool[torch.Tensor, " nodes"]:
    """Nodes by rising number of bonds from a random one, in random order among equals, until enough atoms.

    Whoever is next has a bond to one that was before, so that what is kept hangs together.
    """
    n, graph = batch.n_nodes, batch.node_graph
    rank = torch.randperm(n, generator=generator, device=generator.device).to(graph.device)
    first = torch.full_like(batch.spacegroup, n).scatter_reduce(0, graph, rank, "amin")
    steps = _steps(batch, rank == first[graph])
    order = ((graph * (n + 1) + steps) * n + rank).argsort()
    count = batch.multiplicity.double()[order]
    atoms = count.new_zeros(batch.n_graphs).index_add_(0, graph[order], count)
    before = count.cumsum(0) - count - (atoms.cumsum(0) - atoms)[graph[order]]
    kept = torch.empty_like(graph, dtype=torch.bool)
    kept[order] = (before < share * atoms[graph[order]]) & (steps[order] < n)
    return kept


def _steps(batch: StructureBatch, start: Bool[torch.Tensor, " nodes"]) -> Int[torch.Tensor, " nodes"]:
    """Fewest edges, in either direction, from a start to each node; the number of nodes where none leads.

    One round over all graphs at once for each further step.
    """
    unreached = batch.n_nodes
    steps = torch.where(start, 0, unreached)
    for step in range(1, unreached):
        near = torch.zeros_like(start)
        near[batch.receiver[steps[batch.sender] < step]] = True
        near[batch.sender[steps[batch.receiver] < step]] = True
        near &= steps == unreached
        if not bool(near.any()):
            break
        steps[near] = step
    return steps


def _displaced(batch: StructureBatch, sigma: float, generator: torch.Generator) -> StructureBatch:
    """Every atom moved by itself; an edge and its reverse stay exactly opposite."""
    draw = torch.randn((batch.n_nodes, 3), generator=generator, device=generator.device)
    move = sigma * draw.to(batch.vector)
    # The difference first: its sign, and with it the vector's, turns with the direction of the edge.
    vector = batch.vector + (move[batch.sender] - move[batch.receiver])
    return replace(batch, vector=vector, distance=vector.norm(dim=1))


def _other_axes(batch: StructureBatch, generator: torch.Generator) -> StructureBatch:
    """Lattices multiplied by random integer matrices of determinant 1.

    Edges are Cartesian vectors between atoms and do not know of axes; the conventional ``cell`` is a property
    of the crystal. Molecules have no axes to choose from.
    """
    shape = (2, batch.n_graphs, 3, 3)
    draw = torch.randint(-1, 2, shape, generator=generator, device=generator.device).to(batch.lattice)
    one = torch.eye(3, dtype=draw.dtype, device=draw.device)
    change = (draw[0].tril(-1) + one) @ (draw[1].triu(1) + one)
    is_crystal = batch.cell[:, 0] > 0
    return replace(
        batch, lattice=torch.where(is_crystal[:, None, None], change @ batch.lattice, batch.lattice)
    )
