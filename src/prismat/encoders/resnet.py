"""Images to features: ResNet-50 (K. He et al., CVPR 2016), or any other network of timm."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.encoders.timm_backbone import Pretrained, WeightsFrom, make_backbone
from prismat.errors import BadInputError
from prismat.modalities.image import ImageBatch

MIN_SIZE = 32
"""Smallest edge in pixels: the stride of a ResNet."""


@dataclass(frozen=True)
class ImageEncoderConfig:
    """The network and what goes in and out.

    Attributes:
        backbone: name in timm, such as ``resnet50``, ``resnet18`` or ``vit_small_patch16_224``; a tag chooses
            one set of weights (``resnet50.a1_in1k``).
        pretrained: ``auto`` takes weights from the hub where it is in reach and else starts from random ones,
            saying so in the log and in ``ImageEncoder.weights_from``; ``hub`` insists; ``none`` asks nobody,
            as is right before a checkpoint is loaded.
        channels: 1 for greyscale, 3 for colour.
        size: edge of the images in pixels.
        out: width of the output; 0 for the pooled features as they are (2048 of ResNet-50).

    Raises:
        BadInputError: a value out of range.
    """

    backbone: str = "resnet50"
    pretrained: Pretrained = "auto"
    channels: int = 1
    size: int = 224
    out: int = 256

    def __post_init__(self) -> None:
        if self.channels not in (1, 3) or self.size < MIN_SIZE or self.out < 0:
            raise BadInputError(
                f"images of {self.channels} × {self.size} × {self.size} to {self.out} features",
                field="channels, size, out",
                remedy=f"Give 1 or 3 channels, at least {MIN_SIZE} pixels and out ≥ 0.",
            )
        if self.pretrained not in ("auto", "hub", "none"):
            raise BadInputError(
                f"pretrained is {self.pretrained!r}", field="pretrained", remedy="Say auto, hub or none."
            )


class ImageEncoder(nn.Module):
    """Images → (batch, out): the network up to its pooled last feature map, then one linear map.

    Only the images that are there pass through the network, so that batch normalisation sees nothing else;
    absent ones give zeros.

    Raises:
        BadInputError: unknown network, weights that cannot be had although ``hub`` asks for them, or images
            that the network does not take.
        MissingExtraError: timm or torchvision is not installed.
    """

    from_hub: Bool[torch.Tensor, ""]

    def __init__(self, config: ImageEncoderConfig = ImageEncoderConfig()) -> None:
        super().__init__()
        self.config = config
        backbone = make_backbone(config.backbone, config.pretrained, config.channels, config.size)
        self.backbone = backbone.model
        self.head = nn.Linear(backbone.width, config.out) if config.out else nn.Identity()
        self._width = config.out or backbone.width
        # A buffer, so that a checkpoint brings along where its weights began.
        self.register_buffer("from_hub", torch.tensor(backbone.weights_from == "hub"))

    @property
    def width(self) -> int:
        """Width of the output."""
        return self._width

    @property
    def weights_from(self) -> WeightsFrom:
        """Where the weights began: pretrained ones of the hub, or random."""
        return "hub" if bool(self.from_hub) else "scratch"

    def forward(self, batch: ImageBatch) -> Float[torch.Tensor, "batch width"]:
        """Image features, shape (batch, width)."""
        rows = batch.present
        if not bool(rows.any()):
            return batch.pixels.new_zeros(len(rows), self.width)
        pixels = batch.pixels[rows].contiguous(memory_format=torch.channels_last)
        found = self.head(self.backbone(pixels))
        features = found.new_zeros(len(rows), self.width)
        return features.index_put((rows.nonzero()[:, 0],), found)
