"""CLaSP's projection: a perceptron of three layers with batch normalisation."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn


@dataclass(frozen=True)
class ClaspMlpConfig:
    """Widths of the perceptron; as published, all three are 768.

    Attributes:
        embedding: of the features it reads.
        hidden: of both hidden layers.
        out: of the output.
    """

    embedding: int = 768
    hidden: int = 768
    out: int = 768


class ClaspMlp(nn.Module):
    """2 × (linear, ReLU, batch norm), then linear (CLaSP, Suzuki et al. 2024, section 2).

    Statistics are over the records that are present; the others get zeros.
    """

    def __init__(self, config: ClaspMlpConfig = ClaspMlpConfig()) -> None:
        super().__init__()
        self.config = config
        self.net = nn.Sequential(
            nn.Linear(config.embedding, config.hidden),
            nn.ReLU(),
            _BatchNorm(config.hidden),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            _BatchNorm(config.hidden),
            nn.Linear(config.hidden, config.out),
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(
        self, features: Float[torch.Tensor, "batch embedding"], present: Bool[torch.Tensor, " batch"]
    ) -> Float[torch.Tensor, "batch out"]:
        """Projected features, zeros where ``present`` is False."""
        rows = self.net(features[present])
        out = rows.new_zeros(len(features), self.width)
        out[present] = rows
        return out


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes the running statistics where a batch has fewer than two rows."""

    def forward(self, input: Float[torch.Tensor, "rows width"]) -> Float[torch.Tensor, "rows width"]:
        if self.training and len(input) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)
