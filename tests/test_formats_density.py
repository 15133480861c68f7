"""CHGCAR and cube files: round trips with pymatgen and ase, other blocks, and files that cannot be."""

import gzip

import ase.io.cube
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.outputs import Chgcar

from prismat.errors import BadInputError
from prismat.formats_density import BOHR, parse_chgcar, parse_cube, read_chgcar, read_cube

SHAPE = (4, 5, 6)
STRUCTURE = Structure(
    Lattice.from_parameters(3.1, 3.4, 3.9, 80, 95, 100), ["Mg", "O"], [[0.1, 0.2, 0.3], [0.6, 0.65, 0.8]]
)


def grids(seed=0):
    rng = np.random.default_rng(seed)
    return 5 + 20 * rng.random(SHAPE), rng.normal(size=SHAPE)


def written(tmp_path, spin=False, augmentation=False):
    total, difference = grids()
    data = {"total": total, "diff": difference} if spin else {"total": total}
    occupancies = ["augmentation occupancies   1   2\n", "  0.1E+01  0.2E+01\n"]
    path = tmp_path / "CHGCAR"
    extra = {"total": occupancies, "diff": occupancies} if augmentation else {}
    Chgcar(Poscar(STRUCTURE), data, extra).write_file(path)
    return path


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("augmentation", [False, True])
def test_chgcar_of_pymatgen(tmp_path, spin, augmentation):
    path = written(tmp_path, spin, augmentation)
    crystal, density = read_chgcar(path)
    reference = Chgcar.from_file(path)
    assert np.allclose(density.values, reference.data["total"] / reference.structure.volume)
    assert np.allclose(density.values * crystal.volume, grids()[0], rtol=1e-9)
    assert np.allclose(crystal.lattice, STRUCTURE.lattice.matrix)
    assert np.allclose(crystal.frac, STRUCTURE.frac_coords)
    assert crystal.elements == ("O", "Mg")
    assert density.kind == "valence"
    # The mean of ρ·V is the number of electrons.
    assert density.electrons == pytest.approx(grids()[0].mean())


def test_chgcar_gzipped_with_magnetic_moments_and_lost_exponents(tmp_path):
    lines = written(tmp_path).read_text().rstrip().split("\n")
    moments = "  0.1  0.2"
    chg = "\n".join([*lines, moments, "  4 5 6", *lines[-24:]])
    packed = tmp_path / "CHG.gz"
    packed.write_bytes(gzip.compress(chg.encode()))
    plain = read_chgcar(tmp_path / "CHGCAR")[1]
    assert np.array_equal(read_chgcar(packed)[1].values, plain.values)
    windows = parse_chgcar("\r\n".join(lines))[1]
    assert np.array_equal(windows.values, plain.values)
    first = lines[12].split()[0]
    tiny = parse_chgcar("\n".join(lines).replace(first, "0.12345678901-100", 1))[1]
    assert tiny.values[0, 0, 0] == pytest.approx(0.12345678901e-100 / STRUCTURE.volume)
    assert np.array_equal(tiny.values[1:], plain.values[1:])


def cube(tmp_path, **changes):
    path = tmp_path / "rho.cube"
    atoms = STRUCTURE.to_ase_atoms()
    with path.open("w") as stream:
        ase.io.cube.write_cube(stream, atoms, data=grids()[0] / 50, **changes)
    return path


def test_cube_of_ase(tmp_path):
    origin = np.array([0.3, -0.2, 0.5])
    crystal, density = read_cube(cube(tmp_path, origin=origin), kind="all-electron")
    assert np.allclose(density.values, grids()[0] / 50 / BOHR**3, rtol=1e-4)
    assert np.allclose(crystal.lattice, STRUCTURE.lattice.matrix, atol=1e-4)
    expected = STRUCTURE.frac_coords - origin @ np.linalg.inv(STRUCTURE.lattice.matrix)
    assert np.allclose((crystal.frac - expected + 0.5) % 1, 0.5, atol=1e-4)
    assert density.kind == "all-electron"


def test_cube_of_pymatgen(tmp_path):
    total = grids()[0] / 50
    path = tmp_path / "total.cube"
    Chgcar(Poscar(STRUCTURE), {"total": total}).to_cube(path)
    crystal, density = read_cube(path)
    assert crystal.elements == ("O", "Mg")
    assert np.allclose(density.values * BOHR**3, total, rtol=1e-5)
    assert np.allclose(density.lattice, STRUCTURE.lattice.matrix, atol=1e-4)
    assert density.kind == "unlabelled"


def cube_text(voxels="-4 -5 -6", atoms="2 0 0 0", values=None, first="12 12.0 0.5 0.5 0.5"):
    nx, ny, nz = voxels.split()
    values = np.full(120, 0.1) if values is None else values
    return "\n".join(
        [
            "comment",
            "",
            atoms,
            f"{nx} 1 0 0",
            f"{ny} 0 1 0",
            f"{nz} 0 0 1",
            first,
            "8 8.0 2.5 2.5 2.5",
            " ".join(f"{v:.6E}" for v in values),
        ]
    )


def test_cube_units_ghosts_and_order():
    values = 0.01 + np.arange(120) / 1000
    crystal, density = parse_cube(cube_text(values=values))
    assert np.allclose(crystal.lattice, np.diag([4.0, 5, 6]))
    assert density.values[0, 0, 1] == pytest.approx(0.011 / BOHR**3)
    crystal, _ = parse_cube(cube_text("4 5 6", first="0 0.0 0.5 0.5 0.5"))
    assert np.allclose(crystal.lattice, np.diag([4.0, 5, 6]) * BOHR)
    assert len(crystal) == 1


def replaced(text, line, new):
    lines = text.split("\n")
    lines[line] = new
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t[:400], "no empty line and grid dimensions|fewer values"),
        (lambda t: t.rsplit("\n", 3)[0], "fewer values than the 4 × 5 × 6.*cut off"),
        (lambda t: t.rstrip() + "\n 1.0 2.0 3.0\n", "more values than the 4 × 5 × 6"),
        (lambda t: replaced(t, 11, "  4  5"), "where three grid dimensions belong.*NX NY NZ"),
        (lambda t: replaced(t, 11, "  4  5 -6"), "where three grid dimensions belong"),
        (lambda t: replaced(t, 11, "  4  30 1"), "a grid of 4 × 30 × 1 points"),
        (lambda t: replaced(t, 11, "  900  900  900"), "729,000,000 grid points, more than the limit"),
        (lambda t: replaced(t, 12, " NaN 1 1 1 1"), "1 of 120 values are NaN or infinite"),
        (lambda t: replaced(t, 12, " *** 1 1 1 1"), "something among the values is no number.*cut lines"),
        (lambda t: replaced(t, 12, " -9e9 1 1 1 1"), "no electrons in the cell"),
        (lambda t: replaced(t, 12, " 9e9 1 1 1 1"), "denser than any crystal"),
        (lambda t: replaced(t, 4, "0 0 0"), "absurd cell"),
        (lambda t: replaced(t, 5, "Qq O"), "unknown element"),
    ],
)
def test_bad_chgcars(tmp_path, spoil, message):
    text = written(tmp_path).read_text()
    # Comment, scale, three vectors, symbols, counts, mode, two atoms and the empty line.
    assert text.split("\n")[11].split() == ["4", "5", "6"]
    with pytest.raises(BadInputError, match=f"(?s)record 'x'.*({message})"):
        parse_chgcar(spoil(text), "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a header of 0 atoms"),
        (cube_text(atoms="two 0 0 0"), "'two 0 0 0' where 4 numbers belong"),
        (cube_text(atoms="900 0 0 0"), "a header of 900 atoms"),
        (cube_text(atoms="-2 0 0 0"), "orbitals, or several values"),
        (cube_text(atoms="2 0 0 0 3"), "orbitals, or several values.*total electron density"),
        (cube_text("4 5 1"), "a grid of 4 × 5 × 1 points"),
        (cube_text("4 5 6.5"), "a number of voxels that is no integer"),
        (cube_text(values=np.full(119, 0.1)), "fewer values than the 4 × 5 × 6"),
        (cube_text(values=np.full(121, 0.1)), "more values than the 4 × 5 × 6"),
        (cube_text(values=np.full(120, np.nan)), "120 of 120 values are NaN"),
        (cube_text(values=np.full(120, -0.1)), "no electrons in the cell"),
        (cube_text(first="120 12.0 0.5 0.5 0.5"), "an atomic number that is none"),
        (replaced(cube_text(), 5, "-6 0 1 0"), "flat"),
    ],
)
def test_bad_cubes(text, message):
    with pytest.raises(BadInputError, match=f"(?s)record 'x'.*({message})"):
        parse_cube(text, "x")


def test_files_that_are_not_there_or_hold_something_else(tmp_path):
    for reader in (read_chgcar, read_cube):
        with pytest.raises(BadInputError, match="no such file"):
            reader(tmp_path / "absent")
    broken = tmp_path / "CHGCAR.gz"
    broken.write_bytes(b"no gzip")
    with pytest.raises(BadInputError, match=r"record 'CHGCAR\.gz', path: no such file, or it cannot be read"):
        read_chgcar(broken)
    path = written(tmp_path).rename(tmp_path / "AECCAR0")
    with pytest.raises(BadInputError, match=r"AECCAR0 does not hold the valence density.*all-electron"):
        read_chgcar(path)
    assert read_chgcar(path, kind="all-electron")[1].kind == "all-electron"


def test_too_large(monkeypatch):
    monkeypatch.setattr("prismat.formats_density.MAX_BYTES", 100)
    for parser in (parse_chgcar, parse_cube):
        with pytest.raises(BadInputError, match=r"larger than 0 MB.*coarser grid"):
            parser("x" * 101)


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_content_is_refused_and_nothing_else(content):
    for parser in (parse_chgcar, parse_cube):
        with pytest.raises(BadInputError):
            parser(content)


@given(st.integers(0, 900), st.binary(max_size=8))
def test_a_spoiled_cube_is_read_or_refused(place, junk):
    data = cube_text().encode()
    try:
        crystal, density = parse_cube(data[:place] + junk + data[place + len(junk) :])
    except BadInputError:
        return
    assert np.isfinite(density.values).all()
    assert len(crystal) > 0
