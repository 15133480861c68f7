"""What instruments and electronic-structure codes give: patterns, images, DOS, charge densities.

Raw data as read, with the units and labels without which the numbers mean nothing. What becomes of them for a
network is the matter of ``prismat.modalities``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

DosKind = Literal["electronic", "phonon"]
DosUnit = Literal["eV", "meV", "cm-1", "THz"]
DensityKind = Literal["all-electron", "valence", "promolecule", "unlabelled"]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A powder pattern as measured: intensity against 2θ.

    Attributes:
        two_theta: degrees, ascending, shape (points,).
        intensity: counts or any linear scale, shape (points,).
        wavelength: Å; Cu Kα mean unless the instrument says otherwise.
    """

    two_theta: Float[np.ndarray, " points"]
    intensity: Float[np.ndarray, " points"]
    wavelength: float = 1.54184


@dataclass(frozen=True, eq=False)
class Dos:
    """A density of states of electrons or of phonons.

    Attributes:
        energy: ascending, in ``unit``, shape (points,).
        density: states per ``unit`` and per ``per``, shape (points,).
        kind: of electrons or of phonons.
        unit: of the energies.
        zero: what an electron's energy is counted from; ``""`` where unknown, and for phonons.
        spin: both spins added, or one of them.
        per: the cell that was computed, or one atom.
        n_atoms: atoms in that cell; 0 where unknown.
        broadening: width of the smearing in ``unit``; 0 where unknown.
    """

    energy: Float[np.ndarray, " points"]
    density: Float[np.ndarray, " points"]
    kind: DosKind = "electronic"
    unit: DosUnit = "eV"
    zero: Literal["fermi", "vbm", ""] = ""
    spin: Literal["summed", "up", "down"] = "summed"
    per: Literal["cell", "atom"] = "cell"
    n_atoms: int = 0
    broadening: float = 0.0


@dataclass(frozen=True, eq=False)
class ChargeDensity:
    """Electron density on a grid of fractional coordinates i/nx, j/ny, k/nz; periodic.

    Attributes:
        values: e/Å³, shape (nx, ny, nz).
        lattice: row vectors in Å, shape (3, 3).
        kind: which electrons are counted; kinds are never mixed unlabelled.
    """

    values: Float[np.ndarray, "nx ny nz"]
    lattice: Float[np.ndarray, "3 3"]
    kind: DensityKind

    @property
    def electrons(self) -> float:
        """Electrons in the cell: mean density times volume."""
        return float(self.values.mean() * abs(np.linalg.det(self.lattice)))


@dataclass(frozen=True, eq=False)
class Image:
    """A picture, such as a micrograph.

    Attributes:
        pixels: 0 … 255 as uint8, or 0 … 1 as floats; shape (height, width) or (height, width, 3).
        kind: how it was taken: ``sem``, ``electroluminescence`` …
    """

    pixels: Shaped[np.ndarray, "height width *channels"]
    kind: str = ""


Measurement = Pattern | Dos | ChargeDensity | Image
