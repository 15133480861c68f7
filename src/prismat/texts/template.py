"""Descriptions of crystals from a template: composition, symmetry, density, dimensionality, coordination.

The variants say all, only what holds for the whole crystal, or only what surrounds its atoms, as CrysMMNet
compares them (Das et al., UAI 2023, table 6).
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Literal

import numpy as np

from prismat.elements import SYMBOLS
from prismat.formula import reduced_formula
from prismat.modalities.standard_cell import StandardCell
from prismat.modalities.text_views import crystal_system
from prismat.neighbors import Pairs
from prismat.texts.bonds import bonded_pairs
from prismat.texts.dimensionality import Network, network
from prismat.texts.environments import Environment, Ligand, environments
from prismat.texts.template_words import (
    composition_sentence,
    decimal,
    formula_rank,
    listed,
    number,
    site_label,
    site_shares,
)

Variant = Literal["template", "template_global", "template_local"]
VERSION = 1
"""Changes whenever the same crystal would get another text."""

MOST_ENVIRONMENTS = 4
"""Environments of one element that are told; of more the most frequent."""
_MOST_FORMULAS = 3
_DIMENSIONS = ("zero-dimensional", "one-dimensional", "two-dimensional", "three-dimensional")
_PIECES = ("molecules or isolated groups", "chains", "layers", "a framework")


def describe_cell(cell: StandardCell, variant: Variant = "template") -> str:
    """The description of a crystal or molecule in English; the same crystal always gives the same text.

    Args:
        cell: from ``standardize``.
        variant: ``template_global`` for composition, symmetry, density and dimensionality,
            ``template_local`` for coordination environments, ``template`` for both.
    """
    pairs = bonded_pairs(cell.primitive)
    parts = []
    if variant != "template_local":
        parts += _global(cell, pairs)
    if variant != "template_global":
        parts += _local(cell, pairs)
    return " ".join(parts)


def _global(cell: StandardCell, pairs: Pairs) -> list[str]:
    crystal = cell.primitive
    said = [composition_sentence(crystal)]
    if not crystal.periodic:
        atoms = f"{number(len(crystal))} atom{'s' * (len(crystal) != 1)}"
        return [*said, f"It is a molecule of {atoms}, not a crystal."]
    said += [_symmetry(cell), f"Its density is {decimal(crystal.density, 2)} g/cm³."]
    mixed = sorted({site_shares(site) for site in crystal.sites if len(site) > 1})
    if mixed:
        said.append(f"It has mixed sites: {'; '.join(mixed[:MOST_ENVIRONMENTS])}.")
    vacant = sorted({site_label(s) for s in crystal.sites if sum(x for _, x in s) < 0.999})
    if vacant:
        said.append(f"Sites of {listed(vacant)} are partly vacant.")
    return [*said, _dimensions(cell, network(pairs, len(crystal)))]


def _symmetry(cell: StandardCell) -> str:
    orbits, atoms = int(cell.orbit.max()) + 1, len(cell.primitive)
    return (
        f"It crystallises in the {crystal_system(cell.number)} system, space group {cell.symbol} "
        f"(No. {cell.number}), with {number(orbits)} symmetry-distinct site{'s' * (orbits != 1)} and "
        f"{number(atoms)} atom{'s' * (atoms != 1)} in the primitive cell."
    )


def _dimensions(cell: StandardCell, found: Network) -> str:
    """The dimensionality of the whole, and what the components are where they are not one framework."""
    told = f"Its bonded network is {_DIMENSIONS[found.highest]} ({found.highest}D)"
    by_dimension: dict[int, Counter[str]] = defaultdict(Counter)
    for component, dimension in enumerate(found.dimension.tolist()):
        by_dimension[dimension][_component_formula(cell, found.component == component)] += 1
    if list(by_dimension) == [3]:
        return f"{told}."
    pieces = [
        f"{_PIECES[dimension]} of {listed(_most_frequent(formulas))}"
        for dimension, formulas in sorted(by_dimension.items(), reverse=True)
    ]
    return f"{told}, made of {listed(pieces)}."


def _component_formula(cell: StandardCell, members: np.ndarray) -> str:
    total: dict[int, float] = defaultdict(float)
    for atom in np.flatnonzero(members).tolist():
        for z, occupancy in cell.primitive.sites[atom]:
            total[z] += occupancy
    return reduced_formula(dict(total))


def _most_frequent(formulas: Counter[str]) -> list[str]:
    names = sorted(formulas, key=lambda name: (-formulas[name], name))
    return names[:_MOST_FORMULAS] + (["others"] if len(names) > _MOST_FORMULAS else [])


def _local(cell: StandardCell, pairs: Pairs) -> list[str]:
    """A sentence for each element or mixed site and each of its kinds of surroundings."""
    crystal = cell.primitive
    if not len(pairs.i):
        alone = "It is a single atom" if len(crystal) == 1 else "Its atoms are isolated"
        return [f"{alone}: {listed(sorted({site_label(s) for s in crystal.sites}))} has no bonded neighbour."]
    groups: dict[str, dict[tuple, list[Environment]]] = defaultdict(lambda: defaultdict(list))
    for environment in environments(cell, pairs):
        groups[environment.label][_kind(environment)].append(environment)
    said = []
    for label in sorted(groups, key=_label_rank(cell)):
        said += _about(label, list(groups[label].values()))
    return said


def _kind(environment: Environment) -> tuple:
    """Environments that agree in this are told together."""
    ligands = tuple((ligand.label, round(ligand.count, 1)) for ligand in environment.ligands)
    return (ligands, environment.shape)


def _label_rank(cell: StandardCell) -> Callable[[str], tuple[int, str]]:
    """Sort key of site labels: the order of the formula, by the first element of the label."""
    symbols = [SYMBOLS[z] for z in sorted(cell.primitive.composition, key=formula_rank)]
    position = {symbol: k for k, symbol in enumerate(symbols)}
    return lambda label: (position[label.split("/")[0]], label)


def _about(label: str, kinds: list[list[Environment]]) -> list[str]:
    """Sentences on one element or mixed site, the most frequent surroundings first."""
    sizes = [sum(e.atoms for e in kind) for kind in kinds]
    told = [(size, _mean_ligands(kind), kind[0].shape) for size, kind in zip(sizes, kinds, strict=True)]
    told.sort(key=lambda t: (-t[0], [(x.label, round(x.count, 4), round(x.distance, 4)) for x in t[1]], t[2]))
    subject = f"The {label} mixed site" if "/" in label else label
    said = []
    for size, ligands, shape in told[:MOST_ENVIRONMENTS]:
        share = "" if len(told) == 1 else f" ({size} of {sum(sizes)} atoms)"
        said.append(f"{subject}{share} {_surroundings(ligands, shape)}.")
    if len(told) > MOST_ENVIRONMENTS:
        rest = len(told) - MOST_ENVIRONMENTS
        said.append(f"{subject} has {number(rest)} more kind{'s' * (rest != 1)} of surroundings.")
    return said


def _mean_ligands(kind: list[Environment]) -> list[Ligand]:
    """Ligands of environments that are told together, distances and counts averaged over their atoms."""
    if len(kind) == 1:
        return list(kind[0].ligands)
    weights = np.array([e.atoms for e in kind], dtype=np.float64)
    found = []
    for column in zip(*(e.ligands for e in kind), strict=True):
        counts = np.array([ligand.count for ligand in column])
        distances = np.array([ligand.distance for ligand in column])
        count = float(weights @ counts / weights.sum())
        found.append(Ligand(column[0].label, count, float(weights * counts @ distances / (weights @ counts))))
    return found


def _surroundings(ligands: list[Ligand], shape: str) -> str:
    if not ligands:
        return "has no bonded neighbour"
    total = sum(ligand.count for ligand in ligands)
    name = f", {shape}" if shape else ""
    parts = [f"{number(x.count)} {x.label} at {decimal(x.distance, 2)} Å" for x in ligands]
    return f"is {number(total)}-coordinate{name}: bonded to {listed(parts)}"
