"""CIFs that are wrong, unusual or hostile: each has a clear outcome."""

import time

import numpy as np
import pytest

from helpers_cif import MAGNETIC_SYMMETRY as MAGNETIC
from prismat.cif import crystal_from_cif
from prismat.cif_values import element, elements_of
from prismat.crystal import check
from prismat.errors import BadInputError
from prismat.formats import read_crystal

HEAD = """data_salt
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha {alpha}
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
"""
SITES = """loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""


def cif(
    atoms="Na 0 0 0\nCl 0.5 0.5 0.5\n",
    symmetry="_symmetry_space_group_name_H-M 'F m -3 m'\n",
    cell=(5.64, 5.64, 5.64, 90, 90, 90),
    sites=SITES,
):
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return HEAD.format(**dict(zip(names, cell, strict=True))) + symmetry + sites + atoms


def listed(*operations, tag="_space_group_symop_operation_xyz"):
    return f"loop_\n{tag}\n" + "".join(f"'{operation}'\n" for operation in operations)


def refused(text, *parts):
    with pytest.raises(BadInputError) as caught:
        read_crystal(text, "r")
    for part in ("record 'r'", *parts):
        assert part in str(caught.value)


MONOCLINIC = (5.0, 6.0, 7.0, 90, 105, 90)
P21N = ("x,y,z", "1/2-x,1/2+y,1/2-z", "-x,-y,-z", "1/2+x,1/2-y,1/2+z")


def test_operations_that_are_no_group_are_refused():
    refused(cif(symmetry=listed(*P21N[:3]), cell=MONOCLINIC), "no group")
    refused(cif(symmetry=listed("-x,-y,-z"), cell=MONOCLINIC), "no group")
    refused(cif(symmetry=listed("x,y,z", "x+1/3,y,z+1/2"), cell=MONOCLINIC), "no group")
    refused(cif(symmetry=listed(*P21N, "x,y,z"), cell=MONOCLINIC), "1 of the operations are listed twice")


def test_a_group_that_translations_alone_make_infinite_is_refused():
    refused(cif(symmetry=listed("x,y,z", "x+y,y,z"), cell=MONOCLINIC), "no group")


def test_operations_that_contradict_the_stated_group_are_refused():
    wrong = "_symmetry_space_group_name_H-M 'P n m a'\n" + listed(*P21N)
    refused(cif(symmetry=wrong, cell=MONOCLINIC), "P 1 21/n 1", "P n m a", "space group stated")
    number = "_space_group_IT_number 62\n" + listed(*P21N)
    refused(cif(symmetry=number, cell=MONOCLINIC), "P n m a")
    # In no table's setting, so that only the crystal class can tell.
    odd = "_symmetry_space_group_name_H-M 'P 2 2 2'\n" + listed(
        "x,y,z", "x,1/4+y,z", "x,1/2+y,z", "x,3/4+y,z"
    )
    refused(cif(symmetry=odd, cell=MONOCLINIC), "another crystal class")


def test_the_same_group_in_another_setting_is_no_contradiction():
    text = cif(
        "Na 0.1 0.2 0.3\n",
        "_symmetry_space_group_name_H-M 'P 21/c'\n" + listed(*P21N),
        MONOCLINIC,
    )
    crystal = read_crystal(text)
    expected = {(0.1, 0.2, 0.3), (0.4, 0.7, 0.2), (0.9, 0.8, 0.7), (0.6, 0.3, 0.8)}
    assert {tuple(position) for position in crystal.frac.round(6).tolist()} == expected


def test_all_atoms_listed_under_the_groups_symbol_are_a_cell():
    """Many programs write the space group and every atom, with the identity alone."""
    crystal = read_crystal(cif(symmetry="_symmetry_space_group_name_H-M 'F m -3 m'\n" + listed("x,y,z")))
    assert len(crystal) == 2


def test_symmetry_that_does_not_fit_the_cell_is_refused():
    hexagonal = "_symmetry_space_group_name_H-M 'P 63/m m c'\n"
    refused(cif("Mg 0.333 0.667 0.25\n", hexagonal, (3.2, 3.2, 5.2, 90, 90, 90)), "do not fit the cell")
    rhombohedral = listed("x,y,z", "y,z,x", "z,x,y")
    refused(cif("As 0.1 0.2 0.3\n", rhombohedral, (3.7, 3.7, 10.5, 90, 90, 120)), "do not fit the cell")
    refused(cif(symmetry="_space_group_IT_number 225\n", cell=(5, 6, 7, 90, 90, 90)), "do not fit the cell")


def test_a_cell_rounded_differently_along_equal_axes_is_read():
    assert len(read_crystal(cif(cell=(5.64, 5.645, 5.64, 90, 90, 90)))) == 8


@pytest.mark.parametrize(
    ("symbol", "cell", "count"),
    [
        ("P 21/n", MONOCLINIC, 4),
        ("P 1 21/n 1", MONOCLINIC, 4),
        ("B 1 1 2/b", (5.0, 6.0, 7.0, 90, 90, 105), 8),
        ("R -3 m", (3.7, 3.7, 10.5, 90, 90, 120), 36),
        ("R -3 m", (4.1, 4.1, 4.1, 55, 55, 55), 12),
        ("R -3 m :H", (3.7, 3.7, 10.5, 90, 90, 120), 36),
        ("F d -3 m :1", (8.0, 8.0, 8.0, 90, 90, 90), 192),
        ("F d -3 m :2", (8.0, 8.0, 8.0, 90, 90, 90), 192),
    ],
)
def test_alternative_settings_by_symbol(symbol, cell, count):
    general = "Na1 0.07 0.21 0.345\n"
    crystal = crystal_from_cif(cif(general, f"_symmetry_space_group_name_H-M '{symbol}'\n", cell))
    assert len(crystal) == count


def test_origin_choices_place_the_atoms_of_diamond():
    for choice, x in ((":1", 0.0), (":2", 0.125)):
        symbol = f"_space_group_name_H-M_alt 'F d -3 m {choice}'\n"
        crystal = read_crystal(cif(f"C {x} {x} {x}\n", symbol, (3.567, 3.567, 3.567, 90, 90, 90)))
        assert crystal.density == pytest.approx(3.51, abs=0.01)


def test_atoms_on_top_of_each_other_are_refused():
    refused(cif("Na 0 0 0\nCl 0.05 0 0\n", listed("x,y,z")), "on top of each other")
    refused(cif("Na 0 0 0\nK 0 0 0\n", listed("x,y,z")), "occupancies of one site add up to 2")


def test_a_missing_column_of_occupancies_means_full_sites():
    assert read_crystal(cif()).composition == {11: 4, 17: 4}
    column = SITES + "_atom_site_occupancy\n"
    assert read_crystal(cif("Na 0 0 0 ?\nCl 0.5 0.5 0.5 .\n", sites=column)).is_ordered
    half = read_crystal(cif("Na 0 0 0 0.5(1)\nCl 0.5 0.5 0.5 .\n", sites=column))
    assert half.composition == pytest.approx({11: 2, 17: 4})


@pytest.mark.parametrize("label", ["D", "D1", "T1", "D1+"])
def test_isotopes_of_hydrogen_are_hydrogen(label):
    typed = SITES.replace("_label", "_type_symbol")
    for sites in (SITES, typed):
        assert read_crystal(cif(f"{label} 0 0 0\nO 0.5 0.5 0.5\n", sites=sites)).composition == {1: 4, 8: 4}


@pytest.mark.parametrize(
    ("label", "formula", "number"),
    [
        ("CO1", "C O3 Ca", 6),
        ("CO1", "Co O", 27),
        ("CO1", "", 27),
        ("KC", "K Al Si3 O8", 19),
        ("Oab", "Si O2", 8),
        ("Nal", "Na Al Si3 O8", 11),
        ("Wat1", "H2 O", 8),
        ("WatA", "", 8),
        ("OH2", "Mg O2 H2", 8),
        ("D3", "H2 O", 1),
        ("SI1", "Si O2", 14),
        ("Fe(1)", "", 26),
    ],
)
def test_the_formula_decides_between_readings_of_a_label(label, formula, number):
    assert element("", label, elements_of(formula)) == number


@pytest.mark.parametrize("label", ["Xx1", "1", "", "Va", "Me2", "Tet"])
def test_labels_that_name_no_element_are_refused(label):
    with pytest.raises(BadInputError, match="unknown element"):
        element("", label, elements_of("Si O2"))


MODULATED = (
    "_cell_modulation_dimension 1\n_space_group_ssg_name 'P21/n(0,b,0)s0'\n",
    "loop_\n_cell_wave_vector_seq_id\n_cell_wave_vector_y\n1 0.27\n",
    listed("x1,x2,x3,x4", "-x1,x2+1/2,-x3,x4+1/2", tag="_space_group_symop_ssg_operation_algebraic"),
    listed("x,y,z,x4", "-x,-y,-z,-x4"),
)


@pytest.mark.parametrize("sign", MODULATED)
def test_modulated_structures_are_refused_by_name(sign):
    refused(cif(symmetry=sign, cell=MONOCLINIC), "modulated structure", "superspace")
    refused(cif(symmetry=sign + "_broken 'quote\n", cell=MONOCLINIC), "modulated structure")


def test_a_block_that_says_it_is_the_average_is_read():
    modulated = cif(symmetry=MODULATED[0], cell=MONOCLINIC).replace("data_salt", "data_salt_MOD")
    average = cif("K 0 0 0\n", listed("x,y,z"), MONOCLINIC).replace("data_salt", "data_salt_REFERENCE")
    assert read_crystal(modulated + average).composition == {19: 1}
    coded = average.replace("data_salt_REFERENCE", "data_two\n_audit_block_code average_structure")
    assert read_crystal(modulated + coded).composition == {19: 1}
    refused(modulated + average.replace("_REFERENCE", "_2"), "modulated structure")


def test_the_first_of_several_blocks_that_has_atoms_is_read():
    paper = "data_global\n_publ_section_title 'Two phases'\n"
    second = cif("K 0 0 0\nCl 0.5 0.5 0.5\n").replace("data_salt", "data_other")
    assert read_crystal(paper + cif() + second).elements == ("Na", "Cl")


def test_no_atoms_is_said():
    refused(HEAD.format(a=5, b=5, c=5, alpha=90, beta=90, gamma=90), "no atoms")
    refused("data_nothing\n", "no atoms")
    refused(cif(""), "no atoms")


def test_coordinates_that_are_not_known_are_named():
    refused(cif("Na 0 0 0\nCl ? ? ?\n"), "_atom_site_fract_x of Cl", "'?' is not a number")
    refused(cif("Na 0 0 .\n"), "_atom_site_fract_z of Na")


@pytest.mark.parametrize("scale", [0.1, 100, 1e-10])
def test_a_cell_in_other_units_is_refused(scale):
    """nm, pm and m."""
    edges = (5.64 * scale,) * 3
    refused(cif(cell=(*edges, 90, 90, 90)), "absurd cell", "Å")


def test_angles_in_radians_are_refused():
    refused(cif(cell=(5.64, 5.64, 5.64, *(np.pi / 2,) * 3)), "absurd cell")


def test_a_magnetic_cif_gives_the_atoms_of_the_magnetic_cell():
    crystal = read_crystal(cif("Fe 0.1 0.2 0.3\nO 0 0 0.5\n", MAGNETIC, MONOCLINIC))
    assert crystal.composition == {8: 2, 26: 4}
    moved = {(0.1, 0.2, 0.3), (0.9, 0.8, 0.7), (0.6, 0.7, 0.3), (0.4, 0.3, 0.7)}
    iron = [
        p for p, site in zip(crystal.frac.round(6).tolist(), crystal.sites, strict=True) if site[0][0] == 26
    ]
    assert {tuple(position) for position in iron} == moved


def test_time_reversal_alone_does_not_double_the_atoms():
    gray = MAGNETIC.replace("x+1/2,y+1/2,z,-1", "x,y,z,-1")
    assert len(read_crystal(cif("Fe 0.1 0.2 0.3\n", gray, MONOCLINIC))) == 2


def test_a_magnetic_group_without_operations_is_refused():
    refused(
        cif(symmetry="_space_group_magn.number_BNS 14.75\n"), "magnetic space group without its operations"
    )
    refused(
        cif(symmetry=MAGNETIC.replace("-x,-y,-z,+1", "-x,-y,-z,mx"), cell=MONOCLINIC),
        "magnetic operation that cannot be read",
    )


def test_floods_of_operations_are_refused_at_once():
    many = [f"x,y,z+{k}/4999" for k in range(4999)]
    begun = time.perf_counter()
    refused(cif(symmetry=listed(*many)), "4999 symmetry operations")
    magnetic = MAGNETIC + "".join(f"{k} x,y,z,+1\n" for k in range(3, 1000))
    refused(cif(symmetry=magnetic), "symmetry operations")
    assert time.perf_counter() - begun < 2


def test_encodings(tmp_path):
    path = tmp_path / "a.cif"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
        path.write_bytes(mark + cif().encode(encoding))
        assert len(read_crystal(path)) == 8
    path.write_bytes(b"# M\xfcller, 5 \xc5\n" + cif().encode())
    assert len(read_crystal(path)) == 8


@pytest.mark.parametrize("place", ["_cell_length_b", "Cl 0.5"])
def test_null_bytes_are_refused(place, tmp_path):
    path = tmp_path / "a.cif"
    path.write_bytes(cif().replace(place, f"\0{place}").encode())
    with pytest.raises(BadInputError, match="NUL characters"):
        read_crystal(path)


def test_long_rows_of_digits_do_not_reach_the_tolerant_parser():
    """Found by fuzzing: pymatgen's pattern for operations is cubic in their length."""
    long = "1 " * 5000
    begun = time.perf_counter()
    refused(cif(symmetry=listed("x,y,z", f"x,y,{long}")), "cannot read")
    refused(cif(symmetry=listed("x,y,z", f"x,y,{long}")) + "_broken 'quote\n", "unreadable CIF")
    assert time.perf_counter() - begun < 5


def test_repeated_atoms_take_little_time():
    """Found by fuzzing: sites times atoms was held at once, gigabytes of it."""
    begun = time.process_time()
    refused(cif("Na 0.1 0.2 0.3\n" * 4000), "too many sites")
    refused(cif("Na 0.1 0.2 0.3\n" * 4000, listed("x,y,z")), "occupancies of one site")
    assert time.process_time() - begun < 5


def test_files_beyond_the_limit_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("prismat.formats.MAX_BYTES", 100)
    path = tmp_path / "a.cif"
    path.write_text(cif())
    with pytest.raises(BadInputError, match="the file is larger than"):
        read_crystal(path)


def test_an_asymmetric_unit_beyond_the_limit_is_refused():
    atoms = "".join(f"C{k} {k / 5000:.4f} 0 0\n" for k in range(5000))
    refused(cif(atoms, listed("x,y,z")), "5000 sites in the asymmetric unit")


SPLIT = """data_split
_cell_length_a 6.0
_cell_length_b 6.0
_cell_length_c 6.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_operation_xyz
x,y,z
-x,-y,-z
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
K1 K {x} 0 0 {occupancy}
Cl1 Cl 0.5 0.5 0.5 1
"""


@pytest.mark.parametrize(
    ("x", "occupancy", "potassium"),
    [
        (0.007, 0.5, 1.0),  # 0.084 Å from its image: two halves of one atom
        (0.007, 0.4, 0.8),
        (0.007, 1.0, 1.0),  # two whole atoms cannot be there: one, on the inversion centre
        (0.0005, 0.5, 0.5),  # 0.006 Å: a rounded coordinate
        (0.0, 0.5, 0.5),
    ],
)
def test_a_split_site_beside_its_special_position_keeps_its_atoms(x, occupancy, potassium):
    crystal = crystal_from_cif(SPLIT.format(x=x, occupancy=occupancy))
    assert crystal.composition[19] == pytest.approx(potassium)
    assert check(crystal) is crystal
