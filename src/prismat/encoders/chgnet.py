"""Features of the frozen, pretrained CHGNet through a small trained network (Deng et al., 2023)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.layers import WeightedBatchNorm
from prismat.errors import BadInputError
from prismat.modalities.structure import StructureBatch

FEATURES = 64
"""Width of CHGNet's features, see ``prismat.modalities.chgnet_features``."""


@dataclass(frozen=True)
class ChgnetConfig:
    """Size of the trained part.

    Attributes:
        hidden: width of the hidden layer.
        out: width of the output.
        dropout: on the hidden layer.
    """

    hidden: int = 256
    out: int = 128
    dropout: float = 0.1


class Chgnet(nn.Module):
    """Frozen feature → batch normalisation → one hidden layer → (batch, out).

    Features are normalised over crystals, not within each: their size tells of the energy.

    Crystals that CHGNet cannot read (disordered ones, molecules, elements beyond plutonium) get one learned
    vector in place of the feature, so that nothing is known of them here but that.
    """

    def __init__(self, config: ChgnetConfig = ChgnetConfig()) -> None:
        super().__init__()
        self.config = config
        self.norm = WeightedBatchNorm(FEATURES)
        self.missing = nn.Parameter(0.1 * torch.randn(FEATURES))
        self.net = nn.Sequential(
            nn.Linear(FEATURES, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.out),
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out).

        Raises:
            BadInputError: the batch comes from a store without CHGNet's features.
        """
        if batch.pretrained is None or batch.has_pretrained is None:
            raise BadInputError(
                "this encoder needs CHGNet's features, and this batch has none",
                field="structure.chgnet",
                remedy="Prepare the store with the structure setting extras=('chgnet',).",
            )
        known, has = batch.pretrained.to(self.missing.dtype), batch.has_pretrained
        if bool(has.any()):
            known = self.norm(known, has.to(known.dtype))
        return self.net(torch.where(has[:, None], known, self.missing.to(known.dtype)))
