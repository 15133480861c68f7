"""Powder profiles drawn as pictures: intensity upwards over the scattering vector, bright on dark."""

from typing import Literal

import torch
from jaxtyping import Float
from torch.nn.functional import adaptive_max_pool1d, pad

Plot = Literal["filled", "line"]

LINE_WIDTH = 1.5
"""Thickness of a drawn line in pixels."""


def draw_profiles(
    profile: Float[torch.Tensor, "batch points"], size: int = 224, plot: Plot = "filled"
) -> Float[torch.Tensor, "batch size size"]:
    """Pictures of a batch of profiles, 0 (paper) to 1 (ink), the first row on top.

    Each column shows the points that fall into it from the lowest to the highest, so that no peak is lost
    however narrow it is; the strongest point of a profile reaches the top. A pixel's value is the share of
    its height that is covered, which makes heights continuous rather than counted in pixels. The square root
    that profiles carry already makes weak peaks visible.

    Args:
        profile: values ≥ 0 such as ``XrdBatch.profile``; one of zeros gives an empty picture.
        size: edge of the pictures in pixels.
        plot: area under the curve, or the curve alone.
    """
    top = profile.amax(dim=1, keepdim=True)
    height = profile / top.clamp_min(1e-12) * size
    high = adaptive_max_pool1d(height, size)
    low = torch.zeros_like(high)
    if plot == "line":
        # One line thickness of room above and below keeps the curve inside the picture.
        low, high = _outline(height, high)
        scale = (size - LINE_WIDTH) / size
        low, high = low * scale, high * scale + LINE_WIDTH
    bottom = torch.arange(size - 1, -1, -1, device=profile.device, dtype=profile.dtype)[:, None]
    covered = torch.minimum(high[:, None], bottom + 1) - torch.maximum(low[:, None], bottom)
    return covered.clamp_min(0) * (top > 0)[:, :, None]


def _outline(
    height: Float[torch.Tensor, "batch points"], high: Float[torch.Tensor, "batch size"]
) -> tuple[Float[torch.Tensor, "batch size"], Float[torch.Tensor, "batch size"]]:
    """Lowest and highest point of the curve in each column, columns joined to their neighbours."""
    low = -adaptive_max_pool1d(-height, high.shape[1])
    beside = pad(high, (1, 1), value=torch.inf)
    return torch.minimum(low, torch.minimum(beside[:, :-2], beside[:, 2:])), high
