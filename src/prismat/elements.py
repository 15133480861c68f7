"""The periodic table: symbols, names and the few numbers that encoders need.

Values in ``data/elements.csv`` were read once from pymatgen's periodic table (electronegativity: Pauling;
ionisation energy and electron affinity in eV; molar volume in cm³/mol) and from gemmi (covalent radius in Å,
Cordero et al., Dalton Trans. 2008, 2832).
"""

import csv
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError

_PERIODS = """
X H He
Li Be B C N O F Ne
Na Mg Al Si P S Cl Ar
K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf
"""
SYMBOLS: tuple[str, ...] = tuple(_PERIODS.split())
"""Symbols by atomic number; index 0 is no element."""

MAX_Z = len(SYMBOLS) - 1

_NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS)} | {"D": 1, "T": 1}


def atomic_number(symbol: str) -> int:
    """Atomic number of a symbol; deuterium and tritium count as hydrogen.

    Raises:
        BadInputError: the symbol is no element up to californium.
    """
    z = _NUMBERS.get(symbol, 0)
    if z == 0:
        raise BadInputError(
            f"unknown element {symbol!r}", field="species", remedy="Use symbols from H to Cf (D counts as H)."
        )
    return z


@cache
def table() -> list[dict[str, str]]:
    """Rows of the periodic table as read from the packaged CSV."""
    text = (files("prismat") / "data" / "elements.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def column(name: str) -> Float[np.ndarray, " z"]:
    """One numeric column by atomic number; index 0 and missing values are NaN."""
    return np.array([np.nan] + [float(row[name]) if row[name] else np.nan for row in table()])


def mass(z: int) -> float:
    """Standard atomic mass in u."""
    return float(column("mass")[z])


@cache
def names() -> dict[str, int]:
    """English element names (both spellings) to atomic numbers."""
    found = {row["name"]: int(row["z"]) for row in table()}
    return found | {"aluminum": 13, "sulphur": 16, "cesium": 55}


@cache
def features() -> Float[np.ndarray, "z features"]:
    """Element descriptors by atomic number, standardised over the table, shape (MAX_Z + 1, 50).

    One-hot group (18), period (7) and block (4), then seven continuous properties with a flag each for
    'not known' and their squares (so that a linear layer can bin them); row 0 is zero.
    """
    rows = table()
    one_hot = np.zeros((MAX_Z + 1, 29))
    for z, row in enumerate(rows, start=1):
        one_hot[z, int(row["group"]) - 1] = 1
        one_hot[z, 18 + int(row["period"]) - 1] = 1
        one_hot[z, 25 + "spdf".index(row["block"])] = 1
    names_ = ("electronegativity", "covalent_radius", "valence_electrons", "ionization_energy")
    values = np.stack([column(n) for n in (*names_, "electron_affinity", "atomic_volume", "z")], axis=1)
    missing = np.isnan(values)
    scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    scaled = np.where(missing, 0.0, scaled)
    table_ = np.concatenate([one_hot, scaled, scaled**2 - 1, missing], axis=1)
    table_[0] = 0
    return table_
