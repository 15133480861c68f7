"""The inverse temperature by which cosines are multiplied, fixed or learned."""

import math

import torch
from jaxtyping import Float
from torch import nn

from prismat.errors import BadInputError


class Scale(nn.Module):
    """1/τ, held as its logarithm so that a step changes it by a share (Radford et al. 2021, section 2.4).

    Args:
        temperature: first τ.
        min_temperature: τ never falls below, so that the loss stays bounded.
        learn: keep τ fixed where false.

    Raises:
        BadInputError: a temperature of 0 or less.
    """

    def __init__(self, temperature: float, min_temperature: float = 0.01, learn: bool = True) -> None:
        super().__init__()
        if min(temperature, min_temperature) <= 0:
            raise BadInputError(
                f"temperature {temperature}, at least {min_temperature}",
                field="objective",
                remedy="Temperatures and scales are greater than 0; CLIP starts with a temperature of 0.07.",
            )
        self.largest = -math.log(min_temperature)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)), requires_grad=learn)

    def forward(self) -> Float[torch.Tensor, ""]:
        """1/τ, clamped."""
        return self.log_scale.clamp(max=self.largest).exp()

    @property
    def value(self) -> float:
        """1/τ as a plain number."""
        return float(self().detach())
