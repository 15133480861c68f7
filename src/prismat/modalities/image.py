"""The image window: micrographs and other pictures, or powder patterns drawn as pictures."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch.nn.functional import interpolate

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Image
from prismat.modalities.base import Columns, Features
from prismat.modalities.image_views import ImageViews, draw_views
from prismat.modalities.profile import ProfileSettings, XrdModality
from prismat.modalities.xrd import XrdSettings
from prismat.modalities.xrd_image import Plot, draw_profiles
from prismat.ragged import Packed

MIN_SIDE = 16
"""Pixels below which an edge is refused."""

MAX_ASPECT = 4.0
"""Ratio of the edges above which a centre crop would throw most of the picture away."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet, with which pretrained networks were trained."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class ImageSettings:
    """How a picture becomes an array.

    Attributes:
        size: edge in pixels of the square that is kept.
        channels: 1 for greyscale (colour is reduced to its luma), 3 for colour (grey is repeated).
        source: ``image`` reads ``measurements["image"]``; ``xrd`` draws the powder pattern as a picture.
        standardise: ``imagenet`` takes off the mean of ImageNet and divides by its standard deviation (for
            greyscale those of the three colours' average), which is what pretrained weights expect and keeps
            brightness, a sign of defects in luminescence; ``own`` takes each picture's mean and standard
            deviation, for instruments whose exposure means nothing.
        plot: how a pattern is drawn.

    Raises:
        BadInputError: a value that makes no picture.
    """

    size: int = 224
    channels: Literal[1, 3] = 1
    source: Literal["image", "xrd"] = "image"
    standardise: Literal["imagenet", "own"] = "imagenet"
    plot: Plot = "filled"

    def __post_init__(self) -> None:
        if self.size < MIN_SIDE or self.channels not in (1, 3):
            raise BadInputError(
                f"pictures of {self.channels} × {self.size} × {self.size}",
                field="size, channels",
                remedy=f"Give at least {MIN_SIDE} pixels, and 1 or 3 channels.",
            )


@dataclass(frozen=True)
class ImageBatch:
    """Standardised pictures of a batch.

    Attributes:
        pixels: zeros where absent, shape (batch, channels, size, size).
        present: which records have a picture, shape (batch,).
    """

    pixels: Float[torch.Tensor, "batch channels size size"]
    present: Bool[torch.Tensor, " batch"]


class ImageModality:
    """The image window.

    A picture is cropped to its central square, as networks are evaluated on ImageNet, then resized with
    antialiasing and kept as uint8. A drawn pattern is kept as its lines, a hundredth of the picture's bytes,
    and drawn when a batch is made, so that each view can have its own instrument.

    Args:
        settings: size, channels, what is shown.
        profile: grid and peaks of patterns that are drawn.
        lines: radiation and range of patterns that are drawn.

    Raises:
        BadInputError: settings of the pattern that contradict one another.
    """

    name = "image"

    def __init__(
        self,
        settings: ImageSettings = ImageSettings(),
        profile: ProfileSettings = ProfileSettings(),
        lines: XrdSettings = XrdSettings(),
    ) -> None:
        self.settings = settings
        self._xrd = XrdModality(profile, lines) if settings.source == "xrd" else None
        shape = (settings.channels, settings.size, settings.size)
        self.columns: Columns = {"image.pixels": (np.dtype(np.uint8), shape)}
        if self._xrd is not None:
            self.columns = {_renamed(name, "image"): kind for name, kind in self._xrd.columns.items()}

    def featurize(self, material: Material) -> Features | None:
        """The stored picture of one material, or the lines to draw; None where there is nothing to show.

        Raises:
            BadInputError: an array that is no picture, a picture too small or too long, or a pattern that
                cannot be used; names the material.
        """
        if self._xrd is not None:
            features = self._xrd.featurize(material)
            return features and {_renamed(name, "image"): values for name, values in features.items()}
        image = material.measurement("image", Image)
        if image is None:
            return None
        try:
            return {"image.pixels": square(image.pixels, self.settings.size, self.settings.channels)[None]}
        except BadInputError as error:
            raise error.at(material.id) from error

    def collate(
        self, packed: Packed, views: ImageViews | None = None, generator: torch.Generator | None = None
    ) -> ImageBatch:
        """Pictures of a batch, standardised.

        Args:
            packed: the columns.
            views: what to vary, or None for the pictures as they are.
            generator: source of the draws.

        Raises:
            BadInputError: stored pictures have another size or number of channels than the settings.
        """
        if self._xrd is not None:
            renamed = {_renamed(name, "xrd"): column for name, column in packed.items()}
            batch = self._xrd.collate(renamed, views.noise if views else None, generator)
            drawn = draw_profiles(batch.profile, self.settings.size, self.settings.plot)[:, None]
            pixels, present = drawn.repeat(1, self.settings.channels, 1, 1), batch.present
        else:
            pixels, present = self._stored(packed)
            if views is not None:
                pixels = draw_views(pixels, views, generator)
        pixels = standardise(pixels, self.settings.standardise)
        return ImageBatch(pixels * present[:, None, None, None], present)

    def _stored(
        self, packed: Packed
    ) -> tuple[Float[torch.Tensor, "batch channels size size"], Bool[torch.Tensor, " batch"]]:
        """Pictures 0 to 1, and which are there."""
        column, (_, shape) = packed["image.pixels"], self.columns["image.pixels"]
        if column.values.shape[1:] != shape:
            raise BadInputError(
                f"pictures of {' × '.join(map(str, column.values.shape[1:]))} where the settings say "
                f"{' × '.join(map(str, shape))}",
                field="image.pixels",
                remedy="Prepare the store again, or use the settings it was made with.",
            )
        present = torch.from_numpy(column.lengths > 0)
        pixels = torch.zeros(len(column), *shape)
        pixels[present] = torch.from_numpy(column.values.astype(np.float32)) / 255
        return pixels, present


def _renamed(column: str, window: str) -> str:
    return f"{window}.{column.partition('.')[2]}"


def standardise(
    pixels: Float[torch.Tensor, "batch channels size size"], how: Literal["imagenet", "own"]
) -> Float[torch.Tensor, "batch channels size size"]:
    """Pictures of 0 to 1 to about mean 0 and standard deviation 1; see ``ImageSettings.standardise``."""
    if how == "own":
        centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        # Half a grey level: a blank picture stays blank.
        return centred / centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(0.5 / 255)
    mean, std = pixels.new_tensor(MEAN), pixels.new_tensor(STD)
    if pixels.shape[1] == 1:
        mean, std = mean.mean(dim=0, keepdim=True), std.mean(dim=0, keepdim=True)
    return (pixels - mean[:, None, None]) / std[:, None, None]


def square(
    pixels: Shaped[np.ndarray, "height width *colours"], size: int, channels: int
) -> UInt8[np.ndarray, "channels size size"]:
    """The central square of a picture, resized with antialiasing.

    Args:
        pixels: as in ``Image``.
        size: edge in pixels.
        channels: 1 or 3.

    Raises:
        BadInputError: an array that is no picture, or one too small or too long.
    """
    _check(pixels)
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    part = pixels[top : top + edge, left : left + edge].astype(np.float32)
    if pixels.dtype == np.uint8:
        part /= 255
    if part.ndim == 3 and channels == 1:
        part = part @ np.array(_LUMA, np.float32)
    planes = part[None] if part.ndim == 2 else part.transpose(2, 0, 1)
    resized = interpolate(
        torch.from_numpy(np.ascontiguousarray(planes))[None], (size, size), mode="bilinear", antialias=True
    )[0]
    levels = (resized.clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.expand(channels, size, size).numpy()


def _check(pixels: Shaped[np.ndarray, "height width *colours"]) -> None:
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise BadInputError(
            f"an array of shape {pixels.shape}",
            field="image",
            remedy="Give (height, width) for greyscale or (height, width, 3) for colour.",
        )
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_ASPECT * min(height, width):
        raise BadInputError(
            f"a picture of {width} × {height} pixels",
            field="image",
            remedy=f"Give edges of at least {MIN_SIDE} pixels whose ratio is at most {MAX_ASPECT:g}.",
        )
    if pixels.dtype == np.uint8:
        return
    is_unit = np.issubdtype(pixels.dtype, np.floating) and bool(((pixels >= 0) & (pixels <= 1)).all())
    if not is_unit:
        raise BadInputError(
            f"pixels of type {pixels.dtype} outside 0 … 1, or not finite",
            field="image",
            remedy="Give uint8, or floats from 0 to 1.",
        )
