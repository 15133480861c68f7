"""The structure encoder of the default recipe: local graph, composition and lattice, summed."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig
from prismat.encoders.composition import CompositionConfig, CompositionEncoder
from prismat.encoders.lattice import LatticeConfig, LatticeEncoder
from prismat.encoders.mpgnn import Mpgnn, MpgnnConfig
from prismat.modalities.structure import StructureBatch

Part = Literal["cgcnn", "mpgnn", "composition", "lattice"]


@dataclass(frozen=True)
class CrystalConfig:
    """What a crystal's feature is summed from.

    Attributes:
        parts: any of cgcnn, mpgnn, composition, lattice; ``("composition",)`` is the baseline.
        width: width of the sum.
        cgcnn, mpgnn, composition, lattice: settings of each part; their output width is ``width``.
    """

    parts: tuple[Part, ...] = ("cgcnn", "composition", "lattice")
    width: int = 256
    cgcnn: CgcnnConfig = field(default_factory=CgcnnConfig)
    mpgnn: MpgnnConfig = field(default_factory=MpgnnConfig)
    composition: CompositionConfig = field(default_factory=CompositionConfig)
    lattice: LatticeConfig = field(default_factory=LatticeConfig)


class CrystalEncoder(nn.Module):
    """Sum of its parts, each projected to one width: what one part knows another need not relearn.

    The graph sees bonds within a few ångströms, composition sees the formula exactly, the lattice sees the
    cell as a whole, which no local graph does.
    """

    def __init__(self, config: CrystalConfig = CrystalConfig()) -> None:  # noqa: B008
        super().__init__()
        self.config = config
        built = {name: _build(name, config) for name in config.parts}
        self.parts = nn.ModuleDict(built)
        self.projections = nn.ModuleDict({k: nn.Linear(m.width, config.width) for k, m in built.items()})  # ty: ignore[invalid-argument-type]

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs width"]:
        """Crystal features, shape (graphs, width)."""
        return torch.stack([self.projections[k](part(batch)) for k, part in self.parts.items()]).sum(0)


def _build(name: Part, config: CrystalConfig) -> nn.Module:
    if name == "cgcnn":
        return Cgcnn(config.cgcnn)
    if name == "mpgnn":
        return Mpgnn(config.mpgnn)
    if name == "composition":
        return CompositionEncoder(config.composition)
    return LatticeEncoder(config.lattice)
