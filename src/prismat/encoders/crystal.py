"""The structure encoder of every recipe: published networks, composition and lattice, side by side."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import nn

from prismat.encoders.alignn import Alignn, AlignnConfig
from prismat.encoders.cgcnn import Cgcnn, CgcnnConfig
from prismat.encoders.chgnet import Chgnet, ChgnetConfig
from prismat.encoders.composition import CompositionConfig, CompositionEncoder
from prismat.encoders.gatgnn import Gatgnn, GatgnnConfig
from prismat.encoders.lattice import LatticeConfig, LatticeEncoder
from prismat.encoders.matformer import Matformer, MatformerConfig
from prismat.encoders.megnet import Megnet, MegnetConfig
from prismat.encoders.mpgnn import Mpgnn, MpgnnConfig
from prismat.encoders.painn import Painn, PainnConfig
from prismat.encoders.potnet import PotNet, PotNetConfig
from prismat.modalities.structure import Extra, StructureBatch

Graph = Literal["cgcnn", "mpgnn", "painn", "alignn", "potnet", "megnet", "gatgnn", "matformer", "chgnet"]
"""Names of the published networks."""
Part = Literal[Graph, "composition", "lattice"]
"""Names of the parts; ``composition`` alone is the baseline."""
_EXTRAS: dict[str, Extra] = {"potnet": "potentials", "chgnet": "chgnet"}


@dataclass(frozen=True)
class GraphConfigs:
    """Settings of the published graph networks; only those of the parts in use matter.

    Attributes:
        cgcnn, mpgnn, painn, alignn, potnet, megnet, gatgnn, matformer, chgnet: of each network.
    """

    cgcnn: CgcnnConfig = field(default_factory=CgcnnConfig)
    mpgnn: MpgnnConfig = field(default_factory=MpgnnConfig)
    painn: PainnConfig = field(default_factory=PainnConfig)
    alignn: AlignnConfig = field(default_factory=AlignnConfig)
    potnet: PotNetConfig = field(default_factory=PotNetConfig)
    megnet: MegnetConfig = field(default_factory=MegnetConfig)
    gatgnn: GatgnnConfig = field(default_factory=GatgnnConfig)
    matformer: MatformerConfig = field(default_factory=MatformerConfig)
    chgnet: ChgnetConfig = field(default_factory=ChgnetConfig)


@dataclass(frozen=True)
class CrystalConfig:
    """What a crystal's feature is made of.

    Attributes:
        parts: any of the names of ``Part``; ``("composition",)`` is the baseline.
        width: width of each part.
        hidden: parts that a partner's projection does not see, each as ``partner:part``. Titles say nothing
            of cell edges: shown the lattice, their projection learns the training crystals by heart.
        graphs: settings of the graph networks.
        composition, lattice: settings of these parts.
    """

    parts: tuple[Part, ...] = ("cgcnn", "composition", "lattice")
    width: int = 256
    hidden: tuple[str, ...] = ("text:lattice",)
    graphs: GraphConfigs = field(default_factory=GraphConfigs)
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
        built: dict[str, nn.Module] = {name: build_part(name, config) for name in config.parts}
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


def build_part(name: Part, config: CrystalConfig) -> nn.Module:
    """The encoder behind a part's name, with fresh weights."""
    graphs = config.graphs
    made = {
        "cgcnn": lambda: Cgcnn(graphs.cgcnn),
        "mpgnn": lambda: Mpgnn(graphs.mpgnn),
        "painn": lambda: Painn(graphs.painn),
        "alignn": lambda: Alignn(graphs.alignn),
        "potnet": lambda: PotNet(graphs.potnet),
        "megnet": lambda: Megnet(graphs.megnet),
        "gatgnn": lambda: Gatgnn(graphs.gatgnn),
        "matformer": lambda: Matformer(graphs.matformer),
        "chgnet": lambda: Chgnet(graphs.chgnet),
        "composition": lambda: CompositionEncoder(config.composition),
        "lattice": lambda: LatticeEncoder(config.lattice),
    }
    return made[name]()


def extras_of(parts: tuple[str, ...]) -> tuple[Extra, ...]:
    """Features beyond the graph that these parts read, with which a store has to be prepared."""
    return tuple(_EXTRAS[part] for part in parts if part in _EXTRAS)
