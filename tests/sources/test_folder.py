import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.formats import to_cif
from prismat.material import Material, Property, Reject
from prismat.sources.base import Source
from prismat.sources.folder import FolderSource

SALT = Crystal(np.eye(3) * 5.64, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), (((11, 1.0),), ((17, 1.0),)))
POSCAR = "iron\n2.87\n1 0 0\n0 1 0\n0 0 1\nFe\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"
XY = "\n".join(f"{10 + 0.1 * i:.2f} {1 + i % 7}" for i in range(200)) + "\n"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "salt.cif").write_text(to_cif(SALT))
    (root / "salt.xy").write_text(XY)
    (root / "broken.cif").write_text("data_broken\nloop_\n")
    (root / "POSCAR.iron").write_text(POSCAR)
    (root / "sub" / "iron.vasp").write_text(POSCAR)
    (root / "only.xye").write_text("\n".join(line + " 1.0" for line in XY.splitlines()) + "\n")
    (root / ".hidden.cif").write_text(to_cif(SALT))
    (root / "notes.txt").write_text("nothing")
    return root


def rows(source):
    return {item.id: item for item in source.read(0, len(source))}


def test_files_become_materials_and_a_bad_one_a_reject(folder):
    source = FolderSource(folder, licence="CC-BY-4.0", citation="Me (2026)")
    found = rows(source)
    assert list(found) == ["POSCAR.iron", "broken", "only", "salt", "sub/iron"]
    assert len(source) == 5
    assert isinstance(found["broken"], Reject)
    assert "unreadable CIF" in found["broken"].reason
    salt = found["salt"]
    assert salt.structure.composition == {11: 1, 17: 1}
    assert salt.measurements["xrd"].two_theta[:2].tolist() == [10.0, 10.1]
    assert (salt.provenance.source, salt.provenance.source_id) == ("folder", "salt")
    assert (salt.provenance.licence, salt.provenance.citation) == ("CC-BY-4.0", "Me (2026)")
    assert found["only"].structure is None
    assert set(found["only"].measurements) == {"xrd"}
    assert found["sub/iron"].structure.composition == {26: 2}


def test_any_range_gives_the_same_rows_in_another_process_too(folder):
    source = FolderSource(folder)
    whole = [item.id for item in source.read(0, 99)]
    copy = pickle.loads(pickle.dumps(source))
    assert [item.id for start in range(0, 6, 2) for item in copy.read(start, start + 2)] == whole
    assert b"iron" not in pickle.dumps(source)
    assert isinstance(source, Source)


def test_the_table_adds_texts_tags_and_properties(folder):
    (folder / "table.csv").write_text(
        "id,file,Title,keywords,mineral,year,band_gap [eV],z [],colour,doi\n"
        '007,salt.cif,"Salt, of the\nearth",cubic,halite,1950,8.5,4,white,10.1/x\n'
        "a word,,Only words,,,,,,,\n"
        "nothing,,,,,,1.0,,,\n"
        "gone,lost.cif,Lost,,,,,,,\n"
    )
    found = rows(FolderSource(folder))
    assert list(found) == ["007", "a word", "nothing", "gone", "POSCAR.iron", "broken", "only", "sub/iron"]
    salt = found["007"]
    assert salt.texts == {"title": "Salt, of the\nearth", "keywords": "cubic"}
    assert salt.tags == {"mineral": "halite", "year": "1950", "colour": "white", "doi": "10.1/x"}
    assert salt.properties == {"band_gap": Property(8.5, "eV"), "z": Property(4.0, "")}
    assert salt.structure is not None
    assert "xrd" in salt.measurements
    assert found["a word"].texts == {"title": "Only words"}
    assert found["a word"].structure is None
    assert found["nothing"] == Reject("nothing", "neither a structure nor a measurement nor a text")
    assert found["gone"] == Reject("gone", "the folder has no file 'lost.cif'")


def test_a_parquet_table_and_ways_to_name_a_file(folder, tmp_path):
    (folder / "sub" / "salt.cif").write_text(to_cif(SALT))
    table = pa.table(
        {
            "file": ["sub/salt", "salt", "iron.vasp", "POSCAR.iron"],
            "year": [1999.0, None, 2001.0, None],
            "energy [eV/atom]": pa.array([-1.5, float("nan"), None, 2.0], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = rows(FolderSource(folder, table=tmp_path / "t.parquet"))
    assert list(found) == ["sub/salt", "salt", "iron", "POSCAR.iron", "broken", "only"]
    assert "xrd" not in found["sub/salt"].measurements
    assert "xrd" in found["salt"].measurements
    assert found["sub/salt"].tags == {"year": "1999"}
    assert found["sub/salt"].properties == {"energy": Property(-1.5, "eV/atom")}
    assert found["salt"].properties == {}
    assert found["iron"].structure.composition == {26: 2}


def test_ambiguous_names_are_rejected_not_guessed(folder):
    (folder / "sub" / "x.cif").write_text(to_cif(SALT))
    (folder / "x2").mkdir()
    (folder / "x2" / "x.cif").write_text(to_cif(SALT))
    (folder / "salt.vasp").write_text(POSCAR)
    (folder / "table.csv").write_text("id,title\nx,T\nsalt,S\n")
    found = rows(FolderSource(folder))
    assert found["x"] == Reject("x", "'x' names several files: sub/x, x2/x")
    assert found["salt"] == Reject("salt", "several files for one record: salt.cif, salt.vasp")
    (folder / "table.csv").unlink()
    found = rows(FolderSource(folder))
    assert found["salt.cif"].structure.composition == {11: 1, 17: 1}
    assert found["salt.vasp"].structure.composition == {26: 2}


def test_nothing_outside_the_folder_is_read(folder, tmp_path):
    (tmp_path / "secret.cif").write_text(to_cif(SALT))
    (folder / "link.cif").symlink_to(tmp_path / "secret.cif")
    (folder / "table.csv").write_text(f"id,file\na,../secret.cif\nb,{tmp_path}/secret.cif\nc,link.cif\n")
    found = rows(FolderSource(folder))
    assert all(isinstance(found[name], Reject) for name in "abc")
    assert "the folder has no file '../secret.cif'" in found["a"].reason
    assert "link" not in found
    (folder / "table.csv").unlink()
    (folder / "t.csv").symlink_to(tmp_path / "secret.cif")
    with pytest.raises(BadInputError, match=r"t\.csv is a link that leads out of the folder"):
        FolderSource(folder)


def test_the_fingerprint_follows_the_content(folder):
    def fingerprint():
        return FolderSource(folder).fingerprint()

    first = fingerprint()
    os.utime(folder / "salt.cif", (0, 0))
    (folder / "notes.txt").write_text("changed")
    assert fingerprint() == first
    seen = {first}
    (folder / "salt.xy").write_text(XY.replace("11.00", "11.01"))
    seen.add(fingerprint())
    (folder / "only.xye").rename(folder / "other.xye")
    seen.add(fingerprint())
    (folder / "t.csv").write_text("id,title\nsalt,x\n")
    seen.add(fingerprint())
    (folder / "t.csv").write_text("id,title\nsalt,y\n")
    seen.add(fingerprint())
    seen.add(FolderSource(folder, max_sites=10).fingerprint())
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,band_gap\nsalt,1.5\n", r"record 't.csv', column 'band_gap': a number without a unit. Rename it"),
        ("id,gap [eV]\nsalt,wide\n", r"column 'gap \[eV\]': holds values that are not numbers"),
        ("id,gap [eV]\nsalt,inf\n", r"column 'gap \[eV\]': not a finite number"),
        ("title\nsalt\n", "neither a column 'id' nor a column 'file'"),
        ("id,title\nsalt,a\nsalt,b\n", r"record 't.csv, row 2': 'salt' occurs twice"),
        ("id,title\n,a\n", r"record 't.csv, row 1': neither id nor file"),
        ("id,gap [eV],gap [meV]\nsalt,1,2\n", "several columns for 'gap'"),
        ("id,title,Title\nsalt,1,2\n", "several columns for 'title'"),
        ("id,title,title\nsalt,1,2\n", "a column name occurs twice"),
        ("id,title\nsalt\n", "cannot read the table"),
        ("", "cannot read the table"),
        ("id,title\nsub/iron,x\nother,y\n", None),
    ],
)
def test_table_errors_come_before_any_work(folder, table, message):
    (folder / "t.csv").write_text(table)
    if message is None:
        assert isinstance(rows(FolderSource(folder))["sub/iron"], Material)
        return
    with pytest.raises(BadInputError, match=message):
        FolderSource(folder)


def test_folder_errors(folder, tmp_path):
    with pytest.raises(BadInputError, match="no such folder"):
        FolderSource(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"no files of a known kind and no table"):
        FolderSource(tmp_path / "empty")
    (folder / "a.csv").write_text("id\nx\n")
    (folder / "b.parquet").write_bytes(b"")
    with pytest.raises(BadInputError, match=r"several tables: a\.csv, b\.parquet"):
        FolderSource(folder)
    with pytest.raises(BadInputError, match=r"record 'b\.parquet': cannot read the table"):
        FolderSource(folder, table=folder / "b.parquet")
    with pytest.raises(BadInputError, match="cannot read the table"):
        FolderSource(folder, table=folder / "c.csv")
    (folder / "b.parquet").unlink()
    (folder / "a.csv").write_text("id,file,title\nonly,salt.cif,x\nonly.xye,salt.cif,y\n")
    with pytest.raises(BadInputError, match=r"the id 'only\.xye' occurs twice"):
        FolderSource(folder)
