"""What each atom contributes to the input of the composition encoder."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from prismat.encoders.composition import CompositionEncoder
from prismat.modalities.structure import StructureBatch, composition_of


@dataclass(frozen=True, eq=False)
class CompositionShare:
    """The composition encoder's input of one crystal, and whose it is.

    The input holds three numbers per element (fraction f, its root, whether it is there), and mean and spread
    of element descriptors T: mean_k = Σ f_z T_zk and spread_k = Σ f_z (T_zk − mean_k)². Each of these sums is
    the elements' own, so that every number of the input is divided among elements without remainder. Sites
    share an element's part by how much of it they hold.

    Attributes:
        features: the encoder's input, shape (inputs,).
        fraction: of each element, shape (elements,).
        table: element descriptors, shape (elements, descriptors).
        held: share of an element's amount that a node holds, shape (nodes, elements).
    """

    features: Float[torch.Tensor, " inputs"]
    fraction: Float[torch.Tensor, " elements"]
    table: Float[torch.Tensor, "elements descriptors"]
    held: Float[torch.Tensor, "nodes elements"]

    @classmethod
    def of(cls, batch: StructureBatch, encoder: CompositionEncoder) -> "CompositionShare":
        """The input of a batch of one crystal, as ``CompositionEncoder.forward`` makes it."""
        table = encoder.table
        fraction = composition_of(batch).to(table.dtype)[0]
        mean = fraction @ table
        spread = (fraction @ table**2 - mean**2).clamp_min(0)
        parts = [4 * fraction, 2 * fraction.sqrt(), (fraction > 0).to(fraction.dtype), mean, spread]
        amount = batch.occupancy * batch.multiplicity[batch.species_node]
        held = torch.zeros(batch.n_nodes, len(fraction), dtype=table.dtype, device=table.device)
        held.index_put_((batch.species_node, batch.species), amount.to(table.dtype), accumulate=True)
        return cls(torch.cat(parts), fraction, table, held / held.sum(0).clamp_min(1e-9))

    def of_nodes(self, gradient: Float[torch.Tensor, " inputs"]) -> Float[torch.Tensor, " nodes"]:
        """Σ input × gradient, divided among the nodes."""
        n, width = self.table.shape
        blocks = (self.features[: 3 * n] * gradient[: 3 * n]).view(3, n).sum(0)
        mean = self.fraction @ self.table
        by_mean = self.fraction[:, None] * self.table
        by_spread = self.fraction[:, None] * (self.table - mean).square()
        of_mean, of_spread = gradient[3 * n : 3 * n + width], gradient[3 * n + width :]
        return self.held @ (blocks + by_mean @ of_mean + by_spread @ of_spread)
