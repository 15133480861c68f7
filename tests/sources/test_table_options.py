import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_table import FULL

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.sources.table import LAYOUTS, TableColumns
from prismat.sources.table_options import TableOptions


def test_layouts_of_known_columns(tmp_path):
    for layout in LAYOUTS:
        assert TableOptions(tmp_path, layout).columns() is LAYOUTS[layout]


def test_a_custom_table(tmp_path):
    path = tmp_path / "t.parquet"
    rows = [{**FULL, "name": f"r{n}", "n": 1.5} for n in range(3)]
    pq.write_table(
        pa.Table.from_pylist([{k: v for k, v in r.items() if k != "material_id"} for r in rows]), path
    )
    source = TableOptions(
        path,
        "custom",
        properties=("gap=eV", "n="),
        id_column="name",
        electronic_dos=("energy", "dos"),
        phonon_dos=("wave_number", "phonons"),
        charge_density="grid",
        licence="CC0",
        citation="Nobody (2026)",
    ).open()
    found = list(source.read(0, 3))
    assert [m.id for m in found] == ["r0", "r1", "r2"]
    assert found[0].properties == {"gap": Property(8.5, "eV"), "n": Property(1.5, "")}
    assert set(found[0].measurements) == {"dos", "phonon_dos", "charge_density"}
    assert found[0].provenance.licence == "CC0"


def test_what_is_read_is_part_of_the_fingerprint(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist([FULL]), path)
    one = TableOptions(path, "custom", properties=("gap=eV",)).open().fingerprint()
    other = TableOptions(path, "custom", properties=("gap=meV",)).open().fingerprint()
    plain = TableOptions(path, "phonon_dos").open().fingerprint()
    assert len({one, other, plain}) == 3
    # Stores of earlier versions are gone on with.
    assert len(plain.split(":")) == 2


@pytest.mark.parametrize("given", ["gap", "=eV"])
def test_a_property_without_a_unit(tmp_path, given):
    with pytest.raises(BadInputError, match="names no unit"):
        TableOptions(tmp_path, "custom", properties=(given,)).open()


def test_columns_named_for_a_table_that_has_its_own(tmp_path):
    with pytest.raises(BadInputError, match=r"layout mp2018 has its own.*--layout custom"):
        TableOptions(tmp_path, "mp2018", properties=("gap=eV",)).open()
    assert TableOptions(tmp_path, "custom").columns() == TableColumns()
