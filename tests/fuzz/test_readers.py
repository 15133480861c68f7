"""Readers of files from strangers: read soundly or refused in words, quickly, in little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_readers import EDITS, READERS, mutated, outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Molecule

from prismat.errors import BadInputError
from prismat.formats import read_crystal

NAMES = sorted(READERS)
EDIT = st.tuples(st.sampled_from(EDITS), st.integers(0, 1 << 20), st.integers(0, 1 << 20))
TEXT = st.text(max_size=300).map(lambda text: text.encode(errors="replace"))
JUNK = st.one_of(st.binary(max_size=400), TEXT)


def spoiled(name):
    """Valid files after up to five edits."""
    files = st.sampled_from([file.encode() for file in READERS[name].files])

    def apply(drawn):
        data, edits = drawn
        for edit in edits:
            data = mutated(data, *edit)
        return data

    return st.tuples(files, st.lists(EDIT, min_size=1, max_size=5)).map(apply)


@pytest.mark.parametrize("name", NAMES)
def test_valid_files_are_read(name):
    for file in READERS[name].files:
        assert outcome(name, file.encode()) == "read"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_spoiled_files(name, data):
    outcome(name, data.draw(spoiled(name)))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(junk=JUNK)
def test_junk(name, junk):
    outcome(name, junk)
    outcome(name, b"data_x\nloop_\n" + junk)


FOUND = {
    "a division by zero within the list of neighbours, which ends the process": ("xyz", "0.96", "1e9"),
    "the same by infinity": ("xyz", "0.96", "inf"),
    "an overflow while the unit is changed": ("cube", "0.05 0.05", "1e308 0.05"),
    "an overflow of the sum": ("chgcar", "1.5E+01", "1e308"),
    "a superscript is a digit but no number": ("doscar", "   25 ", "   ² "),
    "a count repeated at length in the error": ("xyz", "2\n", "9" * 4000 + "\n"),
    "a symbol repeated at length in the error": ("poscar", "Na_pv", "N" * 5000),
    "a mode repeated at length in the error": ("poscar", "Direct", "X" * 5000),
    "a Fermi level repeated at length in the error": ("vasprun", " 1.5 </i>", "x" * 5000 + "</i>"),
    "a negative number of atoms": ("vasprun", "<atoms> 2 ", "<atoms> -2 "),
}


@pytest.mark.parametrize("fault", FOUND)
def test_what_fuzzing_found(fault):
    name, before, after = FOUND[fault]
    file = READERS[name].files[0]
    assert before in file
    assert outcome(name, file.replace(before, after, 1).encode()) == "refused"


def test_molecules_from_other_programs_that_are_far_apart():
    far = Molecule(["O", "H"], [[0, 0, 0], [0, 0, 1e9]])
    with pytest.raises(BadInputError, match=r"a coordinate of 1e\+09"):
        read_crystal(far)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=3000, deadline=None)
@given(data=st.data())
def test_spoiled_files_at_length(name, data):
    outcome(name, data.draw(st.one_of(spoiled(name), JUNK)))


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {here!r} + '/..']
from fuzz_readers import CHGCAR, CIF, CUBE, DOSCAR, LISTED_CIF, POSCAR, READERS, VASPRUN, XYZ, outcome

for name, reader in READERS.items():
    for file in reader.files:
        outcome(name, file.encode())
outcome("cif", b"data_x\\n'unclosed\\n")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {allowed}, used + {allowed}))
entities = "".join(f'<!ENTITY a{{k}} "{{("&a%d;" % (k - 1)) * 10}}">' for k in range(1, 12))
attacks = [
    ("chgcar", CHGCAR.replace("4 4 4", "1000000 1000000 1000000")),
    ("chgcar", CHGCAR.replace("4 4 4", "99999 99999 99999")),
    ("chgcar", CHGCAR.replace("4 4 4", "320 320 320")),
    ("chgcar", CHGCAR.replace("4 4 4", "-4 -4 4")),
    ("chgcar", CHGCAR.replace("1 1\\nDirect", "999999 999999\\nDirect")),
    ("cube", CUBE.replace(" 4 2.6", " 1000000 2.6").replace(" 4 0", " 1000000 0")),
    ("cube", CUBE.replace(" 2 0 0 0", " 999999999 0 0 0")),
    ("cube", CUBE.replace(" 4 2.6", " 1e300 2.6")),
    ("poscar", POSCAR.replace("1 1\\n", "999999 999999\\n")),
    ("poscar", POSCAR.replace("1 1\\n", "1" * 5000 + " 1\\n")),
    ("doscar", DOSCAR.replace("   25 ", "99999999999999999999 ")),
    ("doscar", DOSCAR.replace("   25 ", "1" * 5000 + " ")),
    ("xyz", XYZ.replace("2\\n", "9" * 4000 + "\\n", 1)),
    ("xyz", XYZ.replace("2\\n", "9" * 5000 + "\\n", 1)),
    ("vasprun", '<!DOCTYPE x [<!ENTITY a0 "ha">' + entities + "]><x>&a11;</x>"),
    ("vasprun", "<a>" * 500000),
    ("vasprun", VASPRUN.replace("<atoms> 2 ", "<atoms> " + "9" * 5000)),
    ("cif", "data_x\\nloop_\\n" + "_a\\n" * 100000),
    ("cif", "data_" + "x" * 1000000),
    ("cif", CIF + "Na1 Na1+ 0 0 0 1\\n" * 20000),
    ("cif", CIF.replace("'F m -3 m'", "'" + "F" * 100000 + "'")),
    ("cif", CIF.replace("5.6402(3)", "1e9")),
    ("cif", "data_x\\n" * 100000),
    ("cif", LISTED_CIF + "O 0.41330 0.26720 0.78553\\n" * 3000),
    ("cif", LISTED_CIF.replace("'x,y,z'", "'" + "x" * 100000 + "'")),
    ("cif", LISTED_CIF.replace("0.41330", "?" + "1" * 100000).replace("O ", "O" + "1" * 100000 + " ")),
    ("poscar", POSCAR.replace("Na_pv", "N" * 100000)),
    ("poscar", POSCAR.replace("Direct", "S" * 100000)),
    ("doscar", DOSCAR.replace("   25 ", "\u00b2 ")),
    ("vasprun", VASPRUN.replace(" 1.5 </i>", "x" * 100000 + "</i>")),
    ("vasprun", VASPRUN.replace("<atoms> 2 ", "<atoms> -5 ")),
    ("cif", CIF.replace("Na1 Na1+", "N" * 100000 + " " + "N" * 100000)),
]
for number, (name, text) in enumerate(attacks):
    found = outcome(name, text.encode())
    assert found == "refused", (number, name, found)
print("all", len(attacks), "refused")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs the size of the process")
def test_sizes_that_files_only_announce_take_no_memory():
    """Run with 300 MB more address space than the readers already had: an allocation as announced fails."""
    program = LIMITED.format(here=str(Path(__file__).parent), allowed=300_000_000)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.endswith("refused\n")
