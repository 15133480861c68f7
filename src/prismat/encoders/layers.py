"""Pieces that several structure encoders share: sums over edges, weighted pooling and normalisation."""

import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.elements import features
from prismat.modalities.structure import StructureBatch


def scatter_sum(
    values: Float[torch.Tensor, "items width"], index: Int[torch.Tensor, " items"], size: int
) -> Float[torch.Tensor, "size width"]:
    """Adds the rows of ``values`` that share an index."""
    total = torch.zeros(size, values.shape[1], dtype=values.dtype, device=values.device)
    return total.index_add(0, index, values)


def pool_mean(
    nodes: Float[torch.Tensor, "nodes width"], batch: StructureBatch
) -> Float[torch.Tensor, "graphs width"]:
    """Mean over the atoms of each crystal: nodes weigh as many atoms as they stand for."""
    weight = batch.multiplicity.to(nodes.dtype)[:, None]
    total = scatter_sum(nodes * weight, batch.node_graph, batch.n_graphs)
    atoms = scatter_sum(weight, batch.node_graph, batch.n_graphs)
    return total / atoms.clamp_min(1)


def hidden_layer(inputs: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """Linear, layer normalisation, GELU, dropout, linear."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LayerNorm(hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, out),
    )


class WeightedBatchNorm(nn.Module):
    """Batch normalisation whose rows count as often as the atoms they stand for.

    With weight m a row enters mean and variance m times, so that a symmetry-reduced graph is normalised
    exactly as the full graph is. Running statistics serve in evaluation, as in ``nn.BatchNorm1d``.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(
        self, x: Float[torch.Tensor, "rows width"], weight: Float[torch.Tensor, " rows"]
    ) -> Float[torch.Tensor, "rows width"]:
        """Normalises each column; ``weight`` counts atoms per row."""
        # Statistics keep the parameters' precision whatever autocast made of the rows.
        with torch.autocast(x.device.type, enabled=False):
            return self._normalise(x.to(self.weight.dtype), weight).to(x.dtype)

    def _normalise(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if self.training and len(x):
            centred, var = self._centre(x, weight)
        else:
            centred, var = x - self.running_mean, self.running_var
        return torch.addcmul(self.bias, centred, self.weight * torch.rsqrt(var + self.eps))

    def _centre(self, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Centred x, and the variance from it: E[x²] − mean² would cancel where a column hardly varies."""
        share = weight.to(x.dtype) / weight.sum()
        mean = share @ x
        centred = x - mean
        var = share @ centred.square()
        self.update(mean, var)
        return centred, var

    @torch.no_grad()
    def update(self, mean: Float[torch.Tensor, " width"], var: Float[torch.Tensor, " width"]) -> None:
        """Moves the running statistics towards those of one batch."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)


class RadialBasis(nn.Module):
    """Gaussians on a regular grid of distances (CGCNN: 0 … 8 Å in steps of 0.2 Å).

    Args:
        start, stop: first and last centre in Å.
        count: number of centres; the width of each Gaussian is the grid step.
    """

    centers: torch.Tensor

    def __init__(self, start: float = 0.0, stop: float = 8.0, count: int = 41) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(start, stop, count))
        self.inverse_width = (count - 1) / (stop - start)

    def forward(self, distance: Float[torch.Tensor, " edges"]) -> Float[torch.Tensor, "edges centers"]:
        """exp(−((d − μ)/step)²), shape (edges, count); below e⁻⁸⁰ it stays at e⁻⁸⁰."""
        # exp is many times slower where its result is subnormal or zero, and so are products with it.
        steps = (distance[:, None] - self.centers) * self.inverse_width
        return torch.exp(-steps.square().clamp_max(80))


class AtomEmbedding(nn.Module):
    """Element descriptors mixed by occupancy, then a linear layer: a mixed site is the mean of its elements.

    A vacancy counts as zero, so that occupancies below 1 weaken the site.
    """

    table: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        table = torch.from_numpy(features()).to(torch.float32)
        self.register_buffer("table", table)
        self.linear = nn.Linear(table.shape[1], width)
        self.learned = nn.Embedding(table.shape[0], width)
        nn.init.normal_(self.learned.weight, std=0.1)

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "nodes width"]:
        """Features of every node, shape (nodes, width)."""
        element = self.linear(self.table) + self.learned.weight
        weighted = element.index_select(0, batch.species) * batch.occupancy[:, None].to(element.dtype)
        return scatter_sum(weighted, batch.species_node, batch.n_nodes)
