"""Powder profiles to features: a small one-dimensional convolutional network that keeps peak positions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from prismat.errors import BadInputError
from prismat.modalities.profile import XrdBatch


@dataclass(frozen=True)
class XrdCnnConfig:
    """Size of the network.

    Attributes:
        points: length of a profile; a multiple of 8 · 2 ** (len(channels) − 1).
        channels: of the stem and of each residual block; every block halves the length.
        bottleneck: channels kept in each bin of the readout.
        hidden: width of the hidden layer of the readout.
        out: width of the output.
        dropout: on the flattened bins.

    Raises:
        BadInputError: lengths or channels that do not divide.
    """

    points: int = 1024
    channels: tuple[int, ...] = (32, 64, 96)
    bottleneck: int = 24
    hidden: int = 512
    out: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not self.channels or any(c < 1 or c % 8 for c in (*self.channels, self.bottleneck)):
            raise BadInputError(
                f"channels {self.channels} and bottleneck {self.bottleneck}",
                field="channels, bottleneck",
                remedy="Give multiples of 8, which group normalisation divides by.",
            )
        if self.points < 1 or self.points % (8 * 2 ** (len(self.channels) - 1)):
            raise BadInputError(
                f"{self.points} points cannot be halved by {len(self.channels)} stages",
                field="points",
                remedy="Give a multiple of 8 · 2 ** (stages − 1).",
            )

    @property
    def bins(self) -> int:
        """Bins of the readout."""
        return self.points // (8 * 2 ** (len(self.channels) - 1))


class ResidualBlock(nn.Module):
    """Convolutions of width 5 and 3 with group normalisation; the first halves the length.

    The shortcut is a mean over pairs of points followed by a pointwise convolution.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 5, stride=2, padding=2, bias=False)
        self.first_norm = nn.GroupNorm(8, after)
        self.second = nn.Conv1d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(8, after)
        self.shortcut = nn.Sequential(nn.AvgPool1d(2), nn.Conv1d(before, after, 1))

    def forward(
        self, x: Float[torch.Tensor, "batch before length"]
    ) -> Float[torch.Tensor, "batch after half"]:
        """Features at half the length."""
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class XrdCnn(nn.Module):
    """Convolutions over the profile, then a dense readout of position-resolved bins.

    Profile (batch, points) → stem of stride 8 and width 32 (batch, channels₀, points/8) → residual blocks
    (batch, channels, bins) → bottleneck (batch, bottleneck · bins) → two dense layers (batch, out). The
    position of a peak is the spacing of lattice planes, so nothing is averaged over the whole pattern: each
    of the bins has its own weights in the readout. Group normalisation keeps the records of a batch
    independent, so that absent ones (profiles of zeros) touch no other.

    Published encoders of powder patterns differ: CMML's network (Y. Suzuki et al., Mach. Learn.: Sci.
    Technol. 3, 045034 (2022)) reads 5,000 points of 10° to 110° 2θ and so belongs to one wavelength;
    MatBind's is a one-dimensional ResNet with group normalisation; both see simulated patterns only. Here
    the axis is the scattering vector, intensities enter as square roots, and measured patterns have the
    same form.
    """

    def __init__(self, config: XrdCnnConfig = XrdCnnConfig()) -> None:
        super().__init__()
        self.config = config
        first, last = config.channels[0], config.channels[-1]
        self.stem = nn.Conv1d(1, first, 32, stride=8, padding=12, bias=False)
        self.stem_norm = nn.GroupNorm(8, first)
        self.blocks = nn.Sequential(
            *(ResidualBlock(a, b) for a, b in zip(config.channels, config.channels[1:], strict=False))
        )
        self.readout = nn.Sequential(
            nn.Conv1d(last, config.bottleneck, 1),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(config.bottleneck * config.bins, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.out),
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: XrdBatch) -> Float[torch.Tensor, "batch out"]:
        """Features of each record, shape (batch, out).

        Raises:
            BadInputError: profiles of another length than the network was made for.
        """
        if batch.profile.shape[1] != self.config.points:
            raise BadInputError(
                f"profiles of {batch.profile.shape[1]} points, the network reads {self.config.points}",
                field="xrd",
                remedy="Use the profile settings the model was trained with.",
            )
        x = torch.relu(self.stem_norm(self.stem(batch.profile[:, None])))
        return self.readout(self.blocks(x))
