"""Three-dimensional ResNeXt for densities on periodic grids (Xie et al. 2017; Hara et al., CVPR 2018)."""

from dataclasses import dataclass
from math import gcd
from typing import Literal

import torch
from jaxtyping import Float
from torch import nn
from torch.nn.functional import pad

from prismat.errors import BadInputError
from prismat.modalities.charge_density import DENSITY_KINDS, DensityBatch


@dataclass(frozen=True)
class ResNext3dConfig:
    """Size of the network; the default is ResNeXt-50 (32×4d) with every kernel made cubic.

    Attributes:
        cardinality: groups of every 3×3×3 convolution.
        group_width: channels of one group in the first stage, doubled from stage to stage.
        depths: bottleneck blocks of each stage; all but the first stage halve the grid.
        stem: channels of the stem.
        stem_kernel: odd edge of the stem's kernel.
        stem_stride: of the stem's convolution.
        stem_pool: whether a maximum over 3×3×3 voxels halves the grid after the stem.
        periodic: wrap every window around the cell; else pad with zeros, as published encoders do.
        lattice: give lengths, angles, volume, voxel edges and kind of density to the network.
        norm: batch normalisation (published) or group normalisation, for small batches.
        out: width of the output.

    Raises:
        BadInputError: a size that is not positive, no stage, an even kernel or an unknown norm.
    """

    cardinality: int = 32
    group_width: int = 4
    depths: tuple[int, ...] = (3, 4, 6, 3)
    stem: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    stem_pool: bool = True
    periodic: bool = True
    lattice: bool = True
    norm: Literal["batch", "group"] = "batch"
    out: int = 128

    def __post_init__(self) -> None:
        sizes = (self.cardinality, self.group_width, *self.depths, self.stem, self.stem_stride, self.out)
        if not self.depths or min(sizes) < 1 or self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise BadInputError(
                f"sizes {sizes} and a stem kernel of {self.stem_kernel}",
                field="ResNext3dConfig",
                remedy="Give positive sizes, at least one stage and an odd kernel.",
            )
        if self.norm not in ("batch", "group"):
            raise BadInputError(
                f"norm {self.norm!r}", field="ResNext3dConfig", remedy="Choose batch or group."
            )

    @classmethod
    def small(cls) -> "ResNext3dConfig":
        """A network of 1.2 million parameters that trains on a laptop's processor at 32³."""
        return cls(cardinality=16, depths=(2, 2, 2), stem=32, stem_stride=4, stem_pool=False)

    @property
    def stride(self) -> int:
        """Voxels of the input per voxel of the last feature map."""
        return self.stem_stride * (2 if self.stem_pool else 1) * 2 ** (len(self.depths) - 1)


class BatchNorm(nn.BatchNorm3d):
    """Batch normalisation that uses its running statistics where a batch has one value per channel.

    A single record whose grid has shrunk to one voxel has no variance; PyTorch refuses it.
    """

    def forward(self, input: Float[torch.Tensor, "batch channels x y z"]) -> torch.Tensor:
        """Normalised features, of the same shape."""
        if self.training and input.numel() == input.shape[1]:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class PeriodicMaxPool(nn.Module):
    """Maximum over 3×3×3 voxels at every second one, around the cell's border."""

    def forward(self, x: Float[torch.Tensor, "batch channels x y z"]) -> torch.Tensor:
        """Features on half the grid."""
        return nn.functional.max_pool3d(pad(x, (1,) * 6, mode="circular"), 3, stride=2)


def convolution(
    before: int, after: int, kernel: int, config: ResNext3dConfig, stride: int = 1, groups: int = 1
) -> nn.Conv3d:
    """A convolution centred on every ``stride``-th voxel, periodic or not as the configuration has it."""
    mode = "circular" if config.periodic and kernel > 1 else "zeros"
    return nn.Conv3d(
        before,
        after,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
        padding_mode=mode,
    )


def normalisation(channels: int, config: ResNext3dConfig) -> nn.Module:
    """The norm that the configuration names."""
    return BatchNorm(channels) if config.norm == "batch" else nn.GroupNorm(gcd(channels, 32), channels)


class Bottleneck(nn.Module):
    """1×1×1, grouped 3×3×3 and 1×1×1 convolutions beside a shortcut; twice as many channels come out."""

    def __init__(self, before: int, middle: int, stride: int, config: ResNext3dConfig) -> None:
        super().__init__()
        after = 2 * middle
        self.branch = nn.Sequential(
            convolution(before, middle, 1, config),
            normalisation(middle, config),
            nn.ReLU(),
            convolution(middle, middle, 3, config, stride, config.cardinality),
            normalisation(middle, config),
            nn.ReLU(),
            convolution(middle, after, 1, config),
            normalisation(after, config),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                convolution(before, after, 1, config, stride), normalisation(after, config)
            )

    def forward(self, x: Float[torch.Tensor, "batch before x y z"]) -> torch.Tensor:
        """Features on the same grid, or on half of it."""
        return torch.relu(self.branch(x) + self.shortcut(x))


def grid_invariants(batch: DensityBatch) -> Float[torch.Tensor, "batch features"]:
    """What a grid alone does not tell: log lengths, cosines, log volume, log voxel edges; and the kind.

    Lengths and volume in Å and Å³; unchanged by a rotation of the crystal.
    """
    lengths = batch.lattice.norm(dim=2)
    unit = batch.lattice / lengths[:, :, None]
    cosines = torch.stack([(unit[:, i] * unit[:, j]).sum(1) for i, j in ((1, 2), (0, 2), (0, 1))], dim=1)
    volume = torch.linalg.det(batch.lattice).abs().log()
    points = torch.tensor(batch.values.shape[1:], dtype=lengths.dtype, device=lengths.device)
    kind = nn.functional.one_hot(batch.kind, len(DENSITY_KINDS) + 1).to(lengths.dtype)
    return torch.cat([lengths.log(), cosines, volume[:, None], (lengths / points).log(), kind], dim=1)


class ResNext3d(nn.Module):
    """Density grid → (batch, out): stem, stages of grouped bottlenecks, mean over the grid, one linear layer.

    With a periodic network and every edge of the grid divisible by ``config.stride``, moving the origin by
    multiples of that stride leaves the features exactly as they are; other moves change them, and training
    on ``shifted`` views is the remedy. The order and the directions of the axes matter. Without the lattice
    the network cannot tell a small cell from a large one: invariants of the cell scale and shift the stem's
    channels and are added before the last layer. Records without a density do not pass through the network,
    so that they leave batch statistics alone; their features are zeros.
    """

    def __init__(self, config: ResNext3dConfig = ResNext3dConfig()) -> None:
        super().__init__()
        self.config = config
        self.stem = convolution(1, config.stem, config.stem_kernel, config, config.stem_stride)
        self.stem_norm = normalisation(config.stem, config)
        pool: nn.Module = PeriodicMaxPool() if config.periodic else nn.MaxPool3d(3, stride=2, padding=1)
        self.pool = pool if config.stem_pool else nn.Identity()
        self.stages, last = _stages(config)
        self.lattice = _conditioner(config, last) if config.lattice else None
        self.head = nn.Linear(last, config.out)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: DensityBatch) -> Float[torch.Tensor, "batch out"]:
        """Features of each record, shape (batch, out).

        Raises:
            BadInputError: a grid smaller than half the stem's kernel.
        """
        grid = tuple(batch.values.shape[1:])
        if min(grid) < max(1, self.config.stem_kernel // 2):
            raise BadInputError(
                f"a grid of {grid} points under a kernel of {self.config.stem_kernel}",
                field="charge_density",
                remedy="Resample to more points or give the stem a smaller kernel.",
            )
        rows = batch.present.nonzero()[:, 0]
        if not len(rows):
            return batch.values.new_zeros(len(batch.values), self.config.out)
        found = self._features(
            batch.values[rows], None if self.lattice is None else grid_invariants(batch)[rows]
        )
        return found.new_zeros(len(batch.values), self.config.out).index_copy(0, rows, found)

    def _features(
        self,
        values: Float[torch.Tensor, "present nx ny nz"],
        invariants: Float[torch.Tensor, "present features"] | None,
    ) -> Float[torch.Tensor, "present out"]:
        x = self.stem_norm(self.stem(values[:, None]))
        shift = None
        if self.lattice is not None:
            width = self.config.stem
            scale, offset, shift = self.lattice(invariants).split([width, width, self.head.in_features], 1)
            x = x * (1 + scale[:, :, None, None, None]) + offset[:, :, None, None, None]
        pooled = self.stages(self.pool(torch.relu(x))).mean((2, 3, 4))
        return self.head(pooled if shift is None else pooled + shift)


def _stages(config: ResNext3dConfig) -> tuple[nn.Sequential, int]:
    """All blocks, and the channels of the last."""
    blocks: list[nn.Module] = []
    before = config.stem
    for stage, depth in enumerate(config.depths):
        middle = config.cardinality * config.group_width * 2**stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            blocks.append(Bottleneck(before, middle, stride, config))
            before = 2 * middle
    return nn.Sequential(*blocks), before


def _conditioner(config: ResNext3dConfig, last: int) -> nn.Sequential:
    """Invariants to scale and shift of the stem and an addition to the pooled features."""
    inputs = 10 + len(DENSITY_KINDS) + 1
    return nn.Sequential(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 2 * config.stem + last))
