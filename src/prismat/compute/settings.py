"""How densities of states and electron densities are computed."""

from dataclasses import dataclass
from typing import Literal

import tyro

from prismat.errors import BadInputError

Quantity = Literal["dos", "density", "both"]


@dataclass(frozen=True)
class AbinitSettings:
    """Accuracy and limits of the calculations.

    Spin polarisation and relativistic spin–orbit coupling are left out, and the structure is not relaxed.

    Attributes:
        quantity: what is kept: ``dos``, ``density`` or ``both``.
        cutoff_scale: the plane-wave cutoff is that of the hardest element times this.
        k_spacing: Å⁻¹ (with 2π), mesh of the self-consistent run.
        k_spacing_metal: the same where every element is a metal.
        dos_refinement: the mesh of the density of states is finer by this factor.
        smearing: Ha, Gaussian smearing of occupations; the density of states itself is not smeared.
        tolerance: Ha, change of the total energy at which the density counts as converged.
        steps: most self-consistent steps of the first attempt; the second has three times as many.
        empty_ev: eV above the Fermi level up to which bands are computed, by the count of free electrons.
        points: most points along an axis on which a density is kept; finer ones are cut in Fourier space.

    Raises:
        BadInputError: a value that is not positive, or a grid or number of steps that is too small.
    """

    quantity: tyro.conf.Suppress[Quantity] = "both"
    cutoff_scale: float = 1.0
    k_spacing: float = 0.6
    k_spacing_metal: float = 0.35
    dos_refinement: float = 1.5
    smearing: float = 0.005
    tolerance: float = 1e-7
    steps: int = 50
    empty_ev: float = 8.0
    points: int = 48

    def __post_init__(self) -> None:
        positive = (
            self.cutoff_scale,
            self.k_spacing,
            self.k_spacing_metal,
            self.smearing,
            self.tolerance,
            self.empty_ev,
        )
        if not (min(positive) > 0 and self.dos_refinement >= 1 and self.points >= 8 and self.steps >= 1):
            raise BadInputError(
                f"settings {self}",
                field="settings",
                remedy="Give values above 0, dos_refinement from 1, steps from 1 and points from 8.",
            )


@dataclass(frozen=True)
class Suitable:
    """Which crystals are computed; the others are failures with a reason, found before anything is run.

    Attributes:
        max_atoms: of the primitive cell.
        max_electrons: valence electrons of the primitive cell.
    """

    max_atoms: int = 8
    max_electrons: int = 80
