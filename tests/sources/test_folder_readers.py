"""Names of files, powder data in CIF, and structures of vasprun.xml."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_folder import vasprun
from prismat import vasprun_stream
from prismat.errors import BadInputError
from prismat.sources.folder_files import foremost, role_of, stem_of
from prismat.sources.folder_powder import CU_K_ALPHA, is_xray_scan, parse_powder_cif
from prismat.sources.folder_vasprun import structure_of_vasprun


@pytest.mark.parametrize(
    ("name", "role", "stem"),
    [
        ("a/b.cif", "structure", "a/b"),
        ("a/POSCAR", "structure", "a"),
        ("a/CONTCAR", "structure", "a"),
        ("POSCAR.iron", "structure", "POSCAR.iron"),
        ("mp-1-POSCAR", "structure", "mp-1"),
        ("iron.vasp", "structure", "iron"),
        ("a/b/vasprun.xml", "dos", "a/b"),
        ("iron.vasprun.xml", "dos", "iron"),
        ("vasprun_iron.xml", "dos", "vasprun_iron.xml"),
        ("iron_DOSCAR", "dos", "iron"),
        ("a/CHGCAR.gz", "charge_density", "a"),
        ("iron.chgcar", "charge_density", "iron"),
        ("CHGCAR.iron", "charge_density", "CHGCAR.iron"),
        ("CHGCAR.png", "image", "CHGCAR"),
        ("iron.cube.gz", "charge_density", "iron"),
        ("a.b.TIFF", "image", "a.b"),
        ("my_total_dos.dat", "phonon_dos", "my"),
        ("a/total_dos.dat", "phonon_dos", "a"),
        ("CHGCAR", "charge_density", "root"),
        ("a/b.xye", "xrd", "a/b"),
        ("notes.txt", None, "notes.txt"),
        ("run.xml", None, "run.xml"),
        ("AECCAR0", None, "AECCAR0"),
        ("charges.csv", None, "charges.csv"),
    ],
)
def test_names(name, role, stem):
    assert role_of(name) == role
    assert stem_of(name, "root") == stem


def test_ranks_within_one_run_only():
    assert foremost(["a/DOSCAR", "a/vasprun.xml"]) == ["a/vasprun.xml"]
    assert foremost(["a.CHG", "a.CHGCAR", "a.cube"]) == ["a.CHGCAR", "a.cube"]
    assert foremost(["a/CHG"]) == ["a/CHG"]
    assert foremost([]) == []


def powder(columns, rows, head=""):
    return f"data_x\n{head}loop_\n" + "\n".join(columns) + "\n" + "\n".join(rows) + "\n"


SCAN = [f"{10 + 0.5 * i} {i}" for i in range(40)]


def test_powder_columns_and_lines_of_the_tube():
    lines = (
        "loop_\n_diffrn_radiation_wavelength\n_diffrn_radiation_wavelength_wt\n1.540598 1.0\n1.544426 0.5\n"
    )
    columns = ["_pd_meas_2theta_scan", "_pd_proc_intensity_total"]
    pattern = parse_powder_cif(powder(columns, SCAN, lines))
    assert pattern.two_theta.tolist() == [10 + 0.5 * i for i in range(40)]
    assert pattern.intensity[7] == 7
    assert pattern.wavelength == pytest.approx((2 * 1.540598 + 1.544426) / 3)
    assert parse_powder_cif(powder(columns, SCAN)).wavelength == CU_K_ALPHA
    two = lines.replace("_diffrn_radiation_wavelength_wt\n", "").replace(" 1.0", "").replace(" 0.5", "")
    assert parse_powder_cif(powder(columns, SCAN, two)).wavelength == 1.540598


def test_powder_range_and_missing_points():
    head = "_pd_meas_2theta_range_min 10\n_pd_meas_2theta_range_max 29.5\n_pd_meas_2theta_range_inc 0.5\n"
    rows = [str(i) for i in range(40)]
    rows[3] = "?"
    pattern = parse_powder_cif(powder(["_pd_meas_counts_total"], rows, head))
    assert len(pattern.two_theta) == 39
    assert pattern.two_theta[3] == pytest.approx(12)
    assert is_xray_scan(powder(["_pd_meas_counts_total"], rows, head))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (powder(["_pd_meas_2theta_scan", "_pd_calc_intensity_total"], SCAN), "no measured intensities"),
        (powder(["_pd_meas_time_of_flight", "_pd_meas_counts_total"], SCAN), "intensities without 2θ"),
        (
            powder(
                ["_pd_meas_2theta_scan", "_pd_meas_counts_total"], SCAN, "_diffrn_radiation_probe electron\n"
            ),
            "a pattern of electrons",
        ),
        (
            powder(
                ["_pd_meas_counts_total"],
                [str(i) for i in range(40)],
                "_pd_meas_2theta_range_min 10\n_pd_meas_2theta_range_max 80\n_pd_meas_2theta_range_inc 0.5\n",
            ),
            "40 intensities do not fill 10 to 80° in steps of 0.5°",
        ),
        (powder(["_pd_meas_2theta_scan", "_pd_meas_counts_total"], SCAN[:5]), "5 points, fewer than"),
        (
            powder(["_pd_meas_2theta_scan", "_pd_meas_counts_total"], SCAN[::2] + SCAN[1::2]),
            "does not ascend",
        ),
        ("data_x\nloop_\n_a\n_b\n1\n", "unreadable CIF"),
    ],
)
def test_bad_powder_cifs(text, message):
    with pytest.raises(BadInputError, match=message):
        parse_powder_cif(text, "x")


@given(st.text(max_size=200), st.lists(st.text("0123456789.?()-e ", max_size=8), max_size=30))
def test_any_powder_text_is_a_pattern_or_a_clear_refusal(junk, rows):
    for text in (junk, powder(["_pd_meas_2theta_scan", "_pd_meas_counts_total"], rows, junk)):
        with contextlib.suppress(BadInputError):
            assert np.isfinite(parse_powder_cif(text).intensity).all()


def test_the_final_structure_against_ase(tmp_path):
    pytest.importorskip("ase")
    import ase
    import ase.io

    folder = Path(ase.__file__).parent
    paths = list(folder.rglob("vasprun_dfpt.xml"))
    if not paths:
        pytest.skip("this ase has no test data")
    reference = ase.io.read(paths[0], index=-1)
    ours = structure_of_vasprun(paths[0])
    assert ours.lattice == pytest.approx(np.array(reference.cell), abs=1e-6)
    assert [site[0][0] for site in ours.sites] == reference.numbers.tolist()
    assert ours.frac == pytest.approx(reference.get_scaled_positions(), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (vasprun(("Na",)), "2 positions for 1 atoms"),
        (vasprun(("Na", "Qq")), "unknown element 'Qq'"),
        (vasprun().replace("finalpos", "otherpos"), "no final structure"),
        (vasprun().replace("<v> 5.64 0.0 0.0 </v>", "<v> 5.64 0.0 </v>"), "no final structure"),
        ("<!DOCTYPE a><a/>", "a document type"),
        ("<a>" * 60, "nested more than 50 deep"),
        ("<a>", "no well-formed XML"),
    ],
)
def test_bad_structures(tmp_path, text, message):
    path = tmp_path / "vasprun.xml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        structure_of_vasprun(path)


def test_limits(tmp_path, monkeypatch):
    path = tmp_path / "vasprun.xml"
    with pytest.raises(BadInputError, match="no such file"):
        structure_of_vasprun(path)
    path.write_text(vasprun(("Na",) * 9))
    with pytest.raises(BadInputError, match="more than the limit of 2 sites"):
        structure_of_vasprun(path, max_sites=2)
    monkeypatch.setattr(vasprun_stream, "MAX_BYTES", 100)
    with pytest.raises(BadInputError, match="larger than 0 MB"):
        structure_of_vasprun(path)
