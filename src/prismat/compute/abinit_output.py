"""What Abinit wrote: whether it converged, levels, densities of states.

Every reader refuses what it does not fully understand with a ``CalculationError`` of kind ``output``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.compute.failure import CalculationError

MAX_TEXT = 200_000_000
"""Bytes of a text file."""

_DATASET = re.compile(r"^== DATASET\s+(\d+) =+", re.MULTILINE)
_SHORT = re.compile(r"was not enough SCF cycles to converge;?\s*\n?\s*([^\n]*)")
_CONVERGED = re.compile(r"At SCF step\s+(\d+)[^\n]*converged")
_RESIDUAL = re.compile(r"^convergence:\s*\{[^}]*residm:\s*([-+0-9.Ee]+)", re.MULTILINE)
_TARGET = re.compile(r"^tolerances:\s*\{tolwfr:\s*([-+0-9.Ee]+)", re.MULTILINE)
_ELECTRONS = re.compile(r"^electrons:\s*\{nelect:\s*([-+0-9.Ee]+)", re.MULTILINE)
_FERMI = re.compile(r"#\s*Fermi energy\s*:\s*([-+0-9.Ee]+)")
_CPU = re.compile(r"^overall_cpu_time:\s*([0-9.]+)", re.MULTILINE)
_POINT = re.compile(r"kpt#\s*(\d+),\s*nband=\s*(\d+),")


@dataclass(frozen=True, eq=False)
class Levels:
    """Energies of the bands.

    Attributes:
        energy: Ha, ascending at every k point of the irreducible wedge, shape (k points, bands).
    """

    energy: Float[np.ndarray, "kpoints bands"]

    def gap(self, electrons: int) -> tuple[float, float] | None:
        """(highest occupied, lowest empty) level in Ha; None where bands cross the Fermi level."""
        occupied = electrons // 2
        if electrons % 2 or not 0 < occupied < self.energy.shape[1]:
            return None
        top, bottom = float(self.energy[:, occupied - 1].max()), float(self.energy[:, occupied].min())
        return (top, bottom) if bottom > top else None


@dataclass(frozen=True, eq=False)
class DosTable:
    """The file ``_DOS``.

    Attributes:
        energy: Ha, evenly spaced, shape (points,).
        states: states per cell below each energy, both spins, shape (points,).
        fermi: Ha, where occupations, smeared, add up to the electrons.
    """

    energy: Float[np.ndarray, " points"]
    states: Float[np.ndarray, " points"]
    fermi: float


def read_text(path: Path) -> str:
    """A text file of a run.

    Raises:
        CalculationError: it is absent or larger than ``MAX_TEXT``.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_TEXT + 1)
    except OSError as error:
        raise CalculationError("output", f"no file {path.name}") from error
    if len(content) > MAX_TEXT:
        raise CalculationError("output", f"{path.name} is larger than {MAX_TEXT // 1_000_000} MB")
    return content.decode("utf-8", errors="replace")


def check_convergence(output: str, datasets: int) -> int:
    """Makes sure that every part of a run says that it converged.

    The self-consistent part has to say so in words; in the other one the largest residual has to be below
    the tolerance.

    Args:
        output: content of the main output file.
        datasets: parts that were asked for, 1 or 2.

    Returns:
        Number of self-consistent steps of the first part.

    Raises:
        CalculationError: a part that is absent or unfinished (``output``), or did not converge
            (``unconverged``).
    """
    parts = _parts(output)
    if "Calculation completed" not in output or sorted(parts) != list(range(1, datasets + 1)):
        raise CalculationError("output", "the output ends before the calculation does")
    for part in parts.values():
        short = _SHORT.search(part)
        if short:
            raise CalculationError("unconverged", short[1].strip() or "too few steps")
    done = _CONVERGED.search(parts[1])
    if done is None:
        raise CalculationError("unconverged", "the output does not say that the density converged")
    for number in range(2, datasets + 1):
        _check_residual(parts[number])
    return int(done[1])


def _check_residual(part: str) -> None:
    residual, target = _RESIDUAL.search(part), _TARGET.search(part)
    if residual is None or target is None:
        raise CalculationError("unconverged", "the output does not say how well the bands converged")
    if not float(residual[1]) <= float(target[1]):
        raise CalculationError("unconverged", f"residual of bands {residual[1]}, above {target[1]}")


def _parts(output: str) -> dict[int, str]:
    """Text of every dataset by its number; the echo of the input before them is left out."""
    found = list(_DATASET.finditer(output))
    ends = [m.start() for m in found[1:]] + [len(output)]
    return {int(m[1]): output[m.start() : end] for m, end in zip(found, ends, strict=True)}


def stated_electrons(output: str) -> float:
    """Valence electrons per cell by Abinit's own count.

    Raises:
        CalculationError: it does not say.
    """
    found = _ELECTRONS.search(output)
    if found is None:
        raise CalculationError("output", "the output does not say how many electrons there are")
    return float(found[1])


def cpu_seconds(log: str) -> float:
    """Processor time of a run, from the summary at the end of its log.

    Raises:
        CalculationError: there is none.
    """
    found = _CPU.search(log)
    if found is None:
        raise CalculationError("output", "the log ends before the calculation does")
    return float(found[1])


def parse_levels(text: str, bands: int) -> Levels:
    """Content of a file ``_EIG``: a line for each k point and its levels in Ha.

    Args:
        text: content.
        bands: levels at every k point.

    Raises:
        CalculationError: other than that.
    """
    lines = text.splitlines()
    if not lines or "hartree" not in lines[0].lower():
        raise CalculationError("output", "a file of levels that does not begin as one")
    rows: list[list[float]] = []
    for line in lines[1:]:
        if _POINT.search(line):
            rows.append([])
        elif rows:
            rows[-1] += _floats(line, "levels")
    if not rows or any(len(row) != bands for row in rows):
        raise CalculationError("output", f"levels of other than {bands} bands")
    return Levels(np.array(rows))


def parse_dos(text: str) -> DosTable:
    """Content of a file ``_DOS`` without spin: energy, density and states below, in Ha.

    Raises:
        CalculationError: other than that, not finite, not ascending, or states that grow fewer.
    """
    fermi = _FERMI.search(text)
    if "nsppol = 1" not in text or "energy(Ha)" not in text or fermi is None:
        raise CalculationError("output", "a file of a density of states that does not begin as one")
    rows = [_floats(line, "density of states") for line in text.splitlines() if not line.startswith("#")]
    rows = [row[:3] for row in rows if row]
    if len(rows) < 10 or any(len(row) != 3 for row in rows):
        raise CalculationError("output", "a density of states that is cut off")
    table = np.array(rows)
    energy, states = table[:, 0], table[:, 2]
    if not np.isfinite(table).all() or (np.diff(energy) <= 0).any() or (np.diff(states) < -1e-3).any():
        raise CalculationError("output", "a density of states that is none")
    return DosTable(energy, np.maximum.accumulate(states), float(fermi[1]))


def _floats(line: str, what: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError as error:
        raise CalculationError("output", f"{line.strip()[:40]!r} among the {what}") from error
