"""What the fuzz tests share: readers, valid files, mutations of them, and what must hold of any outcome.

A longer run prints how many cases it tried and every failure:
``PYTHONPATH=tests python tests/fuzz/fuzz_readers.py 300``.
"""

import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np

from helpers_cif import MAGNETIC_SYMMETRY
from helpers_cif import SALT_CIF as CIF
from prismat.cif import crystal_from_cif
from prismat.crystal import Crystal, check
from prismat.errors import BadInputError
from prismat.formats_density import parse_chgcar, parse_cube
from prismat.formats_dos import DosLabels, dos_of_vasprun, parse_columns, parse_doscar, parse_phonopy
from prismat.formats_xrd import parse_xy
from prismat.measurements import ChargeDensity, Dos, Pattern
from prismat.poscar import crystal_from_poscar
from prismat.vasprun import parse_vasprun
from prismat.xyz import molecule_from_xyz

LIMIT_S = 2.0
"""CPU seconds for one small input."""
INTERRUPTED_S = 10
"""CPU seconds after which a reader is stopped."""

LISTED_CIF = """data_quartz
_publ_section_title
;
 Quartz
;
_cell_length_a 4.9134
_cell_length_b 4.9134
_cell_length_c 5.4052
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 32 2 1'
loop_
_space_group_symop_operation_xyz
'x,y,z'
'y,x,-z'
'-y,x-y,2/3+z'
'-x,y-x,2/3-z'
'y-x,-x,1/3+z'
'x-y,-y,1/3-z'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si 0.46970 0.00000 0.66667
O 0.41330 0.26720 0.78553
"""
MAGNETIC_CIF = (
    """data_magnetic
_cell_length_a 5.0
_cell_length_b 6.0
_cell_length_c 7.0
_cell_angle_alpha 90
_cell_angle_beta 105
_cell_angle_gamma 90
"""
    + MAGNETIC_SYMMETRY
    + """loop_
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Fe 0.1 0.2 0.3
"""
)
POSCAR = "salt\n5.64\n1 0 0\n0 1 0\n0 0 1\nNa_pv Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
CARTESIAN = (
    "salt\n-180\n5 0 0\n0 5 0\n0 0 5\nNa Cl\n1 1\nSelective dynamics\nCartesian\n0 0 0 T T F\n3 3 3 T T T\n"
)
XYZ = "2\nwater without one\nO 0 0 0\nH 0 0 0.96\n"
XY = "# scan\n" + "".join(f"{10 + k / 10:.2f} {100 + k % 7}\n" for k in range(40))
XYE = "angle intensity error\n" + "".join(f"{10 + k / 10:.2f},{100 + k % 7},1.5\n" for k in range(30))
DOSCAR = (
    "   2   2   1   0\n 0.1E+02 0.3E-09 0.3E-09 0.3E-09 0.5E-15\n 1.0E-004\n  CAR\n salt\n"
    "      9.0     -12.0   25      1.2345      1.0\n"
    + "".join(f" {-12 + k * 0.875:.4f} 0.{k:04d}E+00 0.{k:04d}E+01\n" for k in range(25))
)
ROWS = "".join(f"<r> {-12 + k} 0.{k} {k}.0 </r>" for k in range(12))
VASPRUN = (
    '<?xml version="1.0"?><modeling><parameters><separator><i name="ISMEAR">0</i><i name="SIGMA">0.05</i>'
    "</separator></parameters><atominfo><atoms> 2 </atoms></atominfo><calculation><dos>"
    f'<i name="efermi"> 1.5 </i><total><array><set><set comment="spin 1">{ROWS}</set></set></array></total>'
    "</dos></calculation></modeling>"
)
GRID = " ".join(f"{1 + k % 5}.5E+01" for k in range(64))
CHGCAR = f"{POSCAR}\n4 4 4\n{GRID}\naugmentation occupancies 1 2\n 0.1E+01 0.2E+01\n"
CUBE = (
    "salt\ndensity\n 2 0 0 0\n 4 2.6 0 0\n 4 0 2.6 0\n 4 0 0 2.6\n 11 11 0 0 0\n 17 17 5.2 5.2 5.2\n"
    + " ".join(["0.05"] * 64)
    + "\n"
)
PHONOPY = "# Sigma = 0.1\n" + "".join(f"{k / 4} {k % 5}\n" for k in range(30))


@dataclass(frozen=True)
class Reader:
    """One reader under test.

    Attributes:
        read: from the bytes of a file to what it holds.
        files: valid ones.
    """

    read: Callable[[bytes], object]
    files: tuple[str, ...]


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


READERS = {
    "cif": Reader(lambda data: check(crystal_from_cif(_text(data))), (CIF, LISTED_CIF, MAGNETIC_CIF)),
    "poscar": Reader(lambda data: check(crystal_from_poscar(_text(data))), (POSCAR, CARTESIAN)),
    "xyz": Reader(lambda data: check(molecule_from_xyz(_text(data), 500)), (XYZ,)),
    "xy": Reader(lambda data: parse_xy(_text(data)), (XY, XYE)),
    "doscar": Reader(lambda data: parse_doscar(_text(data)), (DOSCAR,)),
    "vasprun": Reader(lambda data: dos_of_vasprun(parse_vasprun(data)), (VASPRUN,)),
    "columns": Reader(lambda data: parse_columns(_text(data), DosLabels("eV")), (PHONOPY,)),
    "phonopy": Reader(lambda data: parse_phonopy(_text(data)), (PHONOPY,)),
    "chgcar": Reader(parse_chgcar, (CHGCAR,)),
    "cube": Reader(parse_cube, (CUBE,)),
}


def outcome(name: str, data: bytes) -> str:
    """``read`` or ``refused``; anything else that happens is a fault and raised."""
    assert _imported()
    begun = time.process_time()
    try:
        with _no_hang(), warnings.catch_warnings():
            warnings.simplefilter("error")
            sound(READERS[name].read(data))
        found = "read"
    except BadInputError as error:
        if not error.problem or len(str(error)) > 2000:
            raise AssertionError("a refusal without a reason, or one that repeats its input") from error
        found = "refused"
    seconds = time.process_time() - begun
    assert seconds < LIMIT_S, f"{seconds:.1f} s"
    return found


@contextmanager
def _no_hang() -> Iterator[None]:
    """Interrupts what does not end; where a reader takes that for an error, its time tells."""

    def interrupt(*_: object) -> None:
        raise TimeoutError(f"still at work after {INTERRUPTED_S} s")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, INTERRUPTED_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@lru_cache(maxsize=1)
def _imported() -> bool:
    """What the readers import when they are first used is no part of their time."""
    for name in ("gemmi", "vesin", "pymatgen.io.cif"):
        import_module(name)
    return True


def sound(result: object) -> None:
    """Basic invariants of whatever was read."""
    if isinstance(result, tuple):
        for part in result:
            sound(part)
    elif isinstance(result, Crystal):
        assert 0 < len(result) <= 500
        assert result.frac.shape == (len(result), 3)
        assert np.isfinite(result.frac).all()
        assert np.isfinite(result.lattice).all()
        assert all(0 < z < 99 and 0 < x <= 1 + 1e-9 for site in result.sites for z, x in site)
    elif isinstance(result, Pattern):
        assert len(result.two_theta) == len(result.intensity) >= 20
        assert np.isfinite(result.intensity).all()
        assert (np.diff(result.two_theta) > 0).all()
    elif isinstance(result, Dos):
        assert len(result.energy) == len(result.density) > 0
        assert np.isfinite(result.energy).all()
        assert np.isfinite(result.density).all()
    elif isinstance(result, ChargeDensity):
        assert result.values.ndim == 3
        assert np.isfinite(result.values).all()
    else:
        raise TypeError(type(result).__name__)


NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
# fmt: off
NUMBERS = [
    "0", "-1", "1", "2", "3", "5", "1e308", "-1e308", "1e-308", "1e999", "nan", "inf", "-inf", "1" * 20, "-7",
    "1000000", "0.5", "?", ".", "***", "1,5", "1(2)", "0x10", "1_0", "4294967296", "1e5", "500", "501",
    "5000", "²", "١", "1" * 5000,
]
WORDS = [
    "\0", "\ufeff", "'", '"', "\n;\n", "loop_\n", "data_x\n", "save_x\n", "_tag\n", "#", "\r", "\t", "<",
    "&a;", "]]>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "x4", "x,y,z\n", "²", "١", "−1", "\x0b", "\x0c", "\x1c",
    "\u2028", "A" * 3000,
]
# fmt: on
EDITS = ("number", "drop line", "double line", "swap lines", "insert", "cut", "byte", "drop word", "repeat")


def mutated(data: bytes, edit: str, place: int, choice: int) -> bytes:
    """One edit of a file; any integers make one.

    Args:
        data: the file.
        edit: one of ``EDITS``.
        place: which line, number or byte.
        choice: what is put there.
    """
    lines = data.split(b"\n")
    at = place % len(lines)
    spot = place % (len(data) + 1)
    if edit == "number":
        found = list(NUMBER.finditer(data))
        if not found:
            return data
        chosen = found[place % len(found)]
        return data[: chosen.start()] + NUMBERS[choice % len(NUMBERS)].encode() + data[chosen.end() :]
    if edit == "drop line":
        return b"\n".join(lines[:at] + lines[at + 1 :])
    if edit == "double line":
        return b"\n".join(lines[: at + 1] + lines[at:])
    if edit == "swap lines":
        other = choice % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
        return b"\n".join(lines)
    if edit == "insert":
        return data[:spot] + WORDS[choice % len(WORDS)].encode() + data[spot:]
    if edit == "cut":
        return data[:spot]
    if edit == "byte":
        return data[:spot] + bytes([choice % 256]) + data[spot + 1 :]
    if edit == "drop word":
        words = lines[at].split(b" ")
        del words[choice % len(words)]
        lines[at] = b" ".join(words)
        return b"\n".join(lines)
    return b"\n".join(lines[:at] + [lines[at]] * (choice % 3000) + lines[at:])[:1_000_000]


def main(seconds: float, seed: int = 0) -> int:
    """Mutations at random until the time is over; the number of failures of different kinds."""
    rng = random.Random(seed)
    names = [name for name, reader in READERS.items() for _ in reader.files]
    cases: Counter[str] = Counter()
    failures: dict[str, tuple[str, bytes]] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = rng.choice(names)
        data = rng.choice(READERS[name].files).encode()
        for _ in range(rng.choice((1, 1, 2, 3, 5))):
            data = mutated(data, rng.choice(EDITS), rng.getrandbits(30), rng.getrandbits(30))
        try:
            cases[f"{name} {outcome(name, data)}"] += 1
        except Exception as error:
            cases[f"{name} FAULT"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{name} {type(error).__name__} {where.filename}:{where.lineno}"
            if kind not in failures or len(failures[kind][1]) > len(data):
                failures[kind] = (str(error)[:200], data)
    sys.stdout.write(f"{cases.total()} cases\n{dict(sorted(cases.items()))}\n")
    for kind, (message, data) in failures.items():
        sys.stdout.write(f"\n{kind}: {message}\n{data[:1500]!r}\n")
    return len(failures)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
