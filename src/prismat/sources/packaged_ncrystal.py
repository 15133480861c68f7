"""Materials for neutron scattering from NCrystal: crystals, sourced prose and phonon densities of states.

Cai & Kittelmann, Comput. Phys. Commun. 246, 106851 (2020). NCMAT files as NCrystal's source archive carries
them, string literals of one C++ file.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.crystal import Crystal, check, element_site
from prismat.errors import BadInputError
from prismat.material import Material
from prismat.measurements import Dos, Measurement
from prismat.packaged import NCRYSTAL
from prismat.sources.amcsd import lattice_from_parameters
from prismat.sources.packaged_base import PackagedSource, read_whole, wrong_form

MAX_BYTES = 50_000_000
MAX_POINTS = 4000
"""Of the grid on which the elements' spectra are added."""
MAX_NUMBERS = 200_000
"""Of one table after repetitions are written out."""

Row = tuple[str, str]
"""Name and text of an NCMAT file."""
Sections = list[tuple[str, list[str]]]

_FILE = re.compile(r"^ *// File (\S+?)\.ncmat", re.MULTILINE)
_LITERAL = re.compile(r'^ *("(?:[^"\\]|\\.)*");?$', re.MULTILINE)
_BYTES = re.compile(r"rawdata \{([0-9,\s]*)\}")
_MEV = 1000.0


class NcrystalSource(PackagedSource):
    """NCMAT files: the comment that begins each is its description.

    Crystals have a structure. Where every element's vibrations are tabulated, their sum is the phonon density
    of states; where one is only a Debye model, there is none. Gases, liquids and polymers have prose alone.
    """

    name = "ncrystal"
    licence = "Apache-2.0"
    citation = "Cai & Kittelmann, Comput. Phys. Commun. 246, 106851 (2020), doi:10.1016/j.cpc.2019.07.015"
    files = (NCRYSTAL,)

    def load(self, paths: tuple[Path, ...]) -> Sequence[Row]:
        """All NCMAT files of the C++ file."""
        source = read_whole(paths[0], MAX_BYTES).decode("utf-8", errors="replace")
        marks = list(_FILE.finditer(source))
        ends = [mark.start() for mark in marks[1:]] + [len(source)]
        if not marks:
            raise wrong_form(paths[0], "no NCMAT file in it")
        return [(m[1], _content(source[m.end() : end])) for m, end in zip(marks, ends, strict=True)]

    def identifier(self, row: Row) -> str:
        """The set's name and that of the NCMAT file."""
        return f"{self.name}-{row[0]}"

    def material(self, row: Row) -> Material:
        """What an NCMAT file says."""
        name, text = row
        prose, sections = read_ncmat(text)
        crystal = None
        if any(section == "CELL" for section, _ in sections):
            crystal = check(_crystal(sections), self.max_sites)
        measurements: dict[str, Measurement] = {}
        if crystal is not None and (dos := _phonon_dos(sections, len(crystal))) is not None:
            measurements["phonon_dos"] = dos
        if not prose and crystal is None:
            raise BadInputError("neither a structure nor a text")
        return Material(
            self.identifier(row),
            crystal,
            texts={"description": prose} if prose else {},
            measurements=measurements,
            provenance=self.provenance(f"{name}.ncmat"),
        )


def _content(block: str) -> str:
    """The text that a C++ block holds, as literals or, where it is long, as bytes."""
    numbers = _BYTES.search(block)
    if numbers:
        return bytes(int(word) for word in numbers[1].split(",") if word.strip()).decode("utf-8")
    # These literals escape quotes, backslashes and line ends only, as JSON does.
    return "".join(json.loads(literal) for literal in _LITERAL.findall(block))


def read_ncmat(text: str) -> tuple[str, Sections]:
    """The prose that begins an NCMAT file, and its sections as lines of words.

    Args:
        text: contents of the file.

    Returns:
        Paragraphs of the leading comment, separated by empty lines; name and lines of each section, without
        comments.

    Raises:
        BadInputError: no NCMAT text.
    """
    lines = text.splitlines()
    if not lines or not lines[0].startswith("NCMAT v"):
        raise BadInputError("no NCMAT text", field="header", remedy="Give the packaged file.")
    first = next((i for i, line in enumerate(lines) if line.startswith("@")), len(lines))
    words = [" ".join(line.lstrip("# ").split()) for line in lines[1:first]]
    paragraphs = re.split(r"\n{2,}", "\n".join(words).strip())
    prose = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    sections: Sections = []
    for line in lines[first:]:
        content = line.split("#", 1)[0].strip()
        if content.startswith("@"):
            sections.append((content[1:], []))
        elif content:
            sections[-1][1].append(content)
    return prose, sections


def _section(sections: Sections, name: str) -> list[str]:
    found = [lines for section, lines in sections if section == name]
    if len(found) != 1:
        raise BadInputError(f"{len(found)} sections @{name}", field=name, remedy="Correct the file.")
    return found[0]


def _crystal(sections: Sections) -> Crystal:
    """The full cell: NCMAT lists every atom."""
    lengths, angles = [0.0, 0.0, 0.0], [90.0, 90.0, 90.0]
    for line in _section(sections, "CELL"):
        key, *words = line.split()
        # '!!' repeats the value before it.
        values = [words[i - 1] if word == "!!" else word for i, word in enumerate(words)]
        if key == "cubic":
            lengths = [_number(values[0])] * 3
        elif key in ("lengths", "angles") and len(values) == 3:
            numbers = [_number(value) for value in values]
            lengths, angles = (numbers, angles) if key == "lengths" else (lengths, numbers)
        else:
            raise BadInputError(f"{line[:40]!r} in the cell", field="CELL", remedy="Correct the file.")
    atoms = [line.split() for line in _section(sections, "ATOMPOSITIONS")]
    if any(len(atom) != 4 for atom in atoms):
        raise BadInputError("an atom without three coordinates", field="ATOMPOSITIONS", remedy="Correct it.")
    frac = np.array([[_number(word) for word in atom[1:]] for atom in atoms], dtype=np.float64).reshape(-1, 3)
    lattice = lattice_from_parameters(*lengths, *angles)
    return Crystal(lattice, frac, tuple(element_site(atom[0]) for atom in atoms))


def _number(word: str) -> float:
    """A number or a fraction such as 1/3."""
    numerator, _, denominator = word.partition("/")
    try:
        return float(numerator) / (float(denominator) if denominator else 1.0)
    except (ValueError, ZeroDivisionError) as error:
        raise BadInputError(f"{word[:20]!r} is no number", remedy="Correct the file.") from error


def _phonon_dos(sections: Sections, n_atoms: int) -> Dos | None:
    """The elements' spectra, each of area 1, added by their fractions of atoms; three states per atom."""
    parts = [_fields(lines) for section, lines in sections if section == "DYNINFO"]
    if not parts or any(part.get("type") != ["vdos"] for part in parts):
        return None
    spectra = [_spectrum(part) for part in parts]
    fractions = [_number(part["fraction"][0]) for part in parts]
    top = max(energy[-1] for energy, _ in spectra)
    step = min(float(np.diff(energy[1:]).min()) for energy, _ in spectra)
    grid = np.linspace(0.0, top, min(MAX_POINTS, int(np.ceil(top / step)) + 1))
    total = np.zeros_like(grid)
    for (energy, density), fraction in zip(spectra, fractions, strict=True):
        low = grid < energy[1]
        here = np.interp(grid, energy, density, right=0.0)
        here[low] = density[1] * (grid[low] / energy[1]) ** 2
        total += 3 * fraction * here / np.trapezoid(here, grid)
    return Dos(grid, total, kind="phonon", unit="meV", per="atom", n_atoms=n_atoms)


def _fields(lines: list[str]) -> dict[str, list[str]]:
    """Values by keyword; lines that begin with a number go on with the keyword before."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines:
        words = line.split()
        if words[0][0].isalpha():
            key, words = words[0], words[1:]
        found.setdefault(key, []).extend(words)
    return found


def _spectrum(
    part: dict[str, list[str]],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Energies in meV, from zero, and density of one element.

    Below the first energy of the table a density of states grows with the square of the energy.
    """
    low, high = (_number(word) * _MEV for word in part["vdos_egrid"])
    density = np.array(_repeated(part["vdos_density"]))
    if len(density) < 3 or not 0 < low < high or not (np.isfinite(density) & (density >= 0)).all():
        raise BadInputError("no density of states", field="vdos_density", remedy="Correct the file.")
    energy = np.linspace(low, high, len(density))
    return np.concatenate([[0.0], energy]), np.concatenate([[0.0], density])


def _repeated(words: list[str]) -> list[float]:
    """Numbers, where 0r12 stands for twelve zeros."""
    values: list[float] = []
    for word in words:
        value, _, count = word.partition("r")
        if count and not count.isdigit():
            raise BadInputError(
                f"{word[:20]!r} is no number", field="vdos_density", remedy="Correct the file."
            )
        values += [_number(value)] * min(int(count or 1), MAX_NUMBERS + 1)
        if len(values) > MAX_NUMBERS:
            raise BadInputError(
                f"more than {MAX_NUMBERS} numbers", field="vdos_density", remedy="Correct it."
            )
    return values
