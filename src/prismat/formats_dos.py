"""Readers of densities of states: DOSCAR, vasprun.xml, phonopy's total_dos.dat and two columns of text."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.measurements import Dos, DosKind, DosUnit
from prismat.vasprun import Vasprun, read_vasprun

MAX_BYTES = 50_000_000
MAX_HEADER_LINES = 200
MAX_ATOMS = 1_000_000
"""Larger numbers, and negative ones, tell nothing of the cell: the number of atoms is then unknown."""

Spin = Literal["summed", "up", "down"]

_SEPARATOR = re.compile(r"[\s,;]+")
_COMMENTS = ("#", "!", "@", "%")
# Fortran leaves the E out of an exponent of three digits: 0.1234-104.
_SHORT_EXPONENT = re.compile(r"(?<=\d)([+-]\d{3})$")
_POINTS = re.compile(r"[0-9]{1,7}")
_SIGMA = re.compile(r"#\s*sigma\s*=\s*([-+.0-9eE]+)", re.IGNORECASE)


@dataclass(frozen=True)
class DosLabels:
    """What a table of two columns does not say of itself; see ``prismat.measurements.Dos``.

    Attributes:
        unit: of the energies.
        kind: of electrons or of phonons.
        zero: what electrons' energies are counted from.
        spin: both spins added, or one of them.
        per: the computed cell, or one atom.
        n_atoms: atoms in that cell; 0 where unknown.
        broadening: width of the smearing in ``unit``; 0 where unknown.
    """

    unit: DosUnit
    kind: DosKind = "electronic"
    zero: Literal["fermi", "vbm", ""] = ""
    spin: Spin = "summed"
    per: Literal["cell", "atom"] = "cell"
    n_atoms: int = 0
    broadening: float = 0.0


def read_dos(path: str | Path, labels: DosLabels | None = None, spin: Spin = "summed") -> Dos:
    """A density of states from a file, of the kind that its name says.

    ``DOSCAR*`` and ``vasprun*.xml`` are VASP's, ``total_dos*.dat`` is phonopy's (in THz). Any other name, or
    any name with labels given, is a table of two columns.

    Args:
        path: the file.
        labels: what the columns of a table are.
        spin: which spin of VASP's files.

    Raises:
        BadInputError: no such file, too large, a table without labels, or content that the parser refuses.
    """
    path = Path(path)
    name, record = path.name.lower(), path.name
    if labels is not None:
        return parse_columns(_read_text(path), labels, record)
    if name.startswith("doscar"):
        return parse_doscar(_read_text(path), record, spin)
    if name.startswith("vasprun") and name.endswith(".xml"):
        return dos_of_vasprun(read_vasprun(path), record, spin)
    if name.startswith("total_dos") and name.endswith(".dat"):
        return parse_phonopy(_read_text(path), record)
    raise BadInputError(
        "a table of which nothing is known",
        record=record,
        field="dos",
        remedy="Give DosLabels: unit, kind, zero, and what the densities count.",
    )


def _read_text(path: Path) -> str:
    return read_limited(path, MAX_BYTES).decode("utf-8-sig", errors="replace")


def _check_size(text: str, record: str) -> None:
    if len(text) > MAX_BYTES:
        raise BadInputError(
            f"larger than {MAX_BYTES // 1_000_000} MB",
            record=record,
            field="dos",
            remedy="Give the total density of states only.",
        )


def parse_doscar(text: str, record: str = "", spin: Spin = "summed") -> Dos:
    """The total density of states of a DOSCAR, its energies counted from the Fermi level of its sixth line.

    Args:
        text: contents of the file; projections after the total are not read.
        record: name for error messages.
        spin: of a spin-polarised calculation, both spins added or one of them.

    Raises:
        BadInputError: too long, a header or row that is none, or one spin of a calculation without spin.
    """
    _check_size(text, record)
    lines = text.split("\n")
    atoms = _floats(lines[0], record, 1) if lines else []
    points, fermi = _header(lines[5] if len(lines) > 5 else "", record)
    rows = [_floats(line, record, number) for number, line in enumerate(lines[6 : 6 + points], start=7)]
    columns = {len(r) for r in rows}
    if len(rows) < points or columns not in ({3}, {5}):
        raise BadInputError(
            f"not {points} rows of 3 or 5 numbers after line 6",
            record=record,
            field="dos",
            remedy="Give the whole DOSCAR of a finished calculation.",
        )
    table = np.array(rows)
    density = _of_spin(table[:, 1 : 1 + table.shape[1] // 2].T, spin, record)
    n_atoms = int(atoms[1]) if len(atoms) > 1 and 0 <= atoms[1] <= MAX_ATOMS else 0
    return Dos(table[:, 0] - fermi, density, zero="fermi", spin=spin, n_atoms=n_atoms)


def _header(line: str, record: str) -> tuple[int, float]:
    """Number of points and Fermi level from E(max), E(min), NEDOS, E(fermi), 1.0."""
    words = line.split()
    if len(words) < 4 or not _POINTS.fullmatch(words[2]):
        # Five-digit numbers of points touch their neighbours: fields of 16, 16, 5 and 16 characters.
        words = [line[:16], line[16:32], line[32:37].strip(), line[37:53]]
    fermi = _number(words[3])
    if not _POINTS.fullmatch(words[2]) or fermi is None or not np.isfinite(fermi):
        raise BadInputError(
            f"line 6 is not E(max), E(min), NEDOS, E(fermi): {line[:60]!r}",
            record=record,
            field="dos",
            remedy="Give the whole DOSCAR of a finished calculation.",
        )
    return int(words[2]), fermi


def _of_spin(densities: Float[np.ndarray, "spins points"], spin: Spin, record: str) -> np.ndarray:
    if spin == "summed":
        return densities.sum(0)
    if len(densities) < 2:
        raise BadInputError(
            f"spin {spin!r} of a calculation without spin",
            record=record,
            field="dos",
            remedy="Ask for spin='summed'.",
        )
    return densities[0 if spin == "up" else 1]


def dos_of_vasprun(run: Vasprun, record: str = "", spin: Spin = "summed") -> Dos:
    """The total density of states of a vasprun.xml, its energies counted from the Fermi level.

    Gaussian smearing (ISMEAR = 0) of VASP's SIGMA, exp(−(x/σ)²), has the standard deviation σ/√2; that of
    the other kinds is left unknown.

    Args:
        run: what ``prismat.vasprun`` read.
        record: name for error messages.
        spin: of a spin-polarised calculation, both spins added or one of them.

    Raises:
        BadInputError: one spin of a calculation without spin.
    """
    broadening = run.sigma / np.sqrt(2) if run.smearing == 0 else 0.0
    return Dos(
        run.energy - run.fermi,
        _of_spin(run.densities, spin, record),
        zero="fermi",
        spin=spin,
        n_atoms=run.n_atoms,
        broadening=float(broadening),
    )


def parse_phonopy(text: str, record: str = "", unit: DosUnit = "THz") -> Dos:
    """The phonon density of states of phonopy's total_dos.dat; a Sigma in its first line is its smearing.

    Args:
        text: contents of the file.
        record: name for error messages.
        unit: of the frequencies, phonopy's THz unless its factor was changed.

    Raises:
        BadInputError: see ``parse_columns``.
    """
    dos = parse_columns(text, DosLabels(unit, "phonon"), record)
    sigma = _SIGMA.search(text[:1000])
    width = _number(sigma[1]) if sigma else None
    return replace(dos, broadening=width) if width and np.isfinite(width) and width > 0 else dos


def parse_columns(text: str, labels: DosLabels, record: str = "") -> Dos:
    """A density of states from two columns, energy and density, separated by spaces, tabs, commas or ;.

    Lines that begin with #, !, @ or % are comments; lines before the first number are a header.

    Args:
        text: contents of the file.
        labels: what the columns are.
        record: name for error messages.

    Raises:
        BadInputError: too long, no numbers, a line that is not two numbers, or NaN or infinity.
    """
    _check_size(text, record)
    rows: list[list[float]] = []
    skipped = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(_COMMENTS):
            continue
        first = _number(_SEPARATOR.split(line)[0])
        if not rows and first is None and skipped < MAX_HEADER_LINES:
            skipped += 1
            continue
        rows.append(_floats(line, record, number, 2))
    if not rows:
        raise BadInputError(
            "no line of numbers", record=record, field="dos", remedy="Give two columns, energy and density."
        )
    table = np.array(rows)
    return Dos(
        np.ascontiguousarray(table[:, 0]),
        np.ascontiguousarray(table[:, 1]),
        **{name: getattr(labels, name) for name in labels.__dataclass_fields__},
    )


def _floats(line: str, record: str, number: int, columns: int | None = None) -> list[float]:
    """The numbers of a line."""
    values = [_number(w) for w in _SEPARATOR.split(line.strip()) if w]
    if None in values or (columns and len(values) != columns):
        raise BadInputError(
            f"line {number} is not {columns or 'a row of'} numbers: {line.strip()[:40]!r}",
            record=record,
            field="dos",
            remedy="Give a table of numbers, written with decimal points.",
        )
    if not np.isfinite([v for v in values if v is not None]).all():
        raise BadInputError(
            f"NaN or infinity in line {number}", record=record, field="dos", remedy="Correct this line."
        )
    return [v for v in values if v is not None]


def _number(word: str) -> float | None:
    try:
        return float(_SHORT_EXPONENT.sub(r"E\1", word))
    except ValueError:
        return None
