"""Pairs of bonds that meet in an atom, found exactly on symmetry-reduced graphs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from prismat.modalities.structure import StructureBatch
from prismat.neighbors import TIE

SAME_PLACE = 1e-3
"""Å. A neighbour's neighbour nearer to the receiving atom than this is that atom itself."""


@dataclass(frozen=True)
class LineGraph:
    """Bonds k → j that lead into the sending atom j of an edge j → i. An edge is known by its row.

    Attributes:
        edge_of: the edge j → i of each triplet, ascending, shape (triplets,).
        edge_in: the stored edge that k → j is, or is a symmetry image of, shape (triplets,).
        cosine: of the angle i – j – k, shape (triplets,).
        multiplicity: triplets of the cell that each stands for, shape (triplets,).
    """

    edge_of: Int[torch.Tensor, " triplets"]
    edge_in: Int[torch.Tensor, " triplets"]
    cosine: Float[torch.Tensor, " triplets"]
    multiplicity: Float[torch.Tensor, " triplets"]


def line_graph(batch: StructureBatch, neighbors: int | None = None) -> LineGraph:
    """Line graph of the crystal graph (Choudhary & DeCost, npj Comput. Mater. 7, 185, 2021).

    Edge e = (i ← j) starts at atom a of orbit n; the edges into a are those stored for n, turned by
    ``rotation[a]``. Turning keeps lengths, and with them whatever an encoder knows of an edge, so that the
    stored edges stand for their images and only angles need the turn. Of the edges into j exactly one is
    left out, where it is in the graph: the reverse of e, that is from the same image of i. Other images of
    i stay.

    Args:
        batch: graphs.
        neighbors: only the edges within so many nearest neighbours of their receiver, the last shell whole,
            meet each other; all edges where None. Triplets grow as the square of this number.
    """
    edges = _bonds(batch, neighbors)
    count = torch.bincount(batch.receiver[edges], minlength=batch.n_nodes)
    first = count.cumsum(0) - count
    meets = count[batch.sender[edges]]
    edge_of = edges.repeat_interleave(meets)
    rank = torch.arange(len(edge_of), device=edges.device) - (meets.cumsum(0) - meets).repeat_interleave(
        meets
    )
    edge_in = edges[first[batch.sender[edge_of]] + rank]
    return _without_reverse(batch, edge_of, edge_in)


def _without_reverse(
    batch: StructureBatch, edge_of: Int[torch.Tensor, " pairs"], edge_in: Int[torch.Tensor, " pairs"]
) -> LineGraph:
    """Angles of all pairs but those of an edge and its own reverse."""
    # Turning the one vector of e back is cheaper than turning every edge that it meets.
    turned = torch.einsum("ex,eyx->ey", batch.vector, batch.rotation[batch.sender_atom])
    ahead, onward = turned.index_select(0, edge_of), batch.vector.index_select(0, edge_in)
    returns = (ahead + onward).square().sum(1) < SAME_PLACE**2
    returns &= batch.sender[edge_in] == batch.receiver[edge_of]
    kept = (~returns).nonzero()[:, 0]
    edge_of, edge_in = edge_of[kept], edge_in[kept]
    lengths = (batch.distance[edge_of] * batch.distance[edge_in]).clamp_min(1e-9)
    cosine = -(ahead[kept] * onward[kept]).sum(1) / lengths
    weight = batch.multiplicity[batch.receiver[edge_of]]
    return LineGraph(edge_of, edge_in, cosine.clamp(-1, 1), weight)


def _bonds(batch: StructureBatch, neighbors: int | None) -> Int[torch.Tensor, " bonds"]:
    """Edges to the nearest neighbours of each receiver, ascending; a shell of equal distances stays whole."""
    if neighbors is None:
        return torch.arange(len(batch.receiver), device=batch.receiver.device)
    by_length = batch.distance.argsort()
    by_length = by_length[batch.receiver[by_length].argsort(stable=True)]
    count = torch.bincount(batch.receiver, minlength=batch.n_nodes)
    last = (count.cumsum(0) - count + count.clamp_max(neighbors) - 1)[batch.receiver]
    limit = batch.distance[by_length[last]]
    return (batch.distance <= limit + TIE).nonzero()[:, 0]
