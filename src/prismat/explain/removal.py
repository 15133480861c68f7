"""Crystal graphs with some of their nodes or edges taken away, many variants of one graph at once."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int

from prismat.modalities.structure import StructureBatch


def repeated(batch: StructureBatch, copies: int) -> StructureBatch:
    """The same graph several times behind one another.

    Args:
        batch: one graph.
        copies: how often.
    """
    return without_nodes(batch, torch.ones(copies, batch.n_nodes, dtype=torch.bool))


def without_nodes(batch: StructureBatch, kept: Bool[torch.Tensor, "copies nodes"]) -> StructureBatch:
    """Copies of one graph, each with only some of its nodes: no atom, no bond to it, nothing in the formula.

    Cell and space group stay as they were; a copy may have no node left.

    Args:
        batch: one graph.
        kept: nodes of every copy.
    """
    copies, nodes = kept.shape
    flat = kept.flatten()
    number = torch.cumsum(flat, 0) - 1
    species, species_node = _in_copies(batch.species_node, flat, copies, nodes)
    receiver = _shifted(batch.receiver, copies, nodes)
    sender = _shifted(batch.sender, copies, nodes)
    edge = flat[receiver] & flat[sender]
    return replace(
        batch,
        species=batch.species.repeat(copies)[species],
        occupancy=batch.occupancy.repeat(copies)[species],
        species_node=number[species_node],
        node_graph=torch.arange(copies).repeat_interleave(nodes)[flat],
        multiplicity=batch.multiplicity.repeat(copies)[flat],
        **_edges(batch, number[receiver[edge]], number[sender[edge]], edge, copies),
        **_cells(batch, copies),
        **_node_pairs(batch, flat, number, copies, nodes),
    )


def without_edges(batch: StructureBatch, kept: Bool[torch.Tensor, "copies edges"]) -> StructureBatch:
    """Copies of one graph, each with only some of its edges; every atom stays.

    Args:
        batch: one graph.
        kept: edges of every copy.
    """
    copies = len(kept)
    whole, edge = repeated(batch, copies), kept.flatten()
    return replace(
        whole,
        receiver=whole.receiver[edge],
        sender=whole.sender[edge],
        vector=whole.vector[edge],
        distance=whole.distance[edge],
        sender_atom=whole.sender_atom[edge],
    )


def _shifted(index: Int[torch.Tensor, " n"], copies: int, size: int) -> Int[torch.Tensor, " all"]:
    """An index into rows of one graph as one into those of its copies."""
    return (index + size * torch.arange(copies)[:, None]).flatten()


def _in_copies(
    owner: Int[torch.Tensor, " n"], flat: Bool[torch.Tensor, " rows"], copies: int, nodes: int
) -> tuple[Bool[torch.Tensor, " all"], Int[torch.Tensor, " kept"]]:
    """Which rows belong to a node that stays, and to which."""
    node = _shifted(owner, copies, nodes)
    return flat[node], node[flat[node]]


def _edges(
    batch: StructureBatch, receiver: torch.Tensor, sender: torch.Tensor, edge: torch.Tensor, copies: int
) -> dict[str, torch.Tensor]:
    atoms = len(batch.rotation)
    return {
        "receiver": receiver,
        "sender": sender,
        "vector": batch.vector.repeat(copies, 1)[edge],
        "distance": batch.distance.repeat(copies)[edge],
        "sender_atom": _shifted(batch.sender_atom, copies, atoms)[edge],
    }


def _cells(batch: StructureBatch, copies: int) -> dict[str, torch.Tensor]:
    """What belongs to the crystal as a whole."""
    found = {
        "rotation": batch.rotation.repeat(copies, 1, 1),
        "lattice": batch.lattice.repeat(copies, 1, 1),
        "cell": batch.cell.repeat(copies, 1),
        "spacegroup": batch.spacegroup.repeat(copies),
        "present": batch.present.repeat(copies),
    }
    if batch.pretrained is not None and batch.has_pretrained is not None:
        found["pretrained"] = batch.pretrained.repeat(copies, 1)
        found["has_pretrained"] = batch.has_pretrained.repeat(copies)
    return found


def _node_pairs(
    batch: StructureBatch, flat: torch.Tensor, number: torch.Tensor, copies: int, nodes: int
) -> dict[str, torch.Tensor]:
    if batch.pair_receiver is None or batch.pair_sender is None or batch.potential is None:
        return {}
    receiver = _shifted(batch.pair_receiver, copies, nodes)
    sender = _shifted(batch.pair_sender, copies, nodes)
    both = flat[receiver] & flat[sender]
    return {
        "pair_receiver": number[receiver[both]],
        "pair_sender": number[sender[both]],
        "potential": batch.potential.repeat(copies, 1)[both],
    }
