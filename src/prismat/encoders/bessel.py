"""Spherical Bessel functions of order zero as a radial basis, and the cosine cutoff."""

from math import pi

import torch
from jaxtyping import Float
from torch import nn


class BesselBasis(nn.Module):
    """sin(n π d / c) / d for n = 1 … count (Klicpera et al., ICLR 2020), as PaiNN has it, without prefactor.

    Args:
        cutoff: c in Å, where every function vanishes.
        count: number of functions.
    """

    frequencies: torch.Tensor

    def __init__(self, cutoff: float, count: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(1, count + 1) * (pi / cutoff))

    def forward(self, distance: Float[torch.Tensor, " edges"]) -> Float[torch.Tensor, "edges count"]:
        """Values in Å⁻¹, shape (edges, count); at d = 0 the limit n π / c."""
        # The smallest length keeps the quotient at its limit instead of 0 / 0.
        length = distance.clamp_min(1e-4)[:, None]
        return torch.sin(length * self.frequencies) / length


def cosine_cutoff(distance: Float[torch.Tensor, " edges"], cutoff: float) -> Float[torch.Tensor, " edges"]:
    """½ (cos(π d / c) + 1) within the cutoff c in Å, zero beyond.

    Behler & Parrinello, Phys. Rev. Lett. 98, 146401 (2007), eq. 5.
    """
    return 0.5 * (torch.cos(distance.clamp_max(cutoff) * (pi / cutoff)) + 1)
