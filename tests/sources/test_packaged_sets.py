"""Sets of data inside packages: small files of the same forms, and the real ones where they are cached."""

import gzip
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prismat import packaged
from prismat.errors import BadInputError
from prismat.material import Material, Property, Reject
from prismat.packaged import PackagedFolder, locate_folder_present, locate_present
from prismat.sources.base import Remote, Source
from prismat.sources.packaged_base import PackagedSource
from prismat.sources.packaged_jarvis import FREQUENCIES
from prismat.sources.packaged_ncrystal import NcrystalSource, read_ncmat
from prismat.sources.packaged_prose import read_about
from prismat.sources.packaged_sets import SETS, PackagedOptions, SetName

CIF = """data_RbTe
_cell_length_a 5
_cell_length_b 5
_cell_length_c 5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Rb 0 0 0 1
Te 0.5 0.5 0.5 1
"""


def structure(first="Na", occupancy=1.0):
    def site(symbol, x):
        return {"species": [{"element": symbol, "occu": occupancy}], "abc": [x] * 3, "properties": {"m": 0.0}}

    lattice = {"matrix": (np.eye(3) * 4).tolist(), "pbc": [True] * 3, "volume": 64.0}
    return {
        "@module": "os",
        "@class": "system",
        "lattice": lattice,
        "sites": [site(first, 0.0), site("Cl", 0.5)],
    }


def write_dielectric(folder: Path) -> tuple[Path, ...]:
    path = folder / "matbench_dielectric.json.gz"
    columns = {
        "structure": {"0": structure(), "1": structure("Qq"), "2": structure()},
        "n": {"0": 1.5, "1": 2.0, "2": None},
        "formula": {"0": "Na1 Cl1", "1": "x", "2": "y"},
    }
    path.write_bytes(gzip.compress(json.dumps(columns, separators=(",", ":")).encode()))
    return (path,)


def write_table(header: str, rows: list[list[str]]) -> Callable[[Path], tuple[Path, ...]]:
    def write(folder: Path) -> tuple[Path, ...]:
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
        (folder / "table.csv").write_text("\n".join(["# ref: somebody", header, *quoted]) + "\n")
        return (folder / "table.csv",)

    return write


def flla_rows():
    # Single quotes, as Python writes dictionaries.
    good, bad = (str(structure(symbol)).replace("True", "1") for symbol in ("Na", "Qq"))
    return [["mp-1", "0.1", good, "-2.5"], ["mp-2", "0.1", bad, "-2.5"], ["mp-3", "nan", good, "-2.5"]]


ELASTIC = (
    "idx,G_Reuss,G_VRH,G_Voigt,K_Reuss,K_VRH,K_Voigt,elastic_anisotropy,material_id,poisson_ratio,structure"
)
elastic = ["0", "1", "2", "3", "4", "5", "6", "0.1", "mp-1", "0.3", CIF]
dielectric = ["0", "0", "1.88", "1.86", "3.44", "6.23", "False", CIF, "mp-441"]
piezo = ["0", "0", "0.5", CIF, "-43m", "mp-9"]

NCMAT = """// Code automatically generated
  {
    // File Oxide_sg1_Name.ncmat
    const char * textdata =
      "NCMAT v4\\n"
      "#\\n"
      "# An oxide (\\"the oxide\\") with\\n"
      "# prose.\\n"
      "#\\n"
      "#    Somebody (1990)\\n"
      "#\\n"
      "@CELL\\n"
      "  lengths 4 !! 6 #comment\\n"
      "  angles 90 90 120\\n"
      "@SPACEGROUP\\n"
      "  1\\n"
      "@ATOMPOSITIONS\\n"
      "  Mg 0 0 0\\n"
      "  O 1/3 2/3 0.5\\n"
      "@DYNINFO\\n"
      "  element  Mg\\n"
      "  fraction 1/2\\n"
      "  type     vdos\\n"
      "  vdos_egrid .04 .07\\n"
      "  vdos_density 1 2\\n"
      "    1 0\\n"
      "@DYNINFO\\n"
      "  element  O\\n"
      "  fraction 1/2\\n"
      "  type     vdos\\n"
      "  vdos_egrid .02 .08\\n"
      "  vdos_density 0r3 4 0\\n";
    registerEmbeddedNCMAT("Oxide_sg1_Name.ncmat",textdata);
  }
  {
    // File Water.ncmat (too large for string literals)
    static const std::array<std::uint8_t,30> rawdata {
      78,67,77,65,84,32,118,53,10,35,32,87,97,116,101,114,10,
      64,68,69,78,83,73,84,89,10
    };
    const char * textdata = (const char*)(&rawdata[0]);
  }
  {
    // File Bad_sg1.ncmat
    const char * textdata =
      "NCMAT v4\\n"
      "@CELL\\n"
      "  cubic 4 \\n"
      "@ATOMPOSITIONS\\n"
      "  Mg 0 0 1/0\\n";
  }
"""


def write_ncrystal(folder: Path) -> tuple[Path, ...]:
    (folder / "data.cc").write_text(NCMAT)
    return (folder / "data.cc",)


ABOUT = """# in the public domain
NAMES:
  - Alumina
  - Al<sub>2</sub>O<sub>3</sub>

ABOUT: |
    Al<sub>2</sub>O<sub>3</sub>, or alumina, is hard &amp; clear for
    n < 2.

    Mineral: Corundum

LINKS:
  - url: https://example.org
    text: Alumina
"""


def write_refractiveindex(folder: Path) -> tuple[Path, ...]:
    for name, text in {"main/Al2O3": ABOUT, "glass/BK7": ABOUT.replace("ABOUT", "NOTES")}.items():
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "about.yml").write_text(text)
    return (folder / "data",)


def atoms(symbols=("Na", "Cl"), cartesian=True):
    coords = [[0, 0, 0], [2, 2, 2] if cartesian else [0.5, 0.5, 0.5]]
    lattice = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    return {"lattice_mat": lattice, "coords": coords, "elements": list(symbols), "cartesian": cartesian}


def write_jarvis(folder: Path) -> tuple[Path, ...]:
    spectrum = ";".join(str(float(i % 5)) for i in range(66))
    minerals = {
        "AB_1": [
            ["Halite", [0.1], "JVASP-1", atoms()],
            ["Sylvite", [0.1], "JVASP-2", atoms(cartesian=False)],
        ],
        "AB_2": [["Badite", [0.1], "JVASP-3", atoms(("Qq", "Cl"))], ["Shortite", [0.1], "JVASP-4", atoms()]],
        "AB_3": [["Onite", [0.1], "JVASP-5", atoms()], ["Otherite", [0.1], "JVASP-5", atoms()]],
    }
    spectra = {"train": {"JVASP-1": spectrum}, "test": {"JVASP-4": "1.0;2.0"}}
    for name, content in {"minerals": minerals, "spectra": spectra}.items():
        with zipfile.ZipFile(folder / f"{name}.json.zip", "w") as archive:
            archive.writestr(f"{name}.json", json.dumps(content))
    return folder / "minerals.json.zip", folder / "spectra.json.zip"


WRITERS: dict[SetName, Callable[[Path], tuple[Path, ...]]] = {
    "dielectric": write_dielectric,
    "flla": write_table("material_id,e_above_hull,structure,formation_energy_per_atom", flla_rows()),
    "elastic": write_table(ELASTIC, [elastic, [*elastic[:4], "x", *elastic[5:8], "mp-2", *elastic[9:]]]),
    "dielectric_constant": write_table(
        "idx,band_gap,n,poly_electronic,poly_total,pot_ferroelectric,structure,material_id",
        [dielectric, [*dielectric[:7], "data_x\n", "mp-5"]],
    ),
    "piezo": write_table(
        "idx,eij_max,structure,point_group,material_id", [piezo, [*piezo[:2], "inf", *piezo[3:]]]
    ),
    "ncrystal": write_ncrystal,
    "refractiveindex": write_refractiveindex,
    "jarvis_minerals": write_jarvis,
}
IDS: dict[SetName, tuple[list[str], list[str]]] = {
    "dielectric": (["dielectric-0"], ["dielectric-1", "dielectric-2"]),
    "flla": (["flla-mp-1"], ["flla-mp-2", "flla-mp-3"]),
    "elastic": (["elastic-mp-1"], ["elastic-mp-2"]),
    "dielectric_constant": (["dielectric_constant-mp-441"], ["dielectric_constant-mp-5"]),
    "piezo": (["piezo-mp-9"], ["piezo-mp-9"]),
    "ncrystal": (["ncrystal-Oxide_sg1_Name", "ncrystal-Water"], ["ncrystal-Bad_sg1"]),
    "refractiveindex": (["refractiveindex-main/Al2O3"], ["refractiveindex-glass/BK7"]),
    "jarvis_minerals": (
        ["jarvis_minerals-Halite", "jarvis_minerals-Sylvite"],
        [f"jarvis_minerals-{name}" for name in ("Badite", "Shortite", "Onite", "Otherite")],
    ),
}


@pytest.fixture
def make(tmp_path):
    def make(name: SetName) -> PackagedSource:
        return SETS[name](WRITERS[name](tmp_path))

    return make


def both(source: Source) -> tuple[dict[str, Material], dict[str, str]]:
    items = list(source.read(0, len(source)))
    good = {item.id: item for item in items if isinstance(item, Material)}
    return good, {item.id: item.reason for item in items if isinstance(item, Reject)}


@pytest.mark.parametrize("name", SETS)
def test_good_rows_bad_rows_and_other_processes(make, name):
    source = make(name)
    assert isinstance(source, Source)
    assert isinstance(source, Remote)
    steps = []
    source.obtain(lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    good, bad = both(source)
    assert (list(good), list(bad)) == IDS[name]
    for material in good.values():
        assert material.provenance.source == source.name == name
        assert material.provenance.licence == source.licence != ""
        assert "(" in source.citation
    copy = pickle.loads(pickle.dumps(source))
    ids = [item.id for start in range(len(source)) for item in copy.read(start, start + 1)]
    assert sorted(ids) == sorted([*good, *bad])
    assert copy.fingerprint() == source.fingerprint()


@pytest.mark.parametrize("name", SETS)
def test_the_fingerprint_follows_the_content(make, name):
    source = make(name)
    before = source.fingerprint()
    path = source.paths[-1]
    path = next(path.rglob("about.yml")) if path.is_dir() else path
    path.write_bytes(path.read_bytes() + b" ")
    assert type(source)(source.paths).fingerprint() != before
    assert type(source)(source.paths, 9).fingerprint() != type(source)(source.paths).fingerprint()


@pytest.mark.parametrize("name", SETS)
def test_another_file_is_refused(tmp_path, make, name):
    source = make(name)
    for path in source.paths:
        if path.is_dir():
            next(path.rglob("main/Al2O3/about.yml")).unlink()
            next(path.rglob("glass/BK7/about.yml")).unlink()
        else:
            path.write_bytes(gzip.compress(b"[]") if path.suffix == ".gz" else b"no,data\n1,2\n")
    with pytest.raises(BadInputError, match="not the packaged file"):
        len(type(source)(source.paths))


def test_paths(tmp_path, make):
    with pytest.raises(BadInputError, match="1 paths where 2 belong"):
        SETS["jarvis_minerals"]([tmp_path])
    with pytest.raises(BadInputError, match="no such file"):
        SETS["flla"]([tmp_path / "lost.csv"])
    assert PackagedOptions("flla", 7).open().max_sites == 7


def test_size_limits(make, monkeypatch):
    for name, module in (
        ("dielectric", "packaged_dielectric"),
        ("flla", "packaged_matminer"),
        ("ncrystal", "packaged_ncrystal"),
        ("jarvis_minerals", "packaged_jarvis"),
    ):
        monkeypatch.setattr(f"prismat.sources.{module}.MAX_BYTES", 100)
        with pytest.raises(BadInputError, match="larger than 0 MB"):
            len(make(name))


def test_dielectric(make):
    good, bad = both(make("dielectric"))
    (material,) = good.values()
    assert material.structure.formula == "NaCl"
    assert material.properties == {"refractive_index": Property(1.5, "")}
    assert list(bad.values()) == ["unknown element 'Qq'", "a refractive index of None"]


def test_tables(make):
    (flla,) = both(make("flla"))[0].values()
    assert flla.properties["formation_energy_per_atom"] == Property(-2.5, "eV/atom")
    assert flla.structure.formula == "NaCl"
    assert list(both(make("flla"))[1].values())[1] == "'nan' is not a finite number"
    (elastic,) = both(make("elastic"))[0].values()
    assert elastic.properties["bulk_modulus_vrh"] == Property(5.0, "GPa")
    assert elastic.properties["shear_modulus_reuss"] == Property(1.0, "GPa")
    assert elastic.structure.composition == {37: 1, 52: 1}
    # Rows of this table have one cell more than its header.
    (dielectric,) = both(make("dielectric_constant"))[0].values()
    assert {k: p.value for k, p in dielectric.properties.items()} == {
        "refractive_index": 1.86,
        "electronic_dielectric_constant": 3.44,
        "dielectric_constant": 6.23,
        "band_gap": 1.88,
    }
    assert dielectric.tags == {"potentially_ferroelectric": "False"}
    (piezo,) = both(make("piezo"))[0].values()
    assert piezo.properties == {"piezoelectric_modulus": Property(0.5, "C/m2")}
    assert piezo.tags == {"point_group": "-43m"}


def test_ncrystal(make):
    good, bad = both(make("ncrystal"))
    oxide = good["ncrystal-Oxide_sg1_Name"]
    assert oxide.texts == {"description": 'An oxide ("the oxide") with prose.\n\nSomebody (1990)'}
    assert oxide.structure.formula == "MgO"
    assert np.linalg.norm(oxide.structure.lattice, axis=1) == pytest.approx([4, 4, 6])
    assert oxide.structure.frac[1] == pytest.approx([1 / 3, 2 / 3, 0.5])
    assert oxide.provenance.source_id == "Oxide_sg1_Name.ncmat"
    water = good["ncrystal-Water"]
    assert (water.structure, water.texts) == (None, {"description": "Water"})
    assert bad == {"ncrystal-Bad_sg1": "'1/0' is no number"}


def test_phonon_dos_of_ncrystal_holds_three_states_per_atom(make):
    dos = both(make("ncrystal"))[0]["ncrystal-Oxide_sg1_Name"].measurements["phonon_dos"]
    assert (dos.kind, dos.unit, dos.per, dos.n_atoms) == ("phonon", "meV", "atom", 2)
    assert np.trapezoid(dos.density, dos.energy) == pytest.approx(3)
    # Magnesium's: 1, 2, 1, 0 at 40 to 70 meV, and a parabola from 0 to 1 before; oxygen's begin at 50 meV.
    assert dos.energy.tolist() == pytest.approx([0, 10, 20, 30, 40, 50, 60, 70, 80])
    area = 10 * (14 / 16 + 1 + 2 + 1)
    assert dos.density[1:5] == pytest.approx(1.5 / area * np.array([1 / 16, 4 / 16, 9 / 16, 1]))
    assert dos.density[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("NCMAT v4", "NCMAX v4", "no NCMAT text"),
        ("lengths 4 !! 6 #comment", "lengths 4 5", "'lengths 4 5' in the cell"),
        ("  Mg 0 0 0", "  Mg 0 0", "an atom without three coordinates"),
        ("  Mg 0 0 0", "  Qq 0 0 0", "unknown element 'Qq'"),
        ("vdos_density 0r3 4 0", "vdos_density 0r999999999", "more than 200000 numbers"),
        ("vdos_density 0r3 4 0", "vdos_density 0rx 4 0", "'0rx' is no number"),
        ("vdos_density 0r3 4 0", "vdos_density -1 4 0", "no density of states"),
        ("vdos_egrid .02 .08", "vdos_egrid .08 .02", "no density of states"),
        ("@SPACEGROUP", "@CELL", "2 sections @CELL"),
    ],
)
def test_bad_ncmat(tmp_path, old, new, reason):
    path = tmp_path / "data.cc"
    assert old in NCMAT
    path.write_text(NCMAT.replace(old, new, 1))
    first = next(NcrystalSource([path]).read(0, 1))
    assert isinstance(first, Reject)
    assert reason in first.reason


def test_a_debye_model_is_no_tabulated_dos(tmp_path):
    path = tmp_path / "data.cc"
    path.write_text(NCMAT.replace("type     vdos\\n", "type     vdosdebye\\n", 1))
    first = next(NcrystalSource([path]).read(0, 1))
    assert first.measurements == {}
    assert first.structure is not None


def test_prose(make):
    (material,) = both(make("refractiveindex"))[0].values()
    text = material.texts["description"]
    assert text == "Al2O3, or alumina, is hard & clear for\nn < 2.\n\nMineral: Corundum"
    assert material.tags == {
        "name": "Alumina",
        "names": "Alumina; Al2O3",
        "shelf": "main",
        "mineral": "Corundum",
        "reported_formula": "Al2O3",
    }
    assert material.structure is None
    assert read_about("") == ([], "")


def test_jarvis(make):
    good, bad = both(make("jarvis_minerals"))
    halite, sylvite = good.values()
    assert halite.tags == {"mineral": "Halite", "prototype": "AB_1", "split": "train"}
    assert sylvite.tags == {"mineral": "Sylvite", "prototype": "AB_1"}
    assert halite.structure.frac == pytest.approx(sylvite.structure.frac)
    dos = halite.measurements["phonon_dos"]
    assert (dos.unit, dos.kind, dos.n_atoms) == ("cm-1", "phonon", 2)
    assert dos.energy[[0, 15, -1]] == pytest.approx([-300, 0, 1000])
    assert dos.density[:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert sylvite.measurements == {}
    assert list(bad.values()) == [
        "unknown element 'Qq'",
        "2 values where 66 finite ones belong",
        "the structure JVASP-5 is also given to Otherite",
        "the structure JVASP-5 is also given to Onite",
    ]
    assert np.diff(FREQUENCIES) == pytest.approx(20)


REAL: dict[SetName, tuple[int, int, int]] = {
    "dielectric": (4764, 1, 0),
    "flla": (3938, 9, 0),
    "elastic": (1181, 0, 0),
    "dielectric_constant": (1056, 1, 0),
    "piezo": (941, 0, 0),
    "ncrystal": (134, 0, 107),
    "refractiveindex": (460, 59, 0),
    "jarvis_minerals": (1081, 24, 265),
}


@pytest.mark.parametrize("name", SETS)
def test_the_real_set(name):
    """Its rows, and of a sample that each comes out as a material or a known reject."""
    source = SETS[name]()
    for file in source.files:
        there = locate_folder_present(file) if isinstance(file, PackagedFolder) else locate_present(file)
        if there is None:
            pytest.skip(f"{file.distribution} is neither installed nor cached")
    rows, _, phonons = REAL[name]
    assert len(source) == rows
    items = list(source.read(20, 60))
    materials = [item for item in items if isinstance(item, Material)]
    assert len(materials) >= 30
    assert all(m.properties or m.texts or m.tags for m in materials)
    if phonons:
        assert any("phonon_dos" in m.measurements for m in materials)


def test_pins_are_whole_hashes():
    files = [file for source in SETS.values() for file in source.files]
    assert all(len(file.sha256) == 64 for file in files)
    assert len({file.sha256 for file in files}) == len(files) == 9
    assert {file.distribution for file in files if file.sdist} == {"matminer", "ncrystal-core"}
    assert packaged.FLLA.sdist == packaged.PIEZO.sdist


def test_ncmat_prose_and_sections():
    prose, sections = read_ncmat("NCMAT v1\n#a\n# b\n@CELL #x\n cubic 4 # y\n#z\n@END\n")
    assert prose == "a b"
    assert sections == [("CELL", ["cubic 4"]), ("END", [])]
