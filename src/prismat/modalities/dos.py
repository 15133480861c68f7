"""The windows of densities of states, of electrons and of phonons: per atom, on one grid or as given."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Dos, DosKind, DosUnit
from prismat.modalities.base import Columns, Features
from prismat.modalities.dos_scale import UNIT, Spectrum, binned, smeared, spectrum, states_below
from prismat.ragged import Packed, Ragged

MIN_COVERAGE = 0.25
"""Share of the window of energies that electrons' energies must cover."""

MIN_INSIDE = 0.5
"""Share of the phonon modes that must lie in the window of energies."""

ENERGY_SCALE: dict[DosKind, float] = {"electronic": 5.0, "phonon": 500.0}
"""eV and cm⁻¹ that count as 1 in a batch."""

DENSITY_SCALE: dict[DosKind, float] = {"electronic": 1.0, "phonon": 100.0}
"""Densities of a batch are states per atom and per so many eV or cm⁻¹."""

SPINS = ("summed", "up", "down")
"""Labels of the spin by their number in a batch."""


@dataclass(frozen=True)
class DosSettings:
    """How a density of states becomes arrays.

    Attributes:
        kind: of electrons (eV) or of phonons (cm⁻¹).
        low, high: window of energies in that unit, for electrons counted from ``zero``.
        points: bins of the grid; the most points that a DOS on its own energies may have.
        zero: what electrons' energies are counted from; the two are never mixed. Means nothing for phonons.
        broadening: standard deviation in that unit that every DOS is smeared to; 0 leaves each as it is.
            Unknown smearing counts as none.
        resample: ``grid`` bins every DOS into ``points`` bins from low to high, states conserved; ``native``
            keeps the given energies between low and high.
        one_spin: a DOS of one spin of an electron keeps its density and its label (``label``), or is doubled
            and counts as summed (``double``): right only where every material is non-magnetic.

    Raises:
        BadInputError: an empty window, too few points, or a negative width.
    """

    kind: DosKind = "electronic"
    low: float = -10.0
    high: float = 10.0
    points: int = 128
    zero: Literal["fermi", "vbm"] = "fermi"
    broadening: float = 0.0
    resample: Literal["grid", "native"] = "grid"
    one_spin: Literal["label", "double"] = "label"

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high and self.points >= 2):
            raise BadInputError(
                f"{self.points} points from {self.low} to {self.high}",
                field="low, high, points",
                remedy="Give at least 2 points and low < high.",
            )
        if not (np.isfinite(self.broadening) and self.broadening >= 0):
            raise BadInputError(
                f"a broadening of {self.broadening}", field="broadening", remedy="Give a width from 0."
            )

    @classmethod
    def phonon(
        cls,
        high: float = 1000.0,
        points: int = 100,
        broadening: float = 0.0,
        resample: Literal["grid", "native"] = "grid",
    ) -> "DosSettings":
        """Settings for phonons from 0 to ``high`` cm⁻¹; raise it for materials with hydrogen."""
        return cls("phonon", 0.0, high, points, broadening=broadening, resample=resample)

    @property
    def unit(self) -> DosUnit:
        """Unit of the energies."""
        return UNIT[self.kind]

    @property
    def borders(self) -> Float[np.ndarray, " borders"]:
        """Borders of the bins, shape (points + 1,)."""
        return np.linspace(self.low, self.high, self.points + 1)

    @property
    def centers(self) -> Float[np.ndarray, " points"]:
        """Middles of the bins, shape (points,)."""
        borders = self.borders
        return 0.5 * (borders[1:] + borders[:-1])


@dataclass(frozen=True)
class DosBatch:
    """Densities of states of a batch: pairs of energy and density in no order that matters.

    Attributes:
        energy: in units of ``ENERGY_SCALE``; 0 where masked, shape (batch, points).
        density: states per atom and per ``DENSITY_SCALE``; 0 where masked, shape (batch, points).
        mask: which pairs are known, shape (batch, points).
        spin: 0 both spins added (and phonons), 1 up, 2 down, shape (batch,).
        present: which records have a density of states, shape (batch,).
    """

    energy: Float[torch.Tensor, "batch points"]
    density: Float[torch.Tensor, "batch points"]
    mask: Bool[torch.Tensor, "batch points"]
    spin: Int[torch.Tensor, " batch"]
    present: Bool[torch.Tensor, " batch"]


class DosModality:
    """The window ``dos`` (electrons) or ``phonon_dos``.

    Columns, each beginning with the window's name:

    - ``density``: states per atom and per eV or cm⁻¹; NaN where a bin of the grid was not computed;
    - ``energy``: eV or cm⁻¹; empty on the grid, whose settings tell it;
    - ``facts``: one row of number of the spin label, smearing, the factor that made the densities per atom,
      and the share of all states that lie in the window.

    Args:
        settings: energies, zero and labels.
        name: of the window; by the kind where left out.
    """

    def __init__(self, settings: DosSettings = DosSettings(), name: str | None = None) -> None:
        self.settings = settings
        self.name = name or ("dos" if settings.kind == "electronic" else "phonon_dos")
        number = np.dtype(np.float32)
        self.columns: Columns = {
            f"{self.name}.density": (number, ()),
            f"{self.name}.energy": (number, ()),
            f"{self.name}.facts": (number, (4,)),
        }

    def featurize(self, material: Material) -> Features | None:
        """Density of states of ``measurements[name]``; None without one.

        Where the cell's number of atoms is not given, it is that of the material's structure, which has to be
        the cell that was computed.

        Raises:
            BadInputError: it means nothing (``dos_scale.check_dos``), is of another kind or zero, has too
                little in the window, or is smeared more than the settings ask for; names the material.
        """
        dos = material.measurement(self.name, Dos)
        if dos is None:
            return None
        atoms = sum(material.structure.composition.values()) if material.structure else 0.0
        try:
            self._check_labels(dos)
            return self._arrays(spectrum(dos, atoms, self.name), SPINS.index(dos.spin))
        except BadInputError as error:
            raise error.at(material.id) from error

    def _check_labels(self, dos: Dos) -> None:
        wanted = self.settings
        if dos.kind != wanted.kind:
            raise self._error(f"a DOS of kind {dos.kind!r}", f"Give a DOS of kind {wanted.kind!r} here.")
        if dos.kind == "phonon":
            return
        if not dos.zero:
            raise self._error(
                "a DOS without the zero of its energies",
                "Subtract the Fermi level (or the valence band maximum) and say zero='fermi' (or 'vbm').",
            )
        if dos.zero != wanted.zero:
            raise self._error(
                f"energies counted from {dos.zero!r} where the settings say {wanted.zero!r}",
                "Shift the energies, or change DosSettings.zero for all records.",
            )
        if dos.spin not in SPINS:
            raise self._error(f"spin {dos.spin!r}", f"Give one of {', '.join(SPINS)}.")

    def _error(self, problem: str, remedy: str) -> BadInputError:
        return BadInputError(problem, field=self.name, remedy=remedy)

    def _arrays(self, full: Spectrum, spin: int) -> Features:
        wanted = self.settings
        if wanted.kind == "electronic" and spin and wanted.one_spin == "double":
            full = Spectrum(full.energy, 2 * full.density, full.broadening, 2 * full.factor)
            spin = 0
        smearing = self._smearing(full)
        inside = self._inside(full, smearing)
        energy, density = self._on_grid(full, smearing) if wanted.resample == "grid" else self._native(full)
        spin = spin if wanted.kind == "electronic" else 0
        facts = [spin, max(full.broadening, wanted.broadening), full.factor, inside]
        return {
            f"{self.name}.density": density.astype(np.float32),
            f"{self.name}.energy": energy.astype(np.float32),
            f"{self.name}.facts": np.array([facts], np.float32),
        }

    def _smearing(self, full: Spectrum) -> float:
        """Smearing that brings a DOS to the width asked for: variances of Gaussians add."""
        wanted = self.settings.broadening
        if not wanted:
            return 0.0
        if full.broadening > wanted * (1 + 1e-6):
            raise self._error(
                f"smeared by {full.broadening:g} {self.settings.unit}, more than the settings' {wanted:g}",
                "Raise DosSettings.broadening, or compute this DOS with less smearing.",
            )
        return float(np.sqrt(max(wanted**2 - full.broadening**2, 0.0)))

    def _inside(self, full: Spectrum, smearing: float) -> float:
        """Share of the states that lie in the window.

        Raises:
            BadInputError: none of the electrons', or fewer than ``MIN_INSIDE`` of the phonons'.
        """
        low, high = states_below(full, np.array([self.settings.low, self.settings.high]), smearing)
        inside = float((high - low) / np.trapezoid(full.density, full.energy))
        if inside <= (MIN_INSIDE if self.settings.kind == "phonon" else 1e-9):
            raise self._error(
                f"{inside:.0%} of the states lie from {self.settings.low:g} to {self.settings.high:g} "
                f"{self.settings.unit}",
                "Check unit and zero of the energies, or widen the window of DosSettings.",
            )
        return inside

    def _covered(self, full: Spectrum, at: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which energies were computed; beyond the phonons given there are none, which is known."""
        if self.settings.kind == "phonon":
            return np.ones(len(at), dtype=bool)
        slack = 1e-6 * (self.settings.high - self.settings.low)
        return (at >= full.energy[0] - slack) & (at <= full.energy[-1] + slack)

    def _on_grid(self, full: Spectrum, smearing: float) -> tuple[np.ndarray, np.ndarray]:
        """Bins of the grid; one that the given energies do not reach over is unknown, not empty."""
        known = self._covered(full, self.settings.borders)
        known = known[1:] & known[:-1]
        if known.mean() < MIN_COVERAGE:
            raise self._error(
                f"energies from {full.energy[0]:g} to {full.energy[-1]:g} {self.settings.unit} cover too "
                f"little of {self.settings.low:g} to {self.settings.high:g}",
                "Check unit and zero of the energies, or narrow the window of DosSettings.",
            )
        density = binned(full, self.settings.borders, smearing)
        return np.zeros(0), np.where(known, density, np.nan)

    def _native(self, full: Spectrum) -> tuple[np.ndarray, np.ndarray]:
        """The given points that lie in the window."""
        inside = (full.energy >= self.settings.low) & (full.energy <= self.settings.high)
        if not 2 <= inside.sum() <= self.settings.points:
            raise self._error(
                f"{inside.sum()} points in the window, where 2 to {self.settings.points} are allowed",
                "Raise DosSettings.points, or use resample='grid'.",
            )
        return full.energy[inside], smeared(full, self._smearing(full))[inside]

    def collate(self, packed: Packed) -> DosBatch:
        """One batch: rows of the grid, or native points padded to the longest and masked.

        Raises:
            BadInputError: columns of other settings.
        """
        density, facts = packed[f"{self.name}.density"], packed[f"{self.name}.facts"]
        present = density.lengths > 0
        spin = np.zeros(len(density), np.int64)
        spin[present] = facts.values[:, 0].astype(np.int64)
        if self.settings.resample == "grid":
            self._check_stored(packed, present)
            states, energy = self._stored(density, present), self.settings.centers[None]
        else:
            states, energy = _padded(density), _padded(packed[f"{self.name}.energy"])
        mask = np.isfinite(states)
        kind = self.settings.kind
        return DosBatch(
            energy=torch.from_numpy(np.where(mask, energy / ENERGY_SCALE[kind], 0).astype(np.float32)),
            density=torch.from_numpy(np.where(mask, states * DENSITY_SCALE[kind], 0).astype(np.float32)),
            mask=torch.from_numpy(mask),
            spin=torch.from_numpy(spin),
            present=torch.from_numpy(present),
        )

    def _check_stored(self, packed: Packed, present: Bool[np.ndarray, " records"]) -> None:
        lengths = np.unique(packed[f"{self.name}.density"].lengths[present]).tolist()
        native = (packed[f"{self.name}.energy"].lengths > 0).any()
        if native or lengths not in ([], [self.settings.points]):
            raise BadInputError(
                f"rows of {lengths} {'given' if native else 'binned'} points where the settings say a grid "
                f"of {self.settings.points}",
                field=f"{self.name}.density",
                remedy="Prepare the store again, or use the settings it was made with.",
            )

    def _stored(self, density: Ragged, present: Bool[np.ndarray, " records"]) -> np.ndarray:
        """Rows of the grid; NaN for records without any."""
        states = np.full((len(density), self.settings.points), np.nan, np.float32)
        states[present] = density.values.reshape(-1, self.settings.points)
        return states


def _padded(column: Ragged) -> Float[np.ndarray, "records longest"]:
    """Rows of a column, padded with NaN to the longest."""
    longest = max(int(column.lengths.max(initial=0)), 1)
    rows = np.full((len(column), longest), np.nan, np.float32)
    rows[np.arange(longest) < column.lengths[:, None]] = column.values
    return rows
