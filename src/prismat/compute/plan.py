"""What is decided for one crystal before it is computed: pseudopotentials, cutoff, meshes, bands."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from prismat.compute.failure import CalculationError, Kind
from prismat.compute.pseudopotentials import Pseudopotential, Pseudopotentials
from prismat.compute.settings import AbinitSettings, Suitable
from prismat.crystal import Crystal
from prismat.elements import SYMBOLS
from prismat.errors import BadInputError
from prismat.formats_density import BOHR

HARTREE = 27.211386245988
"""eV (CODATA 2018)."""

_NONMETALS = frozenset(
    "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Te I Xe At Rn".split()  # noqa: SIM905
)
"""Crystals without any of these are taken for metals and get the finer mesh."""
_MIN_K_DOS = 3
_GAS = 0.03
"""Electrons per bohr³ of dense sp-bonded solids, such as Al and Si."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A crystal and all that its input is written from.

    Attributes:
        crystal: ordered primitive cell.
        pseudopotentials: one per element, by atomic number.
        electrons: valence electrons per cell.
        cutoff: Ha.
        k_points: mesh of the self-consistent run, Γ-centred.
        k_points_dos: mesh of the density of states.
        bands: of the self-consistent run.
        bands_dos: of the density of states, those of the buffer included.
        buffer: highest bands of the density of states, which need not converge and are not used.
    """

    crystal: Crystal
    pseudopotentials: tuple[Pseudopotential, ...]
    electrons: int
    cutoff: float
    k_points: tuple[int, int, int]
    k_points_dos: tuple[int, int, int]
    bands: int
    bands_dos: int
    buffer: int

    @property
    def cost(self) -> float:
        """In no unit: bands × plane waves × k points of both runs."""
        waves = self.crystal.volume * self.cutoff**1.5
        return waves * (
            3 * self.bands * math.prod(self.k_points) + self.bands_dos * math.prod(self.k_points_dos)
        )


def make_plan(
    crystal: Crystal, pseudopotentials: Pseudopotentials, settings: AbinitSettings, suitable: Suitable
) -> Plan:
    """Decides how a crystal is computed.

    Raises:
        CalculationError: a crystal that cannot be computed (kind ``unsuitable``).
    """
    _check(crystal, suitable)
    try:
        potentials = tuple(pseudopotentials.of(z) for z in crystal.composition)
    except BadInputError as error:
        raise CalculationError("unsuitable", error.problem) from error
    electrons = sum(p.electrons * round(crystal.composition[p.z]) for p in potentials)
    if electrons > suitable.max_electrons:
        raise CalculationError(
            "unsuitable", f"{electrons} valence electrons, more than {suitable.max_electrons}"
        )
    metal = not _NONMETALS.intersection(crystal.elements)
    spacing = settings.k_spacing_metal if metal else settings.k_spacing
    buffer = max(2, math.ceil(0.1 * electrons / 2))
    occupied = math.ceil(electrons / 2)
    return Plan(
        crystal=crystal,
        pseudopotentials=potentials,
        electrons=electrons,
        cutoff=round(max(p.cutoff for p in potentials) * settings.cutoff_scale, 3),
        **_meshes(crystal, spacing, settings),
        bands=occupied + max(4, math.ceil(0.15 * occupied)),
        bands_dos=occupied + empty_bands(crystal.volume, electrons, settings.empty_ev) + buffer,
        buffer=buffer,
    )


def other_plan(plan: Plan, cause: Kind, settings: AbinitSettings) -> Plan:
    """The plan after a failure.

    Args:
        plan: the one that failed.
        cause: for ``electrons`` the mesh becomes that of metals, for ``bands`` there are half as many more.
        settings: meshes.
    """
    if cause == "bands":
        return replace(plan, bands_dos=math.ceil(1.5 * plan.bands_dos))
    if cause != "electrons":
        return plan
    spacing = min(settings.k_spacing, settings.k_spacing_metal)
    return replace(plan, **_meshes(plan.crystal, spacing, settings))


def _meshes(crystal: Crystal, spacing: float, settings: AbinitSettings) -> dict[str, tuple[int, int, int]]:
    return {
        "k_points": k_mesh(crystal.lattice, spacing),
        "k_points_dos": k_mesh(crystal.lattice, spacing / settings.dos_refinement, _MIN_K_DOS),
    }


def _check(crystal: Crystal, suitable: Suitable) -> None:
    if not crystal.periodic:
        raise CalculationError("unsuitable", "a molecule, not a crystal")
    if not crystal.is_ordered:
        raise CalculationError("unsuitable", "disordered: a site holds several elements or is partly empty")
    if len(crystal) > suitable.max_atoms:
        raise CalculationError("unsuitable", f"{len(crystal)} atoms, more than {suitable.max_atoms}")
    if np.linalg.det(crystal.lattice) <= 0:
        raise CalculationError("unsuitable", "a left-handed cell")


def k_mesh(lattice: Float[np.ndarray, "3 3"], spacing: float, least: int = 1) -> tuple[int, int, int]:
    """Divisions of the reciprocal vectors that leave no wider spacing (Å⁻¹, with 2π), for Γ-centred meshes.

    Those keep the symmetry of every lattice, hexagonal ones included.
    """
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    # A hair less, so that equal lengths get equal numbers whatever their rounding.
    x, y, z = (max(least, math.ceil(float(n) / spacing - 1e-6)) for n in lengths)
    return x, y, z


def empty_bands(volume: float, electrons: int, ev: float) -> int:
    """Bands of free electrons between the Fermi level and an energy above it, and two more.

    A Fermi gas in a volume V has V (2E)^{3/2} / 6π² bands below E (atomic units). Electrons beyond
    ``_GAS`` per volume are taken as localised. Two more, since bands reach up to different energies at
    different k points.

    Args:
        volume: Å³.
        electrons: per cell.
        ev: energy above the Fermi level.
    """
    bohr3 = volume / BOHR**3
    fermi = 0.5 * (3 * np.pi**2 * min(electrons / bohr3, _GAS)) ** (2 / 3)
    below = [bohr3 * (2 * e) ** 1.5 / (6 * np.pi**2) for e in (fermi, fermi + ev / HARTREE)]
    return math.ceil(below[1] - below[0]) + 2


def method(plan: Plan, settings: AbinitSettings, version: str) -> str:
    """One line that says how a result came about, for tags and captions."""
    potentials = ", ".join(f"{SYMBOLS[p.z]} {p.electrons}" for p in plan.pseudopotentials)
    mesh = "×".join(map(str, plan.k_points))
    dos = "×".join(map(str, plan.k_points_dos))
    text = (
        f"Abinit {version}, LDA (Teter), HGH pseudopotentials with valence electrons {potentials}, "
        f"spin-unpolarised, structure as given, cutoff {plan.cutoff:g} Ha, k mesh {mesh}"
    )
    return text if settings.quantity == "density" else f"{text}, density of states {dos} by tetrahedra"
