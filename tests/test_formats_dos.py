"""Readers of densities of states against ase's and pymatgen's, and what they refuse."""

import contextlib
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ase.calculators.vasp import VaspDos
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.electronic_structure.core import Spin
from pymatgen.io.vasp.outputs import Vasprun as PymatgenVasprun

from prismat import formats_dos, vasprun, vasprun_stream
from prismat.errors import BadInputError
from prismat.formats_dos import (
    DosLabels,
    dos_of_vasprun,
    parse_columns,
    parse_doscar,
    parse_phonopy,
    read_dos,
)
from prismat.material import Material
from prismat.measurements import Dos
from prismat.modalities.dos import DosModality, DosSettings
from prismat.vasprun import parse_vasprun

ENERGY = np.linspace(-12, 9, 106).round(3)
UP = (3 * np.exp(-((ENERGY + 4) ** 2))).round(4)
DOWN = (2 * np.exp(-((ENERGY - 1) ** 2))).round(4)
FERMI = 1.2345


def doscar(spins: int = 1, points: int = len(ENERGY), projected: bool = True) -> str:
    """A DOSCAR as VASP lays it out: F16.8 and I5 in line 6, F11.3 and E12.4 in the rows."""
    head = f"   3   2   {int(projected)}   0\n  0.2E+02  0.3E-09  0.3E-09  0.3E-09  0.5E-15\n"
    head += "  1.0E-004\n  CAR \n GaN\n"
    line = f"{ENERGY[-1]:16.8f}{ENERGY[0]:16.8f}{points:5d}{FERMI:16.8f}{1:16.8f}\n"
    columns = [UP, np.cumsum(UP)] if spins == 1 else [UP, DOWN, np.cumsum(UP), np.cumsum(DOWN)]
    rows = [
        f"{e:11.3f}" + "".join(f"{x:12.4E}" for x in row) for e, *row in zip(ENERGY, *columns, strict=True)
    ]
    # Projections on three spheres, of which the third is empty.
    sites = (line + (f"{0:11.3f}" + f"{7:12.4E}" * 9 + "\n") * len(ENERGY)) * 3
    return head + line + "\n".join(rows) + "\n" + sites * projected


def run_xml(spins: int = 1, smearing: int = 0, extra: str = "", head: str = "", steps: int = 2) -> bytes:
    """A vasprun.xml with what is read of it; the first steps' densities are another's."""

    def dos(factor: float, comment: str = "") -> str:
        parts = [UP, DOWN, 0 * UP, 0 * UP][:spins]
        sets = ""
        for number, part in enumerate(parts, start=1):
            rows = "".join(
                f"<r> {e:.4f} {factor * d:.4f} 0.0 </r>\n" for e, d in zip(ENERGY, part, strict=True)
            )
            sets += f'<set comment="spin {number}">{rows}</set>'
        return (
            f'<dos{comment}><i name="efermi"> {factor * FERMI} </i>'
            f"<total><array><field>energy</field><set>{sets}</set></array></total>"
            '<partial><array><set><set comment="ion 1"><set comment="spin 1"><r> 0 9 9 </r></set></set></set>'
            "</array></partial></dos>"
        )

    steps_text = "".join(
        f"<calculation>{dos(1.0 if n == steps - 1 else 5.0)}</calculation>" for n in range(steps)
    )
    return (
        f'<?xml version="1.0" encoding="ISO-8859-1"?>\n{head}<modeling><incar>'
        f'<i type="int" name="ISMEAR"> {smearing}</i><i name="SIGMA"> 0.1</i></incar>'
        f"<atominfo><atoms> 2 </atoms><types> 1 </types></atominfo>{extra}{steps_text}"
        f"<calculation>{dos(7.0, ' comment=' + chr(34) + 'kpoints_opt' + chr(34))}</calculation></modeling>"
    ).encode()


@pytest.mark.parametrize("spins", [1, 2])
@pytest.mark.parametrize("projected", [True, False])
def test_doscar_against_ase(tmp_path, spins, projected):
    path = tmp_path / "DOSCAR"
    path.write_text(doscar(spins, projected=projected))
    ours = read_dos(path)
    theirs = VaspDos(str(path), efermi=FERMI)
    assert np.allclose(ours.energy, theirs.energy)
    assert np.allclose(ours.density, theirs.dos if spins == 1 else theirs.dos.sum(0))
    assert (ours.zero, ours.spin, ours.per, ours.n_atoms, ours.unit) == ("fermi", "summed", "cell", 2, "eV")
    if spins == 2:
        assert np.allclose(read_dos(path, spin="up").density, UP)
        assert np.allclose(read_dos(path, spin="down").density, DOWN)
        assert read_dos(path, spin="down").spin == "down"


def test_doscar_as_fortran_writes_it():
    lines = doscar().split("\n")
    touching = f"{9.0:16.8f}{-12.0:16.8f}00106{FERMI:16.8f}{1:16.8f}"
    tiny = doscar().replace(f"{UP[0]:12.4E}", "  0.1234-104", 1)
    for text in ("\n".join([*lines[:5], touching, *lines[6:]]), tiny, doscar().replace("\n", "\r\n")):
        assert np.allclose(parse_doscar(text).density, UP)
        assert np.allclose(parse_doscar(text).energy, ENERGY - FERMI)


def real_vasprun() -> Path:
    ase = pytest.importorskip("ase.test")
    path = Path(ase.__file__).parent / "testdata" / "vasp" / "vasprun_dfpt.xml"
    if not path.is_file():
        pytest.skip("this ase carries no test data")
    return path


def test_a_real_vasprun_against_pymatgen(tmp_path):
    source = real_vasprun()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = PymatgenVasprun(source, parse_potcar_file=False, parse_eigen=False)
    path = tmp_path / "vasprun.xml"
    path.write_bytes(source.read_bytes())
    ours = read_dos(path)
    assert np.allclose(ours.energy, theirs.tdos.energies - theirs.efermi)
    assert np.allclose(ours.density, theirs.tdos.densities[Spin.up])
    assert ours.n_atoms == 2
    # ISMEAR = 0 with SIGMA = 0.1 eV: exp(-(x/0.1)²) has the standard deviation 0.1/√2.
    assert ours.broadening == pytest.approx(0.0707107, abs=1e-6)
    features = DosModality().featurize(Material("BN", measurements={"dos": ours}))
    assert features is not None


@pytest.mark.parametrize("spins", [1, 2])
def test_vasprun_of_the_last_step_against_pymatgen(spins):
    content = run_xml(spins)
    ours = parse_vasprun(content)
    last = ElementTree.fromstring(content).findall("calculation/dos")[-2]
    last.remove(last.find("partial"))
    theirs, _, _ = PymatgenVasprun._parse_dos(last)
    assert np.allclose(ours.energy, theirs.energies)
    assert ours.fermi == theirs.efermi
    assert np.allclose(ours.densities, np.stack(list(theirs.densities.values())))
    assert dos_of_vasprun(ours).density == pytest.approx(UP if spins == 1 else UP + DOWN)


def test_vasprun_labels():
    assert dos_of_vasprun(parse_vasprun(run_xml(2)), spin="down").density == pytest.approx(DOWN)
    # With spin-orbit coupling the first of four sets counts all electrons.
    assert dos_of_vasprun(parse_vasprun(run_xml(4))).density == pytest.approx(UP)
    assert dos_of_vasprun(parse_vasprun(run_xml(smearing=-5))).broadening == 0
    with pytest.raises(BadInputError, match=r"record 'a', dos: spin 'up' of a calculation without spin"):
        dos_of_vasprun(parse_vasprun(run_xml()), "a", "up")


BOMB = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (run_xml(head=BOMB), "a document type, which VASP never writes"),
        (run_xml(head=OUTSIDE, extra="<q>&a;</q>"), "a document type"),
        (run_xml(extra="<q>&a;</q>"), "no well-formed XML .undefined entity"),
        (run_xml()[:5000], "no well-formed XML"),
        (b"", "no well-formed XML"),
        (b"\x00\x01\x02", "no well-formed XML"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "no well-formed XML"),
        (run_xml(extra="<q>" * 60 + "</q>" * 60), "nested more than 50 deep"),
        (b"<modeling></modeling>", "no total density of states"),
        (run_xml().replace(b"3.0000 0.0", b"****** 0.0"), "no total density of states .could not convert"),
        (run_xml().replace(b"1.2345 ", b"nan "), "no total density of states .rows that do not match"),
        (run_xml(2).replace(b"spin 2", b"spin 2x"), None),
        (run_xml(steps=1).replace(b"<atoms> 2 </atoms>", b""), "no total density of states .'atoms'"),
    ],
)
def test_bad_vaspruns(content, message):
    if message is None:
        # A set of another name is no spin.
        assert len(parse_vasprun(content).densities) == 1
        return
    with pytest.raises(BadInputError, match=message) as caught:
        parse_vasprun(content, "run-7")
    assert caught.value.record == "run-7"
    assert caught.value.remedy


def test_sizes_are_limited(tmp_path, monkeypatch):
    path = tmp_path / "vasprun.xml"
    path.write_bytes(run_xml())
    monkeypatch.setattr(vasprun, "MAX_ROWS", 50)
    with pytest.raises(BadInputError, match="more than 50 energies"):
        read_dos(path)
    monkeypatch.setattr(vasprun_stream, "MAX_BYTES", 1000)
    with pytest.raises(BadInputError, match="larger than 0 MB"):
        read_dos(path)
    monkeypatch.setattr(formats_dos, "MAX_BYTES", 1000)
    text = tmp_path / "DOSCAR"
    text.write_text(doscar())
    with pytest.raises(BadInputError, match="larger than 0 MB"):
        read_dos(text)


def phonopy(head: str = "# Tetrahedron method") -> str:
    return f"{head}\n" + "".join(f"{e + 12:20.10f}{d:20.10f}\n" for e, d in zip(ENERGY, UP, strict=True))


def test_phonopy(tmp_path):
    path = tmp_path / "total_dos.dat"
    path.write_text(phonopy())
    dos = read_dos(path)
    assert (dos.kind, dos.unit, dos.broadening, dos.zero) == ("phonon", "THz", 0, "")
    assert np.allclose(dos.energy, ENERGY + 12)
    assert np.allclose(dos.density, UP)
    assert parse_phonopy(phonopy("# Sigma = 0.100000")).broadening == 0.1
    assert parse_phonopy(phonopy(), unit="cm-1").unit == "cm-1"
    modality = DosModality(DosSettings.phonon())
    features = modality.featurize(Material("a", measurements={"phonon_dos": dos}))
    assert features["phonon_dos.density"].sum() * 10 == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("separator", [" ", "\t", ",", ";", " , "])
@pytest.mark.parametrize("head", ["", "# energy dos\n", "energy density\n(eV) (1/eV)\n\n", "\ufeff"])
def test_two_columns(tmp_path, separator, head):
    labels = DosLabels("meV", zero="vbm", spin="up", per="atom", n_atoms=3, broadening=5.0)
    path = tmp_path / "dos.csv"
    path.write_text(head + "\n".join(f"{e}{separator}{d}" for e, d in zip(ENERGY, UP, strict=True)), "utf-8")
    dos = read_dos(path, labels)
    assert np.array_equal(dos.energy, ENERGY)
    assert np.array_equal(dos.density, UP)
    given_labels = {name: getattr(dos, name) for name in labels.__dataclass_fields__}
    assert DosLabels(**given_labels) == labels


def changed(line: int, to: str) -> str:
    lines = doscar().split("\n")
    lines[line] = to
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 6 is not E.max."),
        (changed(5, "energies and so on"), "line 6 is not E.max.*'energies and so on'"),
        (changed(5, "9 -12 106 nan 1"), "line 6 is not"),
        (changed(0, "one two"), "line 1 is not a row of numbers: 'one two'"),
        (changed(9, "1.0 many 2"), "line 10 is not a row of numbers"),
        (changed(9, "-11.4 nan 2"), "NaN or infinity in line 10"),
        (changed(9, "-11.4 2"), "not 106 rows of 3 or 5 numbers"),
        (doscar(points=107, projected=False), "not 107 rows"),
        (doscar(points=0), "not 0 rows"),
    ],
)
def test_bad_doscars(text, message):
    with pytest.raises(BadInputError, match=message) as caught:
        parse_doscar(text, "GaN")
    assert caught.value.record == "GaN"
    assert caught.value.remedy


def test_bad_files_and_columns(tmp_path):
    labels = DosLabels("eV")
    for path in (tmp_path, tmp_path / "DOSCAR", "vasprun.xml", "a\0b"):
        with pytest.raises(BadInputError, match="no such file, or it cannot be read"):
            read_dos(path, labels if path == "a\0b" or path == tmp_path else None)
    with pytest.raises(
        BadInputError, match=r"'my\.dat', dos: a table of which nothing is known.*Give DosLabels: unit"
    ):
        read_dos("my.dat")
    for text, message in [
        ("", "no line of numbers"),
        ("a b\nc d", "no line of numbers"),
        ("1 2\n3", "line 2 is not 2 numbers: '3'"),
        ("1 2 3", "line 1 is not 2 numbers"),
        ("1 2\n3 inf", "NaN or infinity in line 2"),
        ("1 2\nnan 4", "NaN or infinity in line 2"),
        ("head\n" * 201 + "1 2", "line 201 is not 2 numbers: 'head'"),
    ]:
        with pytest.raises(BadInputError, match=message) as caught:
            parse_columns(text, labels, "t")
        assert caught.value.record == "t"
    with pytest.raises(BadInputError, match="spin 'down' of a calculation without spin"):
        parse_doscar(doscar(), spin="down")


NUMBER = st.one_of(st.floats().map(str), st.integers(-9, 99).map(str), st.text(max_size=5))
LINES = st.lists(st.lists(NUMBER, max_size=5).map(" ".join), max_size=20).map("\n".join)


@given(st.one_of(st.text(max_size=200), LINES, LINES.map(lambda t: doscar()[:700] + t)))
@example(doscar())
@example(phonopy())
@settings(max_examples=80)
def test_any_text_is_a_dos_or_a_clear_refusal(text):
    for parse in (parse_doscar, parse_phonopy, lambda t: parse_columns(t, DosLabels("eV"))):
        with contextlib.suppress(BadInputError):
            dos = parse(text)
            assert len(dos.energy) == len(dos.density) > 0
            assert np.isfinite(dos.energy).all()
            assert np.isfinite(dos.density).all()


@given(
    st.one_of(st.binary(max_size=200), st.integers(0, len(run_xml()) - 1).map(lambda n: run_xml()[:n] + b"<"))
)
@settings(max_examples=60)
def test_any_bytes_are_a_vasprun_or_a_clear_refusal(content):
    with contextlib.suppress(BadInputError):
        assert isinstance(dos_of_vasprun(parse_vasprun(content)), Dos)
