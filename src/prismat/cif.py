"""CIF text to a crystal: gemmi reads, the symmetry is expanded here, pymatgen takes what gemmi refuses."""

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from prismat.crystal import Crystal, make_site
from prismat.elements import SYMBOLS, atomic_number
from prismat.errors import BadInputError
from prismat.symmetry import expand, parse_operations

if TYPE_CHECKING:
    import gemmi

_OPERATION_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOL_TAGS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SITE_TAGS = ("label", "fract_x", "fract_y", "fract_z", "?type_symbol", "?occupancy", "?calc_flag")
_ELEMENTS = frozenset(SYMBOLS[1:]) | {"D", "T"}


class _UnreadableError(BadInputError):
    """Syntax or symmetry that gemmi does not take and a more tolerant parser may."""


def crystal_from_cif(text: str) -> Crystal:
    """Reads the first block that has atoms.

    Elements come from ``type_symbol``, or from the label where there is none; dummy atoms (``calc_flag`` dum)
    and atoms of occupancy 0 are left out, D and T count as H. Symmetry comes from the listed operations, else
    from the Hall symbol, the Hermann–Mauguin symbol or the number; without any of these the cell is P 1.

    Raises:
        BadInputError: unreadable syntax or symmetry (by gemmi and by pymatgen), no atoms, an unknown
            element, a value that is not a number, or occupancies that exceed 1.
    """
    try:
        return _with_gemmi(text)
    except _UnreadableError as error:
        return _with_pymatgen(text, error)


def _with_gemmi(text: str) -> Crystal:
    import gemmi

    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "syntax error"
        raise _UnreadableError(
            f"unreadable CIF ({reason})", field="CIF", remedy="Correct the file."
        ) from error
    block = next((b for b in document if b.find_loop("_atom_site_fract_x").tag), None)
    if block is None:
        raise _UnreadableError(
            "no atoms", field="_atom_site", remedy="Give atoms with fractional coordinates."
        )
    frac, contents = _sites(block)
    return expand(_lattice(block), frac, contents, *parse_operations(_operations(block)))


def _first(block: "gemmi.cif.Block", tags: tuple[str, ...]) -> str:
    """The first of the tags' values that says something, unquoted."""
    import gemmi

    for tag in tags:
        value = block.find_value(tag)
        if value is not None and not gemmi.cif.is_null(value):
            return gemmi.cif.as_string(value).strip()
    return ""


def _number(raw: str, field: str) -> float:
    import gemmi

    value = gemmi.cif.as_number(raw)
    if not np.isfinite(value):
        raise BadInputError(f"{raw!r} is not a number", field=field, remedy="Give a number.")
    return float(value)


def _lattice(block: "gemmi.cif.Block") -> Float[np.ndarray, "3 3"]:
    import gemmi

    values = []
    for name in _CELL_TAGS:
        tag = f"_cell_{name}"
        raw = block.find_value(tag)
        if raw is None:
            raise _UnreadableError("the cell is not given", field=tag, remedy="Give all six cell parameters.")
        values.append(_number(raw, tag))
    lengths, angles = np.array(values[:3]), np.array(values[3:])
    if not (lengths.min() > 1e-3 and lengths.max() < 1e4 and angles.min() > 1 and angles.max() < 179):
        raise BadInputError(f"absurd cell {values}", field="_cell", remedy="Check units (Å) and degrees.")
    return np.array(gemmi.UnitCell(*values).orth.mat.tolist(), dtype=np.float64).T


def _operations(block: "gemmi.cif.Block") -> list[str]:
    import gemmi

    for tag in _OPERATION_TAGS:
        found = [gemmi.cif.as_string(raw) for raw in block.find_values(tag)]
        if found:
            return _readable(found)
    hall, symbol, number = (_first(block, tags) for tags in (_HALL_TAGS, _SYMBOL_TAGS, _NUMBER_TAGS))
    if not (hall or symbol or number):
        return ["x,y,z"]
    group = None
    if symbol:
        group = gemmi.find_spacegroup_by_name(symbol, _angle(block, "alpha"), _angle(block, "gamma"))
    elif not hall and number.isdigit():
        group = gemmi.find_spacegroup_by_number(int(number[:4]))
    try:
        operations = gemmi.symops_from_hall(hall) if hall else group.operations() if group else None
    except (ValueError, RuntimeError):
        operations = None
    if operations is None:
        raise _UnreadableError(
            f"unknown space group {hall or symbol or number!r}",
            field="_space_group",
            remedy="List the symmetry operations (_space_group_symop_operation_xyz).",
        )
    return [operation.triplet() for operation in operations]


def _angle(block: "gemmi.cif.Block", name: str) -> float:
    tag = f"_cell_angle_{name}"
    return _number(block.find_value(tag) or "?", tag)


def _readable(operations: list[str]) -> list[str]:
    try:
        parse_operations(operations)
    except BadInputError as error:
        raise _UnreadableError(error.problem, field=error.field, remedy=error.remedy) from error
    return operations


def _sites(block: "gemmi.cif.Block") -> tuple[Float[np.ndarray, "asym 3"], list[dict[int, float]]]:
    """Positions and contents of the asymmetric unit."""
    import gemmi

    table = block.find("_atom_site_", list(_SITE_TAGS))
    if not len(table):
        table = block.find("_atom_site_", ["type_symbol", *_SITE_TAGS[1:]])
    frac, contents = [], []
    for row in table:
        label = gemmi.cif.as_string(row[0])
        if row.has(6) and gemmi.cif.as_string(row[6]).lower() == "dum":
            continue
        occupancy = 1.0
        if row.has(5) and not gemmi.cif.is_null(row[5]):
            occupancy = _number(row[5], f"_atom_site_occupancy of {label}")
        if occupancy < 0:
            raise BadInputError(f"occupancy {occupancy}", field=f"atom {label}", remedy="Give 0 to 1.")
        if occupancy == 0:
            continue
        symbol = gemmi.cif.as_string(row[4]) if row.has(4) and not gemmi.cif.is_null(row[4]) else label
        contents.append({_element(symbol, label): occupancy})
        frac.append([_number(row[k], f"_atom_site_fract_{'xyz'[k - 1]} of {label}") for k in (1, 2, 3)])
    return np.array(frac, dtype=np.float64).reshape(-1, 3), contents


def _element(symbol: str, label: str) -> int:
    """Element of a type symbol or label such as Fe3+, O2-, SI1, OW2 or Fe(1)."""
    letters = re.match(r"[A-Za-z]*", symbol)
    name = letters.group() if letters else ""
    # Two letters are one element where there is such an element; OW and OH are water's or hydroxyl's oxygen.
    candidates = [name.capitalize()] if len(name) <= 2 else [name[:2]] if name[2].isupper() else []
    if re.fullmatch(r"O[WwHh]", name[:2]):
        candidates.append("O")
    found = next((candidate for candidate in candidates if candidate in _ELEMENTS), None)
    if found is None:
        raise BadInputError(
            f"unknown element {symbol!r}",
            field=f"atom {label}",
            remedy="Give _atom_site_type_symbol with a symbol from H to Cf.",
        )
    return atomic_number(found)


def _with_pymatgen(text: str, first: BadInputError) -> Crystal:
    """The tolerant way; where it fails too, the first error stands."""
    from pymatgen.io.cif import CifParser

    failure = BadInputError(first.problem, field=first.field, remedy=first.remedy)
    try:
        with warnings.catch_warnings(record=True) as liberties:
            warnings.simplefilter("always")
            parser = CifParser.from_str(text, occupancy_tolerance=1.05)
            structure = parser.parse_structures(primitive=False)[0]
            contents = [{s.symbol: float(x) for s, x in site.species.items()} for site in structure]
    except Exception as error:
        raise failure from error
    if any("Defaulting to P1" in str(liberty.message) for liberty in liberties):
        # A space group that pymatgen does not know either: it would return the asymmetric unit as the cell.
        raise failure
    sites = tuple(make_site({atomic_number(symbol): x for symbol, x in c.items()}) for c in contents)
    return Crystal(np.array(structure.lattice.matrix), np.array(structure.frac_coords), sites)
