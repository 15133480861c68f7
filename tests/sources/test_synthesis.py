import json
import lzma
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_synthesis_recipe import heating, material, reaction

from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.material import Material, Property, Provenance, Reject
from prismat.prepare import PrepareSettings, prepare
from prismat.sources.base import Source
from prismat.sources.synthesis import SynthesisOptions, SynthesisSource
from prismat.sources.synthesis_join import StructureIndex, open_structures, read_crystals, write_crystals
from prismat.sources.synthesis_recipe import Recipe, composition_key, read_recipe
from prismat.sources.table import TableColumns, TableSource

CUBIC = [4.2, 0.0, 0.0, 0.0, 4.2, 0.0, 0.0, 0.0, 4.2]


def crystal_row(identifier, numbers, energy=None, **changes):
    frac = (np.arange(3 * len(numbers)) % 7 / 7 + np.repeat(np.arange(len(numbers)), 3) * 0.01).round(3)
    return {
        "material_id": identifier,
        "numbers": numbers,
        "lattice": CUBIC,
        "frac_coords": frac.tolist(),
        "e_above_hull": energy,
        **changes,
    }


STRUCTURES = [
    crystal_row("mp-1", [38, 8], 0.2),
    crystal_row("mp-2", [38, 8], 0.0),
    crystal_row("mp-3", [38, 8], None),
    crystal_row("mp-5", [20, 8], 0.0),
    crystal_row("mp-6", [12, 8], 0.0, frac_coords=[0.0] * 6),
    crystal_row("mp-7", [25, 8], 0.0, frac_coords=[0.0] * 3),
]


def oxide(symbol, **changes):
    formula = f"{symbol}O"
    target = material(formula, {symbol: "1", "O": "1"}, mp_id=changes.pop("mp_id", None))
    return reaction(target=target, targets_string=[formula], **changes)


REACTIONS = [
    oxide("Ca", mp_id="mp-5", doi="10.1/a"),
    oxide("Sr", doi="10.1/a"),
    oxide("Sr", mp_id="mp-1", doi="10.1/b", operations=[heating(500.0, 2.0)]),
    oxide("Sr", mp_id="mp-404", doi="10.1/c", operations=[heating(700.0, 6.0)]),
    oxide("Ba", doi="10.1/d"),
    reaction(target={}),
    oxide("Mg"),
    oxide("Mn"),
]


def written(tmp_path, reactions=REACTIONS, payload=None):
    recipes, table = tmp_path / "reactions.json.xz", tmp_path / "structures.parquet"
    content = {"release_date": "2019-12-03", "reactions": reactions} if payload is None else payload
    recipes.write_bytes(lzma.compress(json.dumps(content).encode()))
    pq.write_table(pa.Table.from_pylist(STRUCTURES), table, row_group_size=2)
    return SynthesisOptions(path=recipes, structures=table, cache=tmp_path / "cache")


def read(options):
    source = options.open()
    source.obtain()
    return list(source.read(0, len(source)))


def test_recipes_find_their_structures(tmp_path):
    found = read(written(tmp_path))
    by_id, by_formula, by_other_id, by_second, none, broken, overlapping, unreadable = found
    assert (by_id.tags["matched_by"], by_id.tags["structure"]) == ("mp_id", "mp-5")
    assert by_id.structure.formula == "CaO"
    assert (by_formula.tags["matched_by"], by_formula.tags["structure"]) == ("formula", "mp-2")
    assert by_formula.tags["candidates"] == "3"
    assert (by_other_id.tags["structure"], by_second.tags["structure"]) == ("mp-1", "mp-2")
    assert by_second.tags["matched_by"] == "formula"
    assert (none.structure, none.tags["matched_by"]) == (None, "none")
    assert none.tags["group"] == composition_key({56: 1, 8: 1})
    assert "no formula of the product" in broken.reason
    assert (overlapping.id, "on top of each other" in overlapping.reason) == ("solid-state-00007", True)
    assert "the structure mp-7 cannot be read" in unreadable.reason


def test_a_series_of_compositions_is_told(tmp_path):
    target = material("Ca1-xSrxO", {"Ca": "1-x", "Sr": "x", "O": "1"}, additives=["Eu"])
    series = reaction(target=target, targets_string=["CaO", "Ca0.5Sr0.5O"])
    (found,) = read(written(tmp_path, [series]))
    assert (found.tags["structure"], found.tags["compositions"], found.tags["additives"]) == (
        "mp-5",
        "2",
        "Eu",
    )


def test_what_a_record_holds(tmp_path):
    first = read(written(tmp_path))[0]
    assert first.id == first.provenance.source_id == "solid-state-00001"
    assert first.texts["synthesis"].startswith("Mix BaCO3 and TiO2; calcine at 900 °C for 12 h")
    assert first.properties == {
        "synthesis_temperature": Property(1350.0, "°C"),
        "heating_time": Property(16.0, "h"),
        "e_above_hull": Property(0.0, "eV/atom"),
    }
    assert (first.tags["target"], first.tags["precursors"]) == ("CaO", "BaCO3, TiO2")
    assert first.tags["doi"] == first.tags["publication"] == "10.1/a"
    assert first.provenance.licence == "CC BY 4.0; structures: CC BY 4.0"
    assert "Kononova" in first.provenance.citation


def test_properties_of_the_structure_come_along(tmp_path):
    options = written(tmp_path)
    changed = [
        {**row, "band_gap": gap, "colour": 1.0} for row, gap in zip(STRUCTURES, [1.5, None] * 3, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(changed), options.structures)
    by_id, by_formula, by_other_id, _, none, *_ = read(options)
    assert by_other_id.properties["band_gap"] == Property(1.5, "eV")
    assert by_other_id.properties["e_above_hull"] == Property(0.2, "eV/atom")
    # Unknown values are left out, and so is what the layout does not know.
    assert "band_gap" not in by_formula.properties
    assert "colour" not in by_id.properties
    assert set(none.properties) == {"synthesis_temperature", "heating_time"}


def test_unmatched_recipes_can_be_rejected(tmp_path):
    options = written(tmp_path)
    found = read(replace(options, unmatched="reject"))
    assert found[4] == Reject("solid-state-00005", "no structure of this product")
    alone = read(replace(options, structures=None))
    assert {m.tags["matched_by"] for m in alone if isinstance(m, Material)} == {"none"}
    assert alone[0].provenance.licence == "CC BY 4.0"


def test_all_recipes_of_a_product_can_be_one_record(tmp_path):
    options = replace(written(tmp_path, [*REACTIONS, oxide("Ba", doi="10.1/e")]), group="target")
    found = {m.id: m for m in read(options) if isinstance(m, Material)}
    assert list(found) == [f"solid-state-0000{n}" for n in (1, 2, 3, 5)]
    strontium = found["solid-state-00002"]
    assert strontium.tags["doi"] == "10.1/a; 10.1/c"
    assert "publication" not in strontium.tags
    assert strontium.tags["recipes"] == "2"
    assert len(strontium.texts["synthesis"].splitlines()) == 2
    assert strontium.properties["synthesis_temperature"].value == (1350 + 700) / 2
    assert found["solid-state-00005"].tags["recipes"] == "2"


def test_it_is_a_source_that_workers_read(tmp_path):
    options = written(tmp_path, REACTIONS * 100)
    source = options.open()
    assert isinstance(source, Source)
    source.obtain()
    (tmp_path / "reactions.json.xz").unlink()
    (tmp_path / "structures.parquet").unlink()
    again = pickle.loads(pickle.dumps(source))
    assert [m.id for m in again.read(510, 515)] == [f"solid-state-{n:05d}" for n in range(511, 516)]
    assert again.fingerprint() == source.fingerprint()
    assert list(again.read(800, 900)) == []


def test_options_that_change_the_records_change_the_fingerprint(tmp_path):
    options = written(tmp_path)
    others = [
        options,
        replace(options, structures=None),
        replace(options, group="target"),
        replace(options, name_target=False),
        replace(options, unmatched="reject"),
        replace(options, limit=3),
        replace(options, max_sites=2),
    ]
    assert len({one.open().fingerprint() for one in others}) == len(others)


def test_structures_of_a_store(tmp_path):
    options = written(tmp_path)
    rows = [{k: v for k, v in row.items() if k != "e_above_hull"} for row in STRUCTURES[:4]]
    energies = [0.3, 0.1, 0.2, 0.0]
    table = tmp_path / "plain.parquet"
    pq.write_table(
        pa.Table.from_pylist([{**r, "ehull": e} for r, e in zip(rows, energies, strict=True)]), table
    )
    source = TableSource(table, TableColumns({"ehull": "eV/atom"}, licence="CC0"))
    store = prepare(source, tmp_path / "store", PrepareSettings(workers=1, shard_rows=3))
    found = read(replace(options, structures=store.folder))
    assert [m.tags.get("structure") for m in found[:5]] == ["mp-5", "mp-2", "mp-1", "mp-2", None]
    assert found[0].structure.formula == "CaO"
    assert found[0].provenance.licence == "CC BY 4.0; structures: CC0"


def test_neither_a_store_nor_a_table(tmp_path):
    with pytest.raises(BadInputError, match="neither a store nor a table"):
        open_structures(tmp_path / "absent")
    with pytest.raises(BadInputError, match="No finished store"):
        open_structures(tmp_path)
    (tmp_path / "words.parquet").write_text("words")
    with pytest.raises(BadInputError, match="cannot read"):
        open_structures(tmp_path / "words.parquet")
    pq.write_table(pa.table({"material_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(BadInputError, match="no column 'numbers'"):
        open_structures(tmp_path / "other.parquet")


def test_crystals_are_copied_once_and_read_by_row(tmp_path):
    options = written(tmp_path)
    structures, path = open_structures(options.structures), tmp_path / "own.parquet"
    write_crystals(structures, [0, 3, 5], path)
    found = read_crystals(path, [3, 0, 3, 5])
    assert {row: crystal and crystal.formula for row, crystal in found.items()} == {
        0: "SrO",
        3: "CaO",
        5: None,
    }
    assert read_crystals(path, []) == {}
    write_crystals(structures, [1], path)
    assert pq.read_table(path)["row"].to_pylist() == [0, 3, 5]


def test_the_first_composition_that_there_is_counts(tmp_path):
    index = StructureIndex(open_structures(written(tmp_path).structures).entries())
    keys = tuple(composition_key(amounts) for amounts in ({3: 1, 8: 1}, {20: 1, 8: 1}, {38: 1, 8: 1}))
    match = index.find(Recipe("(Li,Ca,Sr)O", "", formulas=keys))
    assert (match.entry.ids, match.candidates) == (("mp-5",), 1)
    assert index.find(Recipe("LiO", "", formulas=keys[:1])) is None


def test_an_array_of_the_solution_data_set(tmp_path):
    one = reaction(
        type="hydrothermal", operations=[{"string": "washed", "type": "Purification", "conditions": None}]
    )
    options = replace(written(tmp_path, payload=[one]), dataset="solution", structures=None)
    (found,) = read(options)
    assert (found.id, found.tags["route"]) == ("solution-00001", "hydrothermal")
    assert found.texts["synthesis"] == "React BaCO3 and TiO2; wash. Product: BaTiO3."
    assert "Wang" in found.provenance.citation


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({"recipes": REACTIONS}, "no rows"),
        ([{"doi": "10.1/a", "product": "BaO"}], r"no row has the field 'operations'.*may have changed"),
        ([5, "x"], "no row has the field"),
    ],
)
def test_a_changed_schema(tmp_path, payload, problem):
    with pytest.raises(BadInputError, match=problem):
        read(written(tmp_path, payload=payload))


def test_broken_files(tmp_path):
    options = written(tmp_path)
    whole = options.path.read_bytes()
    options.path.write_bytes(whole[:200])
    with pytest.raises(BadInputError, match="cannot be read"):
        read(options)
    options.path.write_bytes(lzma.compress(b'{"reactions": [{"target": ]}'))
    with pytest.raises(BadInputError, match=r"not JSON|ends too early"):
        read(options)


def test_the_data_set_is_fetched(server, client, tmp_path):
    options = written(tmp_path)
    server.file("/set.json.xz", options.path.read_bytes())
    server.faults["/set.json.xz"] = [Answer(status=429), Answer(status=500)]
    remote = replace(options, path=None, url=f"{server.url}/set.json.xz", structures=None)
    for _ in range(2):
        source = SynthesisSource(remote, client)
        source.obtain()
        assert len(source) == len(REACTIONS)
    assert server.asked("/set.json.xz") == 3
    server.file("/html.json.xz", b"<html></html>")
    with pytest.raises(FetchError, match=r"HTML where a \.xz file was expected"):
        SynthesisSource(replace(remote, url=f"{server.url}/html.json.xz"), client).obtain()


def test_a_store_is_made_of_them(tmp_path):
    source = written(tmp_path).open()
    store = prepare(source, tmp_path / "made", PrepareSettings(workers=1))
    assert (len(store), store.info["rejected"]) == (5, 3)
    assert [bool(crystal) for crystal in store.crystals()] == [True] * 4 + [False]
    assert all(dict(texts)["synthesis"] for texts in store.column("texts"))
    assert dict(store.column("provenance")[0]) == {
        "source": "synthesis",
        "source_id": "solid-state-00001",
        "licence": source.licence,
        "citation": source.citation,
    }
    assert Provenance("synthesis") != Provenance()
    assert read_recipe(REACTIONS[0]).text == dict(store.column("texts")[0])["synthesis"]
