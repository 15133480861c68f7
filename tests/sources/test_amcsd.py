import base64
import json
import pickle
import re
import sqlite3
from contextlib import closing

import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice

from prismat.errors import BadInputError
from prismat.material import Material, Reject
from prismat.modalities.standard_cell import standardize
from prismat.sources.amcsd import AmcsdSource, lattice_from_parameters
from prismat.sources.base import Source

TABLES = """
CREATE TABLE spacegroups (id INTEGER primary key, hm_notation VARCHAR(16), symmetry_xyz text);
CREATE TABLE minerals (id INTEGER primary key, name text);
CREATE TABLE publications
  (id INTEGER primary key, journalname text, volume text, year integer, page_first text);
CREATE TABLE cif (id integer primary key, mineral_id INTEGER, spacegroup_id INTEGER, publication_id INTEGER,
  formula text, compound text, pub_title text, a text, b text, c text, alpha text, beta text, gamma text,
  crystal_density text, atoms_sites text, atoms_x text, atoms_y text, atoms_z text, atoms_occupancy text);
"""
GALENA = {
    "minerals": "Galena",
    "group": "F m -3 m",
    "formula": "Pb S",
    "compound": "Colorado, USA",
    "pub_title": " The crystal structures of some metallic sulfides\n Sample: T = 15 K, P = 47 kbar",
    "cell": ("5.93", "5.93", "5.93", "90", "90", "90"),
    "crystal_density": "7.621",
    "atoms": [("Pb", 0, 0, 0), ("S", 0.5, 0.5, 0.5)],
    "occupancy": None,
}


def encode(values):
    return base64.b64encode(np.round(np.array(values, float) * 4e6).astype("<i4").tobytes()).decode()


def write_database(path, rows):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        connection.execute("INSERT INTO publications VALUES (1, 'American Mineralogist', '10', 1925, '281')")
        for number, changes in enumerate(rows, start=1):
            _insert(connection, number, GALENA | changes)
        connection.commit()
    return path


def _insert(connection, number, row):
    group = gemmi.find_spacegroup_by_name(row["group"])
    operations = row.get("operations", json.dumps([op.triplet() for op in group.operations()]))
    connection.execute("INSERT INTO spacegroups VALUES (?, ?, ?)", (number, row["group"], operations))
    connection.execute("INSERT INTO minerals VALUES (?, ?)", (number, row["minerals"]))
    labels = row.get("labels", json.dumps([label for label, *_ in row["atoms"]]))
    xyz = [encode([atom[k] for atom in row["atoms"]]) for k in (1, 2, 3)]
    occupancy = "0" if row["occupancy"] is None else encode(row["occupancy"])
    values = [number, number, number, 1, row["formula"], row["compound"], row["pub_title"], *row["cell"]]
    values += [row["crystal_density"], labels, *row.get("coordinates", xyz), occupancy]
    connection.execute(f"INSERT INTO cif VALUES ({', '.join('?' * len(values))})", values)


def read(path, *rows, **options):
    return list(AmcsdSource(write_database(path / "tiny.db", rows), **options).read(0, 99))


BRUCITE = {
    "minerals": "Brucite",
    "group": "P -3 m 1",
    "formula": "Mg O2 D2",
    "cell": ("3.142", "3.142", "4.766", "90", "90", "120"),
    "atoms": [("Mg", 0, 0, 0), ("O", 1 / 3, 2 / 3, 0.22), ("D", 1 / 3, 2 / 3, 0.43)],
    "crystal_density": "2.377",
}
SPINEL = {
    "group": "F d -3 m:2",
    "formula": "(Mg.7 Al.3) (Al1.7 Mg.3) O4",
    "cell": ("8.0832",) * 3 + ("90",) * 3,
    "atoms": [
        ("MgT", 0.125, 0.125, 0.125),
        ("AlT", 0.125, 0.125, 0.125),
        ("AlM", 0.5, 0.5, 0.5),
        ("MgM", 0.5, 0.5, 0.5),
        ("O", 0.2624, 0.2624, 0.2624),
    ],
    "occupancy": [0.7, 0.3, 0.85, 0.15, 1],
    "crystal_density": "3.578",
}


def test_a_row_becomes_a_material(tmp_path):
    (galena,) = read(tmp_path, {})
    assert galena.id == "amcsd-00001"
    assert galena.structure.composition == {16: 4, 82: 4}
    assert galena.texts == {"title": "The crystal structures of some metallic sulfides"}
    assert galena.properties["density"].value == 7.621
    assert galena.properties["temperature"].value == 15
    assert galena.properties["pressure"].value == pytest.approx(4.7)
    assert galena.tags == {
        "mineral": "Galena",
        "publication": "American Mineralogist 10 (1925) 281",
        "journal": "American Mineralogist",
        "year": "1925",
        "locality": "Colorado, USA",
        "reported_space_group": "F m -3 m",
        "reported_formula": "Pb S",
        "notes": "Sample: T = 15 K, P = 47 kbar",
    }
    provenance = galena.provenance
    assert (provenance.source, provenance.source_id) == ("amcsd", "1")
    assert "AMCSD" in provenance.licence
    assert "Downs" in provenance.citation


def test_mixed_sites_and_deuterium(tmp_path):
    spinel, brucite = read(tmp_path, SPINEL, BRUCITE)
    assert spinel.structure.composition == pytest.approx({8: 32, 12: 8, 13: 16})
    assert ((12, 0.7), (13, 0.3)) in [tuple((z, round(x, 6)) for z, x in s) for s in spinel.structure.sites]
    assert brucite.structure.composition == {1: 2, 8: 2, 12: 1}
    assert brucite.structure.formula == "MgH2O2"


@pytest.mark.parametrize(
    ("label", "formula", "symbol"),
    [
        ("Os", "Os S", "Os"),
        ("OS", "Pb O S", "O"),
        ("Ow1", "Pb H2 O", "O"),
        ("Wat", "Pb H2 O", "O"),
        ("OH2", "Pb O H", "O"),
        ("CO", "Co S", "Co"),
        ("Co2", "Co S", "Co"),
        ("PbT", "Pb S", "Pb"),
        ("D1", "Pb D", "H"),
        ("Dy", "Dy S", "Dy"),
        ("NH4", "N H4 S", "N"),
        ("Y", "Y S", "Y"),
    ],
)
def test_labels_name_the_element_that_the_formula_has(tmp_path, label, formula, symbol):
    atoms = [(label, 0, 0, 0), ("S", 0.5, 0.5, 0.5)]
    (material,) = read(tmp_path, {"atoms": atoms, "formula": formula, "crystal_density": "0"})
    assert isinstance(material, Material), material
    assert set(material.structure.elements) == {symbol, "S"}


def test_occupancies_that_are_not_given_are_full(tmp_path):
    (galena,) = read(tmp_path, {"occupancy": [2.0, 3.0]})
    assert galena.structure.is_ordered


CLOSE = [("Pb", 0, 0, 0), ("S", 0.5, 0.5, 0.5), ("S", 0.5, 0.5, 0.56)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cell": ("5,93", *GALENA["cell"][1:])}, "a is '5,93', not a number"),
        ({"cell": (None, *GALENA["cell"][1:])}, "a is None, not a number"),
        ({"atoms": [("Pb", 0, 0, 0), ("S", 2, 0.5, 0.5)]}, "a coordinate is not given"),
        ({"atoms": [("Pb", 0, 0, 0), ("S", 3, 0.5, 0.5)]}, "a coordinate is not given"),
        ({"atoms": CLOSE, "crystal_density": "0"}, "on top of each other"),
        ({"crystal_density": "6.9"}, r"density 7\.6\d\d g/cm³ from the structure, 6\.900 stated"),
        ({"labels": '["Pb", "S", "S"]'}, "3 labels but 2 coordinates"),
        ({"labels": '"<missing>"'}, "labels but 2 coordinates"),
        ({"labels": "[Pb"}, "JSONDecodeError"),
        ({"labels": '["Qq", "S"]'}, "unknown element in label 'Qq'"),
        ({"labels": '["", "S"]'}, "unknown element in label ''"),
        ({"coordinates": ["AAA", "AAA", "AAA"]}, "Error"),
        ({"cell": (*GALENA["cell"][:3], "20", "20", "120")}, "angles 20.0, 20.0, 120.0° close no cell"),
        ({"operations": '["x,y,q"]'}, "cannot read 'x,y,q'"),
        ({"occupancy": [1.2, 1.0]}, "occupancies of one site add up to 1.200"),
        ({"cell": ("0.593",) * 3 + ("90",) * 3}, "absurd cell"),
    ],
)
def test_a_broken_row_is_a_reject_and_stops_no_other(tmp_path, changes, reason):
    first, broken, last = read(tmp_path, {}, changes, {})
    assert isinstance(first, Material)
    assert isinstance(last, Material)
    assert isinstance(broken, Reject)
    assert broken.id == "amcsd-00002"
    assert re.search(reason, broken.reason)


def test_cells_above_the_limit_are_rejected(tmp_path):
    (galena,) = read(tmp_path, {}, max_sites=7)
    assert galena == Reject("amcsd-00001", "8 sites, more than the limit of 7")


def test_a_compilation_gives_neither_title_nor_publication(tmp_path):
    (row,) = read(tmp_path, {"pub_title": "Second edition. Interscience Publishers, New York,\nNote: cubic"})
    assert row.texts == {}
    assert "publication" not in row.tags
    assert "Interscience" in row.tags["notes"]


def test_a_row_without_title_or_mineral(tmp_path):
    missing, null = read(tmp_path, {"pub_title": "<missing>", "minerals": "<missing>"}, {"pub_title": None})
    assert missing.texts == null.texts == {}
    assert "mineral" not in missing.tags


def test_ranges_and_processes(tmp_path):
    path = write_database(tmp_path / "tiny.db", [{}] * 5)
    source = AmcsdSource(path)
    whole = [m.id for m in source.read(0, 5)]
    copy = pickle.loads(pickle.dumps(source))
    assert [m.id for start in (0, 2, 4) for m in copy.read(start, start + 2)] == whole
    assert b"Galena" not in pickle.dumps(source)
    assert isinstance(source, Source)
    assert len(source) == 5


def test_the_fingerprint_follows_file_and_options(tmp_path):
    one = AmcsdSource(write_database(tmp_path / "a.db", [{}]))
    other = AmcsdSource(write_database(tmp_path / "b.db", [SPINEL]))
    seen = {one.fingerprint(), other.fingerprint(), AmcsdSource(tmp_path / "a.db", 9).fingerprint()}
    assert len(seen) == 3
    assert AmcsdSource(tmp_path / "a.db").fingerprint() == one.fingerprint()


def test_strange_folder_names(tmp_path):
    folder = tmp_path / "50%41 of #1?"
    folder.mkdir()
    assert len(AmcsdSource(write_database(folder / "tiny.db", [{}]))) == 1


def test_what_is_no_database_is_named(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(
        BadInputError, match=r"text\.db'.*not an AMCSD database.*Give the file amcsd_cif1\.db"
    ):
        len(AmcsdSource(text))
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE something (id INTEGER)")
        connection.commit()
    with pytest.raises(BadInputError, match="no such table"):
        len(AmcsdSource(tmp_path / "empty.db"))
    with pytest.raises(BadInputError, match=r"gone\.db'.*no such file"):
        AmcsdSource(tmp_path / "gone.db")


@pytest.mark.parametrize("seed", range(20))
def test_lattices_agree_with_pymatgen(seed):
    rng = np.random.default_rng(seed)
    cell = [*rng.uniform(3, 20, 3), *rng.uniform(65, 115, 3)]
    found = lattice_from_parameters(*cell)
    np.testing.assert_allclose(Lattice(found).parameters, cell, rtol=1e-9)
    assert np.linalg.det(found) == pytest.approx(Lattice.from_parameters(*cell).volume)


# The real database, where it is installed or cached.


def only(amcsd, number):
    ids = [row["id"] for row in amcsd._rows]
    row = ids.index(number)
    return next(amcsd.read(row, row + 1))


def test_real_galena(amcsd):
    galena = only(amcsd, 3)
    cell = standardize(galena.structure)
    assert galena.id == "amcsd-00003"
    assert (cell.symbol, len(cell.primitive)) == ("Fm-3m", 2)
    assert cell.cell_lengths_angles == pytest.approx([5.93] * 3 + [90] * 3)
    assert galena.structure.formula == "PbS"
    assert galena.texts["title"] == "The crystal structures of some metallic sulfides"


def test_real_spinel_with_mixed_sites(amcsd):
    spinel = only(amcsd, 19580)
    mixed = {site for site in spinel.structure.sites if len(site) > 1}
    assert len(mixed) == 2
    assert all(sum(x for _, x in site) == pytest.approx(1) for site in mixed)
    # 0.30 Mg, 0.17 Al and 0.54 Co as published, to two digits, add up to 1.01.
    tetrahedral = {12: 0.30 / 1.01, 13: 0.17 / 1.01, 27: 0.54 / 1.01}
    assert any(dict(site) == pytest.approx(tetrahedral, abs=1e-3) for site in mixed)
    assert spinel.tags["reported_formula"] == "(Co.59 Mg.41 Al2) O4"
    assert spinel.tags["notes"] == "Sample: CoAl45"


@pytest.mark.parametrize("number", [1255, 1637, 1807, 3172])
def test_real_deuterides_count_as_hydrogen(amcsd, number):
    material = only(amcsd, number)
    assert "D" in material.tags["reported_formula"]
    assert "H" in material.structure.elements


def test_real_titles_lose_their_notes(amcsd):
    neutron = only(amcsd, 10299)
    assert neutron.texts["title"].endswith("K2[FeCl5(H2O)] with and without applied pressure")
    assert neutron.tags["notes"] == "Sample: P = .1 MPa; Sample: T = 15 K"
    assert neutron.properties["temperature"].value == 15
    assert neutron.properties["pressure"].value == pytest.approx(1e-4)
    coded = only(amcsd, 9165)
    assert coded.texts["title"] == "Structure de Ge U O4"
    assert coded.tags["notes"] == "_cod_database_code 1007054"


def test_a_real_compilation_has_no_titles(amcsd):
    titles = [t for t, notes in amcsd._titles if "Interscience Publishers" in notes]
    assert len(titles) > 700
    assert not any(titles)
    assert sum(bool(t) for t, _ in amcsd._titles) > 8400


def test_a_sample_of_the_real_rows(amcsd):
    """Elements are those of the reported formula; hydrogen is often reported and not located."""
    assert len(amcsd) == 9275
    rows = np.random.default_rng(0).choice(len(amcsd), 400, replace=False)
    found = [item for row in rows for item in amcsd.read(int(row), int(row) + 1)]
    kept = [m for m in found if isinstance(m, Material)]
    assert len(kept) > 0.97 * len(found)
    for material in kept:
        formula = material.tags["reported_formula"].replace("Wat", "O")
        formula = re.sub(r"D(?!y)", "H", formula)
        reported = set(gemmi_elements(formula))
        assert set(material.structure.elements) - {"H"} == reported - {"H"}, material.id


def gemmi_elements(formula):
    """Symbols in a formula, by an independent reading of its letters."""
    return [gemmi.Element(s).name for s in re.findall(r"[A-Z][a-z]?", formula)]


@pytest.mark.slow
def test_all_real_rows(amcsd):
    found = list(amcsd.read(0, len(amcsd)))
    rejects = [r for r in found if isinstance(r, Reject)]
    assert len(found) == 9275
    assert len(found) - len(rejects) >= 9000
    assert len({m.id for m in found}) == 9275
    assert all(r.reason for r in rejects)
