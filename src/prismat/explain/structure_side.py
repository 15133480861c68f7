"""Atoms of a structure, and their bonds, as parts of a match."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from prismat.api import Prismat
from prismat.device import moved
from prismat.encoders.chgnet import Chgnet
from prismat.encoders.composition import CompositionEncoder
from prismat.encoders.crystal import CrystalEncoder
from prismat.encoders.lattice import LatticeEncoder
from prismat.encoders.layers import AtomEmbedding
from prismat.explain.composition_share import CompositionShare
from prismat.explain.explanation import Item, Unit
from prismat.explain.modules import Given, exchanged
from prismat.explain.removal import repeated, without_edges, without_nodes
from prismat.explain.side import Tensors, Vectors
from prismat.explain.sites import Sites
from prismat.modalities.base import pack_features
from prismat.modalities.structure import StructureBatch, StructureModality

EDGES_AT_ONCE = 60_000
_WHOLE = (LatticeEncoder, Chgnet)
"""Parts that see the crystal as a whole: no atom can be taken from their input."""


class AtomSide:
    """Symmetry orbits as parts, sites as items: equivalent sites get equal shares of their orbit's value.

    Taking an orbit away removes its nodes and every edge to or from them, and its atoms from the formula;
    what sees the crystal as a whole (cell, space group) stays as it was.

    Integrated gradients go from nothing to the atoms' feature vectors, and from nothing to the features of
    the composition; those of an element are shared among the sites that hold it by their amounts.

    Args:
        prismat: the model.
        sites: of the structure.
    """

    window = "structure"
    unit: Unit = "atom"
    operator = "atoms are taken out of the graph and of the formula; cell and space group stay"
    baseline = "atoms and composition without features; cell and space group as they are"

    def __init__(self, prismat: Prismat, sites: Sites) -> None:
        self.model, self.sites = prismat.model, sites
        self.data: dict[str, Any] = {}
        self.batch = structure_batch(prismat, sites)
        reduced = self.batch.n_nodes == int(sites.cell.orbit.max()) + 1
        self.node_part = np.arange(self.batch.n_nodes) if reduced else sites.cell.orbit
        self.chunk = max(1, EDGES_AT_ONCE // max(1, len(self.batch.receiver)))
        encoder = self.model.encoders["structure"]
        assert isinstance(encoder, CrystalEncoder)  # noqa: S101  every recipe's structures are read by it
        self.encoder = encoder
        with torch.inference_mode():
            found = {
                k: part(self._there(self.batch)) for k, part in self._parts() if isinstance(part, _WHOLE)
            }
        # Inference tensors cannot enter a graph of gradients.
        self._whole = {name: output.clone() for name, output in found.items()}

    def __len__(self) -> int:
        return int(self.sites.cell.orbit.max()) + 1

    def _parts(self) -> list[tuple[str, nn.Module]]:
        return list(self.encoder.parts.items())

    def _there(self, batch: StructureBatch) -> StructureBatch:
        return moved(batch, next(self.model.parameters()).device)

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per site of the structure that was given."""
        orbit = self.sites.orbit
        count = np.bincount(orbit, minlength=len(self))
        shared = values / np.maximum(count, 1)
        told = zip(orbit, self.sites.labels, self.sites.symbols, strict=True)
        return [
            Item(label, float(shared[o]), site=i, element=symbol, count=int(count[o]))
            for i, (o, label, symbol) in enumerate(told)
        ]

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the structure with only some of its orbits."""
        return self.embed_batch(without_nodes(self.batch, torch.from_numpy(kept[:, self.node_part])))

    def embed_batch(self, batch: StructureBatch) -> Vectors:
        """Unit vectors of variants of the structure, the whole of it seen as it is."""
        there = self._there(batch)
        return self._project(
            {
                name: self._whole[name].expand(batch.n_graphs, -1) if name in self._whole else part(there)
                for name, part in self._parts()
            }
        )

    def _project(self, outputs: Vectors) -> Vectors:
        linear = self.encoder.projections
        features = torch.cat([linear[name](output) for name, output in outputs.items()], dim=1)
        keys = [k for k in self.model.projections if k.split("@")[0] == "structure"]
        return {key: self.model.projections[key](features) for key in keys}

    def path(self) -> tuple[Tensors, Tensors]:
        """Atom features of every graph network, then those of the composition; from zero."""
        there, inputs = self._there(self.batch), []
        with torch.no_grad():
            for _, part in self._changing():
                is_formula = isinstance(part, CompositionEncoder)
                inputs.append(self._share(part).features if is_formula else _embedding(part)(there))
        return tuple(inputs), tuple(torch.zeros_like(x) for x in inputs)

    def _changing(self) -> list[tuple[str, nn.Module]]:
        return [(name, part) for name, part in self._parts() if name not in self._whole]

    def _share(self, part: CompositionEncoder) -> CompositionShare:
        return CompositionShare.of(self._there(self.batch), part)

    def embed_inputs(self, inputs: Tensors) -> Vectors:
        """Unit vectors on the way from the baseline."""
        steps = len(inputs[0])
        outputs = {name: output.expand(steps, -1) for name, output in self._whole.items()}
        batch = self._there(repeated(self.batch, steps))
        for (name, part), given in zip(self._changing(), inputs, strict=True):
            if isinstance(part, CompositionEncoder):
                outputs[name] = part.net(given)
            else:
                table = _embedding(part)
                outputs[name] = exchanged(part, table, Given(given.flatten(0, 1), table))(batch)
        return self._project({name: outputs[name] for name, _ in self._parts()})

    def gather(self, gradients: Tensors) -> tuple[Float[np.ndarray, " parts"], float]:
        """Sums over each orbit; nothing is left over."""
        inputs, _ = self.path()
        nodes = torch.zeros(self.batch.n_nodes, dtype=torch.float64)
        for (_, part), x, gradient in zip(self._changing(), inputs, gradients, strict=True):
            if isinstance(part, CompositionEncoder):
                nodes += self._share(part).of_nodes(gradient).double().cpu()
            else:
                nodes += (x * gradient).sum(1).double().cpu()
        values = np.bincount(self.node_part, weights=nodes.numpy(), minlength=len(self))
        return values, 0.0


def structure_batch(prismat: Prismat, sites: Sites) -> StructureBatch:
    """The graph of a standardised cell, as a batch of one."""
    modality = prismat.modalities["structure"]
    assert isinstance(modality, StructureModality)  # noqa: S101  the window is the structure's
    return modality.collate(pack_features(modality.columns, [modality.featurize_cell(sites.cell)]))


def _embedding(part: nn.Module) -> AtomEmbedding:
    """The layer of a graph network that makes its atoms' features."""
    return next(m for m in part.modules() if isinstance(m, AtomEmbedding))


class BondSide:
    """Bonds of one length between two kinds of atoms as parts, both ways at once; atoms and formula stay.

    Args:
        atoms: the structure's atoms.
        most: shortest bonds that are parts; longer ones are never taken away.
    """

    window = "structure"
    unit: Unit = "bond"
    operator = "edges of the graph are taken out; atoms, formula, cell and space group stay"

    def __init__(self, atoms: AtomSide, most: int = 36) -> None:
        self.atoms, self.chunk = atoms, atoms.chunk
        self.data: dict[str, Any] = {}
        batch, part = atoms.batch, atoms.node_part
        ends = np.sort(part[torch.stack([batch.receiver, batch.sender], dim=1).numpy()], axis=1)
        length = np.round(batch.distance.numpy().astype(np.float64), 3)
        keys, first, kind = np.unique(
            np.column_stack([length, ends]), axis=0, return_index=True, return_inverse=True
        )
        # Keys ascend with the length; what comes after the last part belongs to none of them.
        self.kind: Int[np.ndarray, " edges"] = np.minimum(kind.ravel(), most)
        self.length, self.first = keys[:most, 0], first[:most]
        weight = batch.multiplicity[batch.receiver].numpy()
        self.count = np.bincount(self.kind, weights=weight, minlength=most + 1)

    def __len__(self) -> int:
        return len(self.length)

    def items(self, values: Float[np.ndarray, " parts"]) -> list[Item]:
        """One item per length and pair of atoms."""
        labels, symbols = self.atoms.sites.labels, self.atoms.sites.symbols
        found = []
        for i, edge in enumerate(self.first):
            a, b = self._ends(int(edge))
            label = f"{labels[a]}–{labels[b]} {self.length[i]:.2f} Å"
            element = f"{symbols[a]}–{symbols[b]}"
            found.append(
                Item(
                    label,
                    float(values[i]),
                    x=float(self.length[i]),
                    sites=(a, b),
                    element=element,
                    count=round(self.count[i]),
                )
            )
        return found

    def _ends(self, edge: int) -> tuple[int, int]:
        """Sites of the given structure at both ends of an edge."""
        batch, first_site = self.atoms.batch, self.atoms.sites.first_site()
        atom = int(np.flatnonzero(self._node_of_atom() == int(batch.receiver[edge]))[0])
        return int(first_site[atom]), int(first_site[int(batch.sender_atom[edge])])

    def _node_of_atom(self) -> Int[np.ndarray, " atoms"]:
        orbit = self.atoms.sites.cell.orbit
        reduced = self.atoms.batch.n_nodes == len(self.atoms)
        return orbit if reduced else np.arange(len(orbit))

    def embed(self, kept: Bool[np.ndarray, "subsets parts"]) -> Vectors:
        """Unit vectors of the structure with only some of its bonds."""
        always = np.ones((len(kept), 1), dtype=bool)
        edges = np.concatenate([kept, always], axis=1)[:, np.minimum(self.kind, len(self))]
        return self.atoms.embed_batch(without_edges(self.atoms.batch, torch.from_numpy(edges)))
