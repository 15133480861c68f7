"""Densities of states in one unit and per atom; binning and smearing that lose no state."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from prismat.errors import BadInputError
from prismat.measurements import Dos, DosKind, DosUnit

EV: dict[DosUnit, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "cm-1": 6.62607015e-34 * 299792458 * 100 / 1.602176634e-19,
    "THz": 6.62607015e-34 * 1e12 / 1.602176634e-19,
}
"""eV per unit, from the exact constants of the SI (2019); THz counts ordinary, not angular, frequency."""

UNIT: dict[DosKind, DosUnit] = {"electronic": "eV", "phonon": "cm-1"}
"""The unit each kind is brought to."""

MODES = 3.0
"""Phonon modes per atom, which a phonon DOS integrates to."""

MIN_POINTS = 10
MAX_POINTS = 20_000

BLOCK = 2_000_000
"""Pairs of energies that are smeared at once."""

NOISE = 0.01
"""Negative densities down to this share of the largest one count as numerical noise and become zero."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A density of states ready to be binned.

    Attributes:
        energy: eV for electrons, cm⁻¹ for phonons, ascending, shape (points,).
        density: states per that unit and per atom, not negative, shape (points,).
        broadening: width of the smearing in that unit; 0 where unknown.
        factor: what densities per that unit were multiplied by to be per atom.
    """

    energy: Float[np.ndarray, " points"]
    density: Float[np.ndarray, " points"]
    broadening: float
    factor: float


def spectrum(dos: Dos, atoms: float, field: str = "dos") -> Spectrum:
    """A density of states per atom in the unit of its kind.

    Electrons: divided by the atoms of the cell where it is per cell. Phonons: scaled to three states per
    atom whatever the given scale was, as 3 N modes is what N atoms have; imaginary modes, given as negative
    energies, are counted among them.

    Args:
        dos: as read.
        atoms: atoms of the computed cell where ``dos.n_atoms`` does not say; 0 where unknown.
        field: its name in error messages.

    Raises:
        BadInputError: see ``check_dos``; or electrons per cell of an unknown number of atoms.
    """
    check_dos(dos, field)
    unit = EV[dos.unit] / EV[UNIT[dos.kind]]
    energy = np.asarray(dos.energy, np.float64) * unit
    density = np.maximum(np.asarray(dos.density, np.float64), 0) / unit
    if dos.kind == "phonon":
        factor = MODES / float(np.trapezoid(density, energy))
    else:
        factor = 1 / _atoms(dos, atoms, field)
    return Spectrum(energy, density * factor, dos.broadening * unit, factor)


def _atoms(dos: Dos, atoms: float, field: str) -> float:
    """Atoms that the density counts together."""
    if dos.per == "atom":
        return 1.0
    if not (dos.n_atoms or atoms) > 0:
        raise BadInputError(
            "states per cell of an unknown number of atoms",
            field=field,
            remedy="Give n_atoms, or the structure of the computed cell, or densities with per='atom'.",
        )
    return float(dos.n_atoms or atoms)


def check_dos(dos: Dos, field: str = "dos") -> None:
    """Refuses a density of states that means nothing.

    Raises:
        BadInputError: an unknown label, lengths that differ, fewer than ``MIN_POINTS`` or more than
            ``MAX_POINTS`` points, NaN or infinity, energies that do not ascend, densities below zero by more
            than ``NOISE`` of the largest, no states at all, or a width or number of atoms below zero.
    """
    for name, known in (("kind", get_args(DosKind)), ("unit", get_args(DosUnit))):
        if getattr(dos, name) not in known:
            raise BadInputError(
                f"{name} {getattr(dos, name)!r}", field=field, remedy=f"Give one of {', '.join(known)}."
            )
    if not (np.isfinite(dos.broadening) and dos.broadening >= 0 and dos.n_atoms >= 0):
        raise BadInputError(
            f"broadening {dos.broadening:g} and {dos.n_atoms} atoms",
            field=field,
            remedy="Give numbers from 0, where 0 stands for unknown.",
        )
    _check_points(np.asarray(dos.energy), np.asarray(dos.density), field)


def _check_points(energy: np.ndarray, density: np.ndarray, field: str) -> None:
    if energy.shape != density.shape or energy.ndim != 1 or not MIN_POINTS <= len(energy) <= MAX_POINTS:
        raise BadInputError(
            f"{energy.size} energies and {density.size} densities",
            field=field,
            remedy=f"Give one density per energy, {MIN_POINTS} to {MAX_POINTS} points.",
        )
    bad = ~(np.isfinite(energy) & np.isfinite(density))
    if bad.any():
        raise BadInputError(
            f"NaN or infinity in point {int(np.argmax(bad)) + 1}",
            field=field,
            remedy="Correct or leave out this point.",
        )
    falling = np.diff(energy) <= 0
    if falling.any():
        raise BadInputError(
            f"energies do not ascend after point {int(np.argmax(falling)) + 1}",
            field=field,
            remedy="Sort the points by energy and merge repeated energies.",
        )
    if not density.any():
        raise BadInputError("no state at any energy", field=field, remedy="Check the density column.")
    if density.min() < -NOISE * np.abs(density).max():
        raise BadInputError(
            f"a density of {density.min():g}, below zero by more than {NOISE:.0%} of the largest",
            field=field,
            remedy="Give densities that are not negative (a spin-down DOS is often drawn so).",
        )


def states_below(
    spectrum: Spectrum, at: Float[np.ndarray, " n"], smearing: float = 0.0
) -> Float[np.ndarray, " n"]:
    """States per atom below each energy, from −∞.

    The density is linear between its points and zero beyond them, so that the integral is exact. With
    smearing, each interval's states lie evenly in it and are convolved with a Gaussian: the integral of a
    uniform density from a to b is [G(E − a) − G(E − b)] / (b − a), G(x) = x Φ(x/σ) + σ φ(x/σ).

    Args:
        spectrum: a density of states.
        at: energies, shape (n,).
        smearing: standard deviation σ of the Gaussian in the unit of ``at``; 0 for none.
    """
    energy, density = spectrum.energy, spectrum.density
    step = np.diff(energy)
    states = 0.5 * (density[1:] + density[:-1]) * step
    if smearing > 0:
        # In blocks: all pairs of energies at once could fill the memory.
        blocks = np.array_split(at, 1 + at.size * energy.size // BLOCK)
        return np.concatenate([_smeared_below(energy, states / step, block, smearing) for block in blocks])
    total = np.concatenate([[0.0], np.cumsum(states)])
    i = np.clip(np.searchsorted(energy, at, side="right") - 1, 0, len(step) - 1)
    t = np.clip(at - energy[i], 0, step[i])
    return total[i] + t * (density[i] + 0.5 * t * (density[i + 1] - density[i]) / step[i])


def _smeared_below(energy: np.ndarray, level: np.ndarray, at: np.ndarray, sigma: float) -> np.ndarray:
    """States below each energy where ``level`` is the mean density of each interval."""
    z = (at[:, None] - energy) / sigma
    ramp = sigma * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return (ramp[:, :-1] - ramp[:, 1:]) @ level


def binned(
    spectrum: Spectrum, borders: Float[np.ndarray, " borders"], smearing: float = 0.0
) -> Float[np.ndarray, " bins"]:
    """Mean density in each bin: its states over its width, so that the sum over bins keeps the integral.

    Args:
        spectrum: a density of states.
        borders: of the bins, ascending, shape (bins + 1,).
        smearing: see ``states_below``.
    """
    return np.diff(states_below(spectrum, borders, smearing)) / np.diff(borders)


def smeared(spectrum: Spectrum, smearing: float) -> Float[np.ndarray, " points"]:
    """Density at the same energies after more smearing: the mean from midpoint to midpoint."""
    if smearing <= 0:
        return spectrum.density
    middle = 0.5 * (spectrum.energy[1:] + spectrum.energy[:-1])
    first, last = 2 * spectrum.energy[0] - middle[0], 2 * spectrum.energy[-1] - middle[-1]
    return binned(spectrum, np.concatenate([[first], middle, [last]]), smearing)
