"""One crystal: written, run in a folder of its own, checked, read."""

import shutil
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.compute import abinit_input as names
from prismat.compute.abinit_density import read_density
from prismat.compute.abinit_input import input_text, pseudopotential_names
from prismat.compute.abinit_output import (
    DosTable,
    Levels,
    check_convergence,
    cpu_seconds,
    parse_dos,
    parse_levels,
    read_text,
    stated_electrons,
)
from prismat.compute.failure import CalculationError, StoppedError
from prismat.compute.plan import HARTREE, Plan, method, other_plan
from prismat.compute.program import Program
from prismat.compute.sandbox import Finished, Limits, run_limited
from prismat.compute.settings import AbinitSettings
from prismat.measurements import ChargeDensity, Dos
from prismat.modalities.resample_grid import check_density, resample

ELECTRONS_TOLERANCE = 1e-3
"""Electrons per cell by which the integral of the density may be off."""
STATES_TOLERANCE = 0.02
"""Share of the electrons by which the states below the Fermi level may be off: that level is found with
smeared occupations, and the states are counted with tetrahedra."""
CORE_FREE_EV = 10.0
"""Below the Fermi level; to here no frozen core of the pseudopotentials used has a level, so that there is
no state where no band was found."""

_WORDS = {
    "time": "over its limit of {limits.seconds:g} s",
    "memory": "over its limit of {limits.memory_mb} MB",
    "size": "a file over the limit of {limits.file_mb} MB",
    "killed": "killed by signal {code}, perhaps for want of memory",
}


@dataclass(frozen=True, eq=False)
class Computed:
    """What was computed for one crystal.

    Attributes:
        dos: per cell, from the Fermi level, of an insulator from its highest occupied level; or None.
        density: valence electrons, or None.
        facts: for the record: method, electrons, meshes, levels in eV, steps, attempts, seconds.
    """

    dos: Dos | None
    density: ChargeDensity | None
    facts: dict


def compute_crystal(
    plan: Plan,
    settings: AbinitSettings,
    program: Program,
    limits: Limits,
    scratch: Path | None = None,
    stop: threading.Event | None = None,
) -> Computed:
    """Computes a crystal, and where that gives nothing again, so that the cause is gone, once for each cause.

    A run that does not converge is repeated with gentle mixing and more steps; one whose states below the
    Fermi level are not the electrons, which a metal's are not on a coarse mesh, with the mesh of metals; one
    whose bands end at the Fermi level with more of them.

    Args:
        plan: what to compute.
        settings: how.
        program: Abinit.
        limits: of each attempt.
        scratch: where the run's own folder is made and removed; the system's place where None.
        stop: ends the run.

    Raises:
        CalculationError: no result, with the kind of failure and its reason.
        StoppedError: ``stop`` was set.
    """
    started = time.monotonic()
    attempts, tried = 0, set()
    while True:
        attempts += 1
        try:
            found = _attempt(plan, settings, program, limits, scratch, stop, gentle="unconverged" in tried)
            break
        except CalculationError as error:
            if error.kind in tried or error.kind not in ("unconverged", "electrons", "bands"):
                raise
            tried.add(error.kind)
            other = other_plan(plan, error.kind, settings)
            if error.kind == "electrons" and other.k_points == plan.k_points:
                raise
            plan = other
    told = {"attempts": attempts, "seconds": round(time.monotonic() - started, 2)}
    return Computed(found.dos, found.density, found.facts | told)


def _attempt(
    plan: Plan,
    settings: AbinitSettings,
    program: Program,
    limits: Limits,
    scratch: Path | None,
    stop: threading.Event | None,
    *,
    gentle: bool,
) -> Computed:
    with _own_folder(scratch) as folder:
        _write(plan, settings, folder, gentle)
        finished = run_limited([str(program.path), names.INPUT], folder, limits, stop)
        _check_end(finished, limits)
        return _read(plan, settings, program, folder, finished)


@contextmanager
def _own_folder(scratch: Path | None) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=scratch)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(plan: Plan, settings: AbinitSettings, folder: Path, gentle: bool) -> None:
    for name, potential in zip(pseudopotential_names(plan), plan.pseudopotentials, strict=True):
        shutil.copyfile(potential.path, folder / name)
    (folder / names.INPUT).write_text(input_text(plan, settings, gentle), encoding="ascii")


def _check_end(finished: Finished, limits: Limits) -> None:
    if finished.how == "stopped":
        raise StoppedError("Stopped on demand")
    if finished.how != "ended":
        reason = _WORDS[finished.how].format(limits=limits, code=-finished.code)
        raise CalculationError(finished.how, reason)
    if finished.code:
        raise CalculationError("crash", f"exit status {finished.code}: {_last_words(finished.tail)}")


def _last_words(tail: str) -> str:
    """What Abinit says after the last ``message:``, else its last line."""
    _, found, message = tail.rpartition("message: |")
    lines = [line.strip() for line in (message if found else tail).splitlines() if line.strip()]
    return " ".join(lines[:3] if found else lines[-1:])[:300]


def _read(
    plan: Plan, settings: AbinitSettings, program: Program, folder: Path, finished: Finished
) -> Computed:
    output = read_text(folder / names.OUTPUT)
    steps = check_convergence(output, 1 if settings.quantity == "density" else 2)
    _same_count(stated_electrons(output), plan.electrons, "counted by Abinit", ELECTRONS_TOLERANCE)
    facts = {
        "method": method(plan, settings, program.version),
        "electrons": plan.electrons,
        "cutoff_ha": plan.cutoff,
        "k_points": list(plan.k_points),
        "steps": steps,
        "cpu_seconds": cpu_seconds(finished.tail),
    }
    # Read even where only the DOS is kept: the number of electrons tells whether the run went well.
    density = checked_density(read_density(folder / names.DENSITY), plan)
    dos = None
    if settings.quantity != "density":
        table = parse_dos(read_text(folder / names.DOS))
        levels = parse_levels(read_text(folder / names.EIGENVALUES), plan.bands_dos)
        dos, told = make_dos(table, levels, plan, settings.smearing)
        facts |= {"k_points_dos": list(plan.k_points_dos), **told}
    return Computed(dos, None if settings.quantity == "dos" else coarser(density, settings.points), facts)


def _same_count(found: float, wanted: int, what: str, tolerance: float) -> None:
    if not abs(found - wanted) <= tolerance:
        raise CalculationError(
            "electrons", f"{found:.4f} electrons {what}, {wanted:g} by the pseudopotentials"
        )


def checked_density(density: ChargeDensity, plan: Plan) -> ChargeDensity:
    """The density, if it is that of the plan's cell and holds its electrons.

    Raises:
        CalculationError: another cell (``output``) or another number of electrons (``electrons``).
    """
    if not np.allclose(density.lattice, plan.crystal.lattice, atol=1e-4):
        raise CalculationError("output", "a density of another cell")
    _same_count(density.electrons, plan.electrons, "in the density", ELECTRONS_TOLERANCE)
    return check_density(density)


def coarser(density: ChargeDensity, points: int) -> ChargeDensity:
    """The density on at most ``points`` points along every axis; electrons are kept."""
    x, y, z = (min(n, points) for n in density.values.shape)
    if (x, y, z) == density.values.shape:
        return density
    return ChargeDensity(resample(density.values, (x, y, z)), density.lattice, density.kind)


def make_dos(
    table: DosTable, levels: Levels, plan: Plan, smearing: float
) -> tuple[Dos, dict[str, float | bool]]:
    """The density of states per cell, in eV from the Fermi level, and levels for the record.

    Densities are the states in each interval over its width, so that a band narrower than an interval loses
    nothing. The table ends where, at some k point, the highest converged band does: above, states are
    missing. Energies count from the level below which the states are the electrons, and in an insulator from
    the highest occupied level.

    Args:
        table: states below each energy.
        levels: of all bands.
        plan: what was computed.
        smearing: Ha, of the occupations with which Abinit found its Fermi level.

    Raises:
        CalculationError: the states below the Fermi level are not the electrons (``electrons``), or the
            bands end at that level (``bands``).
    """
    gap = levels.gap(plan.electrons)
    zero = gap[0] if gap else float(np.interp(plan.electrons, table.states, table.energy))
    _check_fermi(table, zero, plan, smearing)
    complete = float(levels.energy[:, : plan.bands_dos - plan.buffer].max(axis=1).min())
    middle = 0.5 * (table.energy[1:] + table.energy[:-1])
    density = np.diff(table.states) / np.diff(table.energy) / HARTREE
    kept = table.energy[1:] <= complete
    if kept.sum() < 10 or complete <= zero:
        raise CalculationError("bands", "bands that end at the Fermi level")
    energy, density = _down_to_cores((middle[kept] - zero) * HARTREE, density[kept])
    told = {"fermi_ev": round(zero * HARTREE, 4), "metal": gap is None}
    if gap:
        told["gap_ev"] = round((gap[1] - gap[0]) * HARTREE, 4)
    return Dos(energy, density, zero="fermi", n_atoms=len(plan.crystal)), told


def _check_fermi(table: DosTable, zero: float, plan: Plan, smearing: float) -> None:
    """Makes sure that tetrahedra and smeared occupations agree on where the electrons end.

    Either the states below the smeared Fermi level are the electrons, as in every insulator, or, since a
    narrow band holds many states in little energy, the two levels lie within the smearing.
    """
    states = float(np.interp(table.fermi, table.energy, table.states))
    if abs(table.fermi - zero) > smearing:
        _same_count(states, plan.electrons, "below the Fermi level", STATES_TOLERANCE * plan.electrons)


def _down_to_cores(
    energy: Float[np.ndarray, " n"], density: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Two points without states in front, where the lowest band lies above the outermost cores."""
    step = float(energy[1] - energy[0])
    if energy[0] <= -CORE_FREE_EV:
        return energy, density
    first = np.array([-CORE_FREE_EV - step, energy[0] - step])
    return np.concatenate([first, energy]), np.concatenate([[0.0, 0.0], density])
