"""AMCSD's rows as the CIF files that AMCSD publishes: asymmetric unit, labels, operations, occupancies."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prismat.packaged import AMCSD, locate
from prismat.sources.amcsd import _QUERY, _decode

UNKNOWN = 1.5
"""Larger values stand for '?' and '.' in the database."""


@dataclass(frozen=True)
class Entry:
    """One file and what the database says beside it.

    Attributes:
        path: the CIF.
        density: g/cm³ as the database states it; 0 where it does not.
        formula: the formula stated.
    """

    path: Path
    density: float
    formula: str


def write_cifs(folder: Path, count: int, seed: int) -> list[Entry]:
    """``count`` rows of the database in random order, the same ones for one seed."""
    with closing(sqlite3.connect(f"{locate(AMCSD).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(_QUERY).fetchall()
    entries = []
    for number in np.random.default_rng(seed).permutation(len(rows))[:count]:
        row = rows[number]
        path = folder / f"amcsd-{row['id']:05d}.cif"
        path.write_text(cif_text(row), encoding="utf-8")
        entries.append(Entry(path, _float(row["crystal_density"]), row["formula"] or ""))
    return entries


def cif_text(row: sqlite3.Row) -> str:
    """One row in the order and with the tags of the database's own files."""
    lines = ["data_global", f"_chemical_name_mineral {_quoted(row['name'] or 'unknown')}"]
    if row["journalname"]:
        lines += [
            f"_journal_name_full {_quoted(row['journalname'])}",
            f"_journal_volume {_quoted(str(row['volume'] or '?'))}",
            f"_journal_year {row['year'] or '?'}",
            f"_journal_page_first {_quoted(str(row['page_first'] or '?'))}",
        ]
    title = "\n".join(f" {line.strip()}" for line in (row["pub_title"] or "?").splitlines())
    lines += ["_publ_section_title", ";", title, ";"]
    lines.append(f"_chemical_formula_sum {_quoted(row['formula'] or '?')}")
    lines += [f"_cell_length_{axis} {row[axis]}" for axis in "abc"]
    lines += [f"_cell_angle_{angle} {row[angle]}" for angle in ("alpha", "beta", "gamma")]
    lines.append(f"_exptl_crystal_density_diffrn {row['crystal_density']}")
    lines.append(f"_symmetry_space_group_name_H-M {_quoted(_symbol(row['hm_notation']))}")
    lines += ["loop_", "_space_group_symop_operation_xyz"]
    lines += [f"  '{operation.strip()}'" for operation in json.loads(row["symmetry_xyz"])]
    return "\n".join([*lines, *_atoms(row)]) + "\n"


def _symbol(notation: str) -> str:
    """The symbol alone; the database adds a mark such as %var1% where one symbol has several settings."""
    return notation.partition("%")[0].replace("*", "").strip()


def _atoms(row: sqlite3.Row) -> list[str]:
    labels = json.loads(row["atoms_sites"])
    columns = [_decode(row[f"atoms_{axis}"], len(labels)) for axis in "xyz"]
    names = ["label", "fract_x", "fract_y", "fract_z"]
    if row["atoms_occupancy"] != "0":
        columns.append(_decode(row["atoms_occupancy"], len(labels)))
        names.append("occupancy")
    lines = ["loop_", *(f"_atom_site_{name}" for name in names)]
    for label, *values in zip(labels, *columns, strict=True):
        lines.append("  ".join([_quoted(label), *(_value(x) for x in values)]))
    return lines


def _value(value: float) -> str:
    return "?" if value > UNKNOWN else f"{value:.5f}"


def _quoted(text: str) -> str:
    """A CIF value: in quotation marks where it needs them."""
    plain = text and not any(c in text for c in " \t'\"") and text[0] not in "_#$[];?." and text.isascii()
    if plain:
        return text
    text = text.replace("\n", " ")
    return f'"{text}"' if "'" in text else f"'{text}'"


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
