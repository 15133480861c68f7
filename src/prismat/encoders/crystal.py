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
    """What a crystal's feature is made of.

    Attributes:
        parts: any of cgcnn, mpgnn, composition, lattice; ``("composition",)`` is the baseline.
        width: width of each part.
        hidden: parts that a partner's projection does not see, each as ``partner:part``. Titles say nothing
            of cell edges: shown the lattice, their projection learns the training crystals by heart.
        cgcnn, mpgnn, composition, lattice: settings of each part.
    """

    parts: tuple[Part, ...] = ("cgcnn", "composition", "lattice")
    width: int = 256
    hidden: tuple[str, ...] = ("text:lattice",)
    cgcnn: CgcnnConfig = field(default_factory=CgcnnConfig)
    mpgnn: MpgnnConfig = field(default_factory=MpgnnConfig)
    composition: CompositionConfig = field(default_factory=CompositionConfig)
    lattice: LatticeConfig = field(default_factory=LatticeConfig)


class CrystalEncoder(nn.Module):
    """Parts behind one another, each projected to one width; projections after it add them up.

    The graph sees bonds within a few ångströms, composition sees the formula exactly, the lattice sees the
    cell as a whole, which no local graph does.
    """

    def __init__(self, config: CrystalConfig = CrystalConfig()) -> None:
        super().__init__()
        self.config = config
        built: dict[str, nn.Module] = {name: _build(name, config) for name in config.parts}
        self.parts = nn.ModuleDict(built)
        self.projections = nn.ModuleDict({k: nn.Linear(m.width, config.width) for k, m in built.items()})  # ty: ignore[invalid-argument-type]

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.width * len(self.config.parts)

    def columns_for(self, partner: str | None) -> list[int]:
        """Columns of the output that the projection meant for ``partner`` may see; never none of them."""
        hidden = self.config.hidden
        shown = [i for i, part in enumerate(self.config.parts) if f"{partner}:{part}" not in hidden]
        width = self.config.width
        return [c for i in shown or range(len(self.config.parts)) for c in range(i * width, (i + 1) * width)]

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs width"]:
        """Crystal features, shape (graphs, width)."""
        return torch.cat([self.projections[k](part(batch)) for k, part in self.parts.items()], dim=1)


def _build(name: Part, config: CrystalConfig) -> nn.Module:
    if name == "cgcnn":
        return Cgcnn(config.cgcnn)
    if name == "mpgnn":
        return Mpgnn(config.mpgnn)
    if name == "composition":
        return CompositionEncoder(config.composition)
    return LatticeEncoder(config.lattice)
