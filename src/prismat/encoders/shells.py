"""Neighbours that no radial filter can tell apart, merged into one.

Edges with the same receiver, sender and distance carry the same invariant message: the six chlorines around a
sodium are one row that counts six times. On symmetry-reduced graphs this nearly halves the rows.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from prismat.encoders.segment import Groups, group_sum
from prismat.modalities.structure import StructureBatch

_SHORTEST = 2.0**-10
"""Å, under which lengths count as equal."""
_LENGTHS = 2**28
"""Single-precision numbers from there to 2²² Å, in their order."""


@dataclass(frozen=True)
class Shells:
    """Classes of equal edges, by ascending receiver.

    Attributes:
        receiver: shells by receiving node.
        sender: shells by sending node.
        edges: edges by shell.
        distance: Å, mean over the edges, shape (shells,).
        count: edges of each, shape (shells,).
        atoms: edges of each in the full graph: ``count`` times the receiver's multiplicity, shape (shells,).
    """

    receiver: Groups
    sender: Groups
    edges: Groups
    distance: Float[torch.Tensor, " shells"]
    count: Float[torch.Tensor, " shells"]
    atoms: Float[torch.Tensor, " shells"]

    @classmethod
    def of(cls, batch: StructureBatch) -> "Shells":
        """Shells of a batch. Lengths count as equal that are so in single precision."""
        keys, shell = torch.unique(_keys(batch), return_inverse=True)
        edges = Groups.of(shell, len(keys), ascending=False)
        # Any edge of a shell tells its receiver and its sender.
        some = edges.order[edges.first]
        receiver, sender = batch.receiver[some], batch.sender[some]
        count = torch.bincount(shell, minlength=len(keys)).to(batch.distance.dtype)
        return cls(
            receiver=Groups.of(receiver, batch.n_nodes),
            sender=Groups.of(sender, batch.n_nodes, ascending=False),
            edges=edges,
            distance=group_sum(batch.distance[:, None], edges)[:, 0] / count,
            count=count,
            atoms=count * batch.multiplicity[receiver].to(count.dtype),
        )


def _keys(batch: StructureBatch) -> Int[torch.Tensor, " edges"]:
    """One integer for receiver, sender and distance of each edge, ascending with the receiver."""
    apart = batch.sender - batch.receiver
    reach = int(apart.abs().max()) if len(apart) else 0
    pair = batch.receiver * (2 * reach + 1) + apart + reach
    # The bits of a positive floating-point number, read as an integer, ascend with it.
    bits = batch.distance.detach().float().contiguous().view(torch.int32).long()
    lowest = torch.tensor(_SHORTEST).view(torch.int32).item()
    return pair * _LENGTHS + (bits - lowest).clamp(0, _LENGTHS - 1)
