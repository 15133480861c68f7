"""The charge density window: electron densities on one grid, from calculations or as superposed atoms.

Every density is brought to the Niggli cell of its lattice and to one number of points in Fourier space,
which keeps the electrons. What remains arbitrary is the origin, the axes of a lattice with rotations of its
own, and a supercell where one was given; ``shifted`` makes views for the first.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import ChargeDensity, DensityKind
from prismat.modalities.base import Columns, Features
from prismat.modalities.promolecule import promolecule_density
from prismat.modalities.resample_grid import check_density, reduced_basis, reduced_crystal, resample
from prismat.modalities.standard_cell import standardize
from prismat.ragged import Packed, Ragged

DENSITY_KINDS: tuple[DensityKind, ...] = ("valence", "all-electron", "promolecule", "unlabelled")
"""Kinds in the order of their numbers in a batch, which begin at 1; 0 is no density."""

_FIELD = "charge_density"
_TOO_MANY = 1.1
"""A density may hold this many times the electrons of the structure's neutral atoms; grids miss cusps."""


@dataclass(frozen=True)
class DensitySettings:
    """Which densities are taken and how they are stored.

    Attributes:
        points: grid points along each axis of the reduced cell.
        kinds: kinds of measured density that are accepted. Valence and all-electron densities differ by
            whole cores: more than one kind is let in on purpose only, and each keeps its label.
        promolecule: give superposed free atoms, as a kind of its own, to a structure without a density.
        transform: what a batch holds: ``log1p`` for sign(ρ)·log(1 + |ρ|·Å³), since cores reach hundreds of
            e/Å³ and bonds tenths; ``none`` for e/Å³.
        precision: of the stored e/Å³; float16 keeps them to 0.05 % and up to 65,504.
        symprec: Å, tolerance of the symmetry search for the promolecule's primitive cell.

    Raises:
        BadInputError: a value that is not among the choices, or a grid that is too small or too large.
    """

    points: int = 32
    kinds: tuple[DensityKind, ...] = ("valence",)
    promolecule: bool = False
    transform: Literal["log1p", "none"] = "log1p"
    precision: Literal["float16", "float32"] = "float16"
    symprec: float = 0.01

    def __post_init__(self) -> None:
        if not 4 <= self.points <= 256:
            raise BadInputError(f"{self.points} points", field="points", remedy="Give 4 to 256.")
        known = get_args(DensityKind)
        if not set(self.kinds) <= set(known):
            raise BadInputError(
                f"kinds {self.kinds}", field="kinds", remedy=f"Choose from {', '.join(known)}."
            )
        if self.transform not in ("log1p", "none") or self.precision not in ("float16", "float32"):
            raise BadInputError(
                f"transform {self.transform!r}, precision {self.precision!r}",
                field="transform, precision",
                remedy="Choose log1p or none, and float16 or float32.",
            )


@dataclass(frozen=True)
class DensityBatch:
    """Densities of a batch.

    Attributes:
        values: transformed densities; zeros where absent, shape (batch, nx, ny, nz).
        lattice: row vectors of the reduced cell in Å; the identity where absent, shape (batch, 3, 3).
        electrons: electrons per reduced cell; 0 where absent, shape (batch,).
        kind: 1 + place in ``DENSITY_KINDS``, 0 where absent, shape (batch,).
        present: which records have a density, shape (batch,).
    """

    values: Float[torch.Tensor, "batch nx ny nz"]
    lattice: Float[torch.Tensor, "batch 3 3"]
    electrons: Float[torch.Tensor, " batch"]
    kind: Int[torch.Tensor, " batch"]
    present: Bool[torch.Tensor, " batch"]


class ChargeDensityModality:
    """The charge density window: one grid per record over the reduced cell."""

    name = "charge_density"

    def __init__(self, settings: DensitySettings = DensitySettings()) -> None:
        self.settings = settings
        self.columns: Columns = {
            "charge_density.values": (np.dtype(settings.precision), ()),
            "charge_density.lattice": (np.dtype(np.float32), (3,)),
            "charge_density.kind": (np.dtype(np.int8), ()),
        }

    def featurize(self, material: Material) -> Features | None:
        """Density of one material in e/Å³ over the reduced cell, or None without one.

        The measured density is taken where there is one, else the promolecule if the settings ask for it.

        Raises:
            BadInputError: a density of a kind that is not accepted, not finite, without a sensible cell or
                electron count, too many electrons for the structure, or too large for the precision.
        """
        measured = material.measurement("charge_density", ChargeDensity)
        try:
            if measured is not None:
                density = self._canonical(measured, material.structure)
            elif self.settings.promolecule and material.structure is not None:
                density = self._promolecule(material.structure)
            else:
                return None
            return self._features(density)
        except BadInputError as error:
            raise error.at(material.id) from error

    def _shape(self) -> tuple[int, int, int]:
        n = self.settings.points
        return n, n, n

    def _canonical(self, density: ChargeDensity, structure: Crystal | None) -> ChargeDensity:
        if density.kind not in self.settings.kinds:
            raise BadInputError(
                f"a density of kind {density.kind!r} where {', '.join(self.settings.kinds)} is accepted",
                field=_FIELD,
                remedy=f"Add {density.kind!r} to the settings' kinds, or leave this density out.",
            )
        check_density(density)
        if structure is not None:
            _check_electrons(density, structure)
        basis = reduced_basis(density.lattice)
        values = resample(density.values, self._shape(), basis)
        return ChargeDensity(values, basis @ density.lattice, density.kind)

    def _promolecule(self, structure: Crystal) -> ChargeDensity:
        primitive = standardize(structure, self.settings.symprec).primitive
        return promolecule_density(reduced_crystal(primitive), self._shape())

    def _features(self, density: ChargeDensity) -> Features:
        largest = float(np.abs(density.values).max())
        if largest > float(np.finfo(self.settings.precision).max):
            raise BadInputError(
                f"a value of {largest:.3g} e/Å³ does not fit {self.settings.precision}",
                field=_FIELD,
                remedy="Set the settings' precision to 'float32'.",
            )
        return {
            "charge_density.values": density.values.ravel().astype(self.settings.precision),
            "charge_density.lattice": density.lattice.astype(np.float32),
            "charge_density.kind": np.array([1 + DENSITY_KINDS.index(density.kind)], dtype=np.int8),
        }

    def collate(self, packed: Packed) -> DensityBatch:
        """Transformed densities of a batch.

        Raises:
            BadInputError: stored grids have another number of points than the settings.
        """
        column = packed["charge_density.values"]
        present = column.lengths > 0
        values = torch.zeros(len(column), *self._shape())
        lattice = torch.eye(3).repeat(len(column), 1, 1)
        kind = torch.zeros(len(column), dtype=torch.int64)
        if present.any():
            rows = torch.from_numpy(present)
            values[rows] = torch.from_numpy(self._stored(column))
            lattice[rows] = torch.from_numpy(packed["charge_density.lattice"].values.reshape(-1, 3, 3))
            kind[rows] = torch.from_numpy(packed["charge_density.kind"].values.astype(np.int64))
        electrons = values.mean((1, 2, 3)) * torch.linalg.det(lattice).abs()
        if self.settings.transform == "log1p":
            values = values.sign() * values.abs().log1p()
        return DensityBatch(values, lattice, electrons, kind, torch.from_numpy(present))

    def _stored(self, column: Ragged) -> Float[np.ndarray, "present nx ny nz"]:
        lengths = np.unique(column.lengths[column.lengths > 0])
        if lengths.tolist() != [self.settings.points**3]:
            raise BadInputError(
                f"grids of {lengths.tolist()} values where the settings say {self.settings.points}³",
                field="charge_density.values",
                remedy="Prepare the store again, or use the settings it was made with.",
            )
        return column.values.reshape(-1, *self._shape()).astype(np.float32)


def _check_electrons(density: ChargeDensity, structure: Crystal) -> None:
    """Per volume, since a density may be given for another cell than the structure's."""
    protons = sum(z * n for z, n in structure.composition.items()) / structure.volume
    found = float(density.values.mean())
    if found > _TOO_MANY * protons:
        raise BadInputError(
            f"{found:.3g} e/Å³ on average where the structure's atoms have {protons:.3g}",
            field=_FIELD,
            remedy="Divide values of a CHGCAR by the cell's volume, and check that both are one material.",
        )


def shifted(batch: DensityBatch, shift: Int[torch.Tensor, "batch 3"]) -> DensityBatch:
    """The same densities counted from other origins: a view, exact to the voxel.

    Args:
        batch: any batch.
        shift: voxels by which each density moves along each axis, shape (batch, 3).
    """
    *_, nx, ny, nz = batch.values.shape
    rows = torch.arange(len(batch.values), device=shift.device)[:, None, None, None]
    x, y, z = (
        (torch.arange(n, device=shift.device) - shift[:, i : i + 1]) % n for i, n in enumerate((nx, ny, nz))
    )
    moved = batch.values[rows, x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]]
    return replace(batch, values=moved)
