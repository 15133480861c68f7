import numpy as np
import pytest

import helpers_small as small
from prismat.errors import MismatchError
from prismat.material import Material
from prismat.prepare import PrepareSettings, prepare
from prismat.ragged import pack
from prismat.search.engine import SearchEngine
from prismat.search.index import Index
from prismat.tasks.indexing import build_index


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


def test_the_index_holds_every_record_as_raw_input_would_be_embedded(small_engine, prismat, small_prepared):
    index, records = small_engine.index, small_prepared.records
    assert index.table["id"].to_pylist() == records.ids
    windows = prismat.recipe.windows
    assert set(index.vectors) == {f"{a}@{b}" for a in windows for b in windows if a != b} | {"profile"}
    expected = prismat.embed(structures=[small.crystal(i) for i in records.ids])["structure@text"]
    np.testing.assert_allclose(index.vectors["structure@text"], expected, atol=1e-5)
    texts = [". ".join(p for p in both if p) for both in zip(records.minerals, records.titles, strict=True)]
    told = np.array([bool(t) for t in texts])
    assert not told.all()
    np.testing.assert_array_equal(index.present["text@xrd"], told)
    expected = prismat.embed(texts=[t for t in texts if t])["text@xrd"]
    np.testing.assert_allclose(index.vectors["text@xrd"][told], expected, atol=1e-5)
    assert not index.vectors["text@xrd"][~told].any()
    assert index.present["xrd@text"].all()
    lines = small.crystal("rutile_Ti-O")
    row = records.ids.index("rutile_Ti-O")
    packed = {k: pack([v]) for k, v in prismat.modalities["xrd"].featurize(Material("x", lines)).items()}
    profile = prismat.modalities["xrd"].collate(packed).profile[0].numpy()
    np.testing.assert_allclose(index.vectors["profile"][row], profile / np.linalg.norm(profile), atol=1e-4)


def test_the_table_has_titles_minerals_and_properties_with_units(small_engine, small_prepared):
    table, records = small_engine.index.table, small_prepared.records
    shown = table["title"].to_pylist()
    for title, mineral, found in zip(records.titles, records.minerals, shown, strict=True):
        assert found == (title or mineral)
    assert small_engine.index.units == {"gap": "eV"}
    values = table["property.gap"].to_pylist()
    kept = {m.id: m for m in small.materials() if hasattr(m, "properties")}
    assert values == [p.value if (p := kept[i].properties.get("gap")) else None for i in records.ids]


def test_another_model_is_refused(small_run, small_store, tmp_path, prismat, small_whole):
    build_index(prismat, small_store, tmp_path / "index")
    assert len(SearchEngine.open(prismat, tmp_path / "index").search(text="oxide", k=3)) == 3
    with pytest.raises(MismatchError):
        SearchEngine.open(small_whole.engine.prismat, tmp_path / "index")


def test_a_model_searches_a_store_that_it_was_not_trained_on(prismat, tmp_path):
    """Words and patterns are read as the model reads queries, whatever the store's own texts are like."""
    settings = PrepareSettings(profile=prismat.recipe.profile, workers=1)
    store = prepare(small.SmallSource(small.patchy()[55:]), tmp_path / "store", settings)
    index = build_index(prismat, store, tmp_path / "index")
    ids = store.ids
    words = ids.index("words_3")
    np.testing.assert_allclose(
        index.vectors["text@xrd"][words], prismat.embed(texts=["A note on phase 3"])["text@xrd"][0], atol=1e-5
    )
    found = {k: m[words] for k, m in index.present.items()}
    assert found == {k: k.startswith("text") for k in found}
    measured = ids.index("pattern_1")
    expected = prismat.embed(patterns=[small.measured("rutile_Ti-O")])["xrd@structure"][0]
    np.testing.assert_allclose(index.vectors["xrd@structure"][measured], expected, atol=1e-5)
    hits = SearchEngine(prismat, index).search(xrd=small.measured("rutile_Ti-O"), k=3)
    assert {"pattern_1", "both_1"} <= {h.id for h in hits}


def test_an_index_is_written_whole_and_again(prismat, small_store, tmp_path):
    first = build_index(prismat, small_store, tmp_path / "index")
    again = build_index(prismat, small_store, tmp_path / "index")
    assert {p.name for p in tmp_path.iterdir()} == {"index"}
    for key, vectors in Index.open(tmp_path / "index", prismat.hash, verify=True).vectors.items():
        np.testing.assert_array_equal(vectors, again.vectors[key])
    assert len(first) == len(again) == len(small_store)
