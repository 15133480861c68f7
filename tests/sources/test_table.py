import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prismat.errors import BadInputError
from prismat.material import Property, Reject
from prismat.sources import table as table_module
from prismat.sources.base import Source
from prismat.sources.table import LAYOUTS, TableColumns, TableSource

SALT = {
    "material_id": "salt",
    "numbers": [11, 17],
    "lattice": [0, 2.82, 2.82, 2.82, 0, 2.82, 2.82, 2.82, 0],
    "frac_coords": [0, 0, 0, 0.5, 0.5, 0.5],
}
COLUMNS = TableColumns(
    properties={"gap": "eV"},
    electronic_dos=("energy", "dos"),
    phonon_dos=("wave_number", "phonons"),
    charge_density="grid",
    licence="CC0",
    citation="Nobody (2026)",
)
FULL = {
    **SALT,
    "split": "train",
    "gap": 8.5,
    "energy": [-1.0, 0.0, 1.0],
    "dos": [1.0, 0.5, 0.0],
    "wave_number": [100.0, 200.0],
    "phonons": [0.1, 0.2],
    "grid": [2.0] * 8,
}
EMPTY = dict.fromkeys(("gap", "dos", "energy", "wave_number", "phonons", "grid"))


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(path, rows, columns=COLUMNS, **others):
    source = TableSource(write(path, rows), columns, **others)
    return list(source.read(0, len(source)))


def test_a_row_with_everything(tmp_path):
    (material,) = read(tmp_path / "t.parquet", [FULL])
    assert material.structure.formula == "NaCl"
    assert material.properties == {"gap": Property(8.5, "eV")}
    assert material.tags == {"split": "train"}
    assert (material.provenance.source_id, material.provenance.licence) == ("salt", "CC0")
    dos, phonons = material.measurements["dos"], material.measurements["phonon_dos"]
    assert (dos.zero, dos.spin, dos.n_atoms, dos.unit) == ("fermi", "up", 2, "eV")
    assert (phonons.kind, phonons.unit, phonons.n_atoms) == ("phonon", "cm-1", 2)
    density = material.measurements["charge_density"]
    assert density.values.shape == (2, 2, 2)
    assert density.electrons == pytest.approx(2.0)  # ρ·V was 2 everywhere


def test_missing_values_are_left_out(tmp_path):
    first, second = read(
        tmp_path / "t.parquet", [FULL, {**FULL, **EMPTY, "material_id": "bare", "split": None}]
    )
    assert first.measurements
    assert (second.properties, second.measurements, second.tags) == ({}, {}, {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"numbers": [11, 120]}, "atomic number 120"),
        ({"frac_coords": [0.0, 0.0, 0.0]}, "1 positions for 2 atoms"),
        ({"frac_coords": [0.0] * 6}, "on top of each other"),
        ({"lattice": [0.0] * 9}, "absurd cell"),
        ({"lattice": [1.0, 2.0]}, "ValueError"),
        ({"grid": [1.0] * 7}, "7 values are no cubic grid"),
    ],
)
def test_a_bad_row_is_a_reject_and_the_rest_goes_on(tmp_path, change, reason):
    rows = [{**FULL, **change, "material_id": "bad"}, FULL]
    bad, good = read(tmp_path / "t.parquet", rows)
    assert isinstance(bad, Reject)
    assert bad.id == "bad"
    assert reason in bad.reason
    assert good.id == "salt"


def test_limit_draws_rows_by_a_fixed_seed(tmp_path):
    rows = [{**FULL, "material_id": str(i)} for i in range(20)]
    found = [[m.id for m in read(tmp_path / "t.parquet", rows, limit=n)] for n in (5, 5, 0, 30)]
    assert found[0] == found[1]
    assert len(set(found[0])) == 5
    assert found[2] == found[3] == [str(i) for i in range(20)]
    one, other = (TableSource(tmp_path / "t.parquet", COLUMNS, n).fingerprint() for n in (5, 6))
    assert one != other


def test_it_is_a_source_and_reads_ranges(tmp_path):
    source = TableSource(
        write(tmp_path / "t.parquet", [{**FULL, "material_id": str(i)} for i in range(4)]), COLUMNS
    )
    assert isinstance(source, Source)
    assert [m.id for m in source.read(1, 3)] == ["1", "2"]
    assert list(source.read(4, 9)) == []


def test_errors(tmp_path):
    with pytest.raises(BadInputError, match=r"cannot read .*missing\.parquet"):
        len(TableSource(tmp_path / "missing.parquet", COLUMNS))
    (tmp_path / "no.parquet").write_text("words")
    with pytest.raises(BadInputError, match="cannot read"):
        len(TableSource(tmp_path / "no.parquet", COLUMNS))
    with pytest.raises(BadInputError, match=r"no column 'formation_energy_per_atom'.*layout"):
        len(TableSource(write(tmp_path / "t.parquet", [FULL]), LAYOUTS["mp2018"]))


def test_cells_larger_than_allowed_are_rejected(tmp_path):
    (found,) = read(tmp_path / "t.parquet", [FULL], max_sites=1)
    assert isinstance(found, Reject)
    assert np.char.find(found.reason, "limit of 1") >= 0


@pytest.mark.parametrize("group", [1, 3, 1000])
def test_ranges_over_row_groups_and_batches(tmp_path, monkeypatch, group):
    monkeypatch.setattr(table_module, "_BATCH", 2)
    path = tmp_path / "t.parquet"
    rows = [{**FULL, "material_id": str(i)} for i in range(11)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    source = TableSource(path, COLUMNS)
    for start, stop in ((0, 11), (2, 7), (10, 11), (3, 3)):
        assert [m.id for m in source.read(start, stop)] == [str(i) for i in range(start, stop)]
    names = ["material_id"]
    found = table_module.taken_rows(pq.ParquetFile(path), [0, 5, 6, 10], names)
    assert [row["material_id"] for row in found] == ["0", "5", "6", "10"]
    assert list(table_module.taken_rows(pq.ParquetFile(path), [], names)) == []
