"""Folders with densities of states, charge densities, pictures and powder data beside the crystals."""

import gzip
import pickle
from pathlib import Path

import pytest

from helpers_folder import (
    IRON,
    POSCAR,
    SALT,
    XY,
    chgcar,
    cube,
    doscar,
    phonons,
    png,
    powder_cif,
    vasprun,
    write,
)
from prismat.formats import to_cif
from prismat.material import Material, Reject
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.folder import FolderOptions, FolderSource


def rows(root: Path, **options) -> dict[str, Material | Reject]:
    source = FolderSource(root, **options)
    return {item.id: item for item in source.read(0, len(source))}


@pytest.fixture
def full(tmp_path):
    """One material in every window, by stem."""
    root = tmp_path / "data"
    write(root, salt_o_cif=to_cif(SALT), salt_o_xy=XY, salt_o_CHGCAR=chgcar(), salt_DOSCAR=doscar())
    write(root, **{"salt_total_dos.dat": phonons()})
    png(root / "salt.png")
    return root


def test_all_windows_by_stem(full):
    (salt,) = rows(full, image_kind="sem").values()
    assert salt.id == "salt"
    assert salt.structure.formula == "NaCl"
    assert set(salt.measurements) == {"xrd", "dos", "phonon_dos", "charge_density", "image"}
    assert salt.measurements["dos"].zero == "fermi"
    assert salt.measurements["dos"].energy[0] == pytest.approx(-11.5)
    assert salt.measurements["phonon_dos"].unit == "THz"
    density = salt.measurements["charge_density"]
    assert (density.kind, density.values.shape) == ("valence", (4, 4, 4))
    assert density.values.mean() == pytest.approx(28 / 5.64**3, rel=1e-3)
    assert salt.measurements["image"].kind == "sem"


def test_one_folder_per_material(tmp_path):
    write(
        tmp_path,
        mat1__POSCAR=POSCAR,
        mat1__CHGCAR=chgcar(),
        mat2__CHGCAR=chgcar(IRON),
        deep__mat3__CONTCAR=IRON,
    )
    write(tmp_path, **{"mat1/vasprun.xml": vasprun(), "mat2/DOSCAR": doscar()})
    found = rows(tmp_path)
    assert list(found) == ["deep/mat3", "mat1", "mat2"]
    assert set(found["mat1"].measurements) == {"dos", "charge_density"}
    assert found["mat1"].structure.formula == "NaCl"
    assert found["mat2"].structure.formula == "Fe"
    assert found["deep/mat3"].structure.formula == "Fe"


def test_files_of_one_run_do_not_compete(tmp_path):
    relaxed = POSCAR.replace("5.64", "5.60")
    write(tmp_path, a__POSCAR=POSCAR, a__CONTCAR=relaxed, a__CHG=chgcar(IRON), a__CHGCAR=chgcar(relaxed))
    write(
        tmp_path, **{"a/vasprun.xml": vasprun(), "a/DOSCAR": "broken", "b.POSCAR": IRON, "b_CONTCAR": POSCAR}
    )
    found = rows(tmp_path)
    assert found["a"].structure.lattice[0, 0] == pytest.approx(5.60)
    assert set(found["a"].measurements) == {"dos", "charge_density"}
    assert found["b"].structure.formula == "NaCl"


def test_the_folder_itself_is_a_material(tmp_path):
    root = tmp_path / "halite"
    write(root, POSCAR=POSCAR, CHGCAR=chgcar())
    assert list(rows(root)) == ["halite"]
    write(root, quartz_o_cif=to_cif(SALT))
    assert sorted(rows(root)) == ["halite", "quartz"]


def test_the_structure_comes_from_what_there_is(tmp_path):
    write(tmp_path, **{"a.vasprun.xml": vasprun(), "b.cube": cube(), "c.DOSCAR": doscar(), "d.xy": XY})
    found = rows(tmp_path, cube_density="valence")
    assert found["a"].structure.formula == "NaCl"
    assert found["a"].structure.lattice[1, 1] == pytest.approx(5.64)
    assert found["b"].structure.formula == "NaCl"
    assert found["b"].measurements["charge_density"].kind == "valence"
    assert found["c"].structure is None
    assert found["d"].structure is None


def test_a_packed_density(tmp_path):
    (tmp_path / "a.CHGCAR.gz").write_bytes(gzip.compress(chgcar().encode()))
    (tmp_path / "b.cube.gz").write_bytes(gzip.compress(cube().encode()))
    found = rows(tmp_path)
    assert found["a"].measurements["charge_density"].kind == "valence"
    assert found["b"].measurements["charge_density"].kind == "unlabelled"


def test_powder_cifs(tmp_path):
    write(tmp_path, alone_o_cif=powder_cif(), both_o_cif=powder_cif(atoms=True))
    write(tmp_path, split_o_cif=powder_cif(), split_o_vasp=POSCAR)
    write(tmp_path, twice_o_cif=powder_cif(atoms=True), twice_o_xy=XY)
    found = rows(tmp_path)
    assert found["alone"].structure is None
    pattern = found["alone"].measurements["xrd"]
    assert (pattern.two_theta[1], pattern.intensity[1], pattern.wavelength) == (10.1, 101.0, 1.5406)
    for name in ("both", "split"):
        assert found[name].structure.formula == "NaCl"
        assert len(found[name].measurements["xrd"].two_theta) == 60
    assert found["twice"] == Reject("twice", "several files for one record: twice.xy, twice.cif")


def test_a_cif_that_only_tells_of_the_measurement_is_a_structure(tmp_path):
    told = "_pd_proc_ls_prof_wr_factor 0.05\n_pd_meas_2theta_range_min 5\n"
    neutrons = powder_cif(atoms=True).replace("x-ray", "'neutron'")
    write(tmp_path, told_o_cif=to_cif(SALT) + told, neutrons_o_cif=neutrons)
    write(tmp_path, alone_o_cif=powder_cif().replace("x-ray", "neutron"))
    found = rows(tmp_path)
    for name in ("told", "neutrons"):
        assert found[name].structure.formula == "NaCl"
        assert found[name].measurements == {}
    assert found["alone"] == Reject("alone", "alone.cif: a pattern of neutrons, not of X-rays")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.cif": to_cif(SALT), "a.CHGCAR": "broken"}, "a.CHGCAR: "),
        ({"a.cif": to_cif(SALT), "a.png": "broken"}, "a.png: not a PNG, TIFF or JPEG image"),
        ({"a.cif": to_cif(SALT), "a.vasprun.xml": "<a>"}, "a.vasprun.xml: no well-formed XML"),
        ({"a.cif": to_cif(SALT), "a_DOSCAR": "x"}, "a_DOSCAR: line"),
        ({"a.cif": to_cif(SALT), "a.xy": "1 2\n"}, "a.xy: 1 points, fewer than"),
        ({"a.cif": "data_a\n", "a.xy": XY}, "a.cif: "),
        ({"a.cif": to_cif(SALT), "a.CHGCAR": chgcar(IRON)}, "a.cif is NaCl and a.CHGCAR is Fe"),
        ({"a.vasprun.xml": vasprun(("Na",))}, "a.vasprun.xml: 2 positions for 1 atoms"),
        ({"a.CHGCAR": chgcar(), "a.cube": cube()}, "several files for one record: a.CHGCAR, a.cube"),
        ({"a.png": "x", "a.jpg": "y"}, "several files for one record: a.jpg, a.png"),
    ],
)
def test_a_bad_file_rejects_its_record_alone(tmp_path, files, reason):
    write(tmp_path, **files, good_o_cif=to_cif(SALT))
    found = rows(tmp_path)
    assert isinstance(found["good"], Material)
    assert found["a"].reason.startswith(reason)


def test_the_table_names_measured_files(full):
    (full / "t.csv").write_text("id,file,title,gap [eV]\n1,salt.png,Salt,8.5\n2,lost.CHGCAR,x,\n")
    found = rows(full)
    assert set(found["1"].measurements) == {"xrd", "dos", "phonon_dos", "charge_density", "image"}
    assert found["1"].texts == {"title": "Salt"}
    assert found["2"] == Reject("2", "the folder has no file 'lost.CHGCAR'")
    assert list(found) == ["1", "2"]


def test_nothing_outside_the_folder(full, tmp_path):
    (tmp_path / "secret.CHGCAR").write_text(chgcar())
    (full / "other.CHGCAR").symlink_to(tmp_path / "secret.CHGCAR")
    assert list(rows(full)) == ["salt"]


def test_fingerprint_and_pickle(full):
    options = FolderOptions(full, image_kind="sem")
    source = options.open()
    copy = pickle.loads(pickle.dumps(source))
    assert [m.id for m in copy.read(0, 9)] == ["salt"]
    assert copy.fingerprint() == source.fingerprint() != FolderOptions(full).open().fingerprint()
    before = source.fingerprint()
    (full / "salt.CHGCAR").write_text(chgcar() + "\n")
    assert options.open().fingerprint() != before


def test_prepared_into_a_store(full, tmp_path):
    write(full, bad_o_cif="data_bad\n")
    store = prepare(FolderSource(full, licence="CC0"), tmp_path / "store", PrepareSettings(workers=1))
    assert (len(store), store.info["rejected"]) == (1, 1)
