"""Composition alone: the baseline that every structural claim has to beat."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.elements import MAX_Z, features
from prismat.encoders.layers import hidden_layer
from prismat.modalities.structure import StructureBatch, composition_of


@dataclass(frozen=True)
class CompositionConfig:
    """Size of the composition encoder.

    Attributes:
        hidden: width of the hidden layer.
        out: width of the output.
        dropout: on the hidden layer.
    """

    hidden: int = 256
    out: int = 128
    dropout: float = 0.1


class CompositionEncoder(nn.Module):
    """Atomic fractions, their square roots and fraction-weighted element descriptors through a small network.

    Knows the formula and nothing of where the atoms are.
    """

    table: torch.Tensor

    def __init__(self, config: CompositionConfig = CompositionConfig()) -> None:
        super().__init__()
        self.config = config
        table = torch.from_numpy(features()).to(torch.float32)
        self.register_buffer("table", table)
        inputs = 3 * (MAX_Z + 1) + 2 * table.shape[1]
        self.net = hidden_layer(inputs, config.hidden, config.out, config.dropout)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Composition features, shape (graphs, out)."""
        fraction = composition_of(batch).to(self.table.dtype)
        mean = fraction @ self.table
        spread = (fraction @ self.table**2 - mean**2).clamp_min(0)
        parts = [4 * fraction, 2 * fraction.sqrt(), (fraction > 0).to(fraction.dtype), mean, spread]
        return self.net(torch.cat(parts, dim=1))
