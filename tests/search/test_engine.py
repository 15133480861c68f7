import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import helpers_small as small
from prismat.api import load
from prismat.errors import BadInputError, MismatchError
from prismat.formats import to_cif
from prismat.material import Material, Property
from prismat.prepare import PrepareSettings, prepare
from prismat.search.engine import DEFAULT_BLEND, Blend, SearchEngine, index_table, open_index
from prismat.search.filters import Filter
from prismat.search.query import Query
from prismat.tasks.indexing import build_index
from prismat.tasks.quickstart import train_recipe


def elements(hit):
    return set(small.crystal(hit.id).elements)


def cosines(engine, key, vector):
    """Cosine of every record under a key with a vector."""
    return np.asarray(engine.index.vectors[key]) @ (vector / np.linalg.norm(vector))


def test_text_is_compared_with_structures_and_texts(small_engine):
    query = "The crystal structure of barium titanium oxide"
    hits = small_engine.search(text=query, k=111)
    assert len(hits) == len(small_engine.index)
    vectors = small_engine.prismat.embed(texts=[query])
    # Without sentence embeddings, texts meet texts by what was learned.
    own = DEFAULT_BLEND.raw["text"] / 2
    parts = {
        "structure@text": (DEFAULT_BLEND.cross["text"]["structure"], vectors["text@structure"][0]),
        "text@structure": (own, vectors["text@structure"][0]),
        "text@xrd": (own, vectors["text@xrd"][0]),
    }
    scores = {k: cosines(small_engine, k, v) for k, (_, v) in parts.items()}
    for hit in hits:
        assert set(hit.scores) <= set(parts)
        weights = {k: parts[k][0] for k in hit.scores}
        expected = sum(w * scores[k][hit.row] for k, w in weights.items()) / sum(weights.values())
        assert hit.score == pytest.approx(expected, abs=1e-5)
        assert hit.scores == pytest.approx({k: scores[k][hit.row] for k in hit.scores}, abs=1e-5)
        assert ("text@xrd" in hit.scores) == bool(small_engine.index.present["text@xrd"][hit.row])
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


@pytest.mark.parametrize("id", ["rock_salt_Mg-O", "wurtzite_Zn-O", "spinel_Zn-Fe-O", "marmatite"])
def test_a_structure_finds_itself_first(small_engine, id, tmp_path):
    crystal = small.crystal(id)
    path = tmp_path / "query.cif"
    path.write_text(to_cif(crystal, name=id))
    for form in (crystal, path, str(path), path.read_text(), crystal.to_pymatgen()):
        hits = small_engine.search(structure=form, k=2)
        assert hits[0].id == id
        assert hits[0].score == pytest.approx(1, abs=1e-4)
        assert hits[0].formula == crystal.formula
        assert set(hits[0].scores) == {"structure@text", "structure@xrd"}


def test_a_pattern_finds_its_crystal_by_its_profile(small_engine, tmp_path):
    pattern = small.measured("rutile_Sn-O")
    path = tmp_path / "scan.xy"
    np.savetxt(path, np.stack([pattern.two_theta, pattern.intensity], axis=1))
    found, of_file = (small_engine.search(xrd=form, k=111) for form in (pattern, path))
    assert max(found, key=lambda h: h.scores["profile"]).id == "rutile_Sn-O"
    assert [h.id for h in of_file] == [h.id for h in found]
    assert [h.score for h in of_file] == pytest.approx([h.score for h in found], abs=1e-4)


def test_parts_of_a_query_add_up_by_their_weights(small_engine):
    text, structure = "wurtzite structure", small.crystal("rutile_Ti-O")
    alone = {h.id: h for h in small_engine.search(text=text, k=111)}
    other = {h.id: h for h in small_engine.search(structure=structure, k=111)}
    mostly = small_engine.search(text=text, structure=structure, weights={"text": 1e-6}, k=5)
    assert [h.id for h in mostly] == [h.id for h in small_engine.search(structure=structure, k=5)]
    mostly = small_engine.search(text=text, structure=structure, weights={"structure": 1e-6}, k=5)
    assert [h.id for h in mostly] == [h.id for h in small_engine.search(text=text, k=5)]
    both = small_engine.search(text=text, structure=structure, k=111)
    equal = small_engine.search(
        text=text, structure=structure, weights={"text": 3.0, "structure": 3.0}, k=111
    )
    assert [h.id for h in both] == [h.id for h in equal]
    assert [h.score for h in both] == pytest.approx([h.score for h in equal], abs=1e-6)
    assert set(both[0].scores) <= set(alone[both[0].id].scores) | set(other[both[0].id].scores)


def test_filters_hold(small_engine):
    def ask(**filters):
        return small_engine.search(text="oxide", k=111, **filters)

    assert {h.id for h in ask(with_=["O", "Ti"])} == {
        *("perovskite_Sr-Ti-O", "perovskite_Ba-Ti-O", "rutile_Ti-O", "anatase_Ti-O"),
    }
    without = ask(without=["O", "F"])
    assert without
    assert not any(elements(h) & {"O", "F"} for h in without)
    only = ask(only=("Zn", "S", "Cd"))
    assert {h.formula for h in only} == {"ZnS", "CdS"}
    assert len(only) == 6
    sized = ask(n_sites=[5, 6])
    assert {h.n_sites for h in sized} == {5, 6}
    wide = ask(properties={"gap": (1.0, 2.5)})
    assert {round(h.properties["gap"].value, 1) for h in wide} == {1.2, 1.5, 1.8, 2.1, 2.4}
    assert {h.properties["gap"].unit for h in wide} == {"eV"}
    assert ask(with_=["Ti"], without=["Ti"]) == []
    same = small_engine.search(text="oxide", k=111, with_elements=("O", "Ti"))
    assert [h.id for h in same] == [h.id for h in ask(with_=["O", "Ti"])]


def test_filtered_results_keep_the_order_of_the_whole(small_engine):
    everything = small_engine.search(text="halide", k=111)
    kept = [h.id for h in everything if "Cl" in elements(h)]
    assert [h.id for h in small_engine.search(text="halide", k=111, with_=["Cl"])] == kept


@pytest.mark.parametrize("k", [1, 3, 500])
def test_k_results(small_engine, k):
    assert len(small_engine.search(text="halite", k=k)) == min(k, len(small_engine.index))


def test_bad_queries_are_refused(small_engine):
    with pytest.raises(BadInputError, match="the query is empty"):
        small_engine.search()
    with pytest.raises(BadInputError, match="query has no letter"):
        small_engine.search(text="?")
    with pytest.raises(BadInputError, match=r"unknown property 'hardness'\. This index has: gap"):
        small_engine.search(text="oxide", properties={"hardness": (1, 2)})
    with pytest.raises(BadInputError, match="Xx"):
        small_engine.search(text="oxide", with_=["Xx"])
    with pytest.raises(BadInputError, match="k is 0"):
        small_engine.search(text="oxide", k=0)
    with pytest.raises(BadInputError, match=r"weight 1\.0 for 'xrd'"):
        small_engine.search(text="oxide", weights={"xrd": 1.0})
    with pytest.raises(BadInputError, match="record 'query'"):
        small_engine.search(structure="nowhere.cif")


def test_a_typed_query_gives_the_same(small_engine):
    query = Query(text="wurtzite", filter=Filter(with_elements=("Zn",)), k=3)
    assert small_engine.answer(query) == small_engine.search(text="wurtzite", with_=["Zn"], k=3)
    again = Query.from_json(query.to_json())
    assert [h.id for h in small_engine.answer(again)] == [h.id for h in small_engine.answer(query)]


@pytest.mark.parametrize(
    ("cross", "learned", "raw", "keys"),
    [
        ({"structure": 2.0}, 0.0, 0.0, {"structure@xrd"}),
        ({}, 1.0, 0.0, {"xrd@structure", "xrd@text"}),
        ({}, 0.0, 1.0, {"profile"}),
    ],
)
def test_a_blend_decides_what_counts(small_engine, cross, learned, raw, keys):
    blend = Blend({"xrd": cross}, {"xrd": learned}, {"xrd": raw})
    engine = SearchEngine(small_engine.prismat, small_engine.index, blend)
    hits = engine.search(xrd=small.measured("rutile_Ti-O"), k=4)
    with_text = [h for h in hits if h.title]
    assert with_text
    assert all(set(h.scores) == keys for h in with_text)
    assert hits[0].score == pytest.approx(np.mean(list(hits[0].scores.values())), abs=1e-6)


def test_an_index_of_another_model_is_refused(small_run, small_store, small_engine, tmp_path):
    build_index(small_engine.prismat, small_store, tmp_path / "index")
    assert open_index(tmp_path / "index", load(small_run.folder)).search(text="oxide", k=1)
    other = load(small_run.folder)
    other.recipe = replace(other.recipe, name="other")
    with pytest.raises(MismatchError, match="model"):
        open_index(str(tmp_path / "index"), other)
    with pytest.raises(BadInputError, match="no index"):
        open_index(tmp_path, other)


def test_shared_heads_search_alike(small_prepared, small_store, tmp_path):
    projection = replace(small.tiny_recipe().projection, heads="shared")
    job = small.tiny_job(small.tiny_recipe(projection=projection), steps=2)
    prismat = train_recipe(small_prepared, job, tmp_path / "run").prismat
    engine = SearchEngine(prismat, build_index(prismat, small_store, tmp_path / "index"))
    hits = engine.search(structure=small.crystal("wurtzite_Be-O"), k=1)
    assert hits[0].id == "wurtzite_Be-O"
    assert set(hits[0].scores) == {"structure"}
    assert set(engine.search(text="rutile", k=1)[0].scores) <= {"structure", "text"}
    both = engine.search(text="rutile", xrd=small.measured("rutile_Ti-O"), k=3)
    assert set(both[0].scores) <= {"structure", "text", "xrd", "profile"}
    assert {"structure", "profile"} <= set(both[0].scores)


def test_queries_in_another_script_are_answered(small_engine, caplog):
    with caplog.at_level(logging.WARNING, logger="prismat"):
        assert len(small_engine.search(text="岩塩の結晶構造", k=2)) == 2
    assert "script" in caplog.text


def test_metadata_come_from_the_store(small_store):
    table = index_table(small_store)
    assert table["id"].to_pylist() == small_store.ids
    assert table.schema.field("property.gap").metadata == {b"unit": b"eV"}
    assert table["property.gap"].type == pa.float64()


def test_one_property_in_two_units_is_refused(tmp_path):
    rows = [
        replace(m, properties={"gap": Property(1.0, unit)}) if isinstance(m, Material) else m
        for m, unit in zip(small.materials()[:2], ("eV", "meV"), strict=True)
    ]
    store = prepare(small.SmallSource(tuple(rows)), tmp_path / "store", PrepareSettings(workers=1))
    with pytest.raises(BadInputError, match="property gap: units 'eV' and 'meV'"):
        index_table(store)
