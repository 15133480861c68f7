"""Symmetry of a CIF block: which operations it has, and whether they are a group, its own and its cell's."""

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from prismat.cif_values import first_value
from prismat.errors import BadInputError
from prismat.symmetry import parse_operations

if TYPE_CHECKING:
    import gemmi

METRIC_TOLERANCE = 0.03
"""Largest change of the metric tensor under an operation, relative to its largest element."""
MAX_OPERATIONS = 1536
"""192 of the largest space group, in a magnetic cell eight times as large."""

_OPERATION_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_MAGNETIC_TAGS = (
    ("_space_group_symop_magn_operation.xyz", "_space_group_symop_magn_centering.xyz"),
    ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_centering_xyz"),
    ("_space_group_symop.magn_operation_xyz", "_space_group_symop.magn_centering_xyz"),
)
_MAGNETIC_GROUP = ("_space_group_magn", "_space_group.magn")
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOL_TAGS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_REMEDY = "List the symmetry operations (_space_group_symop_operation_xyz)."

Operations = tuple[str, ...]


class UnreadableError(BadInputError):
    """Syntax or symmetry that gemmi does not take and a more tolerant parser may."""


def operations_of(block: "gemmi.cif.Block", alpha: float, gamma: float) -> Operations:
    """The block's operations: those listed, else those of the Hall symbol, the H-M symbol or the number.

    Of a magnetic structure, the operations of the magnetic group without their time reversal: they place the
    atoms in the magnetic cell. Without any statement the group is P 1.

    Args:
        block: a CIF block.
        alpha: degrees; with γ it tells rhombohedral from hexagonal axes where the symbol does not.
        gamma: degrees.

    Raises:
        UnreadableError: a space group that is not known.
        BadInputError: an operation that cannot be read, operations that are no group or contradict the
            stated one, or a magnetic group without its operations.
    """
    symbol, stated = (first_value(block, tags) for tags in (_SYMBOL_TAGS, _NUMBER_TAGS))
    for tag in _OPERATION_TAGS:
        column = block.find_values(tag)
        if column:
            return _listed(tuple(column), symbol, stated)
    magnetic = _magnetic(block)
    if magnetic:
        return _checked(magnetic, "", "")
    return _of_group(first_value(block, _HALL_TAGS), symbol, stated, alpha, gamma)


def _magnetic(block: "gemmi.cif.Block") -> Operations:
    """Every centring times every operation, each written x,y,z,±1, without the ±1."""
    import gemmi

    for operation_tag, centring_tag in _MAGNETIC_TAGS:
        listed = [gemmi.cif.as_string(raw) for raw in block.find_values(operation_tag)]
        if listed:
            centrings = [gemmi.cif.as_string(raw) for raw in block.find_values(centring_tag)]
            return _products(tuple(listed), tuple(centrings) or ("x,y,z,+1",))
    tags = [str(item.pair[0]).lower() for item in block if item.pair is not None]  # ty: ignore[not-subscriptable]
    if any(tag.startswith(_MAGNETIC_GROUP) for tag in tags):
        raise BadInputError(
            "a magnetic space group without its operations",
            field="_space_group_magn",
            remedy="List them as _space_group_symop_magn_operation.xyz.",
        )
    return ()


def _products(listed: Operations, centrings: Operations) -> Operations:
    import gemmi

    if len(listed) * len(centrings) > MAX_OPERATIONS:
        raise _too_many(len(listed) * len(centrings))
    try:
        spatial, shifts = ([gemmi.Op(_spatial(text)) for text in texts] for texts in (listed, centrings))
    except (ValueError, RuntimeError) as error:
        raise BadInputError(
            "a magnetic operation that cannot be read",
            field="_space_group_symop_magn_operation",
            remedy="Write it like 'x,y+1/2,-z,+1'.",
        ) from error
    # Time reversal alone leaves the atoms where they are: it would count each twice.
    return tuple(dict.fromkeys((shift * op).wrap().triplet() for shift in shifts for op in spatial))


def _spatial(text: str) -> str:
    """``x,y,z`` of ``x,y,z,+1``."""
    parts = text.split(",")
    return ",".join(parts[:3]) if len(parts) == 4 and parts[3].strip() in ("+1", "-1", "1") else text


def _too_many(count: int) -> BadInputError:
    return BadInputError(
        f"{count} symmetry operations, more than {MAX_OPERATIONS}",
        field="symmetry operation",
        remedy="List each operation once, in a smaller cell.",
    )


@lru_cache(maxsize=1024)
def _listed(raw: Operations, symbol: str, stated: str) -> Operations:
    import gemmi

    if len(raw) > MAX_OPERATIONS:
        raise _too_many(len(raw))
    return _checked(tuple(map(gemmi.cif.as_string, raw)), symbol, stated)


def _checked(operations: Operations, symbol: str, stated: str) -> Operations:
    """The operations, if they are a group and not another one than the file names."""
    import gemmi

    if len(operations) > MAX_OPERATIONS:
        raise _too_many(len(operations))
    if any("x4" in text.lower() for text in operations):
        raise modulated("operations with x4")
    rotations, _ = parse_operations(list(operations))
    parsed = [gemmi.Op(text.strip()).wrap() for text in operations]
    _check_closed(parsed)
    group = gemmi.find_spacegroup_by_name(symbol) if symbol else None
    if group is None and re.fullmatch(r"[0-9]{1,3}", stated):
        group = gemmi.find_spacegroup_by_number(int(stated))
    # The identity alone is a cell in which all atoms are listed, whatever group they have.
    if group is not None and len(operations) > 1:
        _check_same(parsed, rotations, group)
    return operations


def _check_closed(parsed: "list[gemmi.Op]") -> None:
    listed = {op.triplet() for op in parsed}
    if len(parsed) > len(listed):
        raise BadInputError(
            f"{len(parsed) - len(listed)} of the operations are listed twice",
            field="symmetry operation",
            remedy="List each operation once.",
        )
    if not _is_group(parsed, listed):
        raise BadInputError(
            "the operations are no group: products of some are missing",
            field="symmetry operation",
            remedy="List all operations of the space group, the identity and centring included.",
        )


def _is_group(parsed: "list[gemmi.Op]", listed: set[str]) -> bool:
    """Whether the group that they generate has no other member; each new generator at least doubles it."""
    import gemmi

    members, reached = [gemmi.Op("x,y,z")], {"x,y,z"}
    generators: list[gemmi.Op] = []
    for op in parsed:
        if op.triplet() in reached:
            continue
        generators.append(op)
        for member in members:
            for generator in generators:
                product = (member * generator).wrap()
                name = product.triplet()
                if name not in listed:
                    return False
                if name not in reached:
                    reached.add(name)
                    members.append(product)
    return "x,y,z" in listed


def _check_same(
    parsed: "list[gemmi.Op]", rotations: Float[np.ndarray, "ops 3 3"], group: "gemmi.SpaceGroup"
) -> None:
    """By number where the listed group has one in the tables, by crystal class where its setting is not."""
    import gemmi

    listed = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(parsed))
    if listed is not None:
        same, name = listed.number == group.number, listed.xhm()
    else:
        reference, _ = parse_operations([op.triplet() for op in group.operations()])
        same, name = _class(rotations) == _class(reference), "another crystal class"
    if not same:
        raise BadInputError(
            f"the operations listed are those of {name}, the space group stated is {group.xhm()}",
            field="symmetry operation",
            remedy="Correct whichever is wrong; where all atoms of the cell are listed, give x,y,z alone.",
        )


def _class(rotations: Float[np.ndarray, "ops 3 3"]) -> Counter:
    """How many different rotations there are of each kind (International Tables A, table 1.2.2.1)."""
    distinct = np.unique(np.round(rotations).astype(int), axis=0)
    kinds = zip(
        np.round(np.linalg.det(distinct)).astype(int).tolist(),
        distinct.trace(axis1=1, axis2=2).tolist(),
        strict=True,
    )
    return Counter(kinds)


@lru_cache(maxsize=1024)
def _of_group(hall: str, symbol: str, stated: str, alpha: float, gamma: float) -> Operations:
    import gemmi

    if not (hall or symbol or stated):
        return ("x,y,z",)
    group = None
    if symbol:
        group = gemmi.find_spacegroup_by_name(symbol, alpha, gamma)
    elif not hall and re.fullmatch(r"[0-9]{1,3}", stated):
        group = gemmi.find_spacegroup_by_number(int(stated))
    try:
        operations = gemmi.symops_from_hall(hall) if hall else group.operations() if group else None
    except (ValueError, RuntimeError):
        operations = None
    if operations is None:
        raise UnreadableError(
            f"unknown space group {(hall or symbol or stated)[:60]!r}", field="_space_group", remedy=_REMEDY
        )
    return tuple(operation.triplet() for operation in operations)


def check_metric(lattice: Float[np.ndarray, "3 3"], operations: Operations) -> None:
    """Refuses operations that would change lengths or angles of the cell: RᵀGR ≠ G.

    Args:
        lattice: row vectors in Å.
        operations: what ``operations_of`` gave.

    Raises:
        BadInputError: hexagonal operations in a cell with γ = 90°, rhombohedral ones on hexagonal axes ….
    """
    metric = (lattice @ lattice.T).ravel()
    if np.abs(_changes(operations) @ metric).max() > METRIC_TOLERANCE * np.abs(metric).max():
        raise BadInputError(
            "the symmetry operations do not fit the cell: they change its lengths or angles",
            field="symmetry operation",
            remedy="Check the cell, and whether it and the operations have the same axes "
            "(hexagonal or rhombohedral, unique axis b or c).",
        )


@lru_cache(maxsize=1024)
def _changes(operations: Operations) -> Float[np.ndarray, "changes 9"]:
    """The rows that take a metric tensor, flattened, to the elements of RᵀGR − G, each once."""
    rotations, _ = parse_operations(list(operations))
    images = np.einsum("oki,olj->oijkl", rotations, rotations).reshape(-1, 9, 9)
    return np.unique((images - np.eye(9)).reshape(-1, 9), axis=0)


def modulated(sign: str) -> BadInputError:
    """The error for a structure that three dimensions do not describe."""
    return BadInputError(
        f"a modulated structure ({sign}), of which three-dimensional symmetry gives a wrong average",
        field="superspace group",
        remedy="Give a commensurate supercell, or the average structure in a block whose name says so "
        "('average' or 'REFERENCE').",
    )
