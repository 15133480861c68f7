"""Abinit's binary file of the electron density: Fortran records, a header and the grid.

Layout of the header (Abinit's m_hdr.F90, format 80): a record of version, format of the header
and kind of the content; then a record that begins with 18 integers and 17 real numbers, those we use being
``natom`` (5th), ``ngfft`` (6th to 8th), ``nspden`` (10th) and ``usepaw`` (18th), ``rprimd`` (from the 8th).
The last record holds the density in e/bohr³, first index fastest.
"""

import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float

from prismat.compute.failure import CalculationError
from prismat.formats_density import BOHR
from prismat.measurements import ChargeDensity

MAX_BYTES = 600_000_000
_FORMATS = range(57, 90)
_DENSITY = 52
"""Kind of content that is an electron density."""


def read_density(path: Path) -> ChargeDensity:
    """The valence density of a run without spin polarisation.

    Raises:
        CalculationError: the file is absent, too large, cut off, or holds something else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CalculationError("output", f"{path.name} is larger than {MAX_BYTES // 1_000_000} MB")
        records = _records(path.read_bytes())
    except OSError as error:
        raise CalculationError("output", f"no file {path.name}") from error
    shape, lattice = _header(records)
    data = records[-1]
    if len(data) != 8 * shape[0] * shape[1] * shape[2]:
        raise CalculationError("output", "a density of another number of points than its header says")
    values = np.frombuffer(data, "<f8").reshape(shape, order="F") / BOHR**3
    if not np.isfinite(values).all():
        raise CalculationError("output", "a density that is not finite")
    return ChargeDensity(np.ascontiguousarray(values), lattice, "valence")


def _records(content: bytes) -> list[memoryview]:
    """Records of a sequential Fortran file: length, content, length."""
    view, at = memoryview(content), 0
    found: list[memoryview] = []
    while at < len(view):
        size = struct.unpack_from("<i", view, at)[0] if at + 8 <= len(view) else -1
        end = at + 8 + size
        if size < 0 or end > len(view) or struct.unpack_from("<i", view, end - 4)[0] != size:
            raise CalculationError("output", "a density file that is cut off")
        found.append(view[at + 4 : end - 4])
        at = end
    return found


def _header(records: list[memoryview]) -> tuple[tuple[int, int, int], Float[np.ndarray, "3 3"]]:
    """Grid points along the axes, and row vectors in Å."""
    if len(records) < 3 or len(records[0]) < 14 or len(records[1]) < 18 * 4 + 17 * 8:
        raise CalculationError("output", "a density file without a header")
    headform, fform = struct.unpack_from("<2i", records[0], len(records[0]) - 8)
    integers = struct.unpack_from("<18i", records[1], 0)
    reals = struct.unpack_from("<17d", records[1], 18 * 4)
    if headform not in _FORMATS or fform != _DENSITY or integers[9] != 1 or integers[17] != 0:
        raise CalculationError(
            "output", f"a density file of format {headform}, content {fform}, {integers[9]} spins"
        )
    nx, ny, nz = integers[5:8]
    if not all(1 <= n <= 1024 for n in (nx, ny, nz)):
        raise CalculationError("output", f"a density on {nx} × {ny} × {nz} points")
    return (nx, ny, nz), np.array(reals[7:16]).reshape(3, 3) * BOHR
