import os
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.spacegroup import crystal as ase_crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter
from pymatgen.io.vasp import Poscar

from helpers_cif import SALT_CIF as CIF
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.formats import read_crystal, to_cif

SHARED = Path(os.environ.get("PRISMAT_SHARED_DATA", Path(__file__).parents[1] / "../shared/data"))

POSCAR = """salt
5.64
1 0 0
0 1 0
0 0 1
Na_pv Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""


@pytest.fixture(scope="module")
def quartz():
    frac = [[0.4699, 0, 2 / 3], [0.4141, 0.2681, 0.1188 + 2 / 3]]
    return Structure.from_spacegroup("P3_221", Lattice.hexagonal(4.9134, 5.4052), ["Si", "O"], frac)


def same(crystal, structure):
    reference = {}
    for species, amount in structure.composition.items():
        reference[species.Z] = reference.get(species.Z, 0) + amount
    assert crystal.composition == pytest.approx(reference, abs=0.02)
    assert crystal.volume == pytest.approx(structure.volume, rel=1e-5)
    assert len(crystal) == len(structure)


def distances(lattice, frac):
    delta = frac[:, None] - frac[None]
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)
    vectors = (delta - np.round(delta))[:, :, None] + shifts
    return np.sort(np.linalg.norm(vectors @ lattice, axis=-1).min(axis=-1).ravel())


def test_mixed_cif_keeps_occupancies_and_symmetry():
    crystal = read_crystal(CIF)
    assert len(crystal) == 8
    assert crystal.composition == pytest.approx({11: 3.6, 17: 4, 19: 0.4})
    assert crystal.volume == pytest.approx(5.6402**3)


@pytest.mark.parametrize(
    "form", ["structure", "crystal", "cif", "symmetry cif", "poscar", "cartesian", "paths", "ase"]
)
def test_every_form_gives_the_same_crystal(quartz, form, tmp_path):
    if form == "structure":
        source = quartz
    elif form == "crystal":
        source = read_crystal(quartz)
    elif form == "cif":
        source = str(CifWriter(quartz))
    elif form == "symmetry cif":
        source = str(CifWriter(quartz, symprec=0.01))
    elif form == "poscar":
        source = Poscar(quartz).get_str()
    elif form == "cartesian":
        source = Poscar(quartz).get_str(direct=False)
    elif form == "paths":
        (tmp_path / "POSCAR_quartz").write_text(Poscar(quartz).get_str())
        source = tmp_path / "POSCAR_quartz"
    else:
        source = quartz.to_ase_atoms()
    crystal = read_crystal(source)
    same(crystal, quartz)
    assert np.allclose(
        distances(crystal.lattice, crystal.frac),
        distances(quartz.lattice.matrix, quartz.frac_coords),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.cif", CIF), ("b.CIF", CIF), ("c.vasp", POSCAR), ("d.txt", CIF), ("CONTCAR", POSCAR)],
)
def test_files_by_extension_name_or_content(name, text, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert 17 in read_crystal(path).composition
    assert read_crystal(str(path)).composition == read_crystal(path).composition


def test_old_encodings_do_not_matter(tmp_path):
    (tmp_path / "a.cif").write_bytes(b"# Ren\xe9\n" + CIF.encode())
    assert len(read_crystal(tmp_path / "a.cif")) == 8


def test_deuterium_counts_as_hydrogen():
    crystal = read_crystal(CIF.replace("Cl1 Cl1-", "D1 D"))
    assert crystal.composition[1] == 4


def test_labels_name_the_element_where_there_is_no_type_symbol():
    text = (
        CIF.replace("_atom_site_type_symbol\n", "")
        .replace(" Na1+", "")
        .replace(" K1+", "")
        .replace("Cl1 Cl1-", "Ow2")
    )
    assert read_crystal(text).composition == pytest.approx({8: 4, 11: 3.6, 19: 0.4})


def test_dummy_and_empty_sites_are_left_out():
    text = CIF.replace("_occupancy\n", "_occupancy\n_atom_site_calc_flag\n")
    text = (
        text.replace("0.9\n", "0.9 d\n").replace("0.1\n", "0.1 dum\n").replace(" .\n", " 1 d\n")
        + "F1 F 0.25 0.25 0.25 0 d\n"
    )
    assert read_crystal(text).composition == pytest.approx({11: 3.6, 17: 4})


def test_operations_win_over_the_symbol_and_a_number_will_do():
    listed = CIF.replace("loop_\n", "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\nloop_\n", 1)
    assert len(read_crystal(listed)) == 2
    numbered = CIF.replace("_symmetry_space_group_name_H-M 'F m -3 m'", "_space_group_IT_number 225")
    assert len(read_crystal(numbered)) == 8
    hall = CIF.replace("_symmetry_space_group_name_H-M 'F m -3 m'", "_space_group_name_Hall '-F 4 2 3'")
    assert len(read_crystal(hall)) == 8


def test_rhombohedral_axes_are_told_from_hexagonal_ones():
    text = (
        CIF.replace("'F m -3 m'", "'R -3 m'")
        .replace("_alpha 90", "_alpha 60")
        .replace("_beta 90", "_beta 60")
    )
    assert len(read_crystal(text.replace("_gamma 90", "_gamma 60"))) == 2
    assert len(read_crystal(CIF.replace("'F m -3 m'", "'R -3 m'").replace("_gamma 90", "_gamma 120"))) == 12


def test_what_gemmi_refuses_pymatgen_may_read(quartz):
    broken = str(CifWriter(quartz)).replace("data_SiO2", "data_SiO2\n_odd_tag\n_another 'unclosed")
    same(read_crystal(broken), quartz)


def test_occupancies_of_pymatgen_and_ase_are_kept():
    mixed = Structure(Lattice.cubic(3.6), [{"Cu": 0.5, "Au": 0.25}], [[0, 0, 0]])
    assert read_crystal(mixed).composition == {29: 0.5, 79: 0.25}
    charged = Structure(Lattice.cubic(3.6), [{"Fe2+": 0.5, "Fe3+": 0.25}], [[0, 0, 0]])
    assert read_crystal(charged).composition == {26: 0.75}
    atoms = ase_crystal(
        ["Na", "Cl"],
        [(0, 0, 0), (0.5, 0.5, 0.5)],
        spacegroup=225,
        cellpar=[5.64] * 3 + [90] * 3,
        occupancies=[0.6, 1.0],
    )
    assert read_crystal(atoms).composition == pytest.approx({11: 2.4, 17: 4})


@pytest.mark.parametrize("scale", ["-179.406144", "5.64 5.64 5.64"])
def test_poscar_scales(scale):
    text = (
        POSCAR.replace("5.64\n", scale + "\n", 1)
        .replace("Direct", "Selective\nCartesian")
        .replace("0.5 0.5 0.5", "0.5 0.5 0.5 T T F")
    )
    crystal = read_crystal(text)
    assert crystal.volume == pytest.approx(5.64**3)
    assert np.allclose(crystal.frac[1], 0.5)


def test_cif_text_comes_back_the_same():
    crystal = Crystal(
        np.array([[4.1, 0.2, 0], [-1, 5.3, 0.4], [0.3, 0.6, 6.7]]),
        np.array([[0.1, 0.2, 0.3], [0.6, 0.9, 0.4]]),
        (((12, 0.25), (26, 0.75)), ((8, 0.5),)),
    )
    again = read_crystal(to_cif(crystal, name="odd name; data_"))
    assert again.sites == crystal.sites
    assert np.allclose(again.frac, crystal.frac, atol=1e-10)
    assert np.allclose(again.lattice @ again.lattice.T, crystal.lattice @ crystal.lattice.T, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CIF.replace("Na1 Na1+", "Na1 Qq"), "record 'r', atom Na1: unknown element 'Qq'"),
        (CIF.replace("Na1 Na1+", "Na1 Wat"), "atom Na1: unknown element 'Wat'"),
        (CIF.split("Na1 Na1+", maxsplit=1)[0], "record 'r', sites: no atoms"),
        ("data_x\n_cell_length_a 5\n", "record 'r', _atom_site: no atoms"),
        (CIF.replace("5.6402(3)", "0.2"), "record 'r', lattice: absurd cell"),
        (CIF.replace("5.6402(3)", "56402000"), "record 'r', _cell: absurd cell"),
        (CIF.replace("_alpha 90", "_alpha 190"), "record 'r', _cell: absurd cell"),
        (CIF.replace("_cell_length_b 5.6402(3)\n", ""), "record 'r', _cell_length_b: the cell is not given"),
        (
            CIF.replace("_cell_length_b 5.6402(3)", "_cell_length_b five"),
            "_cell_length_b: 'five' is not a number",
        ),
        (CIF.replace("0 0 0 0.9", "0 ? 0 0.9"), "_atom_site_fract_y of Na1: '\\?' is not a number"),
        (CIF.replace("0 0 0 0.9", "0 0 0 -0.9"), "atom Na1: occupancy -0.9"),
        (CIF.replace("0 0 0 0.9", "0 0 0 full"), "_atom_site_occupancy of Na1: 'full' is not a number"),
        (CIF.replace("0.1\n", "0.9\n"), "record 'r', occupancy: occupancies of one site add up to 1.8"),
        (
            CIF.replace("0.5 0.5 0.5 .", "0.05 0 0 ."),
            "record 'r', coordinates: atoms .* on top of each other",
        ),
        (
            CIF.replace("0 0 0 0.9", "0.1 0.2 0.3 0.9"),
            "record 'r', sites: 1.. sites, more than the limit of 100",
        ),
        (CIF.replace("'F m -3 m'", "'F q -3 m'"), "record 'r', _space_group: unknown space group 'F q -3 m'"),
        (POSCAR.replace("Na_pv Cl\n", ""), "POSCAR line 6: the elements are not named"),
        (POSCAR.replace("Na_pv Cl", "Na_pv Zz"), "record 'r', species: unknown element 'Zz'"),
        (POSCAR.replace("1 1\n", "1 1000\n"), "POSCAR line 7: 1001 atoms"),
        (POSCAR.replace("1 1\n", "1\n"), "POSCAR line 7: the counts do not match"),
        (POSCAR.replace("Direct", "Sideways"), "POSCAR line 8: unknown coordinate mode"),
        (POSCAR.replace("0.5 0.5 0.5\n", ""), "POSCAR line 9: expected 2 lines of 3 numbers"),
        (POSCAR.replace("5.64\n", "0\n", 1), "POSCAR line 2: the scale is not positive"),
        ("some\nwords", "neither a CIF .* nor a POSCAR"),
    ],
)
def test_errors_name_record_and_field(text, message):
    with pytest.raises(BadInputError, match=message):
        read_crystal(text, record="r", max_sites=100)


def test_errors_of_objects_and_files(tmp_path):
    with pytest.raises(BadInputError, match="not in three"):
        read_crystal(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]], cell=[5, 5, 5], pbc=[1, 1, 0]))
    with pytest.raises(BadInputError, match=r"record '.*missing\.cif', file: cannot open"):
        read_crystal(tmp_path / "missing.cif")
    with pytest.raises(BadInputError, match="cannot open"):
        read_crystal(tmp_path)
    with pytest.raises(BadInputError, match="cannot open"):
        read_crystal("no\0name")
    with pytest.raises(BadInputError, match="unknown element 'X"):
        read_crystal(Structure(Lattice.cubic(4), ["X0+"], [[0, 0, 0]]))


lines = st.sampled_from(
    [*CIF.splitlines(), *POSCAR.splitlines(), "loop_", "data_", "'", ";", "1e400 nan inf"]
)


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(lines, max_size=30).map(lambda rows: "\n".join(rows) + "\n")))
def test_any_text_gives_a_crystal_or_a_clear_error(text):
    try:
        assert len(read_crystal(text)) > 0
    except BadInputError as error:
        assert error.problem  # noqa: PT017  (either outcome is right)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([CIF, POSCAR]), st.integers(0, 600), st.integers(0, 8), st.text(max_size=6))
def test_a_damaged_file_gives_a_crystal_or_a_clear_error(text, start, length, patch):
    try:
        assert len(read_crystal(text[:start] + patch + text[start + length :])) > 0
    except BadInputError as error:
        assert error.problem  # noqa: PT017


@pytest.mark.skipif(not (SHARED / "xrd_measured.parquet").exists(), reason="shared data absent")
def test_agrees_with_pymatgen_on_a_hundred_files():
    rows = pq.read_table(SHARED / "xrd_measured.parquet", columns=["sample", "cif"]).to_pylist()
    refused = 0
    for row in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure = CifParser.from_str(row["cif"]).parse_structures(primitive=False)[0]
        try:
            crystal = read_crystal(row["cif"], record=row["sample"])
        except BadInputError as error:
            # The data set holds cells whose atoms really overlap; pymatgen does not look.
            assert "on top of each other" in error.problem  # noqa: PT017
            assert structure.distance_matrix[np.triu_indices(len(structure), 1)].min() < 0.6
            refused += 1
            continue
        same(crystal, structure)
    assert refused < 0.2 * len(rows)
