"""Adds a structure encoder and a window of one's own, and trains the two against each other.

The encoder reads the graph that every structure encoder gets; the window is a composition, as someone has it
who knows a formula and nothing else. docs/extending.md explains each step, and
tests/physics/test_extending.py holds the encoder to the physics that all others obey.

Run: python examples/5_own_encoder_and_window.py
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat import Material, read_crystal
from prismat.elements import MAX_Z, atomic_number
from prismat.encoders.layers import AtomEmbedding, RadialBasis, pool_mean, scatter_sum
from prismat.errors import BadInputError
from prismat.modalities.base import Columns, Features, pack_features
from prismat.modalities.structure import StructureBatch, StructureModality
from prismat.model import JointModel, ProjectionConfig
from prismat.objectives.build import build_objective
from prismat.objectives.config import ObjectiveConfig
from prismat.ragged import Packed

POSCAR = """{name}
{a}
{cell}
{symbols}
1 1
Direct
0 0 0
{second}
"""
FACES, PRIMITIVE = "0 .5 .5\n.5 0 .5\n.5 .5 0", "1 0 0\n0 1 0\n0 0 1"
TYPES = {
    "rock salt": (FACES, ".5 .5 .5", "Li-F 4.03, Na-Cl 5.64, K-Br 6.60, Mg-O 4.21, Ca-O 4.81, Pb-S 5.94"),
    "zincblende": (
        FACES,
        ".25 .25 .25",
        "Zn-S 5.41, Ga-As 5.65, In-P 5.87, Cd-Te 6.48, Cu-Cl 5.42",
    ),
    "caesium chloride": (PRIMITIVE, ".5 .5 .5", "Cs-Cl 4.12, Cs-I 4.57, Tl-Cl 3.83, Ni-Al 2.88"),
}


@dataclass(frozen=True)
class RadialConfig:
    """Size of the encoder.

    Attributes:
        width: features per atom.
        out: width of the crystal feature.
    """

    width: int = 32
    out: int = 32


class RadialEncoder(nn.Module):
    """Crystal → (batch, out): each atom sees its neighbours' elements, weighed by functions of the distance.

    h_i ← SiLU(h_i + Σ_j (h_j W) ⊙ φ(d_ij)), then the mean over atoms. Distances alone enter, so nothing
    depends on how the crystal lies or is described, and one node per symmetry orbit is enough.
    """

    def __init__(self, config: RadialConfig = RadialConfig()) -> None:
        super().__init__()
        self.config = config
        self.embedding = AtomEmbedding(config.width)
        self.basis = RadialBasis(0.0, 8.0, 24)
        self.filter = nn.Linear(24, config.width, bias=False)
        self.neighbor = nn.Linear(config.width, config.width, bias=False)
        self.head = nn.Linear(config.width, config.out)

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: StructureBatch) -> Float[torch.Tensor, "graphs out"]:
        """Crystal features, shape (graphs, out)."""
        nodes = self.embedding(batch)
        message = self.neighbor(nodes)[batch.sender] * self.filter(self.basis(batch.distance))
        nodes = nn.functional.silu(nodes + scatter_sum(message, batch.receiver, batch.n_nodes))
        return self.head(pool_mean(nodes, batch))


@dataclass(frozen=True)
class FormulaBatch:
    """Compositions of a batch.

    Attributes:
        fractions: atomic fractions by atomic number, shape (batch, 99).
        present: which records have one, shape (batch,).
    """

    fractions: Float[torch.Tensor, "batch elements"]
    present: Bool[torch.Tensor, " batch"]


class FormulaModality:
    """The formula as a window: what is in a material, and how much of it."""

    name = "formula"

    def __init__(self) -> None:
        self.columns: Columns = {"formula.fractions": (np.dtype(np.float32), (MAX_Z + 1,))}

    def featurize(self, material: Material) -> Features | None:
        """Atomic fractions, shape (1, 99); None without a structure."""
        if material.structure is None:
            return None
        row = np.zeros((1, MAX_Z + 1), np.float32)
        for symbol, fraction in material.structure.fractions.items():
            row[0, atomic_number(symbol)] = fraction
        if not np.isfinite(row).all():
            raise BadInputError("a fraction is not finite", record=material.id, field="formula")
        return {"formula.fractions": row}

    def collate(self, packed: Packed) -> FormulaBatch:
        """One batch; absent records are rows of zeros."""
        column = packed["formula.fractions"]
        fractions = torch.zeros(len(column), MAX_Z + 1)
        present = torch.from_numpy(column.lengths > 0)
        fractions[present] = torch.from_numpy(column.values)
        return FormulaBatch(fractions, present)


class FormulaEncoder(nn.Module):
    """Composition → (batch, out) through two layers."""

    def __init__(self, out: int = 32) -> None:
        super().__init__()
        self.width = out
        self.net = nn.Sequential(nn.Linear(MAX_Z + 1, 64), nn.SiLU(), nn.Linear(64, out))

    def forward(self, batch: FormulaBatch) -> Float[torch.Tensor, "batch out"]:
        """Composition features, shape (batch, out)."""
        return self.net(batch.fractions)


def crystals() -> list[Material]:
    """Sixteen binary compounds with their measured cell edges."""
    made = []
    for cell, second, list_ in TYPES.values():
        for compound in list_.split(", "):
            name, a = compound.split()
            text = POSCAR.format(name=name, a=a, cell=cell, symbols=name.replace("-", " "), second=second)
            made.append(Material(name.replace("-", ""), read_crystal(text)))
    return made


def main() -> None:
    torch.manual_seed(0)
    materials = crystals()
    windows = {"structure": StructureModality(), "formula": FormulaModality()}
    batches: dict[str, object] = {}
    for name, modality in windows.items():
        features = [modality.featurize(m) for m in materials]
        batches[name] = modality.collate(pack_features(modality.columns, features))
    model = JointModel(
        {"structure": RadialEncoder(), "formula": FormulaEncoder()},
        ProjectionConfig(dim=32, hidden=0, dropout=0.0),
    )
    objective = build_objective(ObjectiveConfig(), ("structure", "formula"), dim=32)
    optimizer = torch.optim.AdamW([*model.parameters(), *objective.parameters()], lr=3e-3)
    for step in range(1, 61):
        loss = objective(model(batches)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}, loss {float(loss.detach()):.2f}")
    with torch.no_grad():
        left, right = model.eval()(batches).pair("structure", "formula")
    found = int((left @ right.T).argmax(1).eq(torch.arange(len(left))).sum())
    print(f"{found} of {len(left)} structures find their formula")


if __name__ == "__main__":
    main()
