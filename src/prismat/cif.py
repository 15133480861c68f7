"""CIF text to a crystal: gemmi reads, the symmetry is expanded here, pymatgen takes what gemmi refuses."""

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from prismat.cif_symmetry import UnreadableError, check_metric, modulated, operations_of
from prismat.cif_values import element, elements_of, first_value, number
from prismat.crystal import Crystal, make_site
from prismat.elements import atomic_number
from prismat.errors import BadInputError
from prismat.symmetry import expand, parse_operations

if TYPE_CHECKING:
    import gemmi

MAX_TOLERANT = 200_000
"""Characters that pymatgen is given: its parser is slow on what is not CIF."""

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_CELL_TAGS = tuple(f"_cell_{name}" for name in _CELL)
_SITE_TAGS = ("label", "fract_x", "fract_y", "fract_z", "?type_symbol", "?occupancy", "?calc_flag")
_FORMULA_TAGS = ("_chemical_formula_sum", "_chemical_formula.sum")
_NAME_TAGS = ("_audit_block_code", "_audit_block.code")
_AVERAGE = re.compile(r"average|reference", re.IGNORECASE)
_MODULATION = re.compile(
    r"_(?:space_group_ssg|space_group_symop_ssg|cell_modulation|cell_wave_vector|atom_site_fourier"
    r"|atom_site_displace|atom_site_occ_(?:fourier|special)|cell_subsystem)[._]",
    re.IGNORECASE,
)
# pymatgen's pattern for operations takes cubic time in the length of a row of digits.
_LONG_NUMBER = re.compile(r"[\d./]{200}")
_FOURTH_AXIS = re.compile(r"[,+-] ?x4 ?['\",+-]", re.IGNORECASE)


def crystal_from_cif(text: str) -> Crystal:
    """Reads the first block that has atoms.

    Elements come from ``type_symbol``, or from the label where there is none, read with the help of the
    formula; dummy atoms (``calc_flag`` dum) and atoms of occupancy 0 are left out, D and T count as H.
    Symmetry comes from the listed operations, else from the Hall symbol, the Hermann–Mauguin symbol or the
    number; without any of these the cell is P 1. Of a magnetic CIF the atoms in the magnetic cell are read.
    Of a file with a modulated structure only a block that says of itself that it is the average is read.

    Raises:
        BadInputError: unreadable syntax or symmetry (by gemmi and by pymatgen), no atoms, an unknown
            element, a value that is not a number, occupancies that exceed 1, operations that are no group,
            contradict the stated space group or do not fit the cell, or a modulated structure.
    """
    if "\0" in text:
        raise BadInputError(
            "NUL characters, which text has not", field="CIF", remedy="Save it as UTF-8, or get it again."
        )
    try:
        return _with_gemmi(text)
    except UnreadableError as error:
        return _with_pymatgen(text, error)


def _with_gemmi(text: str) -> Crystal:
    import gemmi

    try:
        document = gemmi.cif.read_string(text.removeprefix("\ufeff"))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "syntax error"
        raise UnreadableError(
            f"unreadable CIF ({reason})", field="CIF", remedy="Correct the file."
        ) from error
    block = _chosen(document, _MODULATION.search(text))
    cell = _cell(block)
    frac, contents = _sites(block)
    operations, lattice = operations_of(block, cell[3], cell[5]), _lattice(cell)
    check_metric(lattice, operations)
    return expand(lattice, frac, contents, *parse_operations(list(operations)), keep_split=True)


def _chosen(document: "gemmi.cif.Document", modulation: re.Match | None) -> "gemmi.cif.Block":
    """The first block with atoms; beside a modulated structure, the first that is its average."""
    blocks = [block for block in document if block.find_loop("_atom_site_fract_x").tag]
    if not blocks:
        raise UnreadableError(
            "no atoms", field="_atom_site", remedy="Give atoms with fractional coordinates."
        )
    if modulation is None:
        return blocks[0]
    average = next((b for b in blocks if _AVERAGE.search(f"{b.name} {first_value(b, _NAME_TAGS)}")), None)
    if average is None:
        raise modulated(modulation.group().rstrip("._"))
    return average


def _cell(block: "gemmi.cif.Block") -> tuple[float, ...]:
    """a, b, c in Å and α, β, γ in degrees."""
    values = []
    for tag in _CELL_TAGS:
        raw = block.find_value(tag)
        if raw is None:
            raise UnreadableError("the cell is not given", field=tag, remedy="Give all six cell parameters.")
        values.append(number(raw, tag))
    lengths, angles = values[:3], values[3:]
    if not (min(lengths) > 1e-3 and max(lengths) < 1e4 and min(angles) > 5 and max(angles) < 179):
        raise BadInputError(f"absurd cell {values}", field="_cell", remedy="Check units (Å) and degrees.")
    return tuple(values)


def _lattice(cell: tuple[float, ...]) -> Float[np.ndarray, "3 3"]:
    import gemmi

    return np.array(gemmi.UnitCell(*cell).orth.mat.tolist(), dtype=np.float64).T


def _sites(block: "gemmi.cif.Block") -> tuple[Float[np.ndarray, "asym 3"], list[dict[int, float]]]:
    """Positions and contents of the asymmetric unit."""
    import gemmi

    table = block.find("_atom_site_", list(_SITE_TAGS))
    if not len(table):
        table = block.find("_atom_site_", ["type_symbol", *_SITE_TAGS[1:]])
    expected = elements_of(first_value(block, _FORMULA_TAGS))
    columns: list[list[str | None]] = [
        list(table.column(k)) if len(table) and table.has_column(k) else [None] * len(table) for k in range(7)
    ]
    frac, contents = [], []
    for raw_label, x, y, z, raw_symbol, raw_occupancy, flag in zip(*columns, strict=True):
        label = gemmi.cif.as_string(raw_label)
        if flag is not None and gemmi.cif.as_string(flag).lower() == "dum":
            continue
        occupancy = _occupancy(raw_occupancy, label)
        if occupancy == 0:
            continue
        known = raw_symbol is not None and not gemmi.cif.is_null(raw_symbol)
        symbol = gemmi.cif.as_string(raw_symbol) if known else ""
        contents.append({element(symbol, label, expected): occupancy})
        frac.append([_coordinate(raw, axis, label) for raw, axis in ((x, "x"), (y, "y"), (z, "z"))])
    return np.array(frac, dtype=np.float64).reshape(-1, 3), contents


def _occupancy(raw: str | None, label: str) -> float:
    """1 where the column is missing or says '?' or '.'."""
    if raw is None or raw in ("?", "."):
        return 1.0
    occupancy = number(raw, f"_atom_site_occupancy of {label[:40]}")
    if occupancy < 0:
        raise BadInputError(f"occupancy {occupancy}", field=f"atom {label[:40]}", remedy="Give 0 to 1.")
    return occupancy


def _coordinate(raw: str | None, axis: str, label: str) -> float:
    return number(raw or "?", f"_atom_site_fract_{axis} of {label[:40]}")


def _with_pymatgen(text: str, first: BadInputError) -> Crystal:
    """The tolerant way; where it fails too, the first error stands."""
    failure = BadInputError(first.problem, field=first.field, remedy=first.remedy)
    sign = _MODULATION.search(text) or _FOURTH_AXIS.search(text)
    if sign is not None:
        raise modulated(sign.group().strip("._,'+- ")) from first
    if len(text) > MAX_TOLERANT or _LONG_NUMBER.search(text.replace(" ", "")):
        raise failure from first
    try:
        with warnings.catch_warnings(record=True) as liberties:
            warnings.simplefilter("always")
            crystal = _tolerant(text)
    except Exception as error:
        raise failure from error
    if any("Defaulting to P1" in str(liberty.message) for liberty in liberties):
        # A space group that pymatgen does not know either: it would return the asymmetric unit as the cell.
        raise failure
    return crystal


def _tolerant(text: str) -> Crystal:
    from pymatgen.io.cif import CifParser

    structure = CifParser.from_str(text, occupancy_tolerance=1.05).parse_structures(primitive=False)[0]
    contents = [{s.symbol: float(x) for s, x in site.species.items()} for site in structure]
    sites = tuple(make_site({atomic_number(symbol): x for symbol, x in c.items()}) for c in contents)
    return Crystal(np.array(structure.lattice.matrix), np.array(structure.frac_coords), sites)
