"""Views of an image for training: the same picture turned, mirrored, cropped and exposed differently."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch.nn.functional import affine_grid, grid_sample

from prismat.errors import BadInputError
from prismat.modalities.rendering import ProfileNoise


@dataclass(frozen=True)
class ImageViews:
    """What is drawn anew for every record.

    A micrograph has no up and no left, so mirror images are as good as the picture. A pattern that is drawn
    as a picture has both: its views come from ``noise`` on the profile, and the rest of these stays out.

    Attributes:
        flips: mirror left and right, and top and bottom, each in half of the cases.
        rotation: degrees, greatest turn either way; what it brings in at the corners is mirrored.
        crop: smallest edge of the part that is kept, as a share of the picture's.
        brightness: greatest shift either way, as a share of full range.
        contrast: greatest relative change either way of the distance from the picture's mean.
        noise: distortions of a profile before it is drawn as a picture.

    Raises:
        BadInputError: a value out of range.
    """

    flips: bool = True
    rotation: float = 10.0
    crop: float = 0.85
    brightness: float = 0.1
    contrast: float = 0.1
    noise: ProfileNoise = ProfileNoise()

    def __post_init__(self) -> None:
        shares = (self.brightness, self.contrast)
        if not (0 <= self.rotation <= 180 and 0 < self.crop <= 1 and all(0 <= s <= 1 for s in shares)):
            raise BadInputError(
                f"views of {self}",
                field="image views",
                remedy="Give a rotation of 0 to 180°, a crop above 0 and up to 1, and shares of 0 to 1.",
            )


def draw_views(
    pictures: Float[torch.Tensor, "batch channels size size"],
    views: ImageViews,
    generator: torch.Generator | None = None,
) -> Float[torch.Tensor, "batch channels size size"]:
    """One view of each picture, values 0 to 1; turn, mirror and crop are one bilinear resampling.

    Args:
        pictures: values 0 to 1.
        views: what may change and by how much.
        generator: source of the draws; torch's own where None.
    """
    draws = 2 * torch.rand(len(pictures), 8, generator=generator) - 1
    grid = affine_grid(_placement(draws, views), list(pictures.shape), align_corners=False)
    moved = grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    gain, shift = (1 + views.contrast * draws[:, 6]), views.brightness * draws[:, 7]
    return (mean + (moved - mean) * gain[:, None, None, None] + shift[:, None, None, None]).clamp(0, 1)


def _placement(
    draws: Float[torch.Tensor, "batch draws"], views: ImageViews
) -> Float[torch.Tensor, "batch 2 3"]:
    """Maps places in the view to places in the picture, both −1 to 1."""
    angle = torch.deg2rad(views.rotation * draws[:, 0])
    scale = views.crop + (1 - views.crop) * (draws[:, 1] + 1) / 2
    mirror = torch.where(draws[:, 2:4] < 0, -1.0, 1.0) if views.flips else torch.ones_like(draws[:, 2:4])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1) * mirror[:, None]
    centre = (1 - scale)[:, None] * draws[:, 4:6]
    return torch.cat([turn, centre[:, :, None]], dim=2)
