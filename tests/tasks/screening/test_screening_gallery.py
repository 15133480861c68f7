import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import helpers_small as small
from prismat.errors import BadInputError
from prismat.prepare import PrepareSettings, prepare
from prismat.search.filters import Filter
from prismat.tasks.screening.gallery import (
    cosines,
    gallery_key,
    hits_table,
    open_gallery,
    rank,
    write_table,
)
from prismat.tasks.screening.prompts import prompts_for, query_vectors


@pytest.fixture(scope="module")
def prismat(small_run):
    return small_run.trained.prismat


@pytest.fixture(scope="module")
def index(prismat, small_store, tmp_path_factory):
    return open_gallery(prismat, small_store, tmp_path_factory.mktemp("gallery"))


def test_a_gallery_is_embedded_once(prismat, small_store, tmp_path):
    steps = []
    first = open_gallery(prismat, small_store, tmp_path, lambda n, of: steps.append((n, of)))
    assert steps[-1] == (len(small_store), len(small_store))
    again = open_gallery(prismat, small_store, tmp_path, lambda *_: pytest.fail("embedded twice"))
    np.testing.assert_array_equal(first.vectors["structure@text"], again.vectors["structure@text"])
    crystals = small_store.crystals(np.array([0, 50]))
    alone = prismat.embed(structures=crystals)["structure@text"]
    np.testing.assert_allclose(first.vectors["structure@text"][[0, 50]], alone, atol=1e-4)


def test_the_ranking_is_by_structure_alone(prismat, index):
    query = query_vectors(prismat, [prompts_for("magnesium oxide")])
    all_of_them = cosines(prismat, index, query, np.arange(len(index)))[0]
    hits = rank(prismat, index, query[0], k=20)
    assert [h.row for h in hits] == np.argsort(-all_of_them, kind="stable")[:20].tolist()
    assert hits[0].score == pytest.approx(all_of_them.max(), abs=1e-5)
    assert set(hits[0].scores) == {"structure@text"}
    kept = rank(prismat, index, query[0], k=20, filter=Filter(with_elements=("O",), without_elements=("Mg",)))
    assert kept
    assert all("O" in h.elements and "Mg" not in h.elements for h in kept)
    with pytest.raises(BadInputError, match="0 results asked for"):
        rank(prismat, index, query[0], k=0)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_results_as_a_file(prismat, index, tmp_path, ending):
    query = query_vectors(prismat, [("spinel",)])
    table = hits_table(rank(prismat, index, query[0], k=7))
    write_table(table, path := tmp_path / f"hits.{ending}")
    read = pa_csv.read_csv(path) if ending == "csv" else pq.read_table(path)
    assert read.column_names[:6] == ["rank", "id", "formula", "spacegroup", "score", "title"]
    assert "gap [eV]" in read.column_names
    assert read["id"].to_pylist() == table["id"].to_pylist()
    assert read["rank"].to_pylist() == list(range(1, 8))
    with pytest.raises(BadInputError, match=r"cannot write 'hits.xlsx'"):
        write_table(table, tmp_path / "hits.xlsx")


def test_no_results_are_a_table_too():
    assert hits_table([]).num_rows == 0


def test_an_index_of_another_window_is_refused(prismat, index):
    from dataclasses import replace

    other = replace(index, vectors={"xrd@text": index.vectors["structure@text"]})
    with pytest.raises(BadInputError, match="the index has no 'structure@text'"):
        gallery_key(prismat, other)


def test_a_store_without_structures_is_refused(prismat, tmp_path):
    from prismat.material import Material

    words = small.SmallSource(tuple(Material(f"words_{i}", texts={"title": "A note"}) for i in range(3)))
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(words, tmp_path / "store", settings)
    with pytest.raises(BadInputError, match="no record has a structure"):
        open_gallery(prismat, store, tmp_path)


def test_real_minerals_are_ranked(amcsd, prismat, tmp_path):
    rows = [m for m in amcsd.read(0, 30) if hasattr(m, "structure")]
    settings = PrepareSettings(profile=small.tiny_recipe().profile, workers=1)
    store = prepare(small.SmallSource(tuple(rows)), tmp_path / "store", settings)
    index = open_gallery(prismat, store, tmp_path)
    query = query_vectors(prismat, [prompts_for("iron sulfide")])[0]
    hits = rank(prismat, index, query, k=100, filter=Filter(with_elements=("S",)))
    expected = {m.id for m in rows if "S" in m.structure.fractions}
    assert {h.id for h in hits} == expected & set(store.ids)
    assert all(h.title for h in hits)
