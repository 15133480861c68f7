"""Densities of states and charge densities from the open data of the Materials Project.

Files are the JSON of pymatgen's ``CompleteDos`` and ``Chgcar``, packed with gzip. The classes that they name
are never looked up; only numbers are read.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from prismat.errors import BadInputError
from prismat.files import read_limited
from prismat.formats_density import MAX_VALUES
from prismat.measurements import ChargeDensity, Dos
from prismat.modalities.dos_scale import check_dos
from prismat.modalities.resample_grid import check_density, check_shape

_GZIP = b"\x1f\x8b"
_REMEDY = "The file is damaged, or the service has changed."


def read_mp_dos(path: Path, limit: int) -> Dos:
    """Total electronic DOS, both spins added, energies counted from the Fermi level; per cell.

    Args:
        path: of a file ``dos/<task>.json.gz``.
        limit: bytes of the unpacked file.

    Raises:
        BadInputError: too large, no JSON, no such DOS, or one that means nothing.
    """
    content = _content(path, limit)
    try:
        energy = _array(content["energies"])
        spins = np.stack([_array(density) for density in content["densities"].values()])
        fermi = float(content["efermi"])
        atoms = len(content["structure"]["sites"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed("a density of states", error) from error
    if energy.ndim != 1 or spins.ndim != 2 or len(spins) > 2 or not np.isfinite(fermi) or not atoms:
        raise _malformed("a density of states", None)
    dos = Dos(energy - fermi, spins.sum(0), zero="fermi", n_atoms=atoms)
    check_dos(dos)
    return dos


def read_mp_density(path: Path, limit: int) -> ChargeDensity:
    """Density of the valence electrons, both spins added, in e/Å³: what VASP writes is divided by the volume.

    Args:
        path: of a file ``chgcars/<task>.json.gz``.
        limit: bytes of the unpacked file.

    Raises:
        BadInputError: too large, no JSON, no such density, or one that cannot be.
    """
    content = _content(path, limit)
    try:
        structure = content.get("structure") or content["poscar"]["structure"]
        lattice = _array(structure["lattice"]["matrix"])
        values = _array(content["data"]["total"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed("a charge density", error) from error
    if values.ndim != 3 or lattice.shape != (3, 3) or values.size > MAX_VALUES:
        raise _malformed("a charge density", None)
    check_shape(values.shape)
    volume = abs(float(np.linalg.det(lattice)))
    if not volume > 0:
        raise _malformed("a charge density", None)
    return check_density(ChargeDensity(values / volume, lattice, "valence"))


def _content(path: Path, limit: int) -> dict[str, Any]:
    """The object in a file: what stands under ``data``, where the file tells of its origin around it."""
    with path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
    text = read_limited(path, limit, packed=packed)
    if len(text) > limit:
        raise BadInputError(
            f"a file of more than {limit / 1e6:,.0f} MB", field="size", remedy="Raise the limit."
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "HTML" if text.lstrip()[:1] == b"<" else "no JSON"
        raise BadInputError(f"{kind} where JSON was expected", field="content", remedy=_REMEDY) from error
    found = found[0] if isinstance(found, list) and found else found
    inner = found.get("data") if isinstance(found, dict) else None
    # The object of a charge density has a ``data`` of its own.
    if isinstance(inner, dict) and {"energies", "poscar", "data"} & set(inner):
        found = inner
    if not isinstance(found, dict):
        raise _malformed("an object", None)
    return found


def _array(value: Any) -> Float[np.ndarray, "..."]:
    """Numbers as nested lists, or as the dictionary that monty writes for an array."""
    if isinstance(value, dict):
        value = value["data"]
    return np.array(value, dtype=np.float64)


def _malformed(what: str, error: Exception | None) -> BadInputError:
    why = f" ({type(error).__name__}: {str(error)[:80]})" if error else ""
    return BadInputError(f"not {what} as pymatgen writes it{why}", field="content", remedy=_REMEDY)
