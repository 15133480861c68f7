import sys

import numpy as np
import pytest

import helpers_backends as given_
from prismat.errors import BadInputError, MissingExtraError
from prismat.search.backends.milvus_store import connect
from prismat.search.backends.opening import build_any, kind_of, open_any
from prismat.search.backends.options import BuildOptions

RECORDS = given_.records(0, 12)


@pytest.mark.parametrize(
    ("kind", "place", "message"),
    [
        ("faiss", "x", "unknown back end 'faiss'. Use exact, usearch, lancedb, milvus"),
        ("exact", "s3://bucket/x", "exact keeps no index there. Give a folder"),
        ("usearch", "http://localhost:1", "usearch keeps no index there. Give a folder"),
        ("exact", "x.db", "exact keeps no index there"),
        ("lancedb", "ftp://x", "lancedb keeps no index there. Give a folder, or s3://"),
        ("lancedb", "x.db", "lancedb keeps no index there"),
        ("milvus", "x", r"milvus keeps no index there. Give a file that ends in .db, or http"),
    ],
)
def test_places_that_an_engine_cannot_use(kind, place, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=message):
        build_any(kind, place, RECORDS, "abc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["exact", "usearch", "lancedb"])
def test_a_folder_of_something_else_is_not_replaced(kind, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(BadInputError, match="the folder holds something that is no index"):
        build_any(kind, tmp_path, RECORDS, "abc")
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_the_exact_index_takes_no_options(tmp_path):
    with pytest.raises(BadInputError, match="the exact index has no options"):
        build_any("exact", tmp_path / "x", RECORDS, "abc", BuildOptions(approximate=True))


@pytest.mark.parametrize("wrong", [{"dtype": "f8"}, {"connectivity": 1}, {"expansion": 0}])
def test_bad_options_are_named(wrong):
    with pytest.raises(BadInputError, match=r"options: dtype .* Give f32 or f16"):
        BuildOptions(**wrong)
    with pytest.raises(BadInputError, match="unknown options"):
        BuildOptions.of({"colour": "red"})


@pytest.mark.parametrize("place", ["nothing", "nothing.db", "nothing.db#name"])
def test_where_there_is_no_index(place, tmp_path):
    with pytest.raises(BadInputError, match="there is no index"):
        open_any(f"{tmp_path}/{place}")
    assert list(tmp_path.iterdir()) == []


def test_the_kind_is_seen_from_the_place(tmp_path):
    build_any("exact", tmp_path / "e", RECORDS, "abc")
    assert kind_of(tmp_path / "e") == "exact"
    assert kind_of("https://milvus.example:19530#minerals") == "milvus"
    assert kind_of("s3://bucket/minerals") == "lancedb"
    path = tmp_path / "e" / "index.json"
    path.write_text(path.read_text().replace('"exact"', '"annoy"'))
    with pytest.raises(BadInputError, match="an index of the unknown kind 'annoy'"):
        open_any(tmp_path / "e")


@pytest.mark.parametrize(
    ("kind", "module"), [("usearch", "usearch"), ("lancedb", "lancedb"), ("milvus", "pymilvus")]
)
def test_a_missing_engine_names_its_extra(kind, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    place = tmp_path / ("x.db" if kind == "milvus" else "x")
    with pytest.raises(
        MissingExtraError, match=rf"{module} is not installed. Run: pip install 'prismat\[index\]'"
    ):
        build_any(kind, place, RECORDS, "abc")


def test_bad_names_and_broken_files_of_milvus(tmp_path):
    pytest.importorskip("pymilvus")
    with pytest.raises(BadInputError, match="'a b' is no name of a collection"):
        connect(f"{tmp_path}/x.db#a b")


@pytest.mark.parametrize("kind", ["usearch", "lancedb"])
def test_bad_records_leave_nothing_behind(kind, tmp_path):
    pytest.importorskip(kind)
    vectors, present, table = given_.records(0, 12)
    vectors["a"][0] = np.nan
    with pytest.raises(BadInputError, match="embeddings a: the vector is zero or not finite"):
        build_any(kind, tmp_path / "x", (vectors, present, table), "abc")
    with pytest.raises(BadInputError, match="there is no index"):
        open_any(tmp_path / "x")
